import json

import numpy as np
import pandas as pd
import pytest

from benchmark.errors import UserError
from benchmark.records.record import write
from benchmark.report.cells import Mean, Results
from benchmark.report.numbers import at, only, read_numbers
from benchmark.report.tables import tables
from metrics.trainings import share_over_trainings


@pytest.fixture
def results(make_record):
    """A method and a reference on two tasks, the method under three seeds."""
    records = [make_record("vaex", seed=seed, flips=flips) for seed, flips in enumerate((0.6, 0.7, 0.8))]
    return Results.of([*records, make_record("null", flips=0.0), make_record("vaex", task="mnist/3-8", flips=0.5)])


@pytest.fixture
def source(tmp_path, results):
    """The metrics.csv of `results`."""
    results.numbers.to_csv(tmp_path / "metrics.csv", index=False)
    return tmp_path / "metrics.csv"


def test_numbers_are_read_as_they_were_written(source, results):
    """A metrics.csv reads back as the jobs and references of the records, and their numbers to the last digit."""
    read = read_numbers(source)
    pd.testing.assert_frame_equal(read.numbers, results.numbers.astype(read.numbers.dtypes))
    assert [(r.task, r.method, r.seed, r.reference) for r in read] == [
        (r.task, r.method, r.seed, r.reference) for r in results
    ]
    assert read.numbers.to_csv(index=False) == source.read_text()


def test_tables_from_numbers_alone(source, results):
    """From numbers alone the same cells stand in the same tables; a note says what the reader cannot know."""
    made, expected = tables(read_numbers(source)), tables(results)
    assert [(table.name, table.title) for table in made] == [(table.name, table.title) for table in expected]
    for table, other in zip(made, expected, strict=True):
        pd.testing.assert_frame_equal(table.methods, other.methods)
        pd.testing.assert_frame_equal(table.references, other.references)
        assert any("contains neither preset nor split" in note for note in table.notes)
        assert not any("preset ``" in note for note in table.notes)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "a,b\n1,2\n",
        "{header}\n",
        "{header}\nmnist,vaex,0,0,l1,all,many,,,3\n",
        "{header}\nmnist,vaex,,0,l1,all,1,,,3\n",
        "{header}\nmnist,vaex,0,5,l1,all,1,,,3\n",
        "{header}\nmnist,vaex,0,0,l1,all,inf,,,3\n",
        "{header}\nmnist,vaex,0,0,flip_rate,all,1.7,,,3\n",
        "{header}\nmnist,vaex,0,0,l1,all,-.1,,,3\n",
        "{header}\nmnist,vaex,1.5,0,l1,all,1,,,3\n",
        "{header}\nmnist,vaex,0,0,l1,all,1,,,2.5\n",
        "{header}\nmnist,vaex,0,0,l1,all,1,,,-3\n",
        "{header}\nmnist,vaex,0,0,l1,all,1,,,3\nmnist,vaex,0,0,l1,all,1,,,3\n",
    ],
)
def test_what_is_no_metrics_is_refused(source, content):
    """A file without the columns or a row, or with a number twice, out of range or as text is refused by name."""
    header = source.read_text().splitlines()[0]
    source.write_text(content.format(header=header))
    with pytest.raises(UserError, match=r"metrics\.csv"):
        read_numbers(source)


def test_parts_are_chosen_by_name(results):
    """A part has the methods, tasks and seeds that are named; another name is refused with the known ones."""
    assert {(r.method, r.seed) for r in only(results, ["vaex"], ["mnist"], [0, 2])} == {("vaex", 0), ("vaex", 2)}
    assert len(only(results, [], [], [])) == len(results)
    with pytest.raises(UserError, match="did you mean 'vaex'"):
        only(results, ["vaxe"], [], [])
    with pytest.raises(UserError, match="known: mnist, mnist/3-8"):
        only(results, [], ["celeba"], [])
    with pytest.raises(UserError, match="no such combination"):
        only(results, ["null"], ["mnist/3-8"], [])


def test_rows_of_one_relaxation(results):
    """At an r stand its rows and those without any, of all queries; the smallest is the default; others are refused."""
    for asked, expected in ((None, 0.0), (1.0, 1.0), (0.1 + 0.2 - 0.3, 0.0)):
        r, rows = at(results.numbers, asked)
        assert np.isclose(r, expected)
        assert set(rows["relaxation"].dropna()) == {expected}
        assert rows["relaxation"].isna().any()
        assert set(rows["subset"]) == {"all"}
    with pytest.raises(UserError, match=r"0\.3.*r = 0, 1"):
        at(results.numbers, 0.3)


def test_mean_over_seeds(results):
    """A mean knows spread, interval, n and seeds; of one seed there is no spread, of nothing no value."""
    numbers = results.numbers[(results.numbers["metric"] == "flip_rate") & (results.numbers["relaxation"] == 0)]
    of = {task: Mean.of(part[part["method"] == "vaex"]) for task, part in numbers.groupby("task")}
    assert np.allclose(of["mnist"][:4], (0.7, 0.1, *share_over_trainings([0.6, 0.7, 0.8], [100] * 3)))
    assert of["mnist"][4:] == (100, (0, 1, 2))
    assert np.isnan(of["mnist/3-8"].std)
    assert np.isnan(Mean.of(numbers.iloc[:0]).value)


# -- show --------------------------------------------------------------------------------------------------------------


