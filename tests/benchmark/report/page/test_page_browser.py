"""The page in a real browser, without a network. Where there is none: apt-get install chromium."""

import csv
import io
import re
import socket
import time

import pytest

from benchmark.report.page.html import write_page
from methods import METHODS

pytestmark = pytest.mark.slow

SHOTS = "[...document.querySelectorAll('#pictures-body td canvas')].map((one) => one.toDataURL())"


def rows(page):
    """The names in the table, from the top."""
    return page.locator("#body tr:not(.apart):not(.failed) th").all_inner_texts()


def cell(page, method, column):
    return page.locator(f'#body [data-column="{column}"][data-method="{method}"]')


def shown(page):
    """The queries of which the gallery shows a row."""
    return [int(row.get_attribute("data-query")) for row in page.locator("#pictures-body tr").all()]


def counted(page):
    """(fitting, n) as the gallery tells them."""
    first, _, rest = page.locator("#gallery-count").inner_text().partition(" of n = ")
    return int(first.replace(",", "")), int(rest.split()[0].replace(",", ""))


def wait_until(page, expression):
    """Until it is true; the page's policy forbids the browser's own way of asking again."""
    deadline = time.monotonic() + 30
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)


def drawn(page):
    wait_until(page, "[...sheets.values()].every((image) => image.ready)")
    return page.evaluate(SHOTS)


def test_slider_moves_pictures_and_numbers(make_results, opened):
    """A step of the slider shows other pictures, other captions, other numbers and another sentence; back, the same."""
    page = opened(make_results().page)

    def state():
        parts = ("#said", "#body", "#pictures-body")
        return drawn(page), *(page.locator(part).text_content() for part in parts)

    before = state()
    page.locator("#r").press("ArrowRight")
    assert page.locator("#r-shown").inner_text() == "r = 0.5"
    after = state()
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert len(set(after[0])) > len(after[0]) / 2  # pictures, and not one picture many times
    page.locator("#r").press("ArrowLeft")
    assert state() == before


def test_numbers_are_those_of_the_records(make_results, opened):
    """The table shows what the records say, to the last digit, at every r."""
    folder = make_results()
    page = opened(folder.page)
    for place, r in enumerate((0.0, 0.5, 1.0)):
        page.evaluate(f"moveTo({place})")
        for record in folder.records:
            value = next(row.value for row in record.rows if (row.metric, row.relaxation) == ("flip_rate", r))
            text = cell(page, record.method, "flip_rate").inner_text()
            assert text.split(" ")[0] == f"{100 * value:.1f}"


def test_heading_says_what_intervals_are_about(make_results, opened):
    """The heading of the table follows the choice of seeds: all three, or the queries of one training."""
    page = opened(make_results(seeds=(0, 1, 2)).page)
    assert page.locator("#about").inner_text() == "(95 % intervals: over trainings (3) and queries)"
    page.locator("#seed").select_option("1")
    assert page.locator("#about").inner_text() == "(95 % intervals: over the queries of one training only)"


def test_sorted_by_what_is_better(make_results, opened):
    """A heading sorts the better end up, a second click turns the order; references stay below."""
    page = opened(make_results(methods=("vaex", "hybrid", "dvae", "null", "nearest-unlike")).page)
    for column, sign in (("flip_rate", -1), ("l1", 1)):
        page.locator(f'[data-sort="{column}"]').click()
        names = rows(page)
        values = [sign * float(cell(page, name, column).inner_text().split()[0]) for name in names]
        assert values[:3] == sorted(values[:3])
        assert set(names[3:]) == {"null", "nearest-unlike"}
        page.locator(f'[data-sort="{column}"]').click()
        assert rows(page)[:3] == names[:3][::-1]


def test_filters_leave_what_fits(make_results, opened):
    """Queries of one class are those, and the outcome is asked of the method that is chosen."""
    page = opened(make_results().page)
    page.locator("#own").select_option(label="one")
    assert shown(page) == page.evaluate(
        "Array.from({length: set().n}, (_, q) => q).filter((q) => own(q) === 1).slice(0, PAGE)"
    )
    page.locator("#method").select_option("dvae")
    page.locator("#outcome").select_option("one")
    assert shown(page)
    frames = page.locator("#pictures-body tr td:nth-child(2) .answer").all()
    assert {frame.get_attribute("class") for frame in frames} == {"answer one"}
    assert page.locator("#pictures-head th").all_inner_texts()[1] == "dvae"


