import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark.bias.discovery import BiasOutcome
from benchmark.bias.gates import blank
from benchmark.bias.trial import KINDS, VERSION, Planted
from benchmark.jobs.progress import Board
from benchmark.jobs.protocol import Protocol
from benchmark.papers import PAPERS, load
from benchmark.papers.measures import Measured
from benchmark.papers.pages import COLUMNS, PUBLISHED, difference, rows, write_pages
from benchmark.papers.planting import outcomes
from benchmark.papers.planting import plant as plant_biases
from benchmark.records.record import write
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
        title = part.title if hasattr(part, "title") else part.what
        if part.missing or (part.of and "mnist" not in part.of):
            [row] = [row for row in cells_of(missing) if row[:2] == [part.name, title]]
            assert row[2] == part.missing or row[2].startswith("needs "), part.name
        else:
            assert f"### {part.name}: {title}" in made


@pytest.mark.parametrize("name", [name for name in PAPERS if load(name).figures])
def test_pictures_that_are_not_there_say_what_draws_them(tmp_path, records, name):
    """The command that the page names draws them on the paper's own tasks; other tasks have to be asked for."""
    (path,) = write_pages(records(name, ("mnist", "fashion-mnist")), NOWHERE, tmp_path, [name])
    told = [line for line in path.read_text(encoding="utf-8").splitlines() if "not all pictures are there" in line]
    for task, option in (("mnist", ""), ("fashion-mnist", " with `--task fashion-mnist`")):
        of_task = [line for line in told if line.startswith(f"{task}: ")]
        assert of_task
        assert all(line.endswith(f"the command above draws them{option}.") for line in of_task)


@every_paper
def test_every_claim_has_a_verdict(tmp_path, records, name):
    """Each claim is on the page with one of the three verdicts on each task."""
    (path,) = write_pages(records(name, ("mnist", "mnist/3-8")), NOWHERE, tmp_path, [name])
    claims = path.read_text(encoding="utf-8").partition("## Tables")[0].split("\n1. ")[1]
    parts = re.split(r"\n\d+\. ", claims)
    assert len(parts) == len(load(name).claims)
    for claim, part in zip(load(name).claims, parts, strict=True):
        assert claim.text in part
        words = "holds|does not hold|left open|cannot be tested"
        verdicts = re.findall(rf"- (?:mnist(?:/3-8)?: )?\*\*({words}) here\*\*: \S", part)
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
    write_pages(records(name), NOWHERE, tmp_path, [name], ["csv"])
    frame = pd.read_csv(tmp_path / "tables" / f"paper-{name}.csv", dtype=str, keep_default_na=False)
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
    write_pages(records(name), NOWHERE, tmp_path, [name], ["tex"])
    files = sorted(tmp_path.glob(f"tables/paper-{name}-*.tex"))
    assert len(files) == len(load(name).tables)
    for file in files:
        for part in file.read_text(encoding="utf-8").split(r"\end{tabular}")[:-1]:
            lines = [line for line in part.splitlines() if line.endswith(r"\\")]
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
        assert (tmp_path / "tables" / "regulariser-mnist.md").exists()


def test_regulariser_is_told_of_digits_and_faces(tmp_path, records):
    """The command asks about digits and drawn faces, and the regulariser has a verdict on each of both."""
    found = {"mnist": 0.1, "avatars/Smiling": -0.1}
    assert found.keys() <= set(load("dvae").tasks)
    changed = []
    for one in records("dvae", tuple(found)):
        value = found[one.task]
        row = {"generator": "with minus without", "flip rate": value, "low": value, "high": value, "n": 9}
        studies = {"regulariser": Study(title="with and without", rows=[row])} if one.method == "dvae" else {}
        changed.append(one.model_copy(update={"studies": studies}))
    (path,) = write_pages(changed, NOWHERE, tmp_path, ["dvae"])
    words = verdicts_of(path.read_text(encoding="utf-8"), "with the regulariser, pictures")
    assert sorted(words) == ["does not hold here", "holds here"]


# -- planted biases ----------------------------------------------------------------------------------------------------


