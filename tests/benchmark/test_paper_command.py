import re
import shutil
from collections import Counter
from itertools import count

import pytest
import torch
from filelock import FileLock
from torch import nn

from benchmark.jobs import estimate as estimating
from benchmark.jobs.estimate import Forecast, Meter, Part, estimate
from benchmark.jobs.protocol import Job, Protocol
from benchmark.papers import PAPERS, load
from methods.training import Phase, Plan, Trainer

SETTINGS = ("--preset", "smoke", "--task", "mnist")


@pytest.fixture(scope="session")
def papers(worker_folder, smoke, draw, shell):
    """The smoke run's results with the pages of all papers, and what the command said; not to be written to."""
    folder = worker_folder / "papers"
    with FileLock(worker_folder / "papers.lock"):
        if not (folder / "told").exists():
            shutil.copytree(smoke, folder, dirs_exist_ok=True)
            draw(folder, folder / "figures")
            made = shell("paper", "all", *SETTINGS, "--results", folder)
            assert made.code == 0, made.err
            (folder / "told").write_text(made.out, encoding="utf-8")
    return folder


@pytest.fixture
def finished(papers, tmp_path):
    """A copy of them, free to break."""
    return shutil.copytree(papers, tmp_path / "results")


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPERS)
def test_page_from_a_smoke_run(shell, finished, stamps, name):
    """From finished records the command makes the page alone; all pictures that it shows are there."""
    results = finished
    records = stamps(results / "runs", "*.json")
    made = shell("paper", name, *SETTINGS, "--results", results)
    assert made.code == 0, made.err
    path = results / "tables" / f"paper-{name}.md"
    page = path.read_text(encoding="utf-8")
    pictures = set(re.findall(r"!\[.*?\]\((.*?)\)", page))
    assert all((path.parent / picture).exists() for picture in pictures)
    paper = load(name)
    of = {shown.name: {"mnist", *paper.planted} & set(shown.of or ["mnist"]) for shown in paper.figures}
    stems = {stem.format(task=task) for shown in paper.figures for stem in shown.files for task in of[shown.name]}
    wanted = {f"../figures/{stem}.png" for stem in stems}
    assert pictures == wanted or "not all pictures are there" in page or "are closed" in page
    assert all(f"**{planted}: the effect of the exact do(" in page for planted in paper.planted)
    assert "hold here**" in page or "holds here**" in page
    assert made.out.removeprefix("getting ready ...\n").startswith(page.partition("\n## Tables")[0])
    assert stamps(results / "runs", "*.json") == records


@pytest.mark.slow
def test_all_papers_at_once(shell, finished):
    """One command makes the pages of all papers, each as the command makes it of that paper alone, or `report`."""
    pages = {name: finished / "tables" / f"paper-{name}.md" for name in PAPERS}
    together = {name: page.read_bytes() for name, page in pages.items()}
    assert all(page.name in (finished / "told").read_text(encoding="utf-8") for page in pages.values())
    assert shell("paper", "dvae", "vaex", "dvae", *SETTINGS, "--results", finished).code == 0
    assert {name: page.read_bytes() for name, page in pages.items()} == together
    for page in pages.values():
        page.unlink()
    assert shell("report", "--preset", "smoke", "--results", finished).code == 0
    assert {name: page.read_bytes() for name, page in pages.items()} == together


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("vae",), ("paper", "did you mean 'vaex'")),
        (("vaex", "all"), ("paper", "'all'")),
        (("vaex", "--task", "mnits"), ("mnits", "mnist")),
        (("vaex", "--task", "celeba/Male"), ("--data-root",)),
        (("dvae", "--preset", "papers"), ("preset", "paper")),
        (("dvae", "--seeds", "one"), ("--seeds",)),
    ],
)
def test_mistake_is_one_line(cli, tmp_path, arguments, words):
    """A paper, task or setting that there is not is one clear line and exit code 2, and nothing is written."""
    answered = cli("paper", *arguments, "--results", tmp_path / "results")
    assert answered.code == 2
    assert len(answered.complaints) == 1
    assert all(word in answered.err for word in words)
    assert not (tmp_path / "results" / "tables").exists()


@pytest.fixture
def measured(monkeypatch):
    """Spares the measuring of the preset paper: what is asked for, in the order in which it is."""
    asked = []

    def measure(jobs, protocol):
        asked.append((jobs, protocol))
        return Forecast((Part("everything", 7200.0, 3 * 2**20),), 512.0, 0.0)

    monkeypatch.setattr(estimating, "estimate", measure)
    return asked


