"""What the page knows is what the records and artefacts say."""

import base64
import json
import re
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from benchmark.records.store import find
from benchmark.report.cells import Results, cell
from benchmark.report.page.colours import DARK, LIGHT, colours_of, contrast, readable
from benchmark.report.page.columns import cells_of, relaxations_of
from benchmark.report.page.data import collect
from benchmark.report.page.html import HERE, as_json
from benchmark.report.page.sentence import sentences
from benchmark.report.page.significance import NOT_COMPETING, UNTOLD, significance
from benchmark.report.page.sprites import LEVELS, fitting, packed, sheet
from benchmark.with_records import read_records
from metrics import METRICS

MOST_LINES = 1200
"""Of template, style and script together."""


def test_texts_are_those_of_the_tables(make_record):
    """A cell of the page is written as the cell of a table, of one seed and of the mean of several."""
    results = Results.of([make_record(seed=seed, flips=flips) for seed, flips in enumerate((0.61, 0.7325, 0.8))])
    relaxations = relaxations_of(results)
    found, numbers = cells_of(results, relaxations), results.numbers
    for name in ("flip_rate", "l1", "mse", "fid_oracle"):
        rows = numbers[(numbers["metric"] == name) & (numbers["subset"] == "all")]
        for place, relaxation in enumerate(relaxations if METRICS[name].per_relaxation else [np.nan]):
            here = rows[rows["relaxation"].isna() | (rows["relaxation"] == relaxation)]
            assert found["mean"]["vaex"][name][place][4] == cell(here, METRICS[name])
            assert found["2"]["vaex"][name][place][4] == cell(here[here["seed"] == 2], METRICS[name])