def test_least_changed_comes_first(make_results, opened):
    """Queries sorted by L1 are in its order, of the method that is chosen."""
    page = opened(make_results().page)
    page.locator("#method").select_option("vaex")
    page.locator("#order").select_option("l1")
    values = page.evaluate("fitting().map((query) => answer('vaex', query).l1)")
    assert len(values) == 40
    assert values == sorted(values)


def test_most_disputed_comes_first(make_results, opened):
    """Queries sorted by disagreement begin with those on which half of the methods convince."""
    page = opened(make_results(methods=("vaex", "dvae", "hybrid", "gan-search", "null"), strength=0.6).page)
    page.locator("#order").select_option("apart")
    counts = page.evaluate(
        """fitting().map((query) => galleryMethods().filter((method) => !isReference(method))
           .filter((method) => answer(method, query).outcome === "both").length)"""
    )
    apart = [abs(count - 2) for count in counts]  # of four methods
    assert apart == sorted(apart)
    assert len(set(apart)) > 1


def test_what_is_copied_is_what_is_shown(make_results, opened):
    """All three forms hold the headings and cells of the table: chosen columns, the order, references last."""
    page = opened(make_results().page)
    page.bring_to_front()  # a page that nobody looks at may not write to the clipboard
    page.locator("#table summary").click()
    page.locator("#columns label", has_text="MSE").locator("input").uncheck()
    page.locator('[data-sort="flip_rate"]').click()
    heads = [text.rstrip(" ▾▴") for text in page.locator("#head th").all_inner_texts()]
    table = [
        [text.replace("–", "") for text in row.locator("th, td").all_inner_texts()]
        for row in page.locator("#body tr:not(.apart)").all()
    ]
    assert "MSE ↓" not in heads
    page.locator("#copy-csv").click()
    lines = list(csv.reader(io.StringIO(clipboard(page))))
    assert [line[:-1] for line in lines] == [heads, *table]
    assert [line[-1] for line in lines[1:]] == ["false", "false", "true"]
    page.locator("#copy-markdown").click()
    lines = [[text.strip(" *") for text in line.strip("|").split("|")] for line in clipboard(page).splitlines()]
    assert [lines[0], *lines[2:]] == [heads, *table]
    page.locator("#copy-latex").click()
    body = [line for line in clipboard(page).splitlines() if line.endswith(r"\\")]
    assert [line.removesuffix(r" \\").split(" & ") for line in body[1:]] == table
    assert r"\%" in body[0]


def clipboard(page):
    wait_until(page, "document.getElementById('copied').textContent === 'copied'")
    page.evaluate("document.getElementById('copied').textContent = ''")
    return page.evaluate("navigator.clipboard.readText()")


def test_a_link_restores_the_state(make_results, opened):
    """The address holds task, seed, r, filter, view and query: opened elsewhere it shows the same."""
    folder = make_results(tasks=("mnist", "mnist/3-8"), seeds=(0, 1))
    page = opened(folder.page)
    page.locator("#task").select_option(label="mnist/3-8")
    page.locator("#seed").select_option("1")
    page.locator("#r").press("ArrowRight")
    page.locator("#target").select_option(label="two")
    page.locator("#method").select_option("dvae")
    page.locator("#view").select_option("difference")
    page.locator('.key[data-method="null"]').click()
    page.locator("#pictures-body .query").nth(2).click()

    def state(page):
        chosen = [page.locator(f"#{name}").input_value() for name in ("task", "seed", "r", "target", "method", "view")]
        return (
            chosen,
            drawn(page),
            *(page.locator(f"#{part}").text_content() for part in ("said", "body", "gallery", "one", "chart")),
        )

    fragment = page.evaluate("location.hash")
    assert state(opened(folder.page, fragment)) == state(page)


def test_a_link_that_is_wrong_is_no_error(make_results, opened):
    """Nonsense in the address is left out."""
    page = opened(make_results().page, "#task=none&r=7&own=99&outcome=x&query=-1&method=nobody&sort=__proto__&page=-3")
    assert len(rows(page)) == 3
    assert counted(page) == (40, 40)


