import pytest

from benchmark.jobs.progress import Listener
from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.seeds import ENOUGH, seconds_of_more
from benchmark.records.record import write


@pytest.fixture
def protocol(tmp_path):
    return Protocol(results=tmp_path, preset="smoke")


def test_more_seeds_take_what_recorded_ones_took(protocol, make_record, make_row):
    """Where another seed is recorded, each lacking seed takes as long as that one did."""
    job = Job("mnist", "null", 0)
    timings = [make_row("fit_seconds", 12.5, n=1), make_row("seconds_per_counterfactual", 0.5, n=100)]
    record = make_record(
        "null", timings=timings, limit=None, relaxations=list(protocol.relaxations), classifier=None, oracle=None
    )
    write(record, job.path(protocol))
    assert seconds_of_more([job], protocol) == pytest.approx((ENOUGH - 1) * (12.5 + 50))
    assert seconds_of_more([job, Job("mnist", "null", 7)], protocol) == pytest.approx((ENOUGH - 2) * (12.5 + 50))


def test_nothing_is_lacking_of_five_seeds(protocol):
    """Five seeds need no more, and neither does a run in which nothing is computed."""
    assert seconds_of_more([Job("mnist", "null", seed) for seed in range(ENOUGH)], protocol) is None
    assert seconds_of_more([], protocol) is None


@pytest.mark.slow
def test_without_records_they_are_estimated(protocol):
    """Without a record of another seed, the time comes from a few measured steps, and nothing is written."""
    found = seconds_of_more([Job("mnist", "null", 0)], protocol)
    assert found > 0
    assert not list(protocol.results.rglob("*.json"))


def test_what_cannot_be_measured_is_not_said(protocol, monkeypatch):
    """A method that breaks in the measurement leaves the time unsaid; its job says why."""

    def broken(*_):
        raise RuntimeError

    monkeypatch.setattr("benchmark.jobs.estimate.estimate", broken)
    assert seconds_of_more([Job("mnist", "null", 0)], protocol) is None


def test_nobody_waits_for_it_unasked():
    """From Python, and by whoever listens without asking, nothing is measured."""
    assert Listener().weighs is False
