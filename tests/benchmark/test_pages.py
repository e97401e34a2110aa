import re
from pathlib import Path

import pandas as pd
import pytest

from benchmark.pages import COLUMNS, PUBLISHED, difference, rows, write_pages
from benchmark.papers import PAPERS, load
from benchmark.papers.measures import Measured
from methods.base import Study

every_paper = pytest.mark.parametrize("name", PAPERS)
NOWHERE = Path("nowhere")
VALUE = 0.4242
"""What everything of ours is in the records below; no paper prints it."""


@pytest.fixture
def records(make_record, make_row):
    """Records of all methods of a paper, in which every metric that it needs has the same value."""

    def make(name, tasks=("mnist",)):
        paper = load(name)
        measures = [one for table in paper.tables for row in table.here.values() for one in row]
        names = {one.metric for one in measures if getattr(one, "metric", "")} | {"flip_rate", "oracle_agreement"}
        numbers = [make_row(metric, VALUE, r) for metric in sorted(names) for r in (None, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
        numbers += [make_row(f"{role}_accuracy", VALUE) for role in ("classifier", "oracle")]
        facts = {"rows": numbers, "data": {"classes": list("0123456789"), "shape": [1, 28, 28]}}
        return [make_record(method, task=task, **facts) for task in tasks for method in paper.methods]

    return make


def cells_of(page):
    """The rows of all Markdown tables in a page, as lists of texts."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]


@every_paper
def test_every_table_and_figure_is_on_the_page(tmp_path, records, name):
    """Each table and numbered figure of the paper is made, or stands with the reason why not."""
    (path,) = write_pages(records(name), NOWHERE, tmp_path, [name])
    page = path.read_text(encoding="utf-8")
    made, _, missing = page.partition("## Not made here")
    for part in (*load(name).tables, *load(name).figures):
        if part.missing:  # a figure that a table stands for on other tasks is missing here
            assert any(row[0] == part.name and row[2] == part.missing for row in cells_of(missing)), part.name
        else:
            assert f"### {part.name}: " in made


@every_paper
def test_every_claim_has_a_verdict(tmp_path, records, name):
    """Each claim is on the page with one of the three verdicts on each task."""
    (path,) = write_pages(records(name, ("mnist", "mnist/3-8")), NOWHERE, tmp_path, [name])
    claims = path.read_text(encoding="utf-8").partition("## Tables")[0].split("\n1. ")[1]
    parts = re.split(r"\n\d+\. ", claims)
    assert len(parts) == len(load(name).claims)
    for claim, part in zip(load(name).claims, parts, strict=True):
        assert claim.text in part
        verdicts = re.findall(r"- (?:mnist(?:/3-8)?: )?\*\*(holds|does not hold|cannot be tested) here\*\*: \S", part)
        assert len(verdicts) in {1, 2}


@every_paper
def test_published_and_ours_never_mix(records, name):
    """A row is either what the paper prints, to the letter, or ours; no published number stands in a row of ours."""
    some = records(name)
    tasks = {"mnist": some}
    for table in load(name).tables:
        for row in rows(table, tasks):
            texts = [row[column] for column in table.columns if row[column]]
            if row["source"] == PUBLISHED:
                printed = table.published[row["row"]]
                assert all(text in printed or "(printed " in text for text in texts)
            elif row["source"] == "mnist":
                measures = [one for one in table.here[row["row"]] if one is not None]
                assert texts == [text for one in measures if (text := one.text(some))]
                shown = {f"{VALUE:.{digits}f}" for digits in range(1, 6)} | {f"{100 * VALUE:.1f}"}
                assert all(text.split(" ")[0] in shown for text in texts)


def test_without_numbers_of_ours_there_is_no_row(make_record):
    """A table whose numbers were not measured has the paper's rows only."""
    table = load("vaex").tables[0]
    made = rows(table, {"mnist": [make_record("vaex", rows=[])]})
    assert {row["source"] for row in made} == {PUBLISHED}


def test_misprints_are_shown_with_what_holds(records):
    """A misprinted number stands beside the right one."""
    made = rows(load("vaex").tables[0], {"mnist": records("vaex")})
    assert made[0]["NLL"] == "-103610 (printed 103610)"


@pytest.mark.parametrize(
    ("row", "value", "apart"),
    [("Smiling", 0.5, -0.4886), ("ours", 0.5, -0.4213), ("ours", 0.95, 0.0), ("ours", 1.0, 0.0114)],
)
def test_difference(row, value, apart):
    """Ours minus the same row's number; without such a row, minus the nearer end of all rows, and 0 between them."""
    measured = Measured(value, value, value, 1, 1, 0.0)
    assert difference(measured, load("dvae").tables[0], row, "Change") == pytest.approx(apart)


@every_paper
def test_csv_has_every_number(tmp_path, records, name):
    """The csv has every published cell, to the letter, and ours under their task."""
    write_pages(records(name), NOWHERE, tmp_path, [name])
    frame = pd.read_csv(tmp_path / f"paper-{name}.csv", dtype=str, keep_default_na=False)
    assert list(frame.columns) == COLUMNS
    published = frame[frame["source"] == PUBLISHED]
    assert [tuple(row) for row in published[["table", "row", "column", "text"]].to_numpy()] == [
        cell[:4] for cell in load(name).cells()
    ]
    ours = frame[(frame["source"] != PUBLISHED) & (frame["value"] != "")]
    assert set(ours["value"].astype(float).round(4)) <= {VALUE}


@every_paper
def test_latex_is_a_table(tmp_path, records, name):
    """Each table is written for LaTeX, with as many cells in every row."""
    write_pages(records(name), NOWHERE, tmp_path, [name])
    files = sorted(tmp_path.glob(f"paper-{name}-*.tex"))
    assert len(files) == len(load(name).tables)
    for file in files:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.endswith(r"\\")]
        assert len({line.count("&") - line.count(r"\&") for line in lines}) == 1


def test_a_paper_without_records_has_no_page(tmp_path, make_record):
    """Records of other methods write no page."""
    assert write_pages([make_record("null")], NOWHERE, tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_failed_records_are_no_evidence(tmp_path, make_record):
    """A failed job alone writes no page."""
    assert write_pages([make_record("vaex", status="failed", reason="because")], NOWHERE, tmp_path) == []


def test_long_studies_stand_in_their_own_files(tmp_path, records):
    """A short table of a method is on the page; a long one is a file that the page links to."""
    some = records("dvae")
    for count, shown in ((3, True), (40, False)):
        rows_made = [{"generator": str(i), "flip rate": 0.5, "low": 0.4, "high": 0.6, "n": 9} for i in range(count)]
        studies = {"regulariser": Study(title="with and without", rows=rows_made)}
        changed = [one.model_copy(update={"studies": studies}) if one.method == "dvae" else one for one in some]
        (path,) = write_pages(changed, NOWHERE, tmp_path, ["dvae"])
        page = path.read_text(encoding="utf-8")
        assert ("](regulariser-mnist.md)" in page) is not shown
        assert (tmp_path / "regulariser-mnist.md").exists()
