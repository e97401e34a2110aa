"""What more seeds of a run would take."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from benchmark.errors import STRANGE
from benchmark.jobs import earlier
from benchmark.jobs.protocol import Job, Protocol

log = logging.getLogger(__name__)

ENOUGH = 5
"""Seeds at which a table tells methods from trainings (docs/numbers.md); three are the least."""


def seconds_of_more(jobs: Sequence[Job], protocol: Protocol) -> float | None:
    """Seconds of the seeds that `jobs` lack to `ENOUGH`, one job after another.

    From records, if all methods were run under another seed; otherwise estimated from a few measured steps. None if no
    seed is lacking, or a method cannot be measured: the run itself then says why.
    """
    seeds = {job.seed for job in jobs}
    if not jobs or len(seeds) >= ENOUGH:
        return None
    unseen = max(seeds) + 1
    anew = list(dict.fromkeys(replace(job, seed=unseen) for job in jobs))
    known = earlier.seconds(anew, protocol)
    return None if known is None and (known := _estimated(anew, protocol)) is None else (ENOUGH - len(seeds)) * known


def _estimated(jobs: Sequence[Job], protocol: Protocol) -> float | None:
    from benchmark.jobs.estimate import estimate  # noqa: PLC0415 - it loads what only trainings need

    try:
        return sum(part.seconds for part in estimate(jobs, protocol).parts)
    except STRANGE as error:  # whatever a method raises, its job will say in its record
        log.debug("more seeds were not estimated: %s", error)
        return None
