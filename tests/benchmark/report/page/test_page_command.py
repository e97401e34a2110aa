"""`benchmark report` as it makes pages of what a run has left."""

import webbrowser

import pytest

from benchmark.papers import PAPERS


def report(cli, folder, *options):
    return cli("report", "--preset", "smoke", "--results", folder, *options)


def test_the_page_is_the_last_line(cli, results):
    """It lies in the results folder, its path is said last, and a second call leaves it alone."""
    outcome = report(cli, results)
    assert (outcome.code, outcome.out.splitlines()[-1]) == (0, str(results / "report.html"))
    before = (results / "report.html").stat().st_mtime_ns
    assert report(cli, results).code == 0
    assert (results / "report.html").stat().st_mtime_ns == before


def test_open_opens_it(cli, results, monkeypatch):
    """With --open a browser gets the page's address."""
    asked = []
    monkeypatch.setattr(webbrowser, "open", asked.append)
    assert report(cli, results, "--open").code == 0
    assert asked == [(results / "report.html").resolve().as_uri()]


def test_a_page_names_its_command_and_the_papers(cli, results):
    """The command that makes it, and the claims of every paper whose methods were asked, stand in the page."""
    assert report(cli, results).code == 0
    text = (results / "report.html").read_text(encoding="utf-8")
    assert "python -m benchmark run --tasks mnist --methods vaex," in text
    assert "python -m benchmark paper vaex --task mnist --seeds 0 --preset smoke" in text
    assert text.count("does it hold here?") == len(PAPERS)


def test_two_folders(cli, smoke, tmp_path):
    """A folder beside itself: nothing moved, and the page lies where results go."""
    outcome = report(cli, tmp_path, "--compare", smoke, smoke)
    assert outcome.code == 0, outcome.err
    assert "numbers moved by more than chance" in outcome.out
    assert outcome.out.splitlines()[-1] == str(tmp_path / "compare.html")


def test_a_blind_sheet(cli, results):
    """The sheet lies in the results folder, and the command says what to do with what it saves."""
    outcome = report(cli, results, "--blind", "12")
    assert outcome.out.splitlines()[-1] == str(results / "blind.html")
    assert "benchmark report" in outcome.out


@pytest.mark.parametrize("text", ["", "{}", "[1]"])
def test_a_broken_sheet_is_one_line(cli, results, text):
    """What is not a saved sheet is refused by name, exit code 2."""
    (results / "blind-anna.json").write_text(text)
    outcome = report(cli, results)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "blind-anna.json" in outcome.err


def test_one_thing_at_a_time(cli, results):
    """Options that make different things are refused together."""
    outcome = report(cli, results, "--compare", results, results, "--blind", "3")
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
