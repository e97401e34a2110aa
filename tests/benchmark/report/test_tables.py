import csv
import re
from dataclasses import replace
from io import StringIO
from itertools import pairwise

import pandas as pd
import pytest

from benchmark.records.record import Judge
from benchmark.report.cells import COLUMNS, Results, tidy
from benchmark.report.figures import write_figures
from benchmark.report.marks import UNBEATEN, Marks
from benchmark.report.page.sentence import warnings
from benchmark.report.tables import tables, write_tables
from benchmark.report.unlike import unlike
from methods.base import Study
from metrics import METRICS
from metrics.metric import Format
from metrics.trainings import share_over_trainings

FACTS = {"validation_accuracy": 0.9, "test_accuracy": 0.95, "test_n": 100, "trained_on": "x", "fit_seconds": 1.0}
OTHER = Judge(config={}, digest="another", **FACTS)


@pytest.fixture
def records(make_record):
    """Two methods and two references on a task each."""
    methods = (("vaex", 0.75), ("vaex-cat", 0.5), ("null", 0.0), ("nearest-unlike", 1.0))
    return [make_record(name, flips=flips, task=task) for task in ("mnist", "mnist/3-8") for name, flips in methods]


def named(made, name):
    return next(table for table in made if table.name == name)


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def row_of(frame, method, task="mnist"):
    """The one row of a method, by its headings."""
    here = frame[(frame["method"] == method) & (frame["task"] == task if "task" in frame else True)]
    assert len(here) == 1
    return here.iloc[0]


# -- the tidy file -----------------------------------------------------------------------------------------------------


def test_tidy_columns(tmp_path, records):
    """metrics.csv has the documented columns, a row a number, and an empty relaxation where none applies."""
    write_tables(records, tmp_path)
    header, *rows = csv.reader(StringIO((tmp_path / "metrics.csv").read_text()))
    assert (
        header == COLUMNS == ["task", "method", "seed", "relaxation", "metric", "subset", "value", "low", "high", "n"]
    )
    assert len(rows) == sum(len(record.rows) for record in records)
    for row in (dict(zip(header, row, strict=True)) for row in rows):
        with_relaxation = {"flip_rate", "oracle_agreement", "l1", "fid_oracle"}
        assert (row["relaxation"] != "") == (row["metric"] in with_relaxation)
        assert row["subset"] in {"all", "flipped"}


def test_tidy_keeps_every_digit(tmp_path, make_record, make_row):
    """A number in metrics.csv reads back as exactly the number in the record."""
    value = 0.1 + 0.2
    write_tables([make_record(rows=[*make_record().rows, make_row("l2", value, 0.0)])], tmp_path)
    rows = csv.DictReader(StringIO((tmp_path / "metrics.csv").read_text()))
    assert [float(row["value"]) for row in rows if row["metric"] == "l2"] == [value]


def test_timings_stand_apart(tmp_path, records):
    """Seconds and memory are in timings.csv and nowhere else."""
    write_tables(records, tmp_path)
    frame = pd.read_csv(tmp_path / "timings.csv")
    assert list(frame.columns) == COLUMNS
    assert set(frame["metric"]) == {"fit_seconds"}
    others = {name: content for name, content in files(tmp_path).items() if name != "timings.csv"}
    assert not any(b"12.5" in content or b"fit_seconds" in content for content in others.values())


def test_undefined_numbers_are_empty(tmp_path, make_record, make_row):
    """A number that is not defined is an empty cell with its n."""
    write_tables([make_record(rows=[*make_record().rows, make_row("l2", None, 0.0, n=0)])], tmp_path)
    last = (tmp_path / "metrics.csv").read_text().splitlines()[-1]
    assert last == "mnist,vaex,0,0.0,l2,all,,,,0"


def test_failed_jobs_have_no_numbers(make_record):
    """Numbers of a failed job do not get into any table."""
    failed = make_record("vaex-cat", status="failed", reason="because")
    assert set(tidy([make_record(), failed])["method"]) == {"vaex"}


