"""Files are whole or absent, and what killed writers leave goes away."""

import os
import subprocess
import sys

import pytest

from methods.files import LEFT_BEHIND, write_whole

KILLED = """
import os, pathlib, signal, sys
from methods import files
files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
files.write_whole(pathlib.Path(sys.argv[1]), b"new")
"""


def test_killed_writers_leave_the_old_file_and_nothing_beside_the_next(tmp_path):
    """A writer that is killed leaves the old content; the next one on this machine removes its temporary file."""
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode < 0
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    write_whole(path, b"newer")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"newer"


@pytest.mark.parametrize(("age", "stays"), [(0, True), (LEFT_BEHIND + 60, False)])
def test_what_another_machine_writes_stays_for_a_day(tmp_path, age, stays):
    """Nobody here knows whether a process elsewhere goes on, so its temporary file is removed after a day only."""
    other = tmp_path / ".a.json.elsewhere.1.0f.tmp"
    other.write_bytes(b"half")
    then = other.stat().st_mtime - age
    os.utime(other, (then, then))
    write_whole(tmp_path / "a.json", b"whole")
    assert other.exists() == stays


def test_what_a_living_process_writes_stays(tmp_path, monkeypatch):
    """A temporary file of a process that goes on is left to it; other files' are none of one's business."""
    monkeypatch.setattr("methods.files.os.replace", lambda *_: None)  # as if it were still writing
    write_whole(tmp_path / "a.json", b"half")
    monkeypatch.undo()
    (tmp_path / ".b.json.x.999999999.0f.tmp").touch()
    write_whole(tmp_path / "a.json", b"whole")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_machine_of_the_same_name_does_no_harm(tmp_path, monkeypatch):
    """Where two machines of one name share a folder, one may remove the other's temporary file: it is written again."""
    path, rename, seen = tmp_path / "a.json", os.replace, []

    def swept(temporary, target):
        seen.append(temporary)
        if len(seen) == 1:
            temporary.unlink()
        rename(temporary, target)

    monkeypatch.setattr("methods.files.os.replace", swept)
    write_whole(path, b"whole")
    assert len(seen) == 2
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    """Where the disk is full the error is the disk's, the old file stays, and nothing is left beside it."""

    def full(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "a.json").write_bytes(b"old")
    monkeypatch.setattr("methods.files.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a.json", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
