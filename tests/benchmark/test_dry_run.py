"""What only says what would be done: a dry run, and a look at a classifier; nothing is written."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.arguments import protocol_of
from benchmark.data.wanted import Wanted
from benchmark.errors import UserError
from benchmark.jobs import protocol as loading
from benchmark.jobs.estimate import estimate
from benchmark.jobs.fit import fit
from benchmark.jobs.protocol import Job, images_of
from benchmark.jobs.work import Work

NETWORK = "from torch import nn\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(256, 2))\n"


@pytest.fixture(autouse=True)
def _nothing_loaded():
    """Or a task would be read once a process, whatever becomes of its folder."""
    loading._loaded.clear()


@pytest.fixture
def shapes(tmp_path):
    """A folder of two classes, and a picture that is in neither."""
    random = np.random.default_rng(0)
    for number in range(41):
        folder = tmp_path / "shapes" / ("round", "square")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        place = tmp_path / "photo.png" if number == 40 else folder / f"{number}.png"
        Image.fromarray(random.integers(0, 256, (16, 16), dtype=np.uint8)).save(place)
    return tmp_path / "shapes"


@pytest.fixture
def planned(cli, tmp_path):
    """A dry run of one reference into a folder that is not there: options -> what it said."""

    def plan(*options):
        folder = tmp_path / "results"
        outcome = cli("run", "--dry-run", "--preset", "smoke", "--methods", "null", "--results", folder, *options)
        assert (outcome.code, outcome.err) == (0, "")
        assert not folder.exists()
        return outcome.out

    return plan


def test_of_own_pictures(planned, shapes):
    """Own pictures are decoded for it, and none is kept among the results."""
    assert "null on shapes, seed 0" in planned("--data", shapes)


def test_of_another_task(cli, shapes, tmp_path):
    """Own pictures that no task asks about are a mistake."""
    asked = ("--preset", "smoke", "--methods", "null", "--data", shapes, "--tasks", "mnist/3-8")
    for command in (("run", "--dry-run"), ("run",)):
        outcome = cli(*command, *asked, "--results", tmp_path / "results")
        assert (outcome.code, len(outcome.complaints)) == (2, 1)
        assert "--tasks names no task of shapes" in outcome.err
    assert not (tmp_path / "results").exists()


def test_of_nothing_that_suits(cli, shapes, tmp_path):
    """Where the run would refuse every method, so does its dry run, in the same words."""
    (tmp_path / "net.py").write_text(NETWORK.replace("256", "9"))
    asked = ("--preset", "smoke", "--methods", "all", "--data", shapes, "--trust-code")
    own = ("--classifier", f"{tmp_path / 'net.py'}:build", "--results", tmp_path / "results")
    told = [cli(*command, *asked, *own) for command in (("run", "--dry-run"), ("run",))]
    assert [outcome.code for outcome in told] == [2, 2]
    assert told[0].err == told[1].err


def test_of_one_picture(planned, shapes, monkeypatch):
    """Whether the classifier sees the target already is not known yet: no classifier is trained to find out."""
    monkeypatch.setattr("benchmark.judges.classifier.TrainedClassifier.made", lambda _: pytest.fail("it was trained"))
    assert "null on mnist, seed 0" in planned("--query", shapes.parent / "photo.png", "--target", "3")


def test_of_drawn_faces(planned):
    """Faces are drawn for it, and not kept."""
    assert "null on avatars/Smiling" in planned("--tasks", "avatars/Smiling", "--set", "avatars.count=200")


def test_what_is_kept_is_read(shapes, tmp_path, monkeypatch):
    """What a run has decoded is not decoded again, and is the same."""
    asked = protocol_of(tmp_path / "results", "smoke", data=shapes)
    made = images_of("shapes", asked)
    before = sorted((tmp_path / "results").rglob("*"))
    loading._loaded.clear()
    monkeypatch.setattr("benchmark.data.folder.decode", lambda *_, **__: pytest.fail("a picture was read again"))
    found = images_of("shapes", replace(asked, writes=False))
    assert found.digest == made.digest
    np.testing.assert_array_equal(found.images, made.images)
    assert sorted((tmp_path / "results").rglob("*")) == before


@pytest.mark.slow
def test_a_trained_classifier_is_asked(shapes, tmp_path):
    """Of all targets it refuses the one that the classifier sees, once there is a classifier."""
    asked = protocol_of(tmp_path / "results", "smoke", settings=["classifier.epochs=1"])
    assert refused(asked, shapes.parent / "photo.png") == []
    network = Work(Job("mnist", "null", 0), asked).classifier.network()
    sees = Work(Job("mnist", "null", 0), replace(asked, wanted=Wanted((shapes.parent / "photo.png",), ("0",))))
    with torch.no_grad():
        own = network(sees.question.queries.batch(slice(None))).argmax().item()
    assert refused(asked, shapes.parent / "photo.png") == [own]


def refused(asked, picture):
    """The targets that a dry run refuses to ask for."""

    def refuses(digit):
        planned = replace(asked, writes=False, wanted=Wanted((picture,), (str(digit),)))
        try:
            Work(Job("mnist", "null", 0), planned).check()
        except UserError:
            return True
        return False

    return [digit for digit in range(10) if refuses(digit)]


@pytest.mark.slow
def test_only_what_is_missing_is_counted(tmp_path):
    """Judges and a fit that lie on disk cost nothing any more; of answers nothing is known before their record."""
    asked = protocol_of(tmp_path / "results", "smoke", settings=["gan-search.epochs=1"])
    job = Job("mnist", "gan-search", 0)
    before = [part.name for part in estimate([job], asked).parts]
    assert not (tmp_path / "results").exists()
    judges = ["classifier", "classifier-2", "classifier-3", "oracle", "oracle-2", "oracle-3", "autoencoders"]
    training, answers = "gan-search on mnist, seed 0: training", "gan-search on mnist, seed 0: answers"
    assert before == [*(f"{judge} on mnist, seed 0" for judge in judges), training, answers]
    work = Work(job, asked)
    fit(work)
    work.oracle.members[1].made()
    gone = {"classifier on mnist, seed 0", "oracle-2 on mnist, seed 0", training}
    assert [part.name for part in estimate([job], asked).parts] == [name for name in before if name not in gone]
    work.autoencoders.made()
    found = [part.name for part in estimate([job], asked).parts]
    assert found == [name for name in before if name not in gone | {"autoencoders on mnist, seed 0"}]


def test_a_look_at_a_classifier(cli, shapes, tmp_path, monkeypatch):
    """`classifier check` leaves nothing behind in the folder that it is called in."""
    (tmp_path / "own.py").write_text(NETWORK)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    outcome = cli("classifier", "check", f"{tmp_path / 'own.py'}:build", "--data", shapes)
    assert "accuracy" in outcome.out
    assert list((tmp_path / "here").iterdir()) == []