def test_numbers_become_one_table_once(monkeypatch, tmp_path, records):
    """However many tables and figures are made of records, their numbers are turned into the tidy table once."""
    made = []
    monkeypatch.setattr("benchmark.report.cells.tidy", lambda records: made.append(records) or tidy(records))
    results = Results.of(records)
    write_figures(results, tmp_path / "runs", tmp_path)
    write_tables(results, tmp_path)
    assert made == [results]


def test_results_of_a_task_keep_their_numbers(records):
    """What is left of records, of one task or one method, has their rows of the table and no others."""
    results = Results.of(records)
    for of, part in (("mnist/3-8", results.on("mnist/3-8")), ("vaex", results.only(lambda r: r.method == "vaex"))):
        kept = [record for record in records if of in (record.task, record.method)]
        assert list(part) == kept
        pd.testing.assert_frame_equal(part.numbers.reset_index(drop=True), tidy(kept))
    assert Results.of(results) is results


# -- what is pivoted ---------------------------------------------------------------------------------------------------


def test_written_twice_is_the_same(tmp_path, records):
    """The same records give the same bytes."""
    for folder in ("one", "two"):
        write_tables(records, tmp_path / folder)
    assert files(tmp_path / "one") == files(tmp_path / "two")


@pytest.mark.parametrize("formats", [("md",), ("csv", "md", "tex")])
def test_formats_of_each(tmp_path, records, formats):
    """Every table is there in each format that is asked for: a summary, and one of flip rates for each task."""
    made = write_tables(records, tmp_path, formats=formats)
    names = {table.name for table in made}
    assert {"summary", "flip-rate-mnist", "flip-rate-mnist_3-8"} <= names
    expected = {f"tables/{name}.{suffix}" for name in names for suffix in formats}
    always = {"metrics.csv", "timings.csv"} | ({"tables/means.csv"} if "csv" in formats else set())
    assert files(tmp_path).keys() == expected | always


def test_tables_are_written_as_markdown(tmp_path, records):
    """Unless something else is asked for, tables are Markdown, beside metrics.csv and timings.csv."""
    write_tables(records, tmp_path)
    assert {name for name in files(tmp_path) if not name.endswith(".md")} == {"metrics.csv", "timings.csv"}


def test_means_are_what_tables_print(tmp_path, make_record):
    """means.csv has one row for all seeds of a number: their mean, spread, interval, n and names."""
    made = [make_record(seed=seed, flips=flips) for seed, flips in enumerate((0.6, 0.7, 0.8))]
    write_tables([*made, make_record("null", flips=0.0)], tmp_path, formats=["csv"])
    frame = pd.read_csv(tmp_path / "tables" / "means.csv", keep_default_na=False, na_values=[""])
    keys = ["task", "method", "relaxation", "metric", "subset"]
    assert list(frame) == [*keys, "mean", "std", "low", "high", "n", "seeds"]
    assert not frame.duplicated(keys).any()
    flips = frame[(frame["metric"] == "flip_rate") & (frame["relaxation"] == 0)].set_index("method")
    expected = (0.7, 0.1, *share_over_trainings([0.6, 0.7, 0.8], [100] * 3))
    assert flips.loc["vaex", ["mean", "std", "low", "high"]].tolist() == pytest.approx(expected)
    assert flips["n"].tolist() == [100, 100]
    assert flips["seeds"].tolist() == ["0 1 2", "0"]
    assert pd.isna(flips.loc["null", "std"])


def test_rates_in_per_cent_with_interval(records):
    """A rate stands in per cent with its interval, at the smallest relaxation in the summary."""
    summary = named(tables(records), "summary")
    heading = next(name for name in summary.methods if name.startswith("flip rate"))
    assert "%" in heading
    assert row_of(summary.methods, "vaex")[heading] == "75.0 [70.0, 80.0]"
    assert row_of(summary.methods, "vaex-cat", "mnist/3-8")[heading] == "50.0 [45.0, 55.0]"