@pytest.mark.parametrize("column", ["flip_rate", "oracle_aware_flips", "l1", "mse", "n"])
def test_a_number_leads_to_the_queries_behind_it(make_results, opened, column):
    """A click on a rate shows the queries that make it up, on any other number all n."""
    page = opened(make_results().page)
    text = cell(page, "dvae", column).inner_text()
    n = int(cell(page, "dvae", "n").inner_text())
    cell(page, "dvae", column).click()
    fitting = round(float(text.split()[0]) / 100 * n) if column in ("flip_rate", "oracle_aware_flips") else n
    assert counted(page) == (fitting, n)
    assert len(shown(page)) == min(24, fitting)
    assert page.locator("#method").input_value() == "dvae"


@pytest.mark.parametrize("column", ["oracle_aware_flips", "oracle_agreement", "adversarial_flips"])
def test_votes_add_up_to_the_number(make_results, opened, column):
    """Where several oracles vote, the gallery behind a number says the share that their votes make: the number."""
    page = opened(make_results(oracles=3).page, f"#columns={column}")
    text = cell(page, "dvae", column).inner_text()
    cell(page, "dvae", column).click()
    assert f"each oracle's vote: {text.split()[0]} %" in page.locator("#gallery-count").inner_text()


def test_what_is_said_of_a_number_follows_r(make_results, opened):
    """The words below the table are those of the number that is shown, at any r."""
    page = opened(make_results().page)
    cell(page, "dvae", "oracle_aware_flips").focus()
    column = "D.columns.find((one) => one.name === 'oracle_aware_flips')"
    said = []
    for place in (1, 2, 0):
        page.evaluate(f"moveTo({place})")
        said.append(page.evaluate(f"told('dvae', {column}) || {column}.meaning"))
        assert page.locator("#told").inner_text() == f"dvae, oracle-aware flips: {said[-1]}"
    assert len(set(said)) > 1


def in_sight(locator):
    """Whether all of it lies within the window, and nothing else lies over it."""
    return locator.evaluate(
        """(one) => {
          const {left, right, top, bottom} = one.getBoundingClientRect();
          const at = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
          return top >= 0 && bottom <= innerHeight && one.contains(at);
        }"""
    )


@pytest.mark.parametrize("reach", ["hover", "focus"])
def test_words_appear_in_sight(make_results, opened, reach):
    """What a number or a heading means stands in the window that shows it, however far the table goes on below."""
    page = opened(make_results(methods=tuple(METHODS)).page, viewport={"width": 1000, "height": 420})
    for target, words in ((cell(page, "vaex", "l1"), "vaex, L1: "), (page.locator('[data-sort="mse"]'), "MSE ↓: ")):
        target.evaluate("(one) => one.scrollIntoView({block: 'center'})")
        getattr(target, reach)()
        assert page.locator("#told").inner_text().startswith(words)
        assert in_sight(page.locator("#told"))
        assert in_sight(target)


def test_a_tap_says_what_the_number_means(make_results, opened):
    """Where fingers point, the words stand above the pictures to which the number leads, and follow r."""
    page = opened(make_results().page, has_touch=True, viewport={"width": 390, "height": 800})
    cell(page, "dvae", "oracle_aware_flips").tap()
    words = page.locator("#behind")
    first = words.inner_text()
    assert first.startswith("dvae, oracle-aware flips: ")
    assert in_sight(words)
    page.evaluate("moveTo(2)")
    assert words.inner_text() not in ("", first)
    page.locator("#reset").click()
    assert words.inner_text() == ""


def test_it_is_said_whether_anything_is_highlighted(make_results, opened):
    """With one seed no number is, and the page says why; a highlighted number is explained."""
    page = opened(make_results().page)
    assert page.locator("#body .best").count() == 0
    assert "three seeds" in page.locator("#marked").inner_text()
    page.evaluate("document.querySelector('#body .number').classList.add('best'); retell()")
    assert page.locator("#marked").inner_text().startswith("Highlighted")


def test_an_empty_gallery_says_where_to_look(make_results, opened):
    """Where no query fits at this r, the other r at which some do are named."""
    page = opened(make_results(strength=1.0).page, "#method=vaex&outcome=neither")
    assert counted(page)[0] == 0
    some = [r for place, r in enumerate(("0", "0.5", "1")) if page.evaluate(f"S.r = {place}, fitting().length")]
    page.evaluate("moveTo(0)")
    assert page.locator("#gallery-count").inner_text().endswith(f"; there are some at r = {', '.join(some)}")