@pytest.fixture
def plant(tmp_path, make_record, make_row):
    """Writes down what came of a planted bias, every number of which is the same, with one method; returns its runs."""

    def make(planted, method, value=0.5, **gates):
        runs = tmp_path / "runs"
        facts = {"open": True, "ignores": True, "dropped": [], "strength": 0.9, "evidence": 0.85, "size": 33}
        facts |= {"version": VERSION, "rivals": ["Bald"]}
        known = {"seeds": [0], "family": Planted.parse(planted).family(), "queries": 160}
        numbers = [
            make_row(f"{name}_{kind}", value)
            for name in ("right", "flipped", "before", "after", "raised")
            for kind in KINDS
        ]
        told = {"task": planted, "key": "k", "rows": numbers, "data": {**facts, **known, **gates.pop("data", {})}}
        write(make_record("classifiers", **{**told, **gates}), runs / "bias" / "default" / planted / "classifiers.json")
        names = [f"flips_{kind}" for kind in KINDS] + [
            f"{lead}_{kind}" for lead in ("lead", "strict_lead") for kind in ("confounded", "another", "ignoring")
        ]
        rows = [make_row(name, value, 0.0) for name in (*names, "rank_confounded")]
        rows.append(make_row("lead_confounded", value, 0.0, subset="flipped"))
        data = {"shown": {}, "classifiers": "k"}
        write(
            make_record(method, task=planted, rows=rows, data=data),
            runs / "bias" / "default" / planted / f"{method}.json",
        )
        return runs

    return make


def verdicts_of(page, text):
    """The verdicts of the claim that begins so."""
    claim = page.partition(f". {text}")[2]
    return re.findall(r"\*\*([a-z ]+ here)\*\*", re.split(r"\n(?:\d+\. |##)", claim)[0])


def test_planted_bias_is_beside_the_paper(tmp_path, records, plant):
    """What came of a planted bias is in the tables, the figures and, once for all tasks, the claims of its paper."""
    runs, *_ = [plant(planted, "dvae") for planted in load("dvae").planted]
    (path,) = write_pages(records("dvae", ("mnist", "mnist/3-8")), runs, tmp_path, ["dvae"], formats=("md", "csv"))
    page = path.read_text(encoding="utf-8")
    assert verdicts_of(page, "a planted bias of gender shows") == ["holds here"]
    assert verdicts_of(page, "edits along a concept") == ["holds here"]
    cells = {(row[0], row[1]): row[2:] for row in cells_of(page)}
    assert cells["with the planted bias", "Male-on-Smiling"] == ["90.0", "90.0", "10.0", "10.0"]
    assert cells["Smiling, confounded", "Male-on-Smiling"][0].startswith("0.50")
    assert "### Fig. 4: " in page
    assert "**Male-on-Smiling: which methods show the planted bias**" in page
    assert "the gates are **open**: they need at least 10 % of the queries flipped" in page
    frame = pd.read_csv(tmp_path / "tables" / "paper-dvae.csv", keep_default_na=False)
    assert "Male-on-Smiling" in set(frame["source"])


def test_bias_that_is_not_shown_does_not_hold(tmp_path, records, plant):
    """A lead below zero is no discovery, and the paper's claim does not hold."""
    (path,) = write_pages(records("dvae"), plant("Male-on-Smiling", "dvae", -0.5), tmp_path, ["dvae"])
    assert verdicts_of(path.read_text(encoding="utf-8"), "a planted bias of gender shows") == ["does not hold here"]


@pytest.mark.parametrize(
    ("left", "words"), [(0.5, "holds here"), (-0.5, "does not hold here"), (None, "cannot be tested here")]
)
def test_all_three_biases_are_needed(tmp_path, records, plant, left, words):
    """Concepts show age, skin colour and gender if each planted bias is shown: one that is not decides."""
    runs = tmp_path / "runs"
    for planted in load("dvae").planted:
        value = left if planted == "Young-on-Smiling" else 0.5
        if value is not None:
            plant(planted, "dvae", value)
    (path,) = write_pages(records("dvae"), runs, tmp_path, ["dvae"])
    assert verdicts_of(path.read_text(encoding="utf-8"), "concepts show biases") == [words]


