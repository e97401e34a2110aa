import pickle
from io import StringIO
from queue import Queue

from rich.console import Console
from rich.progress import Progress, TextColumn

from benchmark.jobs.progress import Board, Channel, board
from methods.training import silent


def terminal():
    return Console(file=StringIO(), force_terminal=True, width=100)


def test_nothing_is_drawn_without_a_terminal():
    """Where nobody looks on, channels are silent and not a byte is written."""
    console = Console(file=StringIO(), force_terminal=False)
    with board(console) as drawn:
        assert drawn.channel("job") is silent
        drawn.channel("job")("fit", 1, 2, 0.5)
    assert console.file.getvalue() == ""


def test_terminal_shows_job_stage_and_loss():
    """On a terminal a bar names its job, its stage and the loss, and is gone at the end."""
    console = terminal()
    with board(console) as drawn:
        channel = pickle.loads(pickle.dumps(drawn.channel("vaex on mnist")))  # as it gets to another process
        for step in range(1, 3):
            channel("fit", step, 3, 0.25)
    assert "vaex on mnist: fit" in console.file.getvalue()
    assert drawn.bars.keys() == {("vaex on mnist", "fit")}


def test_channel_reports_at_most_two_hundred_times():
    """However many steps a stage has, it reports about two hundred times, and always its end."""
    for total in (1, 7, 200, 1999, 12345):
        channel = Channel("job", Queue())
        for step in range(1, total + 1):
            channel("fit", step, total, None)
        messages = [channel.queue.get() for _ in range(channel.queue.qsize())]
        assert len(messages) <= 400
        assert messages[-1] == ("job", "fit", total, total, None)


def test_each_stage_of_each_job_has_a_bar():
    """A job's stages have a bar each, which shows the last that was said of it and leaves when it is done."""
    drawn = Board(Queue())
    for message in (
        ("a", "fit", 1, 4, 0.5),
        ("b", "fit", 2, 4, None),
        ("a", "fit", 3, 4, 0.125),
        ("b", "fit", 4, 4, 1.0),
    ):
        drawn.queue.put(message)
    drawn.queue.put(None)
    progress = Progress(TextColumn("{task.description}"), console=terminal())
    drawn.draw(progress)
    bars = {task.description: task for task in progress.tasks}
    assert bars.keys() == {"a: fit", "b: fit"}
    assert (bars["a: fit"].completed, bars["a: fit"].visible) == (3, True)
    assert "0.125" in bars["a: fit"].fields["loss"]
    assert (bars["b: fit"].completed, bars["b: fit"].visible) == (4, False)
