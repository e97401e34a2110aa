import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(path for path in (ROOT / "results").rglob("*.md") if "local" not in path.parts),
]


METRICS = ("flip_rate", "oracle_agreement", "l1")
"""The columns of the README's table."""


def published():
    """The files of results/ that git keeps."""
    paths = (path for path in (ROOT / "results").rglob("*") if path.is_file())
    return [path for path in paths if not {"local", "runs", "__pycache__"} & set(path.relative_to(ROOT).parts)]


def test_readme_is_short():
    """The front page stays a front page."""
    assert len(README.encode()) <= 8 * 1024


def test_readme_shows_the_published_numbers():
    """Every cell of the README's table is the mean over trainings of the published numbers, and how far they range."""
    numbers = pd.read_csv(ROOT / "results" / "metrics.csv", keep_default_na=False, na_values=[""])
    full = numbers[(numbers["task"] == "mnist") & (numbers["relaxation"] == 0) & (numbers["subset"] == "all")]
    values = full.groupby(["method", "metric"])["value"]
    _, _, rest = README.partition("<!-- numbers -->\n")
    block, end, _ = rest.partition("<!-- end of numbers -->")
    assert end
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in block.strip().splitlines()[2:]]
    assert len(rows) == 9
    for label, *cells in rows:
        method = re.match(r"\*+([\w-]+)\*+ \(", label)[1]
        for cell, name, scale, decimals in zip(cells, METRICS, (100, 100, 1), (0, 0, 3), strict=True):
            mean, low, high = re.fullmatch(r"([\d.]+)(?: %)?(?: \(([\d.]+) to ([\d.]+)\))?", cell).groups()
            of_seeds = values.get_group((method, name)) * scale
            shown = (mean, low or mean, high or mean)
            assert shown == tuple(f"{v:.{decimals}f}" for v in (of_seeds.mean(), of_seeds.min(), of_seeds.max()))
    assert "1,000 test digits, five trainings of everything (seeds 0 to 4)" in README
    assert set(full["n"][full["metric"] == "flip_rate"]) == {1000}
    assert set(full["seed"]) == {0, 1, 2, 3, 4}


def test_readme_findings_hold():
    """What the README says below its table follows from the published numbers."""
    numbers = pd.read_csv(ROOT / "results" / "metrics.csv", keep_default_na=False, na_values=[""])
    full = numbers[(numbers["relaxation"] == 0) & (numbers["subset"] == "all")]
    means = full[full["task"] == "mnist"].groupby(["metric", "method"])["value"].mean()
    oracle, change = means["oracle_agreement"], means["l1"].drop(["null", "pixel-search", "nearest-unlike"])
    assert oracle["vaex"] > 0.9995
    assert set(oracle[oracle > 0.99].index) == {"vaex", "hybrid"}
    assert change.idxmin() == "leap"
    assert change["leap"] / change["vaex"] == pytest.approx(3 / 5, abs=0.05)
    assert change["hybrid"] / change["vaex"] == pytest.approx(7 / 10, abs=0.05)
    assert means["flip_rate"]["pixel-search"] > 0.9995
    assert means["oracle_agreement"]["pixel-search"] < 0.01
    agreed = full[(full["task"] == "mnist") & (full["metric"] == "oracle_agreement")]
    trainings = agreed.pivot_table(index="seed", columns="method", values="value")
    always = trainings.gt(trainings["nearest-unlike"], axis=0).all()
    assert set(always[always].index) == {"vaex", "hybrid"}
    of_seeds = full[full["task"] == "mnist"].groupby(["method", "metric"])["value"]
    for number, ends in ((("dvae", "flip_rate"), ("93%", "100%")), (("fastdime", "oracle_agreement"), ("69%", "78%"))):
        assert tuple(f"{end:.0%}" for end in of_seeds.get_group(number).agg(["min", "max"])) == ends


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    """Every relative link and picture points to a file or folder of the tree."""
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    targets = [link.partition("#")[0] for link in links if "://" not in link]
    assert [link for link in targets if not (page.parent / link).exists()] == []


def test_results_are_few_and_linked():
    """At most 150 files and 10 MB are published, and each table or picture is linked from a page."""
    files = published()
    assert len(files) <= 150
    assert sum(path.stat().st_size for path in files) <= 10_000_000
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    }
    shown = {path for path in files if path.suffix in (".md", ".png") and path.name != "README.md"}
    assert {path.name for path in shown - linked} == set()


def test_readme_shows_the_test_command_that_ci_calls():
    """CI installs and runs what the README tells a newcomer to."""
    command = "python -m pip install tox && tox"
    assert command in README
    called = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert set(command.split(" && ")) <= set(called)


@pytest.mark.slow
def test_results_say_what_the_check_sees():
    """The table of false alarms and of what is seen is the one that its script prints from the published baseline."""
    _, _, rest = (ROOT / "results" / "README.md").read_text(encoding="utf-8").partition("<!-- power -->\n")
    command = [sys.executable, str(ROOT / "perf" / "check_power.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert rest.partition("<!-- end of power -->")[0].strip() == printed.strip()
