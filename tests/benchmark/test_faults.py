import os
import random
import shutil
import signal
import subprocess
import time

import pytest

METHODS = ("vaex", "nearest-unlike")
RUN = ("run", "--preset", "smoke", "--methods", ",".join(METHODS), "--jobs")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def expected(rows_of):
    """The rows of an uninterrupted run that these methods have."""
    return rows_of(*METHODS)


def metrics(folder):
    return (folder / "metrics.csv").read_bytes()


MOMENTS = [
    ("while the classifier is trained", "2", "runs/locks/classifier-*.lease", 1.0),
    ("after the last step of a training", "1", "runs/artefacts/*/checkpoints/*.checkpoint", 0.0),
    ("while it explains", "1", "runs/locks/explain-*.lease", 0.02),
    ("while scores are written", "1", "runs/artefacts/score-*", 0.0),
    ("while tables are written", "1", "tables/*", 0.0),
]
"""What happens, with how many jobs, what is seen of it on disk, and for how long at most it goes on, in seconds."""


def seen(folder, pattern):
    """Whether something of this pattern is in `folder`, of which the run may take parts away while it is looked at."""
    try:
        return any(folder.glob(pattern))
    except FileNotFoundError:
        return False


def kill(process):
    """End the whole process group at once, as a power cut does."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_killed_at_any_moment(popen, shell, tmp_path, expected):
    """Killed while training, explaining and writing, and started again each time, a run ends with the same numbers."""
    delays = random.Random(0)
    for what, jobs, pattern, longest in MOMENTS:
        process = popen(*RUN, jobs, "--results", tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None and not seen(tmp_path, pattern):
                time.sleep(0.002)
            time.sleep(delays.uniform(0, longest))
            assert process.poll() is None, f"came to its end: {what}"
        finally:
            if process.poll() is None:
                kill(process)
    outcome = shell(*RUN, "1", "--results", tmp_path)
    assert outcome.code == 0, outcome.err
    assert metrics(tmp_path) == expected
    assert not list(tmp_path.rglob("checkpoints"))


def test_two_runs_on_one_folder(popen, tmp_path, expected):
    """Two processes that run the same on one folder at once both end well, with the same numbers."""
    both = [popen(*RUN, "1", "--results", tmp_path) for _ in range(2)]
    answers = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert answers[0] == answers[1]
    assert metrics(tmp_path) == expected


def flip_last_bit(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def cut(path):
    path.write_bytes(path.read_bytes()[:100])


def test_damage_on_disk_is_named_and_mended(shell, results, expected):
    """Damaged weights, answers, scores and checkpoints are each named in a warning, and the numbers are the same."""
    runs = results / "runs"
    shutil.rmtree(runs / "records")
    shutil.rmtree(results / "tables")
    damaged = []
    for stage, damage in (("classifier", flip_last_bit), ("oracle", cut), ("fit", flip_last_bit), ("score", cut)):
        for path in runs.glob(f"artefacts/{stage}-*/tensors.safetensors"):
            if path.stat().st_size > 100:
                damage(path)
                damaged.append((stage, path))
    for artefact in runs.glob("artefacts/fit-*"):
        (artefact / "done.json").unlink()  # as if it had been killed in the middle of its training
        checkpoint = artefact / "checkpoints" / "fit.checkpoint"
        checkpoint.parent.mkdir()
        checkpoint.write_bytes(b"no checkpoint" * 10)
    outcome = shell(*RUN, "1", "--results", results)
    assert outcome.code == 0, outcome.err
    assert metrics(results) == expected
    for stage, path in damaged:
        if stage in {"classifier", "oracle"}:
            assert str(path) in outcome.err
    scores = [path for stage, path in damaged if stage == "score"]
    assert sum(str(path) in outcome.err for path in scores) == len(METHODS)
    assert outcome.err.count("fit.checkpoint") == 1  # of the one method that trains
    assert "Traceback" not in outcome.err