def test_flip_rate_never_stands_alone(records):
    """Beside a flip rate stand n, the oracle's agreement and the reconstruction's flips."""
    summary = named(tables(records), "summary").methods
    row = row_of(summary, "vaex")
    assert row["n"] == "100"
    for part, text in (("oracle", "37.5 [32.5, 42.5]"), ("reconstruction flips", "1.0 [0.0, 2.0]")):
        assert row[next(name for name in summary if part in name)] == text
    cell = row_of(named(tables(records), "flip-rate-mnist").methods, "vaex")["r = 0"]
    assert "75.0 [70.0, 80.0]" in cell
    assert "37.5" in cell


def test_summary_is_over_all_queries(records):
    """The summary shows numbers over all queries, not over the flipped ones."""
    row = row_of(named(tables(records), "summary").methods, "vaex")
    assert float(row["L1 ↓"]) == 0.1


def test_fid_stands_beside_real_against_real(records):
    """A Fréchet distance names its extractor and stands beside those of reconstructions and of real images."""
    row = row_of(named(tables(records), "plausibility").methods, "vaex")
    fids = {name: cell.split()[0] for name, cell in row.items() if "FID" in name}
    assert list(fids.values()) == ["3.50", "2.50", "1.50"]
    assert all("oracle" in name for name in fids)


def test_what_rests_on_the_first_queries_is_named(make_record, make_row):
    """A note names those numbers of the table that rest on the first queries, and says how many these are of a task."""

    def first(*records):
        return [note for note in named(tables(records), "plausibility").notes if "of the first" in note]

    def probed(task, *counts):
        return make_record(task=task, rows=[*make_record().rows, *(make_row("cout", 0.5, 0.0, n=n) for n in counts)])

    assert first(make_record()) == []
    assert first(probed("mnist", 10, 7)) == ["COUT: of the first 10 queries"]
    assert first(probed("mnist/3-8", 5), probed("mnist", 10)) == ["COUT: of the first 10 and 5 queries"]


def test_shared_notes_stand_once(make_record):
    """What all tables share stands under the first alone, and the others point there; the metrics' notes are theirs."""
    first, *others = tables([make_record(remarks=["half the truth"])])
    shared = [note for note in first.notes if "half the truth" in note or note.startswith("[low, high]")]
    assert len(shared) == 2
    assert not any(set(shared) & set(table.notes) for table in others)
    assert all(any("`summary`" in note for note in table.notes) for table in others)
    distances = [table.name for table in (first, *others) if any(note.startswith("FID") for note in table.notes)]
    assert distances == ["plausibility"]


@pytest.mark.parametrize("name", ["summary", "flip-rate-mnist", "flip-rate-mnist_3-8"])
def test_references_stand_apart(records, name):
    """References are in a part of their own, in every format."""
    table = named(tables(records), name)
    references = {"null", "nearest-unlike"}
    assert not references & set(table.methods["method"])
    assert set(table.references["method"]) == references
    above, _, below = table.markdown().partition("References")
    for reference in references:
        assert f"| {reference} " not in above
        assert f"| {reference} " in below
    frame = pd.read_csv(StringIO(table.csv()), keep_default_na=False)  # "null" is a method
    assert set(frame[frame["reference"]]["method"]) == references


def test_several_seeds_are_mean_and_spread(make_record):
    """Over several seeds a cell is mean ± standard deviation, and the notes name the seeds."""
    made = tables([make_record(seed=seed, flips=flips) for seed, flips in enumerate((0.6, 0.7, 0.8))])
    summary = named(made, "summary")
    cell = row_of(summary.methods, "vaex")["flip rate % ↑"]
    assert cell.startswith("70.0 ± 10.0")
    assert any("0, 1, 2" in note for note in summary.notes)


def test_seeds_are_told_by_method_where_they_differ(make_record):
    """A method that was asked under fewer seeds than another is not said to be a mean over all of them."""
    both = [make_record("vaex", seed=0), make_record("vaex", seed=1)]
    assert any("mnist: mean ± std over seeds 0, 1; test" in note for note in tables(both)[0].notes)
    notes = tables([*both, make_record("vaex-cat", seed=0)])[0].notes
    assert any("mnist: vaex: mean ± std over seeds 0, 1; vaex-cat: seed 0; test" in note for note in notes)