def test_show_is_one_line(cli, source):
    """A number is one line: value, interval and n; the oracle's agreement and the reconstruction stand beside."""
    outcome = cli("show", "vaex", "--task", "mnist", "--r", "0", "--from", source)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        "vaex on mnist, r = 0: flip rate 70.0 ± 10.0 [43.2, 87.8] %; oracle agreement 35.0 ± 5.0 [23.9, 48.0] %; "
        "MSE 0.00300 ± 0.00000 [0.00242, 0.00358]; n = 100, mean ± std over seeds 0, 1, 2\n"
    )


def test_flip_rate_is_never_shown_alone(cli, source):
    """Who asks for the flip rate alone gets what stands beside it; another metric stands alone."""
    shown = [cli("show", "null", "--from", source, "--metric", name).out for name in ("flip_rate", "l1")]
    assert all(name in shown[0] for name in ("flip rate", "oracle agreement", "MSE", "seed 0"))
    assert "flip" not in shown[1]


def test_show_as_json(cli, source):
    """As JSON the numbers are those of metrics.csv, and what is not defined is null."""
    shown = json.loads(cli("show", "null", "--r", "1", "--from", source, "--metric", "l1", "--json").out)
    assert (shown["task"], shown["method"], shown["r"], list(shown["metrics"])) == ("mnist", "null", 1.0, ["l1"])
    row = next(row for row in read_numbers(source).numbers.itertuples() if row[2:6] == ("null", 0, 1.0, "l1"))
    assert shown["metrics"]["l1"] == {
        "value": row.value,
        "std": None,
        "low": row.low,
        "high": row.high,
        "n": row.n,
        "seeds": [0],
    }


def test_show_from_records(cli, tmp_path, results):
    """Without a file the numbers are those of the records on disk."""
    from benchmark.records.record import write  # noqa: PLC0415

    for record in results:
        path = tmp_path / "runs/records/default" / record.task.replace("/", "_") / record.method
        path.mkdir(parents=True, exist_ok=True)
        write(record, path / f"seed-{record.seed}.json")
    outcome = cli("show", "vaex", "--seeds", "1", "--results", tmp_path)
    assert outcome.out.startswith("vaex on mnist, r = 0: flip rate 70.0 [65.0, 75.0] %")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("vaxe", ("did you mean 'vaex'",)),
        ("vaex,null", ("one method",)),
        ("all", ("one method",)),
        ("vaex --task all", ("one task",)),
        ("vaex --task celeba/Male", ("known: mnist",)),
        ("vaex --task mnist,mnist/3-8", ("one task",)),
        ("vaex --r 0.3", ("0.3", "r = 0, 1")),
        ("vaex --r x", ("--r", "from 0 to 1")),
        ("vaex --r 0,1", ("one r",)),
        ("vaex --metric flips", ("unknown metric 'flips'",)),
        ("vaex --metric kl", ("no kl", "flip_rate")),
        ("vaex --seeds 9", ("unknown seed '9'",)),
    ],
)
def test_mistakes_are_one_line(cli, source, arguments, words):
    """A mistake is one line that names the way out, and exit code 2."""
    outcome = cli("show", *arguments.split(), "--from", source)
    assert (outcome.code, outcome.out, len(outcome.complaints)) == (2, "", 1)
    assert all(word in outcome.err for word in words), outcome.err


@pytest.fixture
def recorded(tmp_path, make_record):
    """A results folder with records of the smallest preset, one without a number."""
    records = [make_record("null", preset="smoke", seed=seed) for seed in (0, 2)]
    for record in [*records, make_record("vaex", preset="smoke", task="mnist/3-8", rows=[])]:
        task = record.task.replace("/", "_")
        write(record, tmp_path / "runs" / "records" / "smoke" / task / record.method / f"seed-{record.seed}.json")
    return tmp_path


HELD = "it holds smoke: mnist, seed 0, 2 and mnist/3-8, seed 0"


@pytest.mark.parametrize("command", ["report", "show null", "check", "compare null vaex", "table", "figure flip-rate"])
def test_records_of_another_preset_are_named(cli, recorded, command):
    """Who asks for records of another preset, or for a seed that is not there, hears what is there."""
    rest = ["--results", recorded, *(["--out", recorded / "a.png"] if command.startswith("figure") else [])]
    outcome = cli(*command.split(), *rest)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert f"no records of the preset default; {HELD}; say --preset smoke" in outcome.err


def test_a_seed_that_is_not_there(cli, recorded):
    """Who asks for a seed without a record hears which there are."""
    outcome = cli("show", "null", "--preset", "smoke", "--seeds", "9", "--results", recorded)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert f"no such records; {HELD}; name some of these" in outcome.err


@pytest.mark.parametrize(("name", "told"), [("none", "is not there"), ("file", "is no folder"), ("", "no records;")])
def test_no_results_folder(cli, tmp_path, name, told):
    """A folder that is not there, a file, and an empty folder: each is called what it is."""
    (tmp_path / "file").touch()
    outcome = cli("report", "--results", tmp_path / name)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert told in outcome.err


def test_a_record_without_a_number(cli, recorded):
    """Where a record has no number at all, the line says so instead of naming none."""
    outcome = cli("show", "vaex", "--task", "mnist/3-8", "--preset", "smoke", "--results", recorded)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "there is no number at all" in outcome.err


def test_no_records_name_the_way_out(cli, tmp_path):
    """Where there are no records, the one line says how to make them, and how to read a file instead."""
    outcome = cli("show", "vaex", "--results", tmp_path)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "benchmark run" in outcome.err
    assert "--from" in outcome.err