def test_numbers_are_those_of_metrics_csv(results, cli):
    """Every number of a real run's page is the one in metrics.csv, to the last digit shown, with its n."""
    assert cli("report", "--preset", "smoke", "--results", results).code == 0
    html = (results / "report.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])
    table = pd.read_csv(results / "metrics.csv", keep_default_na=False, na_values=[""])
    table = table[(table["subset"] == "all") & table["value"].notna() & table["metric"].isin(METRICS)]
    (task,) = data["tasks"]
    checked = 0
    for row in table.itertuples():
        found = task["cells"]["0"][row.method].get(row.metric)
        if found is not None:
            place = 0 if pd.isna(row.relaxation) else task["relaxations"].index(row.relaxation)
            value, _, _, n, text = found[place]
            assert value == pytest.approx(row.value, rel=1e-5)
            assert (text.split(" ")[0], n) == (METRICS[row.metric].shown.text(row.value), row.n)
            checked += 1
    assert checked > 500


def test_outcomes_make_up_the_rates(results):
    """What the page says of single queries adds up to the flip rates of a real run, and each has its pictures.

    What the oracle sees is the class of its networks together; the rates with its name are means over each of them.
    """
    records = read_records(results, "smoke", "all", "all", "all")
    (task,) = collect(records, results / "runs")["tasks"]
    of = task["sets"]["0"]
    targets = unpacked(of["targets"])
    assert set(of["methods"]) == {record.method for record in records}
    for record in records:
        answers, cells = of["methods"][record.method], task["cells"]["0"][record.method]
        seen, judged = (unpacked(answers[name]).reshape(-1, of["n"]) for name in ("seen", "oracle"))
        scored, _ = find(results / "runs", record.artefacts["score"])
        together = scored["answer_oracle_classes"][np.argsort(record.relaxations).copy()].numpy()
        assert (judged == together.astype(np.uint8)).all()
        for column, place in enumerate(answers["places"]):
            assert (seen == targets)[column].mean() == pytest.approx(cells["flip_rate"][place][0], abs=1e-5)
        assert size(answers["sheet"]) == (28 * len(answers["places"]), 28 * of["pictures"])


def unpacked(text):
    return np.frombuffer(base64.b64decode(text), np.uint8)


def pixels(address):
    return Image.open(BytesIO(base64.b64decode(address.partition(",")[2])))


def size(address):
    return pixels(address).size


def test_a_sheet_holds_its_pictures(rng):
    """Each picture stands in its row and column, as bright as it was, up to half a level."""
    pictures = torch.from_numpy(rng.integers(0, 256, (3, 2, 1, 5, 4))).to(torch.uint8)
    found = np.array(pixels(sheet(pictures)).convert("L")).reshape(3, 5, 2, 4).transpose(0, 2, 1, 3)
    assert np.abs(found - pictures[:, :, 0].numpy().astype(int)).max() <= 255 / (LEVELS - 1) / 2 + 1
    assert {found.min(), found.max()} <= set(range(256))


def test_large_pictures_are_made_smaller():
    """No side is longer than a sheet's picture may be; the shape keeps its form, and small ones are left alone."""
    small, large = torch.zeros(2, 3, 1, 8, 6, dtype=torch.uint8), torch.full((2, 3, 192, 96), 7, dtype=torch.uint8)
    assert fitting(small) is small
    assert fitting(large).shape == (2, 3, 96, 48)
    assert (fitting(large) == 7).all()


def test_packed_is_little_endian():
    """Numbers of two bytes come low byte first, as every browser reads them."""
    assert base64.b64decode(packed(np.array([1, 256], dtype=np.uint16))) == b"\x01\x00\x00\x01"


def test_no_tag_can_begin_in_the_data():
    """Whatever text the data hold, the script that holds them goes on, and it reads back as it was."""
    data = {"</script><!--": "<img src=x>", "ok": [1.5, None, "x̃"]}
    assert "<" not in as_json(data)
    assert json.loads(as_json(data)) == data


def test_significance_says_who_is_best(kept, tmp_path):
    """Where one method flips all and another few that is more than chance of three seeds; of one it is not said."""
    methods = {"vaex": {"flips": 100}, "dvae": {"flips": 20}, "null": {"flips": 100, "reference": True}}
    records = [kept(method, seed, **values) for method, values in methods.items() for seed in range(3)]
    words = significance(records, [0.0, 1.0], tmp_path)["flip_rate"]
    assert words[0]["vaex"] == "best here, and better than every other method by more than chance"
    assert words[0]["dvae"].startswith("80.0 points below vaex, the best here [")
    assert "more than chance" in words[0]["dvae"]
    assert "null" not in words[0]
    assert words[1] == {}  # no method flips half of the queries
    one = significance([record for record in records if record.seed == 0], [0.0, 1.0], tmp_path)["flip_rate"][0]
    assert "3 seeds or more" in one["vaex"]
    assert "the queries of one training only" in one["dvae"]


def test_significance_of_distances_is_told_where_both_flip(kept, noise, tmp_path):
    """A distance is compared over all queries and over those that both flip; what does not flip is not compared."""
    values = {"vaex": (100, 0.1), "vaex-cat": (70, 0.5), "gan-search": (20, 0.0)}
    records = [
        kept(method, seed, flips=flips, l1=noise(level))
        for method, (flips, level) in values.items()
        for seed in range(3)
    ]
    words = significance(records, [0.0, 1.0], tmp_path)["l1"][0]
    assert "over the 70 queries that both flip" in words["vaex-cat"]
    assert words["gan-search"] == NOT_COMPETING


def test_significance_is_not_told_of_other_questions(kept, tmp_path):
    """Methods that were asked other queries are not compared."""
    records = [kept("vaex", flips=100), kept("dvae", flips=20, limit=5)]
    assert significance(records, [0.0, 1.0], tmp_path)["flip_rate"][0]["dvae"] == UNTOLD


def rows(**methods):
    """Method -> (flips, convinced, L1), as the columns of one relaxation."""
    names = ("flip_rate", "oracle_aware_flips", "l1")
    return {
        method: {name: [[value, None, None, 200, ""]] for name, value in zip(names, values, strict=True)}
        for method, values in methods.items()
    }


def test_the_sentence_names_the_best_the_least_and_the_worst():
    """Who convinces most, who changes least of those, whose flips prove nothing, and what is not known."""
    found = rows(a=(1, 0.99, 0.2), b=(1, 0.85, 0.1), c=(0.9, 0.1, 0.05), ref=(1, 1, 0.3))
    told = sentences("mnist", found, {"ref"}, 0.0, 0, "0")
    assert "a convinces most often: classifier and oracle both see the target in 99.0 % of its 200 answers" in told[0]
    assert "b changes least (L1 0.1000, convinces in 85.0 %)" in told[1]
    assert "c flips the classifier in 90.0 %, and convinces both in 10.0 %" in told[2]
    assert "the reference ref" in told[3]
    assert "seed 0 only" in told[4]


def test_the_sentence_hides_no_rival():
    """Methods that convince as often as the best one are named with it, and so is a reference that convinces often."""
    first, *rest = sentences("mnist", rows(a=(1, 0.9, 0.2), b=(1, 0.9, 0.3), ref=(1, 0.85, 0.1)), {"ref"}, 0.0, 0, "0")
    assert "a (as often: b) convinces most often" in first
    assert "The reference ref, which explains nothing, convinces in 85.0 % (L1 0.1000)." in rest


def test_the_sentence_of_little_and_of_nothing():
    """Where little or nothing convinces, or nobody answers, it says that first."""
    little = sentences("mnist", rows(a=(1, 0.1, 0), b=(1, 0.4, 0)), set(), 0.0, 0, "0")[0]
    assert little.startswith("On mnist at r = 0, no method convinces in half of its answers. b does most often")
    assert "no answer of any method" in sentences("mnist", rows(a=(0, 0, 0)), set(), 1.0, 0, "0")[0]
    assert sentences("mnist", {}, set(), 1.0, 0, "0") == ["On mnist no method has an answer at r = 1."]


def test_curves_can_be_seen_on_either_ground():
    """Every method's colour has a contrast of 3 to 1, and one that has it already stays as it is."""
    for method in ("vaex", "vaex-masked", "null", "dvae-all", "unknown"):
        for colour, ground in zip(colours_of(method, reference=method == "null"), (LIGHT, DARK), strict=True):
            channels = tuple(int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
            assert contrast(channels, ground) >= 2.98
    assert readable((0.0, 0.2, 0.4), LIGHT) == (0.0, 0.2, 0.4)
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)


def test_letters_have_the_contrast_that_wcag_asks_for():
    """Each colour of letters has 4.5 to 1 on each ground of the page, by day and by night."""
    style = (HERE / "page.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    for block in blocks:
        found = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))
        colours = {
            name: tuple(int(value[place : place + 2], 16) / 255 for place in (1, 3, 5)) for name, value in found.items()
        }
        for letters in ("ink", "quiet", "link"):
            for ground in ("ground", "raised", "mark"):
                if (letters, ground) != ("quiet", "mark"):  # nothing quiet is marked
                    assert contrast(colours[letters], colours[ground]) >= 4.5, (letters, ground)
        for letters in ("both", "fails"):
            assert contrast(colours[letters], colours["ground"]) >= 4.5, letters
        for frame in ("both", "one", "neither"):
            assert contrast(colours[frame], colours["ground"]) >= 3, frame


def test_page_is_small_to_read():
    """Template, style and script stay within what one can read in an evening."""
    files = [path for path in HERE.iterdir() if path.suffix in (".css", ".js", ".j2")]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) < MOST_LINES
