import os
import pickle
from io import StringIO
from queue import Queue

from rich.console import Console
from rich.progress import Progress, TextColumn

from benchmark.jobs.progress import Board, Channel, Listener, board
from methods.training import silent


def terminal():
    return Console(file=StringIO(), force_terminal=True, width=100)


def test_nothing_is_drawn_without_a_terminal():
    """Where nobody looks on, channels are silent and not a byte is written."""
    console = Console(file=StringIO(), force_terminal=False)
    with board(console) as drawn:
        assert drawn.channel("job") is silent
        drawn.channel("job")("fit", 1, 2, 0.5)
        drawn.begins([], [], 1)
    assert console.file.getvalue() == ""


def test_quiet_listener_draws_nothing():
    """A listener that is to be quiet has no bars on a terminal either."""
    console, listener = terminal(), Listener()
    listener.quiet = True
    with board(console, listener) as drawn:
        assert drawn.channel("job") is silent
    assert console.file.getvalue() == ""


def test_terminal_shows_job_stage_and_loss():
    """On a terminal a bar names its job, its stage and the loss, and is gone at the end."""
    console = terminal()
    with board(console) as drawn:
        channel = pickle.loads(pickle.dumps(drawn.channel("vaex on mnist")))  # as it gets to another process
        for step in range(1, 3):
            channel("fit", step, 3, 0.25)
    assert "vaex on mnist: training" in console.file.getvalue()
    assert drawn.bars.keys() == {os.getpid()}


def test_whole_counts_what_is_there_and_what_ends(make_record):
    """One bar counts the jobs that are on disk and those that have ended."""
    console, record = terminal(), make_record()
    with board(console) as drawn:
        drawn.begins(["a", "b", "c"], [record, None, None], 1)
        drawn.ends(record)
        assert drawn.progress.tasks[drawn.whole].description == "2 of 3 done"
        assert (drawn.progress.tasks[drawn.whole].completed, drawn.progress.tasks[drawn.whole].total) == (2, 3)


def test_board_in_another_process_hands_out_channels():
    """Of a board with a progress bar only the queue goes to another process."""
    there = pickle.loads(pickle.dumps(Board(None, Listener(), Progress(console=terminal()))))
    assert (there.queue, there.progress) == (None, None)
    assert there.channel("job") is silent


def test_channel_reports_at_most_two_hundred_times():
    """However many steps a stage has, it reports about two hundred times, and always its end."""
    for total in (1, 7, 200, 1999, 12345):
        channel = Channel("job", Queue())
        for step in range(1, total + 1):
            channel("fit", step, total, None)
        messages = [channel.queue.get() for _ in range(channel.queue.qsize())]
        assert len(messages) <= 400
        assert messages[-1] == (os.getpid(), "job: training", total, total, None)


def test_each_worker_has_a_line():
    """A worker has one line, which shows the last that was said of it, whichever jobs it goes through."""
    drawn = Board(Queue())
    for message in (
        (1, "a: training", 1, 4, 0.5),
        (2, "b: training", 2, 4, None),
        (1, "a: training", 3, 4, 0.125),
        (2, "c: scoring", 4, 5, 1.0),
    ):
        drawn.queue.put(message)
    drawn.queue.put(None)
    progress = Progress(TextColumn("{task.description}"), console=terminal())
    drawn.draw(progress)
    bars = {task.description: task for task in progress.tasks}
    assert bars.keys() == {"a: training", "c: scoring"}
    assert (bars["a: training"].completed, bars["a: training"].total) == (3, 4)
    assert "0.125" in bars["a: training"].fields["note"]
    assert (bars["c: scoring"].completed, bars["c: scoring"].total) == (4, 5)
