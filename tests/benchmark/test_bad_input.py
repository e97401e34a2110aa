"""What no user should type and no file should hold: one line and exit code 2, or an answer, and nothing else."""

import json
import pickle
from itertools import cycle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from typer.main import get_command

from benchmark.cli import application
from benchmark.jobs import protocol
from benchmark.jobs.settings import SECTIONS
from methods import METHODS
from tests.benchmark.harm import CLASSES, CODE, CONTROL, DAMAGE, SIDE, VALUES, times

pytestmark = pytest.mark.slow


def flags():
    """The options of `run` that take a value, but those that name its methods and its folder, which are set here."""
    options = get_command(application(["run"])).commands["run"].params
    return [option.opts[0] for option in options if not option.is_flag and option.name not in ("methods", "results")]


def settings_of():
    """Every setting of every section, as `section.field`."""
    sections = {name: section.config for name, section in SECTIONS.items()}
    sections |= {name: entry.load().Config for name, entry in METHODS.items()}
    return sorted(f"{name}.{field}" for name, config in sections.items() for field in config.model_fields)


@pytest.fixture
def planned(cli, tmp_path):
    """Plans a run, (options) -> Outcome, and holds it to what every command owes its user."""

    def plan(*options):
        folder = tmp_path / "results"
        protocol._loaded.clear()  # or a process would read a folder once, whatever becomes of it
        outcome = cli("run", "--dry-run", "--methods", "null", "--results", folder, *options)
        assert outcome.code in (0, 2), outcome
        assert "Traceback" not in outcome.err + outcome.out
        assert not CONTROL.search(outcome.err + outcome.out), (options, outcome)
        if outcome.code:
            assert len(outcome.complaints) == 1, outcome.err
            assert outcome.err.startswith("error: ")
        assert not folder.exists()
        return outcome

    return plan


@pytest.mark.parametrize("flag", flags())
@times(4)
@given(value=VALUES)
def test_any_value_of_a_flag(planned, flag, value):
    """Whatever is typed after a flag of `run` is refused in a line, or planned."""
    planned(f"{flag}={value}")


@times(24)
@given(setting=st.sampled_from(settings_of()), value=VALUES)
def test_any_value_of_a_setting(planned, setting, value):
    """Whatever --set gives a setting is refused in a line, or planned."""
    planned(f"--set={setting}={value}")


@times(24)
@given(first=VALUES, second=VALUES)
def test_any_methods(planned, first, second):
    """Whatever is named as a method is refused in a line, or planned."""
    planned(f"--methods={first},{second}")


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder of pictures with every file that a user can bring, all of them right."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "pictures").mkdir()
    rows = ["file,label,round"]
    for place in range(24):
        name = f"{place}.png"
        colour = (place, 0, 250) if place % 2 else (250, place, 0)
        Image.new("RGB", (SIDE, SIDE), colour).save(folder / "pictures" / name)
        rows.append(f"{name},{CLASSES[place % 2]},{place // 2 % 2}")
    (folder / "pictures" / "labels.csv").write_text("\n".join(rows) + "\n")
    (folder / "net.py").write_text(CODE)
    (folder / "model.toml").write_text('input = "mean=.5 std=.25"\nclasses = ["blue", "red"]\n')
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2))
    save_file(network.state_dict(), folder / "weights.safetensors")
    torch.save(network.state_dict(), folder / "weights.pt")
    (folder / "targets.csv").write_text("file,target\n" + f"{folder / 'pictures' / '0.png'},red\n")
    (folder / "names.txt").write_text("blue\nred\n")
    return folder


PICTURES = ("pictures/labels.csv", "pictures/3.png")
FILES = (*PICTURES, "model.toml", "weights.safetensors", "weights.pt", "targets.csv", "names.txt")


