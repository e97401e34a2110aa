import pytest

from benchmark.jobs import earlier
from benchmark.jobs.protocol import Job, Protocol
from benchmark.records.record import write

RELAXATIONS = (0.0, 1.0)


@pytest.fixture
def protocol(tmp_path, make_record, make_row):
    """A folder with one record under seed 0: 12.5 s of fit, 100 answers of .1 s, two judges of 1 s."""
    protocol = Protocol(results=tmp_path, relaxations=RELAXATIONS)
    timings = [make_row("fit_seconds", 12.5, n=1), make_row("seconds_per_counterfactual", 0.1, n=100)]
    write(make_record(timings=timings), Job("mnist", "vaex", 0).path(protocol))
    return protocol


def test_seconds_are_those_of_another_seed(protocol):
    """What a job took under another seed is expected: fit, answers, three classifiers, one oracle."""
    assert earlier.seconds([Job("mnist", "vaex", 1)], protocol) == pytest.approx(12.5 + 10 + 3 + 1)
    assert earlier.seconds([Job("mnist", "vaex", seed) for seed in (1, 2)], protocol) == pytest.approx(2 * 26.5)


def test_megabytes_are_those_of_the_pictures(protocol):
    """A byte a pixel: of 1,000 digits the query, the reconstruction and two answers, for each job."""
    jobs = [Job("mnist", "vaex", 0), Job("mnist", "null", 0)]
    assert earlier.megabytes(jobs, protocol) == pytest.approx(2 * 1000 * 4 * 28 * 28 / 1e6)
    assert earlier.megabytes([], protocol) == 0


def test_unknown_seconds_are_not_guessed(protocol, tmp_path):
    """Nothing is said of a job that was never run so, and of one whose stages may be on disk."""
    for jobs in ([], [Job("mnist", "vaex", 0)], [Job("mnist", "null", 1)], [Job("mnist/3-8", "vaex", 1)]):
        assert earlier.seconds(jobs, protocol) is None
    assert earlier.seconds([Job("mnist", "vaex", 1), Job("mnist", "null", 1)], protocol) is None
    for changes in ({"limit": 7}, {"relaxations": (0.0,)}, {"split": "validation"}, {"preset": "paper"}):
        other = Protocol(**({"results": tmp_path, "relaxations": RELAXATIONS} | changes))
        assert earlier.seconds([Job("mnist", "vaex", 1)], other) is None
