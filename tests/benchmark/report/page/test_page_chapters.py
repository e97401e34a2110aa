"""What papers say and what planted biases show, as the page of a real run has them.

Chapters far below are laid out when they are scrolled to; their text is there before.
"""

import re

import pytest

from benchmark.papers import PAPERS, load

pytestmark = pytest.mark.slow

BY_CONSTRUCTION = "true by construction"


@pytest.fixture
def page(cli, results, opened):
    """The page of a smoke run."""
    assert cli("report", "--preset", "smoke", "--results", results).code == 0
    return opened(results / "report.html")


def chapter(page, title):
    return page.locator("section.chapter").filter(has=page.locator("h2", has_text=title))


def cells_of(text):
    """The rows of the first Markdown table in a text, bold or not."""
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)[0].splitlines()
    return [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in table if not set(line) <= set("|-: ")]


@pytest.mark.parametrize("name", PAPERS)
def test_a_claim_has_a_verdict_a_number_and_what_is_behind_it(page, results, name):
    """Each claim has the verdict of the paper's own page; its number is in the cell, the words fold out."""
    paper, told = load(name), (results / "tables" / f"paper-{name}.md").read_text(encoding="utf-8")
    section = chapter(page, paper.title)
    section.scroll_into_view_if_needed()
    rows = section.locator("tbody").first.locator("tr").all()
    assert len(rows) == len(paper.claims)
    for claim, row in zip(paper.claims, rows, strict=True):
        assert row.locator("th").text_content() == f"{claim.text} ({claim.source})"
        verdict, why = row.locator("td > span").text_content(), row.locator("details")
        words = why.evaluate("(one) => one.lastChild.textContent")
        number = why.locator("summary").text_content()
        assert f"**{verdict}{' here' * (verdict != BY_CONSTRUCTION)}**: {words}" in told
        assert number == "why" or number in words
        assert why.get_attribute("open") is None
    why = rows[0].locator("details")
    why.locator("summary").press("Enter")
    assert why.get_attribute("open") is not None


@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_stands_beside_what_was_measured(page, name):
    """Its tables fold, published rows and ours among them, and the command that makes the chapter can be copied."""
    section = chapter(page, load(name).title)
    parts = section.locator(":scope > details")
    assert all(part.get_attribute("open") is None for part in parts.all())
    assert "published" in section.evaluate("(one) => one.textContent")
    page.bring_to_front()
    section.locator("button").click()
    section.locator('[role="status"]', has_text="copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == section.locator("pre").text_content()
    assert copied == f"python -m benchmark paper {name} --task mnist --seeds 0 --preset smoke"


def test_a_planted_bias_has_a_chapter(cli, results, opened):
    """Gates and verdict are those of the table that `bias` prints, the first one unfolded, with the command."""
    done = cli("bias", "--preset", "smoke", "--methods", "null", "--seeds", "0", "--jobs", "1", "--results", results)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == str(results / "report.html")
    section = chapter(opened(results / "report.html"), "Which methods show a bias")
    first = section.locator("details").first
    title = first.locator("summary").text_content()
    (path,) = (path for path in (results / "tables").glob("bias-*.md") if path.read_text().startswith(f"### {title}\n"))
    shown = [row.locator("th, td").all_text_contents() for row in first.locator("tr").all()]
    assert shown == cells_of(path.read_text(encoding="utf-8"))
    assert first.get_attribute("open") is not None
    assert "--planted Male-on-Smiling --seeds 0 --preset smoke" in section.locator("pre").text_content()
