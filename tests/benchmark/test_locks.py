"""Locks hold between processes without flock, and outlive no process."""

import socket
import subprocess
import sys
import threading
import time

import pytest
from filelock import Timeout

from benchmark import locks
from benchmark.errors import UserError
from benchmark.locks import locked

HOLD = """
import pathlib, sys, time
from benchmark.locks import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "a.lease")], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_another_process_waits(tmp_path, holder):
    """While another process holds a lock nobody else gets it."""
    with pytest.raises(Timeout), locked(tmp_path / "a.lease", patience=0.3):
        pass
    with locked(tmp_path / "b.lease", patience=0):
        assert holder.poll() is None


def test_lock_of_a_killed_process_is_free(tmp_path, holder):
    """What died on this node holds no lock, and need not be waited for."""
    holder.kill()
    holder.wait()
    with locked(tmp_path / "a.lease", patience=5):
        pass
    assert list(tmp_path.iterdir()) == []


def test_lock_of_a_dead_node_is_taken_over(tmp_path, monkeypatch):
    """A lock of a process that this node cannot see is free when nobody renews it, and not while somebody does."""
    monkeypatch.setattr(locks, "LEASE", 0.6)
    path = tmp_path / "a.lease"
    ended = threading.Event()

    def hold():
        with locked(path):
            ended.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    while not path.exists():
        time.sleep(0.01)
    with pytest.raises(Timeout), locked(path, patience=1.5):  # its holder is alive
        pass
    left = path.read_text()
    ended.set()
    thread.join()
    path.write_text(left.replace(socket.gethostname(), "a-node-that-died"))
    with locked(path, patience=10):
        pass


@pytest.mark.parametrize("content", ["", "no holder's name"])
def test_lock_without_a_name_is_taken_over(tmp_path, monkeypatch, content):
    """A process that was killed before it wrote its name, or whose disk was full, keeps nobody waiting for ever."""
    monkeypatch.setattr(locks, "LEASE", 0.4)
    path = tmp_path / "a.lease"
    path.write_text(content)
    with pytest.raises(Timeout), locked(path, patience=0.3):  # somebody may be about to write it
        pass
    with locked(path, patience=10):
        pass
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_lock_is_named(tmp_path, monkeypatch):
    """A file system without exclusive files is a user's matter: one line, with what to do."""

    def refuse(*_, **__):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.SoftFileLease, "acquire", refuse)
    with pytest.raises(UserError, match="choose another folder with --results"), locked(tmp_path / "a.lease"):
        pass