@pytest.mark.parametrize(("low", "words"), [(0.1, "holds here"), (-0.1, "left open here")])
def test_opposite_classifiers_are_beside_the_paper(tmp_path, records, plant, make_record, low, words):
    """What two opposite classifiers show is a table of Fig. 4, and its contrast decides the claim."""
    runs = plant("Male-on-Smiling", "dvae")
    rows = [{"classifier": "difference", "towards": "both", "signed change": 0.2, "low": low, "high": 0.3, "n": 160}]
    studies = {"opposite": Study(title="two opposite classifiers", rows=rows)}
    found = make_record("dvae", task="Male-on-Smiling", rows=[], studies=studies, data={"classifiers": "k"})
    write(found, runs / "opposite" / "default" / "Male-on-Smiling" / "dvae.json")
    (path,) = write_pages(records("dvae"), runs, tmp_path, ["dvae"])
    page = path.read_text(encoding="utf-8")
    assert verdicts_of(page, "two classifiers of opposite majorities") == [words]
    assert "**Male-on-Smiling: two opposite classifiers**" in page.partition("### Fig. 4: ")[2]


def test_closed_gates_are_told(tmp_path, records, plant):
    """Where gates are closed the page says so, shows no method, and still has what the exact edit does."""
    runs, *_ = [plant(planted, "dvae", data={"open": False}) for planted in load("dvae").planted]
    (path,) = write_pages(records("dvae"), runs, tmp_path, ["dvae"])
    page = path.read_text(encoding="utf-8")
    made, _, missing = page.partition("## Not made here")
    assert "**the gates of Male-on-Smiling are closed" in page
    assert verdicts_of(page, "a planted bias of gender shows") == ["cannot be tested here"]
    assert verdicts_of(page, "edits along a concept") == ["holds here"]
    assert "### Fig. 4: " not in made
    assert ["Fig. 4", "no method was asked"] in [row[::2] for row in cells_of(missing)]
    assert "### Fig. 5: " in made


def test_bias_that_failed_is_told(tmp_path, records, plant):
    """A bias that could not be planted ends no page: it says why, in its claims too."""
    runs = plant("Male-on-Smiling", "dvae", status="failed", reason="too few faces")
    (path,) = write_pages(records("dvae"), runs, tmp_path, ["dvae"])
    page = path.read_text(encoding="utf-8")
    assert "**Male-on-Smiling could not be planted: too few faces**" in page
    assert verdicts_of(page, "a planted bias of gender shows") == ["cannot be tested here"]
    assert "### Fig. 4: " not in page


def test_other_classifiers_are_no_evidence(tmp_path, records, plant):
    """A method's record of other classifiers than those on disk is not read."""
    runs = plant("Male-on-Smiling", "dvae", key="another")
    (path,) = write_pages(records("dvae"), runs, tmp_path, ["dvae"])
    assert verdicts_of(path.read_text(encoding="utf-8"), "a planted bias of gender shows") == ["cannot be tested here"]


def test_planting_carries_on(tmp_path, monkeypatch):
    """A bias that raises is written down as failed; under the preset `paper` none is planted."""
    monkeypatch.setattr("benchmark.papers.planting.finished", lambda *_: 1 / 0)
    protocol = Protocol(tmp_path, "smoke")
    planted = plant_biases(load("dvae"), [3], protocol, 1, Board())
    known = outcomes(load("dvae"), "smoke", protocol.runs)
    assert [str(trial.planted) for trial, _ in planted] == list(load("dvae").planted) == list(known)
    for trial, found in planted:
        assert trial.seeds == (3,)
        assert "ZeroDivisionError" in found.unasked
        assert known[str(trial.planted)].gates.reason == found.gates.reason
    assert plant_biases(load("dvae"), [3], replace(protocol, preset="paper"), 1, Board()) == []


def test_biases_are_asked_of_stated_methods(tmp_path, monkeypatch, caplog):
    """A paper's biases are asked of its methods for them and of references; opposite classifiers that fail are said."""
    asked = {}

    def outcome(trial, names, *_):
        asked[str(trial.planted)] = names
        return BiasOutcome(blank(trial))

    monkeypatch.setattr("benchmark.papers.planting._outcome", outcome)
    monkeypatch.setattr("benchmark.papers.planting.oppose", lambda *_: 1 / 0)
    found = plant_biases(load("dvae"), [3], Protocol(tmp_path, "smoke"), 1, Board())
    methods = {"dvae", "dvae-single", "dvae-all", "truth", "null", "nearest-unlike"}
    assert {planted: set(names) for planted, names in asked.items()} == dict.fromkeys(load("dvae").planted, methods)
    assert [outcome.opposite for _, outcome in found] == [[], [], []]
    assert "goes without two opposite classifiers of Male-on-Smiling" in caplog.text
