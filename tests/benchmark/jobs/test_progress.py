import json
import pickle
from io import StringIO

from rich.console import Console
from rich.progress import Progress, TextColumn

from benchmark.jobs.progress import Board, Channel, Listener, board, worker
from methods.training import silent


def terminal():
    return Console(file=StringIO(), force_terminal=True, width=100)


def test_nothing_is_drawn_without_a_terminal(tmp_path):
    """Where nobody looks on, channels are silent and not a byte is written."""
    console = Console(file=StringIO(), force_terminal=False)
    with board(console, tmp_path) as drawn:
        assert drawn.channel("job") is silent
        drawn.channel("job")("fit", 1, 2, 0.5)
        drawn.begins([], [], 1)
    assert console.file.getvalue() == ""


def test_quiet_listener_draws_nothing(tmp_path):
    """A listener that is to be quiet has no bars on a terminal either."""
    console, listener = terminal(), Listener()
    listener.quiet = True
    with board(console, tmp_path, listener) as drawn:
        assert drawn.channel("job") is silent
    assert console.file.getvalue() == ""


def test_terminal_shows_job_stage_and_loss(tmp_path):
    """On a terminal a bar names its job, its stage and the loss; it and its messages are gone at the end."""
    console = terminal()
    with board(console, tmp_path) as drawn:
        channel = pickle.loads(pickle.dumps(drawn.channel("vaex on mnist")))  # as it gets to another process
        for step in range(1, 3):
            channel("fit", step, 3, 0.25)
    assert "vaex on mnist: training" in console.file.getvalue()
    assert drawn.bars.keys() == {worker()}
    assert list((tmp_path / "progress").iterdir()) == []


def test_whole_counts_what_is_there_and_what_ends(make_record, tmp_path):
    """One bar counts the jobs that are on disk and those that have ended."""
    console, record = terminal(), make_record()
    with board(console, tmp_path) as drawn:
        drawn.begins(["a", "b", "c"], [record, None, None], 1)
        drawn.ends(record)
        assert drawn.progress.tasks[drawn.whole].description == "2 of 3 done"
        assert (drawn.progress.tasks[drawn.whole].completed, drawn.progress.tasks[drawn.whole].total) == (2, 3)


def test_board_in_another_process_hands_out_channels(tmp_path):
    """Of a board with a progress bar only the folder of messages goes to another process."""
    there = pickle.loads(pickle.dumps(Board(tmp_path, Listener(), Progress(console=terminal()))))
    assert (there.folder, there.progress) == (tmp_path, None)
    assert there.channel("job") == Channel("job", tmp_path)
    assert Board().channel("job") is silent


def test_channel_reports_at_most_two_hundred_times(tmp_path, monkeypatch):
    """However many steps a stage has, it reports about two hundred times, and always its end."""
    said = []
    monkeypatch.setattr("benchmark.jobs.progress.write_whole", lambda _, content: said.append(json.loads(content)))
    for total in (1, 7, 200, 1999, 12345):
        said.clear()
        for step in range(1, total + 1):
            Channel("job", tmp_path)("fit", step, total, None)
        assert len(said) <= 400
        assert said[-1] == ["job: training", total, total, None]


def test_each_worker_has_a_line(tmp_path):
    """A worker has one line, which shows the last that was said of it, whichever jobs it goes through."""
    drawn = Board(tmp_path)
    progress = Progress(TextColumn("{task.description}"), console=terminal())
    for name, *message in (
        ("here-1", "a: training", 1, 4, 0.5),
        ("there-1", "b: training", 2, 4, None),
        ("here-1", "a: training", 3, 4, 0.125),
        ("there-1", "c: scoring", 4, 5, 1.0),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(message))
        (tmp_path / "torn.json").write_text('["d: trai')
        drawn.draw(progress)
    bars = {task.description: task for task in progress.tasks}
    assert bars.keys() == {"a: training", "c: scoring"}
    assert (bars["a: training"].completed, bars["a: training"].total) == (3, 4)
    assert "0.125" in bars["a: training"].fields["note"]
    assert (bars["c: scoring"].completed, bars["c: scoring"].total) == (4, 5)