def test_one_query_shows_every_answer(make_results, opened):
    """A query opens with all methods at all r, their paths and what they intervened on; arrows go to the next one."""
    page = opened(make_results().page)
    page.locator("#pictures-body .query").first.click()
    assert page.locator("#one-body tr").count() == 3
    assert page.locator("#one-body .answer").count() == 9
    how = page.locator("#one-body .how").first
    assert how.locator(".path").first.locator("canvas").count() == 3
    assert "bits:" in how.inner_text()
    assert "donor:" not in how.inner_text()  # no row number
    drawn(page)
    donor = shot(how.locator(".path").nth(1).locator("canvas"))
    page.keyboard.press("ArrowDown")
    assert page.locator("#one-title").inner_text().startswith("Query 1:")
    page.keyboard.press("ArrowRight")
    assert page.locator("#r-shown").inner_text() == "r = 0.5"
    page.evaluate("openQuery(39)")  # the last query gave its picture to the first one
    drawn(page)
    assert shot(page.locator("#one-query canvas")) == donor


def shot(canvas):
    return canvas.evaluate("(one) => one.toDataURL()")


def test_from_the_sentence_to_the_pictures(make_results, opened):
    """What the sentence names leads to answers of that method that convince, and to those where it fails."""
    page = opened(make_results().page)
    best = page.evaluate("task().best[choice()][S.r]")
    assert best in page.locator("#said .first").inner_text()
    convinced = round(float(cell(page, best, "oracle_aware_flips").inner_text().split()[0]) / 100 * 40)
    for outcome, count in (("both", convinced), ("fails", 40 - convinced)):
        page.locator(f'[data-look="{outcome}"]').click()
        assert counted(page) == (count, 40)
        assert page.locator("#method").input_value() == best


def test_difference_and_blink_draw_other_pictures(make_results, opened):
    """The difference to the query is white where nothing changed; blinking shows the query itself."""
    page = opened(make_results().page)
    answers = drawn(page)
    page.locator("#view").select_option("difference")
    assert all(one != other for one, other in zip(answers, drawn(page), strict=True))
    page.evaluate("blinked = true; S.view = 'blink'; drawPictures()")
    assert len(set(drawn(page))) == 24  # each row shows its query


def test_dashed_lines_are_the_column_of_the_table(make_results, opened):
    """Each line is a column: solid how often a method flips, dashed how often it convinces both, at every r."""
    page = opened(make_results(oracles=3).page)
    for column, line in (("flip_rate", ":not([stroke-dasharray])"), ("oracle_aware_flips", "[stroke-dasharray]")):
        points = page.locator(f'#chart g[data-method="dvae"] polyline{line}').get_attribute("points")
        drawn_at = [float(point.split(",")[1]) for point in points.split()]
        rates = page.evaluate(f"task().cells[choice()].dvae.{column}.map((found) => found[0])")
        assert drawn_at == [pytest.approx(10 + 350 * (1 - rate), abs=0.06) for rate in rates]
        assert len(set(rates)) == 3


def test_looking_at_a_name_makes_the_others_faint(make_results, opened):
    """Among many lines one finds a method's by its name in the legend, by mouse or keyboard."""
    page = opened(make_results().page)
    page.locator('.key[data-method="vaex"]').hover()
    assert [one.get_attribute("data-method") for one in page.locator("#chart .dim").all()] == ["dvae", "null"]
    page.locator('.key[data-method="dvae"]').focus()
    assert [one.get_attribute("data-method") for one in page.locator("#chart .dim").all()] == ["vaex", "null"]


def test_a_method_carries_its_mark_everywhere(make_results, opened):
    """Table, legend, chart and pictures have one mark a method, and another for the next one."""
    page = opened(make_results(methods=("hybrid", "hybrid-gan", "vaex")).page)
    marks = page.evaluate("Object.values(D.methods).map((one) => one.mark + one.light)")
    assert len(set(marks)) == 3
    for place in ("#body tr", "#legend button", "#chart g", "#pictures-head th"):
        shown_in = page.locator(f"{place} polygon.mark").evaluate_all("(all) => all.map((one) => one.outerHTML)")
        assert {re.search(r'points="([^"]*)"', text)[1] for text in shown_in} == set(
            page.evaluate("Object.values(D.methods).map((one) => one.mark)")
        )


