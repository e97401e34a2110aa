"""What CONTRIBUTING.md says a reader can paste and run."""

import re
from pathlib import Path

import pandas as pd
import pytest

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


ASKED = ("run", "--preset", "smoke", "--methods", "class-step")


@pytest.fixture
def pasted(tmp_path):
    """The method of CONTRIBUTING.md in a file of the name that stands above it."""
    name, code = re.search(r"<!-- (\w+\.py) -->\n```python\n(.*?)```", TEXT, re.DOTALL).groups()
    (tmp_path / name).write_text(code)
    return tmp_path / name


def test_the_method_has_40_lines(pasted):
    """The method in 40 lines has 40 or fewer, not counting empty ones, and no line that is wider than ours."""
    lines = [line for line in pasted.read_text().splitlines() if line]
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 120


def test_the_method_obeys_every_law(pasted, shell):
    """The method in 40 lines passes `check-method`, which holds it on grey and on coloured pictures."""
    outcome = shell("check-method", "class-step", "--plugin", pasted)
    assert (outcome.code, outcome.err) == (0, ""), outcome.out
    assert outcome.out.count("holds  [grey]") > outcome.out.count("holds  [colour]") > 10
    assert "class-step obeys every law" in outcome.out


def test_a_broken_method_is_told(pasted, shell):
    """The same method with its answers in another shape fails, in words and with exit code 1."""
    pasted.write_text(pasted.read_text().replace("(len(relaxations), *images.shape)", "(-1, *images.shape[1:])"))
    outcome = shell("check-method", "class-step", "--plugin", pasted)
    assert outcome.code == 1
    assert "BROKEN [grey] Any number of queries" in outcome.out
    assert "explain's answer (R, N, C, H, W) has the shape (384, 1, 28, 28), not (6, 64, 1, 28, 28)" in outcome.out


def test_the_method_runs(pasted, results, shell):
    """The method in 40 lines stands in the tables of a run."""
    outcome = shell(*ASKED, "--results", results, "--plugin", pasted)
    assert outcome.code == 0, outcome.err
    numbers = pd.read_csv(results / "metrics.csv")
    assert set(numbers["method"]) == {"class-step"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("free = 1 -", "images.mul_(0.5)\n        free = 1 -", "explain changes the queries in place"),
        ("(len(relaxations), *images.shape)", "(*images.shape, 6)", "(60, 1, 28, 28, 6), not (6, 60, 1, 28, 28)"),
    ],
)
def test_a_run_says_what_a_method_did_wrong(pasted, results, shell, old, new, words):
    """A method that changes its queries in place, or answers in another shape, fails with a line in words."""
    assert old in pasted.read_text()
    pasted.write_text(pasted.read_text().replace(old, new))
    outcome = shell(*ASKED, "--results", results, "--plugin", pasted)
    assert outcome.code == 1
    assert words in outcome.err
