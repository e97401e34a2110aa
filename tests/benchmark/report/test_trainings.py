import math

import pandas as pd
import pytest

from benchmark.report.tables import tables
from benchmark.report.trainings import about, interval_of
from metrics.trainings import over_trainings, share_over_trainings


def rows(**seeds):
    """Rows of the tidy table: task -> its seeds."""
    return pd.DataFrame([(task, seed) for task, each in seeds.items() for seed in each], columns=["task", "seed"])


def test_interval_of_one_training_is_its_own():
    """One seed keeps the interval of its queries, two have none, and a seed without a number is no seed."""
    assert interval_of("l1", [0.1], [0.05], [0.2], [100]) == (0.05, 0.2)
    assert all(map(math.isnan, interval_of("l1", [0.1, 0.2], [0.0, 0.1], [0.2, 0.3], [100, 100])))
    assert interval_of("l1", [0.1, math.nan], [0.05, math.nan], [0.2, math.nan], [100, 0]) == (0.05, 0.2)


def test_interval_of_three_trainings_is_over_trainings():
    """Rates have the interval of shares, other numbers that of means with the errors of their own intervals."""
    values, lows, highs = [0.7, 0.8, 0.9], [0.6, 0.7, 0.8], [0.8, 0.9, 1.0]
    for share in ("flip_rate", "classifier_accuracy", "classifier_accuracy_corrupted"):
        assert interval_of(share, values, lows, highs, [50] * 3) == share_over_trainings(values, [50] * 3)
    assert interval_of("im1", values, lows, highs, [50] * 3) == pytest.approx(
        over_trainings(values, [0.1 / 1.96] * 3), 1e-4
    )


def test_interval_stays_in_the_metrics_range():
    """No end of an interval is a value that the metric cannot have."""
    low, high = interval_of("l1", [0.01, 0.5, 0.99], [0, 0.4, 0.9], [0.1, 0.6, 1.0], [100] * 3)
    assert (low, high) == (0, 1)


def test_heading_says_what_intervals_are_about():
    """Queries of one training, none of two, trainings and queries of three; by task where tasks differ."""
    assert about(rows(mnist=[0])) == "95 % intervals: over the queries of one training only"
    assert about(rows(mnist=[0, 1])) == "95 % intervals: none, for there are two trainings"
    assert about(rows(mnist=[0, 1, 2], celeba=[4, 5, 6])) == "95 % intervals: over trainings (3) and queries"
    mixed = about(rows(mnist=[0, 1, 2], celeba=[4]))
    assert mixed == (
        "95 % intervals: mnist: over trainings (3) and queries; celeba: over the queries of one training only"
    )


def test_every_table_with_intervals_says_so_in_its_title(make_record):
    """Summaries and flip rates say it where it is read first, not in a note."""
    for table in tables([make_record(seed=seed) for seed in range(3)]):
        assert "over trainings (3) and queries" in table.title
    for table in tables([make_record()]):
        assert "over the queries of one training only" in table.title