def test_distance_without_an_interval_has_no_brackets(make_record, make_row):
    """Of two images a distance may have no interval, and the cell says nothing of one."""
    distance = make_row("kid_oracle", 1.5, 0.0).model_copy(update={"low": None, "high": None})
    plausible = named(tables([make_record(rows=[*make_record().rows, distance])]), "plausibility").methods
    assert "1.50" in plausible.iloc[0].tolist()


def test_one_seed_has_no_spread(records):
    """One seed has no standard deviation, and the notes say which seed it is."""
    summary = named(tables(records), "summary")
    assert "±" not in "".join(map(str, summary.methods.to_numpy().ravel()))
    assert any("seed 0" in note for note in summary.notes)
    assert not any("std" in note for note in summary.notes)


def test_partial_runs_say_so(make_record):
    """Every format of every table of a limited run says that it is partial and with which limit."""
    for table in tables([make_record(limit=25)]):
        for text in (table.markdown(), table.latex()):
            assert "partial run" in text
            assert "--limit 25" in text
    assert not any("partial" in table.markdown() for table in tables([make_record()]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "validation"}, "split"),
        ({"limit": 25}, "limit"),
        ({"data": {"digest": "other"}}, "data"),
        ({"data": {"queries": 25}}, "number of queries"),
        ({"classifier": OTHER}, "classifier"),
        ({"oracle": OTHER}, "oracle"),
    ],
)
def test_methods_that_were_not_asked_alike_are_told(make_record, changes, words):
    """Every table, and the page, names what differs between methods of one task and seed; other seeds may differ."""
    records = [make_record("vaex"), make_record("dvae", **changes)]
    told = f"mnist, seed 0: methods differ in {words}, so their numbers cannot be compared"
    assert all(told in table.markdown() for table in tables(records))
    assert any(text.startswith(told) for text in warnings(records))
    assert unlike([make_record(), make_record("dvae"), make_record("dvae", seed=1, **changes)]) == []


def test_failed_jobs_are_listed(make_record):
    """A failed job is named in every table, with its reason."""
    failed = make_record("vaex-cat", seed=3, status="failed", reason="out of luck", rows=[])
    for table in tables([make_record(), failed]):
        assert any(
            "failed" in note and "vaex-cat" in note and "seed 3" in note and "out of luck" in note
            for note in table.notes
        )


def test_only_failures_make_no_table(make_record):
    """Where all jobs failed there is no table."""
    assert tables([make_record(status="failed", rows=[])]) == []


def test_notes_name_what_numbers_rest_on(make_record):
    """The notes name preset, split, the accuracy of both networks, and every remark with its method."""
    notes = "\n".join(named(tables([make_record(remarks=["half the truth"])]), "summary").notes)
    for words in ("default", "test split", "95.0", "90.0", "vaex: half the truth"):
        assert words in notes


def test_a_remark_names_the_tasks_where_it_does_not_hold_on_all(make_record):
    """Where a method says something of every task, no task is named with it; else those are of which it says it."""
    records = [
        make_record("vaex", task="mnist", remarks=["one floor", "one schedule"]),
        make_record("vaex", task="mnist/3-8", remarks=["one schedule"]),
        make_record("vaex-cat", task="mnist", remarks=["one floor"]),
        make_record("vaex-cat", task="mnist/3-8", remarks=["one floor", "one schedule"]),
    ]
    notes = named(tables(records), "summary").notes
    assert "vaex on mnist; vaex-cat: one floor" in notes
    assert "vaex; vaex-cat on mnist/3-8: one schedule" in notes


def test_method_without_a_metric_has_an_empty_cell(make_record, make_row):
    """What only one method reports is empty for the others, and a column without numbers is left out."""
    with_kl = make_record(rows=[*make_record().rows, make_row("kl", 5.0)])
    with_nll = make_record("vaex-cat", rows=[*make_record().rows, make_row("nll", 7.0)])
    models = named(tables([with_kl, with_nll, make_record("hybrid")]), "models").methods
    assert (row_of(models, "vaex")["KL"], row_of(models, "vaex-cat")["KL"]) == ("5.0", "")
    assert "bits/dim" not in models
    assert set(models["method"]) == {"vaex", "vaex-cat"}


