"""The scripts that publish numbers: of what is no whole run they take nothing over, and say so in a line."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import benchmark

ROOT = Path(benchmark.__file__).parents[1]


@pytest.fixture
def house(tmp_path):
    """A copy of what the script reads and writes: itself, the published numbers, and the README."""
    (tmp_path / "house" / "results").mkdir(parents=True)
    for name in ("README.md", "results/publish.py", "results/metrics.csv", "results/README.md"):
        shutil.copy(ROOT / name, tmp_path / "house" / name)
    return tmp_path / "house"


@pytest.fixture
def made(tmp_path):
    """A folder with the published numbers of digits, as if they were made anew: a function of what is changed."""
    table = pd.read_csv(ROOT / "results" / "metrics.csv", dtype=str, keep_default_na=False)

    def make(change=lambda digits: digits):
        (tmp_path / "made").mkdir()
        change(table[table["task"] == "mnist"].copy()).to_csv(tmp_path / "made" / "metrics.csv", index=False)
        return tmp_path / "made"

    return make


@pytest.fixture
def publish(monkeypatch, capsys):
    """The script as it is run, by default for the numbers alone: (house, folder, ...) -> exit code, its complaints."""

    def run(house, folder, *patterns):
        monkeypatch.setattr(sys, "argv", ["publish.py", str(folder), *(patterns or ["metrics.csv"])])
        try:
            runpy.run_path(str(house / "results" / "publish.py"), run_name="__main__")
            code = 0
        except SystemExit as stopped:
            code = stopped.code
        return code, capsys.readouterr().err.splitlines()

    return run


def contents(house):
    return {path: path.read_bytes() for path in house.rglob("*") if path.is_file()}


def test_new_numbers_take_the_place_of_a_task(house, made, publish):
    """The numbers of the tasks that were made are taken over, those of others stay, and the README shows them."""

    def half(digits):
        digits.loc[digits["metric"] == "l1", "value"] = "0.5"
        return digits

    assert publish(house, made(half)) == (0, [])
    new, old = (pd.read_csv(place / "results" / "metrics.csv", keep_default_na=False) for place in (house, ROOT))
    assert set(new[(new["task"] == "mnist") & (new["metric"] == "l1")]["value"].astype(float)) == {0.5}
    assert len(new) == len(old)
    rows = [
        line for line in (house / "README.md").read_text(encoding="utf-8").splitlines() if line.endswith("| 0.500 |")
    ]
    assert len(rows) == 9


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda digits: digits[digits["method"] == "null"], "flip_rate of vaex"),
        (lambda digits: digits[(digits["method"] != "leap") | (digits["metric"] != "l1")], "l1 of leap"),
        (lambda digits: digits.drop(columns="subset"), "columns"),
        (lambda digits: digits.assign(value="many"), "row 2"),
        (lambda digits: digits[:0], "no number"),
    ],
)
def test_what_is_no_whole_run_changes_nothing(house, made, publish, change, told):
    """A method or a number that the README shows is not there, or the file is none: one line, and every byte stays."""
    before = contents(house)
    code, (line,) = publish(house, made(change))
    assert code == 2
    assert told in line
    assert contents(house) == before


def test_fewer_trainings_do_not_replace_more(house, made, publish):
    """A training that is published and was not made again is not lost unsaid; a method that was left out may be."""
    before = contents(house)
    code, (line,) = publish(house, made(lambda digits: digits[(digits["method"] != "dvae") | (digits["seed"] != "3")]))
    assert code == 2
    assert "seed 3 of dvae on mnist is published" in line
    assert contents(house) == before


def test_another_preset_is_not_published(house, made, publish):
    """The notes under the tables, or else the records, say what a folder was made with."""
    before, folder = contents(house), made()
    (folder / "runs" / "records" / "smoke").mkdir(parents=True)
    assert "the preset smoke" in publish(house, folder)[1][0]
    (folder / "tables").mkdir()
    (folder / "tables" / "summary.md").write_text("- preset `paper`, test split\n")
    code, (line,) = publish(house, folder)
    assert code == 2
    assert "the preset paper" in line
    assert contents(house) == before


@pytest.mark.parametrize("part", ["- preset `default`, validation split\n", "- **partial run**: --limit 12\n"])
@pytest.mark.parametrize("patterns", [(), ("summary.md",)])
def test_a_part_of_a_run_is_not_published(house, made, publish, part, patterns):
    """Other queries than those of the test split, whichever files are asked for."""
    before, folder = contents(house), made()
    (folder / "tables").mkdir()
    (folder / "tables" / "summary.md").write_text(f"| task |\n\n{part}")
    code, (line,) = publish(house, folder, *patterns)
    assert code == 2
    assert "a part of a run" in line
    assert contents(house) == before


def test_a_readme_without_its_marks_is_left_alone(house, made, publish):
    """The table has a place; where that is lost, nothing is written."""
    (house / "README.md").write_text("# Nothing\n")
    before = contents(house)
    code, (line,) = publish(house, made())
    assert code == 2
    assert "put them back" in line
    assert contents(house) == before


def test_a_baseline_needs_runs(tmp_path):
    """Folders without records are refused in a line by the script that writes the baseline."""
    command = [sys.executable, ROOT / "results" / "baseline.py", *(tmp_path / name for name in "abcd")]
    held = (ROOT / "results" / "baselines" / "default.csv").read_bytes()
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert "a holds no records" in ended.stderr
    assert (ROOT / "results" / "baselines" / "default.csv").read_bytes() == held