@pytest.mark.parametrize("name", FILES)
@times(6)
@given(damage=DAMAGE)
def test_any_damage_of_a_file(planned, whole, name, damage):
    """A file that is cut, changed or another one altogether is refused in a line, or read."""
    path = whole / name
    before = path.read_bytes()
    weights = "weights.pt" if name == "weights.pt" else "weights.safetensors"
    options = ["--data", whole / "pictures", "--classifier", f"{whole / 'net.py'}:build"]
    options += ["--classifier-weights", whole / weights, "--targets", whole / "targets.csv"]
    options += ["--classes", whole / "names.txt"]
    path.write_bytes(damage.of(before))
    try:
        planned(*options)
    finally:
        path.write_bytes(before)


@times(8)
@given(damage=DAMAGE)
def test_any_damage_of_a_record(cli, results_of_one, damage):
    """`report` leaves out a record that it cannot read and says so, or refuses in a line if there is no other."""
    path = next(results_of_one.glob("runs/records/**/seed-0.json"))
    before = path.read_bytes()
    path.write_bytes(damage.of(before))
    try:
        outcome = cli("report", "--preset", "smoke", "--results", results_of_one)
    finally:
        path.write_bytes(before)
    assert outcome.code in (0, 2), outcome
    assert "Traceback" not in outcome.err + outcome.out


@pytest.fixture(scope="module")
def results_of_one(tmp_path_factory, make_record):
    """A results folder with one record."""
    folder = tmp_path_factory.mktemp("results")
    path = folder / "runs" / "records" / "smoke" / "mnist" / "vaex" / "seed-0.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(make_record(preset="smoke").model_dump(mode="json")))
    return folder


# -- payloads ----------------------------------------------------------------------------------------------------------


class Payload:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def pickled(payload, path):
    path.write_bytes(pickle.dumps(payload))


def as_array(payload, path):
    with path.open("wb") as file:
        np.save(file, np.array([payload], object), allow_pickle=True)


def as_arrays(payload, path):
    with path.open("wb") as file:
        np.savez(file, images=np.array([payload], object))


CARRIERS = (pickled, torch.save, as_array, as_arrays)


def test_a_payload_in_the_store_runs_nothing(cli, tmp_path):
    """Each file that a run keeps may be one that runs code when it is unpickled: the next run makes it anew."""
    command = (
        "run",
        "--methods",
        "null,patch-swap",
        "--preset",
        "smoke",
        "--jobs",
        "1",
        "--results",
        tmp_path / "results",
    )
    assert cli(*command).code == 0
    kept = sorted(path for path in (tmp_path / "results" / "runs").rglob("*") if path.is_file())
    numbers = (tmp_path / "results" / "metrics.csv").read_text()
    for path, carrier in zip(kept, cycle(CARRIERS), strict=False):
        carrier(Payload(tmp_path / "mark"), path)
    outcome = cli(*command)
    assert outcome.code == 0, outcome.err
    assert not (tmp_path / "mark").exists()
    assert (tmp_path / "results" / "metrics.csv").read_text() == numbers


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("name", ["answers.npz", "answers.npy", "answers/0.png", "answers/0.npy"])
def test_a_payload_in_answers_runs_nothing(cli, tmp_path, carrier, name):
    """Another program's answers may be a file that runs code when it is unpickled: they are refused in a line."""
    path = tmp_path / "given" / name
    path.parent.mkdir(parents=True)
    carrier(Payload(tmp_path / "mark"), path)
    pictures = tmp_path / "queries"
    pictures.mkdir()
    Image.new("L", (28, 28)).save(pictures / "0.png")
    (tmp_path / "targets.csv").write_text("file,target\n0.png,3\n")
    first = tmp_path / "given" / name.split("/")[0]
    outcome = cli("score", pictures, first, "--targets", tmp_path / "targets.csv", "--preset", "smoke")
    assert outcome.code == 2, outcome
    assert len(outcome.complaints) == 1
    assert not (tmp_path / "mark").exists()
