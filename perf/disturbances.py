"""What can happen to a command while it runs, and to the files of a store: used by soak.py."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress

HOPELESS = 900
"""Seconds after which a process is taken to hang."""


def kill(process):
    """End the whole process group at once, as a power cut does."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# -- disturbances ------------------------------------------------------------------------------------------------------


def killed(case, process, results, chance):  # noqa: ARG001 - all disturbances are called alike
    """-9 to the process and all its workers."""
    kill(process)


def disk_full(case, process, results, chance):  # noqa: ARG001
    """A file that takes all the space there is, and goes away once the command has ended."""
    ballast = results / ".ballast"
    ballast.touch()
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast.unlink


def read_only(case, process, results, chance):  # noqa: ARG001
    """The disk is mounted read-only, as after an error of the device."""
    while mount("-o", "remount,ro", results) != 0:  # busy: a file is open for writing at this moment
        time.sleep(0.01)
    return lambda: mount("-o", "remount,rw", results)


def vanished(case, process, results, chance):  # noqa: ARG001
    """The folder is gone, as when a network share is cut off, and there again once the command has ended."""
    away = results.with_name("away")
    results.rename(away)

    def back():
        shutil.rmtree(results, ignore_errors=True)
        away.rename(results)

    return back


def clock(case, process, results, chance):  # noqa: ARG001
    """The clock jumps by up to a year: all files are from then, and the command goes on."""
    then = time.time() + chance.uniform(-1, 1) * 365 * 86400
    for path in results.rglob("*"):
        try:
            os.utime(path, (then, then))
        except FileNotFoundError:
            continue


def two_runs(case, process, results, chance):
    """The same command runs in the same folder at once; one of two times the first is killed."""
    second = case.start(results, 1)
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0, case.seconds / 2))
        if process.poll() is None:
            kill(process)
    return lambda: second.wait(HOPELESS)


DISTURBANCES = {
    "kill -9": (killed, 100),
    "disk full": (disk_full, 20),
    "disk read-only": (read_only, 10),
    "folder gone": (vanished, 10),
    "clock jumps": (clock, 10),
    "two runs in one folder": (two_runs, 10),
}
"""Name -> what happens, and how often at full size."""
ON_A_DISK = (disk_full, read_only)
"""What needs a disk of its own: a tmpfs, which only root may mount. Others leave it out."""


def mount(*arguments):
    """The exit code of mount or, without options, of umount."""
    command = ["mount", *arguments] if len(arguments) > 1 else ["umount", "--lazy", *arguments]
    return subprocess.run(list(map(str, command)), check=False, stderr=subprocess.DEVNULL).returncode


# -- damage ------------------------------------------------------------------------------------------------------------


def truncated(path, chance, others):  # noqa: ARG001
    """The first part of it."""
    content = path.read_bytes()
    path.write_bytes(content[: int(chance.random() * len(content))])


def zeroed(path, chance, others):  # noqa: ARG001
    """As many zero bytes, as a disk leaves after a power cut."""
    path.write_bytes(bytes(path.stat().st_size))


def swapped(path, chance, others):
    """The content of another file of that name, or of any other."""
    alike = [other for other in others if other.name == path.name and other != path]
    other = chance.choice(alike or others)
    here, there = path.read_bytes(), other.read_bytes()
    path.write_bytes(there)
    other.write_bytes(here)


def changed_places(path, chance, others):
    """The whole folder of it with that of another."""
    alike = sorted({other.parent for other in others if other.name == path.name} - {path.parent})
    if alike:
        other, between = chance.choice(alike), path.parent.with_name("between")
        path.parent.rename(between)
        other.rename(path.parent)
        between.rename(other)


DAMAGES = (truncated, zeroed, swapped, changed_places)
