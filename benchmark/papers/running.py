"""From a paper's name to its page: run its methods, do its experiments, draw its figures, write the page."""

from collections.abc import Sequence

from benchmark.figures import write_record_figures
from benchmark.pages import write_pages
from benchmark.papers import load
from benchmark.papers.experiments import conduct, outcome
from benchmark.progress import Board
from benchmark.protocol import Job, Protocol
from benchmark.record import Record
from benchmark.runner import limited, run
from benchmark.store import locked


def run_paper(name: str, jobs: Sequence[Job], protocol: Protocol, workers: int, board: Board) -> list[Record]:
    """The records of `jobs`, which are the paper's methods; its page lies in the tables' folder, if any succeeded."""
    records = run(jobs, protocol, workers, board)
    good = [record for record in records if record.status == "ok"]
    experiments = load(name).experiments
    for record in good:
        if record.method in experiments:
            with limited(protocol.threads):
                conduct(experiments[record.method], record, protocol)
    folder = protocol.results / "tables"
    with locked(protocol.runs / "locks" / "tables.lock"):
        for record in good:
            if record.seed == min(other.seed for other in good if other.task == record.task):
                write_record_figures(record, protocol.runs, folder, [outcome(record, protocol.runs)])
        write_pages(good, protocol.runs, folder, [name])
    return records
