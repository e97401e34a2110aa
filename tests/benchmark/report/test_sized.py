import re
import shutil

import pytest
from PIL import Image

from benchmark.report.cells import Results


@pytest.fixture
def source(tmp_path, make_record):
    """A metrics.csv of a method and a reference on two tasks."""
    tasks = ("mnist", "mnist/3-8")
    records = Results.of(make_record(name, task=task) for task in tasks for name in ("vaex", "null"))
    records.numbers.to_csv(tmp_path / "metrics.csv", index=False)
    return tmp_path / "metrics.csv"


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- a figure ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "inches"), [("3.3in", 3.3), ("84mm", 84 / 25.4), ("8.4 cm", 8.4 / 2.54)])
def test_figure_is_as_wide_as_asked(cli, source, tmp_path, width, inches):
    """A figure is as wide as it was asked to be."""
    out = tmp_path / "new" / "figure.png"
    shown = cli("figure", "flip-rate", "--format", "png", "--width", width, "--from", source, "--out", out)
    assert (shown.code, shown.out, shown.err) == (0, f"{out}\n", "")
    assert Image.open(out).width == pytest.approx(300 * inches, abs=1)


@pytest.mark.parametrize(("name", "begins"), [("a.PNG", b"\x89PNG"), ("a.svg", b"<?xml"), ("a", b"%PDF")])
def test_figure_is_what_its_name_says(cli, source, tmp_path, name, begins):
    """A figure is written as its file's name ends, and as pdf where that has no ending."""
    assert cli("figure", "flip-rate", "--from", source, "--out", tmp_path / name).code == 0
    assert (tmp_path / name).read_bytes().startswith(begins)


@pytest.mark.parametrize("form", ["pdf", "svg"])
def test_figure_is_the_same_when_drawn_again(cli, source, tmp_path, form):
    """A vector graphic, too, is the same to the byte when it is drawn again; a pdf has no Type 3 letters."""
    for name in ("one", "two"):
        assert cli("figure", "flip-rate", "--format", form, "--from", source, "--out", tmp_path / name).code == 0
    one, two = ((tmp_path / name).read_bytes() for name in ("one", "two"))
    assert one == two
    assert one.startswith(b"%PDF" if form == "pdf" else b"<?xml")
    assert b"/Type3" not in one


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ("flip-rate", "--out"),
        ("flips --out {out}", "'flip-rate'"),
        ("flip-rate --out {out} --format jpg", "'pdf'"),
        ("flip-rate --out {out} --format png", "leave --format out"),
        ("flip-rate --out {out} --width 3.3", "3.3in"),
        ("flip-rate --out {out} --width 900in", "--width"),
        ("flip-rate --out {out} --task celeba", "known: mnist"),
        ("flip-rate --out {out} --task mnist,mnist/3-8", "one task"),
        ("flip-rate --out {source}/figure.pdf", "--out"),
        ("flip-rate --out {out}.jpg", "--out ends in .jpg"),
        ("all-methods --out {out}", "--from"),
        ("flip-rate --out {out} --task all", "one task"),
        ("flip-rate --out {source}", "written over"),
        ("flip-rate --out /dev/null", "a file to write"),
        ("flip-rate --out .", "a file to write"),
    ],
)
def test_mistakes_are_one_line(cli, source, tmp_path, arguments, word):
    """A mistake is one line that names the way out, exit code 2, and no file."""
    out = tmp_path / "figure.pdf"
    outcome = cli("figure", *arguments.format(out=out, source=source).split(), "--from", source)
    assert (outcome.code, outcome.out, len(outcome.complaints)) == (2, "", 1)
    assert word in outcome.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "word"), [("counterfactuals", "--methods"), ("concepts --methods vaex", "counterfactuals")]
)
def test_a_method_has_figures_of_its_own(cli, smoke, tmp_path, arguments, word):
    """A grid of one method's answers is drawn by its name; one line says what is missing."""
    out, where = tmp_path / "one.png", ("--preset", "smoke", "--results", smoke, "--out", tmp_path / "one.png")
    outcome = cli("figure", *arguments.split(), *where)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert word in outcome.err
    assert not out.exists()
    assert cli("figure", "counterfactuals", "--methods", "vaex", *where).code == 0
    assert Image.open(out).format == "PNG"


