"""Another program's answers are in the gallery beside the methods that were run."""

import pytest

pytestmark = pytest.mark.slow

ANSWERED = "nearest-unlike"


@pytest.fixture
def answers(cli, results, tmp_path):
    """The questions of a run and what one method has answered, as any program gets and gives them."""
    out = tmp_path / "questions"
    done = cli("export", "--preset", "smoke", "--results", results, "--out", out, "--methods", ANSWERED)
    assert (done.code, done.err) == (0, "")
    return out


def shot(page, method, query):
    """The picture of a method's answer to a query, as the browser has drawn it."""
    column = page.evaluate(f"galleryMethods().indexOf('{method}')") + 1
    canvas = page.locator(f"#pictures-body tr[data-query='{query}'] td:nth-child({column + 1}) canvas")
    return canvas.evaluate("(one) => one.toDataURL()")


def test_answers_to_exported_questions_have_pictures(cli, results, answers, opened, ready):
    """`score DIR ANSWERS` ends with the page, whose gallery shows the answers that were handed in, at every r."""
    done = cli("score", answers, answers / "answers" / ANSWERED, "--name", "mine", "--results", results)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == str(results / "report.html")
    page = opened(results / "report.html")
    assert "mine" in page.locator("#pictures-head th").all_inner_texts()
    for place in reversed(range(len(page.evaluate("task().relaxations")))):
        page.evaluate(f"moveTo({place})")
        ready(page)
        for query in (0, 5):
            assert shot(page, "mine", query) == shot(page, ANSWERED, query)
    assert shot(page, "mine", 0) != shot(page, "null", 0)  # at r = 0, where the two differ


def test_files_of_ones_own_have_a_page(cli, results, answers, opened, ready, tmp_path):
    """Scored files of another program, not kept as a record, have their pictures in the page beside the tables."""
    folder, out = answers / "answers" / ANSWERED, tmp_path / "out"
    given = ("--queries", answers / "queries", "--counterfactuals", folder, "--targets", answers / "targets.csv")
    done = cli("score", *given, "--task", "mnist", "--preset", "smoke", "--results", results, "--out", out)
    assert (done.code, done.err) == (0, "")
    page = opened(out / "report.html")
    ready(page)
    assert page.locator("#body tr th").all_inner_texts() == ["outside"]
    assert shot(page, "outside", 0) != shot(page, "outside", 5)
