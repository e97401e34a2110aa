"""From papers to their pages: run the methods and experiments, plant the biases, draw figures, write pages."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from benchmark.bias.tables import publish
from benchmark.errors import reason_of
from benchmark.jobs.parallel import in_parallel
from benchmark.jobs.progress import Board
from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.runner import limited, run
from benchmark.locks import tables_locked
from benchmark.papers import load
from benchmark.papers.experiments import conduct, conducted, outcome, with_outcome
from benchmark.papers.pages import write_pages
from benchmark.papers.planting import plant
from benchmark.records.record import Record
from benchmark.report.figures import drawings, write_drawings
from benchmark.report.layout import FIGURES, TABLES
from benchmark.report.tables import studies

log = logging.getLogger(__name__)


def run_papers(papers: Mapping[str, Sequence[Job]], protocol: Protocol, workers: int, board: Board) -> list[Record]:
    """Run the jobs of all `papers` (name -> jobs) and return their records; write a page of each with a successful job.

    Jobs that several papers share run once.
    """
    jobs = list(dict.fromkeys(job for wanted in papers.values() for job in wanted))
    records = run(jobs, protocol, workers, board)
    done = {job: record for job, record in zip(jobs, records, strict=True) if record.status == "ok"}
    good = {name: [done[job] for job in wanted if job in done] for name, wanted in papers.items()}
    _experiment(good, protocol, workers)
    planted = [
        each
        for name, wanted in papers.items()
        if good[name]
        for each in plant(load(name), dict.fromkeys(job.seed for job in wanted), protocol, workers, board)
    ]
    with tables_locked(protocol.runs):
        shown = [partial(publish, trial, found, protocol.results) for trial, found in planted]
        in_parallel([*shown, *_drawings(list(done.values()), protocol)], workers)  # the longest first
        for name, records_of in good.items():
            write_pages(records_of, protocol.runs, protocol.results, [name], ("md", "png"))
        for table in studies(list(done.values())):  # of all methods together, because several pages share them
            table.write(protocol.results / TABLES)
    return records


def _experiment(good: Mapping[str, Sequence[Record]], protocol: Protocol, workers: int) -> None:
    """Run the experiments of each paper on its records, unless they are on disk."""
    todo = []
    for name, records in good.items():
        experiments = load(name).experiments
        todo += [
            partial(_conduct, name, record, protocol)
            for record in records
            if record.method in experiments and not conducted(record, protocol.runs)
        ]
    in_parallel(todo, workers)


def _conduct(name: str, record: Record, protocol: Protocol) -> None:
    """Run one experiment; a failure is a warning, and the page leaves it out."""
    try:
        with limited(protocol.threads):
            conduct(load(name).experiments[record.method], record, protocol)
    except Exception as error:
        if protocol.raise_errors:
            raise
        log.warning("the page of %s leaves out the experiment on %s: %s", name, record.task, reason_of(error))


def _drawings(records: Sequence[Record], protocol: Protocol) -> list[Callable[[], object]]:
    """Calls that draw the figures of the first seed of each task, one per method."""
    first = {record.task: min(other.seed for other in records if other.task == record.task) for record in records}
    return [partial(_draw, record, protocol) for record in records if record.seed == first[record.task]]


def _draw(record: Record, protocol: Protocol) -> None:
    whole, shown = with_outcome(record, protocol.runs), [outcome(record, protocol.runs)]
    write_drawings(drawings(whole, protocol.runs, shown), protocol.results / FIGURES)