def test_paper_preset_asks_first(cli, tmp_path, measured):
    """Where nobody can answer, the preset paper says what it needs and how to go on, and starts nothing."""
    answered = cli("paper", "dvae", "--preset", "paper", "--task", "mnist", "--results", tmp_path / "results")
    assert answered.code == 2
    assert answered.complaints[-1].startswith("error: ")
    assert "--yes" in answered.complaints[-1]
    assert all(part in answered.err for part in ("2.0 h", "512 MiB of memory", "3 MiB on disk"))
    assert not (tmp_path / "results").exists()
    assert [job.method for job in measured[0][0]] == list(load("dvae").methods)


@pytest.mark.parametrize("name", PAPERS)
def test_paper_preset_asks_the_papers_task(cli, tmp_path, measured, name):
    """Without a task, the preset paper means the data set that the paper used."""
    cli("paper", name, "--preset", "paper", "--results", tmp_path / "results")
    assert {job.task for job in measured[0][0]} == {load(name).task}


def test_yes_is_told_too(cli, tmp_path, measured, monkeypatch):
    """With --yes the preset paper says what it needs and starts without asking."""
    started = []
    monkeypatch.setattr("benchmark.papers.running.run_papers", lambda *arguments: started.append(arguments) or [])
    answered = cli("paper", "dvae", "--preset", "paper", "--task", "mnist", "--yes", "--results", tmp_path / "results")
    assert answered.code == 0
    assert "2.0 h" in answered.err
    assert len(measured) == len(started) == 1


def test_finished_jobs_need_nothing(cli, tmp_path, measured, monkeypatch, make_record):
    """Where all records are there, nothing is measured and nobody is asked."""
    monkeypatch.setattr("benchmark.jobs.runner.finished", lambda *_: make_record())
    monkeypatch.setattr("benchmark.papers.running.run_papers", lambda *_: [])
    assert cli("paper", "dvae", "--preset", "paper", "--task", "mnist", "--results", tmp_path / "results").code == 0
    assert not measured


@pytest.mark.slow
def test_estimate_measures_and_writes_nothing(tmp_path):
    """Everything that a job trains and asks has a time and a size, counted once where methods share it."""
    jobs = [Job("mnist", name, 0) for name in ("dvae", "dvae-single")]
    found = estimate(jobs, Protocol(results=tmp_path, preset="smoke"))
    names = [part.name for part in found.parts]
    assert sum(name.endswith(": training") for name in names) == 1
    assert sum(name.endswith(": answers") for name in names) == 2
    assert sum(name.startswith(("classifier", "oracle", "autoencoders")) for name in names) == 3 + 3 + 1
    assert all(part.seconds > 0 for part in found.parts)
    assert all(part.bytes > 0 for part in found.parts)
    assert found.memory > 0
    assert not list(tmp_path.rglob("tensors.safetensors"))


@pytest.mark.slow
def test_estimate_measures_one_seed_for_all(tmp_path, monkeypatch):
    """Every seed has its own parts, and more seeds take no more steps to measure; nor do networks that are alike."""
    trained = Counter()
    fit = Meter.fit

    def counted(meter, module, *others, **more):
        trained[type(module).__name__] += 1
        return fit(meter, module, *others, **more)

    monkeypatch.setattr(Meter, "fit", counted)
    jobs = [Job("mnist", "vaex", seed) for seed in range(3)]
    parts = estimate(jobs, Protocol(results=tmp_path, preset="smoke")).parts
    assert len({part.name for part in parts}) == len(parts) == 3 * (7 + 2)
    for seed in range(3):
        same = zip(parts, parts[9 * seed : 9 * seed + 9], strict=False)
        assert all((one.seconds, one.bytes) == (other.seconds, other.bytes) for one, other in same)
    assert parts[0].seconds == parts[1].seconds  # the investigated classifier, and one trained again
    assert trained == {"ConvClassifier": 1 + 3, "Autoencoders": 1, "HierarchicalVAE": 1}


class Line(nn.Module):
    """The smallest thing that can be trained."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1))

    def losses(self, x):
        return {"loss": (self.slope - x).square().mean()}


def test_meter_scales_steps():
    """What a training takes is what a step takes times its steps, however few of them are measured."""
    seconds = count()
    for epochs in (1, 10):
        plan = Plan(lambda indices: (indices.float(),), 64, epochs, 4)
        meter = Meter(seed=0, full=4000, clock=lambda: float(next(seconds)))  # a second whenever it is asked
        meter.fit(Line(), lambda module: [Phase("losses", torch.optim.SGD(module.parameters(), lr=0.1))], plan)
        assert meter.seconds == 1000 * epochs


def test_meter_is_a_trainer():
    """A method that takes a trainer takes a meter."""
    assert isinstance(Meter(seed=0), Trainer)