def test_a_line_of_the_registry_is_a_column(monkeypatch, make_record, make_row):
    """A metric that the registry gains by one line stands in the table that the line names, written as it says."""
    line = replace(METRICS["l1"], table="models", heading="brightness", better="higher", shown=Format(3))
    monkeypatch.setattr("benchmark.report.summary.METRICS", METRICS | {"brightness": line})
    record = make_record(rows=[*make_record().rows, make_row("brightness", 0.25, 0.0)])
    assert row_of(named(tables([record]), "models").methods, "vaex")["brightness ↑"] == "0.250"


@pytest.mark.parametrize("relaxations", [(0.0, 0.5), (0.5,)])
def test_methods_asked_at_other_relaxations(make_record, relaxations):
    """Methods that were asked at different relaxations share a table, with empty cells where nothing was asked."""
    made = tables([make_record(relaxations=(0.0, 1.0)), make_record("vaex-cat", relaxations=relaxations)])
    assert not any("nan" in table.csv() or "nan" in table.markdown() for table in made)
    flips = named(made, "flip-rate-mnist").methods
    assert row_of(flips, "vaex")["r = 0.5"] == ""
    assert row_of(flips, "vaex-cat")["r = 1"] == ""
    assert row_of(flips, "vaex-cat")["r = 0.5"].startswith("37.5")


def test_a_method_without_the_smallest_r_has_its_own(make_record):
    """What was asked at other relaxations stands in the summary with its own smallest r, and is not compared there."""
    records = [make_record(flips=0.2), make_record("vaex-cat", relaxations=(0.3, 0.5)), make_record("null", flips=0.1)]
    summary = named(tables(records), "summary")
    assert row_of(summary.methods, "vaex-cat")["r"] == "0.3"
    assert row_of(summary.methods, "vaex")["r"] == ""
    assert "r" not in named(tables(records[::2]), "summary").methods
    alone = named(tables([records[0], make_record("null", relaxations=(0.5,), flips=1.0)]), "summary")
    assert UNBEATEN not in row_of(alone.references, "null")["flip rate % ↑"]


def test_headings_say_which_direction_is_better(records):
    """A heading has an arrow upwards where more is better, downwards where less is, and none where neither is."""
    made = tables(records)
    headings = set(named(made, "summary").methods) | set(named(made, "plausibility").methods)
    assert {"flip rate % ↑", "oracle agreement % ↑", "L1 ↓", "MSE ↓", "FID (oracle) x' ↓"} <= headings
    assert "FID (oracle) real" in headings
    flips = named(made, "flip-rate-mnist")
    assert "MSE ↓" in flips.methods
    assert "flip rate % ↑" in flips.title
    assert "oracle agreement % ↑" in flips.title


def test_marks_stand_where_they_belong(records):
    """A mark is at the marked method's number of the marked metric on the marked task, and explained below."""
    table = named(tables(records, Marks(frozenset({("mnist", "vaex", "flip_rate")}), ("*: better",))), "summary")
    cells = table.methods.set_index(["task", "method"])
    starred = [(*place, column) for place, row in cells.iterrows() for column in cells if row[column].endswith(" *")]
    assert starred == [("mnist", "vaex", "flip rate % ↑")]
    assert any(note.startswith("*: ") for note in table.notes)
    assert not any(note.startswith("*: ") for note in named(tables(records), "summary").notes)