def test_a_name_hides_and_isolates(make_results, opened):
    """A click on a name takes its curve and pictures away, a double click all the others."""
    page = opened(make_results().page)
    curves = page.locator("#chart g")
    page.locator('.key[data-method="vaex"]').click()
    assert [curve.get_attribute("data-method") for curve in curves.all()] == ["dvae", "null"]
    assert page.locator("#pictures-head th").count() == 3
    page.locator('.key[data-method="dvae"]').dblclick()
    assert [curve.get_attribute("data-method") for curve in curves.all()] == ["dvae"]
    page.locator('.key[data-method="dvae"]').dblclick()
    assert curves.count() == 3


def test_curve_is_saved_as_a_figure(make_results, opened, tmp_path):
    """The file is SVG with its own colours and names, and no part of the page's style."""
    page = opened(make_results().page)
    with page.expect_download() as download:
        page.locator("#save-curve").click()
    download.value.save_as(tmp_path / "curve.svg")
    text = (tmp_path / "curve.svg").read_text()
    assert text.startswith("<svg")
    assert "var(" not in text
    assert ">dvae</text>" in text
    assert text.count("<polyline") == 6


def test_hostile_names_are_text(make_results, opened):
    """A method that is a tag and a class that ends a script are shown as they are written, and do nothing."""
    method, label = "<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>"
    page = opened(
        make_results(methods=(method, "vaex"), classes=("zero", label), failed=(("dvae", "<b>why</b>"),)).page
    )
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    assert method in rows(page)
    assert label in page.locator("#own option").all_inner_texts()
    assert "<b>why</b>" in page.locator(".failed").inner_text()
    page.locator("#pictures-body .query").first.click()
    assert page.locator("img[src=x]").count() == 0
    assert "alert(1)" in page.locator("#one-title").inner_text()


def test_nothing_there(make_results, opened):
    """A page without records, and one on which all failed, say so."""
    assert "no records" in opened(make_results(methods=()).page).locator("main").inner_text()
    page = opened(make_results(methods=(), failed=(("vaex", "no memory"),)).page)
    assert "no memory" in page.locator("#body").inner_text()
    assert "No job of mnist has succeeded" in page.locator("#said").inner_text()


def test_one_query_of_one_method(make_results, opened):
    """The smallest run has a page."""
    page = opened(make_results(methods=("vaex",), n=1).page)
    assert counted(page) == (1, 1)
    assert rows(page) == ["vaex"]


def test_a_failed_job_is_in_the_table(make_results, opened):
    """It stands there with its seed and its reason."""
    page = opened(make_results(failed=(("hybrid", "out of memory"),)).page)
    assert "out of memory" in page.locator(".failed", has_text="hybrid").inner_text()
    assert len(rows(page)) == 3


def test_many(make_results, opened):
    """All methods on 2 tasks under 3 seeds: the mean, or each seed, of each task."""
    folder = make_results(methods=tuple(METHODS), tasks=("mnist", "mnist/3-8"), seeds=(0, 1, 2), n=30)
    page = opened(folder.page)
    assert len(rows(page)) == len(METHODS)
    assert "±" in cell(page, "vaex", "flip_rate").inner_text()
    page.locator("#task").select_option(label="mnist/3-8")
    page.locator("#seed").select_option("2")
    value = next(
        row.value
        for one in folder.records
        if (one.method, one.task, one.seed) == ("vaex", "mnist/3-8", 2)
        for row in one.rows
    )
    assert cell(page, "vaex", "flip_rate").inner_text().split()[0] == f"{100 * value:.1f}"
    assert "seed 2" in page.locator("#gallery-count").inner_text()


