"""How the page says how its numbers came about."""

from benchmark.records.record import Judge
from benchmark.report.cells import Results
from benchmark.report.notes import of_task
from benchmark.report.page.made import parts


def judge(accuracy, corrupted, members=()):
    facts = {"config": {"epochs": 3}, "digest": "d", "validation_accuracy": 0.9, "test_n": 200, "trained_on": "x"}
    return Judge(**facts, test_accuracy=accuracy, fit_seconds=1.0, corrupted=corrupted, members=list(members))


def judges_of(record):
    return next(part for part in parts([record]) if part.title == "Classifier and oracle")


def test_every_judge_has_its_accuracies(make_record):
    """The classifier, the panel and each member stand in rows of their own, with n, clean and under each corruption."""
    member = judge(0.95, {"blur": 0.94, "noise": 0.93})
    panel = judge(0.97, {"blur": 0.96, "noise": 0.95}, [member, judge(0.9, {"blur": 0.8, "noise": 0.7})])
    part = judges_of(make_record(classifier=judge(0.99, {"blur": 0.4, "noise": 0.6}), oracle=panel))
    assert part.columns[2:7] == ("judge", "n", "clean %", "blur %", "noise %")
    assert [row[2:7] for row in part.rows] == [
        ("classifier", "200", "99.0", "40.0", "60.0"),
        ("oracle (panel)", "200", "97.0", "96.0", "95.0"),
        ("oracle 1", "200", "95.0", "94.0", "93.0"),
        ("oracle 2", "200", "90.0", "80.0", "70.0"),
    ]
    assert {len(row) for row in part.rows} == {len(part.columns)}


def test_earlier_judges_have_no_corruptions(make_record):
    """Records of runs that tested no corruption are shown with what they have, alone and beside others."""
    assert [row[2:5] for row in judges_of(make_record()).rows] == [
        ("classifier", "100", "95.0"),
        ("oracle (panel)", "100", "95.0"),
    ]
    part = judges_of(make_record(classifier=judge(0.99, {"blur": 0.4})))
    assert [row[4:6] for row in part.rows] == [("99.0", "40.0"), ("95.0", "")]


def test_tables_name_the_corruption_that_is_read_worst(make_record, make_row):
    """The note on a task has the lowest accuracy of each judge under a corruption, if the record has it."""
    record = make_record()
    assert "reads worst" not in of_task(Results.of([record]))
    rows = [make_row(f"{role}_accuracy_corrupted", value) for role, value in (("classifier", 0.4), ("oracle", 0.9))]
    told = of_task(Results.of([make_record(rows=[*record.rows, *rows])]))
    assert told.endswith(
        "under the corruption that each reads worst: classifier 40.0 [35.0, 45.0] and oracle 90.0 [85.0, 95.0]"
    )