def test_references_that_no_method_beats_are_marked(make_record):
    """A reference's number carries a dagger where no method's is better, in the direction of the metric."""
    flips = {"vaex": 0.75, "vaex-cat": 0.5, "null": 0.0, "nearest-unlike": 0.75, "pixel-search": 0.7}
    table = named(tables([make_record(name, flips=rate) for name, rate in flips.items()]), "summary")
    marked = [name for name in flips if name not in set(table.methods["method"])]
    cells = {name: row_of(table.references, name)["flip rate % ↑"] for name in marked}
    assert [name for name, text in cells.items() if text.endswith(" †")] == ["nearest-unlike"]
    assert all(row_of(table.references, name)["L1 ↓"].endswith(" †") for name in marked)  # all are alike
    assert not any("†" in text for text in table.methods.to_numpy().ravel())
    assert any(note.startswith("†: ") for note in table.notes)
    assert r"\textdagger{}" in table.latex()


# -- LaTeX -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("methods", [("vaex",), ("vaex", "null"), ("null",), ("vaex", "vaex-cat", "null")])
def test_latex_is_well_formed(make_record, methods):
    """LaTeX has balanced booktabs rules, as many cells a row as columns, and no bare special character."""
    records = [
        make_record(name, remarks=["100 % sure_ly"], status="ok", task=task)
        for name in methods
        for task in ("mnist", "mnist/3-8")
    ]
    for table in tables(records):
        parts = re.findall(r"\\begin{tabular}{([^}]*)}\n(.*?)\n\\end{tabular}", table.latex(), re.DOTALL)
        assert table.latex().count("tabular") == 2 * len(parts) > 0
        headings = {}
        for kinds, text in parts:
            assert re.fullmatch("[lrc]+", kinds)
            lines = text.splitlines()
            assert (lines[0], lines[2], lines[-1]) == (r"\toprule", r"\midrule", r"\bottomrule")
            rules = [line for line in lines if line.endswith("rule")]
            assert rules.count(r"\midrule") == 1 + bool(len(table.methods) and len(table.references))
            assert not any(a.endswith("rule") and b.endswith("rule") for a, b in pairwise(lines))
            headings |= dict.fromkeys(lines[1].removesuffix(r" \\").split(" & "))
            for line in lines[1:-1]:
                if line != r"\midrule":
                    assert line.endswith(r"\\")
                    assert len(re.findall(r"(?<!\\)&", line)) == len(kinds) - 1
                    assert not re.search(r"(?<!\\)[%_#]", line)
                    assert line.count("$") % 2 == 0
        assert len(headings) == len(table.methods.columns)


# -- studies -----------------------------------------------------------------------------------------------------------


def test_studies_are_tables(make_record):
    """What a method found out about itself is a table of its task, with a row for each of every method's rows."""
    rows = [{"layer": "first", "share": 0.123456}, {"layer": "second", "share": 2}]
    study = Study(title="shares of layers", rows=rows, notes=("n = 3",))
    records = [make_record(name, studies={"shares": study}) for name in ("vaex", "vaex-cat")]
    table = named(tables(records), "shares-mnist")
    assert list(table.methods["method"]) == ["vaex"] * 2 + ["vaex-cat"] * 2
    assert list(table.methods["share"]) == ["0.1235", "2"] * 2
    assert table.notes == ("n = 3",)
    assert "shares of layers" in table.markdown()


def test_whole_numbers_of_studies_are_whole(make_record):
    """A count is printed as it is, however large."""
    study = Study(title="counts", rows=[{"count": 162770, "share": 1 / 3}])
    cells = named(tables([make_record(studies={"counts": study})]), "counts-mnist").methods
    assert cells.iloc[0].tolist()[2:] == ["162770", "0.3333"]


def test_study_notes_name_who_does_not_share_them(make_record):
    """A study's rows stand together for all who made it; what only one says is said in its name, the rest once."""
    sizes = {"vaex": "one is empty", "vaex-cat": "none is empty"}
    made = tables(
        [
            make_record(name, studies={"sizes": Study(title="sizes", rows=[{"size": i}], notes=("in pixels", note))})
            for i, (name, note) in enumerate(sizes.items())
        ]
    )
    table = named(made, "sizes-mnist")
    assert list(table.methods["method"]) == ["vaex", "vaex-cat"]
    assert list(table.methods["size"]) == ["0", "1"]
    assert table.notes == ("in pixels", "vaex, seed 0: one is empty", "vaex-cat, seed 0: none is empty")
