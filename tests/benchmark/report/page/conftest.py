import shutil
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from playwright.sync_api import sync_playwright

from benchmark.records.store import Artefact
from benchmark.report.page.html import write_page
from methods import METHODS

RS = (0.0, 0.5, 1.0)
CLASSES = ("zero", "one", "two")
SIDE = 8
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Folder:
    """A results folder that no run has made, and its records."""

    runs: object
    records: list
    page: object


@pytest.fixture
def make_results(tmp_path, make_record, make_row):
    """Writes a folder: what each method answers is drawn by its own numbers, and counted as a run counts."""

    def of_job(method, task, seed, n, classes, **changes):
        # The questions are the task's and seed's, the answers the method's.
        asked = np.random.default_rng([seed, n])
        random = np.random.default_rng(list(f"{method}{task}{seed}".encode()))
        predicted = torch.from_numpy(asked.integers(0, len(classes), n))
        targets = (predicted + 1) % len(classes)
        flipped, agreed = (
            torch.from_numpy(random.random((len(RS), n)) < 0.8 * (1 - np.array(RS))[:, None]) for _ in "ab"
        )
        seen, judged = (torch.where(yes, targets, predicted) for yes in (flipped, agreed))
        images = torch.from_numpy(random.integers(0, 256, (len(RS), n, 1, SIDE, SIDE))).to(torch.uint8)
        l1 = torch.from_numpy(random.random((len(RS), n)))
        queries = torch.from_numpy(asked.integers(0, 256, (n, 1, SIDE, SIDE))).to(torch.uint8)
        explained = {"queries": queries, "targets": targets, "predicted": predicted, "images": images}
        explained["intervention.bits"] = torch.from_numpy(random.random((n, 4)) < 0.5)
        explained["intervention.path"] = images.transpose(0, 1).clone(memory_format=torch.contiguous_format)
        values = {"flip_rate": flipped, "oracle_agreement": agreed, "oracle_aware_flips": flipped & agreed}
        values |= {"adversarial_flips": flipped & ~agreed, "l1": l1}
        scored = {"asked": torch.arange(n), "targets": targets, "predicted": predicted}
        scored |= {"answer_classes": seen, "answer_oracle_classes": judged}
        scored |= {name: torch.from_numpy(random.random((len(RS), n))) for name in SURE}
        scored |= {f"value.{name}": value for name, value in values.items()}
        rows = [
            make_row(name, float(value[place].double().mean()), r, n=n)
            for name, value in values.items()
            for place, r in enumerate(RS)
        ]
        rows += [make_row("mse", 0.01234, n=n), *(make_row("fid_oracle", random.random(), r, n=n) for r in RS)]
        rows += [make_row("classifier_accuracy", 0.95), make_row("oracle_accuracy", 0.9)]
        stages = {}
        for stage, tensors in (("explain", explained), ("score", scored)):
            name = f"{method}{task}{seed}".encode().hex()
            artefact = Artefact(tmp_path / "runs", stage, name)
            artefact.make(lambda _, tensors=tensors: (tensors, {}))
            stages[stage] = artefact.name
        facts = {
            "data": {"classes": list(classes), "queries": n},
            "relaxations": list(RS),
            "rows": rows,
            "artefacts": stages,
        }
        facts["reference"] = method in METHODS and METHODS[method].reference
        facts["timings"] = [make_row("seconds_per_counterfactual", 0.0123, n=n)]
        return make_record(method, seed=seed, task=task, **(facts | changes))

    def make(methods=("vaex", "dvae", "null"), tasks=("mnist",), seeds=(0,), n=40, classes=CLASSES, failed=()):
        records = [of_job(*job, n, classes) for job in ((m, t, s) for t in tasks for s in seeds for m in methods)]
        records += [
            make_record(method, status="failed", reason=reason, rows=[], timings=[]) for method, reason in failed
        ]
        return Folder(tmp_path / "runs", records, write_page(records, tmp_path / "runs", tmp_path))

    return make


SURE = ("target_probability", "answer_probability", "answer_oracle_probability")


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

    def hear(page):
        page.on(
            "request",
            lambda request: (
                wrong.append(request.url) if not request.url.startswith(("file:", "data:", "blob:")) else None
            ),
        )
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
