import shutil
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import sync_playwright

from benchmark.records.record import Record
from benchmark.records.store import Artefact
from benchmark.report.page.html import write_page
from methods import METHODS

RS = (0.0, 0.5, 1.0)
CLASSES = ("zero", "one", "two")
SIDE = 8
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


SURE = ("target_probability", "answer_probability", "answer_oracle_probability")


@dataclass(frozen=True)
class Folder:
    """A results folder that no run has made: where its artefacts are, its records, its page."""

    runs: Path
    records: list[Record]
    page: Path


def questions(seed, n, classes):
    """What is asked of every method alike: pictures, the classes that the classifier sees, targets."""
    asked = np.random.default_rng([seed, n])
    predicted = torch.from_numpy(asked.integers(0, len(classes), n))
    queries = torch.from_numpy(asked.integers(0, 256, (n, 1, SIDE, SIDE))).to(torch.uint8)
    return {"queries": queries, "predicted": predicted, "targets": (predicted + 1) % len(classes)}


def answers(question, random, strength, oracles):
    """What the stages explain and score keep of answers that convince each judge so often at r = 0."""
    n, often = len(question["targets"]), strength * (1 - np.array(RS))[:, None]
    flipped = torch.from_numpy(random.random((len(RS), n)) < often)
    votes = torch.from_numpy(random.random((len(RS), n, oracles)) < often[..., None]).double().mean(2)
    images = torch.from_numpy(random.integers(0, 256, (len(RS), n, 1, SIDE, SIDE))).to(torch.uint8)
    explained = question | {"images": images}
    explained["donor"] = question["queries"].flip(0)
    explained["intervention.donor"] = torch.arange(n)
    explained["intervention.bits"] = torch.from_numpy(random.random((n, 4)) < 0.5)
    explained["intervention.path"] = images.transpose(0, 1).clone(memory_format=torch.contiguous_format)
    values = {"flip_rate": flipped, "oracle_agreement": votes, "oracle_aware_flips": flipped * votes}
    values |= {"adversarial_flips": flipped * (1 - votes), "l1": torch.from_numpy(random.random((len(RS), n)))}
    scored = {name: question[name] for name in ("targets", "predicted")} | {"asked": torch.arange(n)}
    seen, judged = (torch.where(yes, question["targets"], question["predicted"]) for yes in (flipped, votes > 0.5))
    scored |= {"answer_classes": seen, "answer_oracle_classes": judged}
    scored |= {name: torch.from_numpy(random.random((len(RS), n))) for name in SURE}
    return explained, scored | {f"value.{name}": value for name, value in values.items()}


@pytest.fixture
def make_results(tmp_path, make_record, make_row):
    """Writes a folder, in which every number is counted from answers that are drawn at random."""

    def rows(scored, n):
        values = {name.removeprefix("value."): value for name, value in scored.items() if name.startswith("value.")}
        found = [
            make_row(name, float(value[place].double().mean()), r, n=n)
            for name, value in values.items()
            for place, r in enumerate(RS)
        ]
        found += [make_row("mse", 0.01234, n=n), *(make_row("fid_oracle", 1 + r, r, n=n) for r in RS)]
        return [*found, make_row("classifier_accuracy", 0.95), make_row("oracle_accuracy", 0.9)]

    def of_job(folder, method, task, seed, n, classes, strength, oracles):
        random = np.random.default_rng(list(f"{method}{task}{seed}".encode()))
        explained, scored = answers(questions(seed, n, classes), random, strength, oracles)
        artefacts = {}
        for stage, tensors in (("explain", explained), ("score", scored)):
            artefact = Artefact(folder / "runs", stage, f"{method}{task}{seed}".encode().hex())
            artefact.make(lambda _, tensors=tensors: (tensors, {}))
            artefacts[stage] = artefact.name
        return make_record(
            method,
            seed=seed,
            task=task,
            data={"classes": list(classes), "queries": n},
            relaxations=list(RS),
            rows=rows(scored, n),
            artefacts=artefacts,
            reference=method in METHODS and METHODS[method].reference,
            timings=[make_row("seconds_per_counterfactual", 0.0123, n=n)],
        )

    def make(
        methods=("vaex", "dvae", "null"),
        tasks=("mnist",),
        seeds=(0,),
        n=40,
        classes=CLASSES,
        failed=(),
        strength=0.8,
        oracles=1,
        name="results",
    ):
        folder, jobs = tmp_path / name, product(tasks, seeds, methods)
        records = [of_job(folder, method, task, seed, n, classes, strength, oracles) for task, seed, method in jobs]
        failures = {"status": "failed", "rows": [], "timings": []}
        records += [make_record(method, reason=reason, **failures) for method, reason in failed]
        return Folder(folder / "runs", records, write_page(records, folder / "runs", folder))

    return make


@pytest.fixture(scope="session")
def chromium():
    """A browser without a network; nothing is downloaded."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("needs a browser: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium):
    """Opens a page, (path, part of its address) -> page; whatever it asks for, or complains of, is an error."""
    contexts, wrong = [], []

    def note(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            wrong.append(request.url)

    def hear(page):
        page.on("request", note)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)

    def open_page(path, fragment="", **options):
        options = {"viewport": {"width": 1400, "height": 900}, "offline": True} | options
        context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
        contexts.append(context)
        page = context.new_page()
        hear(page)
        page.goto(f"{path.resolve().as_uri()}{fragment}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="session")
def ready():
    """Waits until all pictures of a page are drawn; the page's policy forbids the browser's own way of asking again."""

    def wait(page):
        deadline = time.monotonic() + 30
        while not page.evaluate("[...sheets.values()].every((image) => image.ready)"):
            assert time.monotonic() < deadline, "a picture was not drawn"
            page.wait_for_timeout(20)

    return wait