def test_picture_of_all_methods(cli, smoke, tmp_path):
    """The picture that compares is drawn from a run's pictures; where they are gone, one line says what makes them."""
    arguments = ("figure", "all-methods", "--preset", "smoke", "--out", tmp_path / "all.pdf", "--results")
    assert cli(*arguments, smoke).code == 0
    assert (tmp_path / "all.pdf").read_bytes().startswith(b"%PDF")
    shutil.copytree(smoke / "runs" / "records", tmp_path / "other" / "runs" / "records")
    outcome = cli(*arguments, tmp_path / "other")
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "benchmark run" in outcome.err


# -- a report from numbers alone ---------------------------------------------------------------------------------------


def test_report_from_numbers_alone(cli, source, tmp_path):
    """From a metrics.csv come the tables in the formats asked for, the same numbers again, and means and curves."""
    shown = cli("report", "--from", source, "--out", tmp_path / "out", "--format", "md,tex,csv,svg")
    assert (shown.code, shown.err) == (0, "")
    made = files(tmp_path / "out")
    assert made["metrics.csv"] == source.read_bytes()
    tables = {"summary", "plausibility", "flip-rate-mnist", "flip-rate-mnist_3-8"}
    curves = {"flip-rate-mnist.svg", "flip-rate-mnist_3-8.svg"}
    written = {f"tables/{name}.{form}" for name in tables for form in ("md", "tex", "csv")} | {"tables/means.csv"}
    assert made.keys() == written | {f"figures/{name}" for name in curves} | {"metrics.csv"}


def test_report_writes_markdown_by_default(cli, source, tmp_path):
    """Without a format there are Markdown and metrics.csv; of what was left out there is no number."""
    cli("report", "--from", source, "--out", tmp_path / "out", "--tasks", "mnist")
    made = files(tmp_path / "out")
    assert {re.sub(r".*\.", "", name) for name in made} == {"md", "csv"}
    assert "flip-rate-mnist_3-8.md" not in made
    assert b"3-8" not in made["metrics.csv"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ("--from {source}", "--out"),
        ("--out {out}", "--from"),
        ("--from {source} --out {out} --format jpg", "unknown format"),
        ("--from {out}/none.csv --out {out}", "none.csv"),
        ("--from {source} --out {folder}", "written over"),
    ],
)
def test_mistakes_of_a_report_are_one_line(cli, source, tmp_path, arguments, word):
    """A mistake is one line that names the way out, exit code 2, and nothing is written."""
    given = arguments.format(source=source, out=tmp_path / "out", folder=tmp_path)
    before = files(tmp_path)
    outcome = cli("report", *given.split())
    assert (outcome.code, outcome.out, len(outcome.complaints)) == (2, "", 1)
    assert word in outcome.err
    assert files(tmp_path) == before


@pytest.mark.parametrize("left_out", ["classifier_accuracy", "oracle_accuracy", "_accuracy", "oracle_agreement", "mse"])
def test_report_of_some_numbers(cli, source, tmp_path, left_out):
    """What a filter has left out of a metrics.csv stands nowhere; the rest is published."""
    lines = [line for line in source.read_text().splitlines(keepends=True) if f"{left_out}," not in line]
    (tmp_path / "some.csv").write_text("".join(lines))
    shown = cli("report", "--from", tmp_path / "some.csv", "--out", tmp_path / "out")
    assert (shown.code, shown.err) == (0, "")
    notes = (tmp_path / "out" / "tables" / "summary.md").read_text()
    assert ("test accuracy % of the" in notes) == (left_out != "_accuracy")
    assert "nan" not in "".join(path.read_text() for path in (tmp_path / "out" / "tables").iterdir())


@pytest.mark.parametrize("metric", ["l1", "fit_seconds"])
def test_report_needs_flip_rates(cli, source, tmp_path, metric):
    """Numbers without a flip rate, as those of timings.csv, are refused in a line, and nothing is written."""
    lines = [line.replace(",l1,", f",{metric},") for line in source.read_text().splitlines(keepends=True)]
    (tmp_path / "some.csv").write_text("".join([lines[0], *(line for line in lines if f",{metric}," in line)]))
    outcome = cli("report", "--from", tmp_path / "some.csv", "--out", tmp_path / "out")
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "some.csv has no flip rates of mnist" in outcome.err
    assert not (tmp_path / "out").exists()