def test_the_page_opens_with_the_task_of_most_methods(make_results, make_record, opened):
    """Neither the first nor the last by name, but the one that most was asked about; the top speaks of it alone."""
    some, most = make_results(tasks=("b", "d"), methods=("vaex",), name="some"), make_results(tasks=("c",), name="most")
    other = make_record(task="a", limit=7)
    page = opened(write_page([other, *some.records, *most.records], most.runs, most.page.parent))
    assert page.locator("#task option:checked").inner_text() == "c"
    assert page.locator("h1").inner_text() == "Counterfactuals of c, a, b and more"
    assert page.locator("#said .first").inner_text().startswith("On c at r = 0, ")
    assert page.locator("#warned").inner_text() == ""
    page.locator("#task").select_option(label="a")
    assert "--limit 7" in page.locator("#warned").inner_text()
    assert page.locator("#said").inner_text().startswith("On a ")


def test_the_slider_stays_where_it_is(make_results, opened):
    """What is written beside it is as wide at one end as at the other."""
    page = opened(make_results().page)
    places = []
    for place in range(3):
        page.evaluate(f"moveTo({place})")
        places.append(page.locator("#r").bounding_box())
    assert places[1:] == places[:-1]


def test_no_request_can_leave(make_results, chromium):
    """The page's own policy forbids what a script might ask for: nobody knocks, though the browser is online."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(make_results().page.resolve().as_uri())
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        there = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert page.evaluate(f"fetch('{there}').then(() => 'answered', (error) => error.name)") == "TypeError"
        page.evaluate(f"document.body.append(Object.assign(new Image(), {{src: '{there}/x.png'}}))")
        page.wait_for_timeout(300)
        with pytest.raises(BlockingIOError):
            server.accept()
    context.close()


@pytest.mark.parametrize("width", [390, 1600])
def test_nothing_is_wider_than_the_screen(make_results, opened, width):
    """What is wide scrolls in itself; the page does not."""
    page = opened(make_results(methods=tuple(METHODS)).page, viewport={"width": width, "height": 800})
    page.locator("#pictures-body .query").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1000])
def test_names_and_queries_stay_in_sight(make_results, opened, width):
    """However far one scrolls among the pictures, the names of methods stay above them, and the queries on the left."""
    page = opened(make_results(methods=tuple(METHODS)[:12]).page, viewport={"width": width, "height": 800})
    box = page.locator("#pictures")
    box.scroll_into_view_if_needed()
    box.evaluate("(one) => one.scrollTo(300, 700)")
    assert box.evaluate("(one) => [one.scrollLeft, one.scrollTop]") >= [300, 500]
    edge = box.evaluate("(one) => [one.getBoundingClientRect().left, one.getBoundingClientRect().top]")
    heads, queries = (
        page.locator(cells).evaluate_all(f"(all) => all.map((one) => one.getBoundingClientRect().{side})")
        for cells, side in (("#pictures-head th", "top"), ("#pictures-body th", "left"))
    )
    assert all(edge[1] <= top < edge[1] + 40 for top in heads)
    assert set(queries) == {edge[0]}
    assert (len(heads), len(queries)) == (13, 24)


def test_a_table_that_is_cut_says_so(make_results, opened):
    """At 390 px it says that it scrolls sideways and keeps its first column; one that is not cut says nothing."""
    folder = make_results()
    hint = "(one) => getComputedStyle(one, '::before').content"
    wide, narrow = opened(folder.page), opened(folder.page, viewport={"width": 390, "height": 800})
    assert wide.locator("#table .scroll").evaluate(hint) == "none"
    table = narrow.locator("#table .scroll")
    assert "sideways" in table.evaluate(hint)
    table.evaluate("(one) => one.scrollTo(120, 0)")
    assert table.evaluate("(one) => one.scrollLeft") == 120
    assert narrow.locator("#body th").first.bounding_box()["x"] == table.bounding_box()["x"]


def test_the_keyboard_is_enough(make_results, opened):
    """By the tab key alone one comes to the slider, a heading, a number and a query, each of which shows its focus."""
    page = opened(make_results().page)
    reached = set()
    for _ in range(150):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.id || document.activeElement.className || document.activeElement.dataset.sort"
            )
        )
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if {"r", "number", "query", "flip_rate"} <= reached:
            break
    assert {"r", "number", "query", "flip_rate"} <= reached


def test_it_can_be_printed(make_results, opened):
    """The page becomes a PDF, and table and pictures of 16 methods fit its width."""
    page = opened(make_results(methods=tuple(METHODS)[:16]).page, viewport={"width": 760, "height": 1075})
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 760
