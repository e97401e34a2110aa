"""What a command makes of records: tables, figures and pages on disk, a few lines on the screen, an exit code."""

from collections.abc import Collection, Sequence
from pathlib import Path
from pkgutil import iter_modules

import benchmark.papers
from benchmark.api import failures
from benchmark.cli.options import complain
from benchmark.cli.talk import QUIET_PRESET, last_lines, paths, say
from benchmark.records.record import Record
from benchmark.records.store import code_of, key_of, locked
from methods.files import write_whole

DRAWN_BY = ("benchmark.report.figures", "benchmark.report.tables", "benchmark.papers.pages")
"""The modules whose code makes tables and figures of records; the papers' own are found beside them."""


def publish(
    records: Sequence[Record], results: Path, formats: Collection[str] = ("md",), *, quiet: bool = False
) -> None:
    """Write tables and figures of `records`, and say in a few lines what they hold; if all failed, leave what is there.

    Tables are written as `formats` say: "md", "tex", "csv"; with "svg", figures as that too. To be `quiet` is to say
    only the last path.
    """
    good = [record for record in records if record.status == "ok"]
    if not good:
        return
    stamp = results / "runs" / "published"
    with locked(results / "runs" / "locks" / "tables.lock"):
        if not stamp.exists() or stamp.read_text() != _state(records, results, formats):
            _write(records, results / "runs", results / "tables", formats)
            write_whole(stamp, _state(records, results, formats).encode())
    lines = paths(results / "tables", list(dict.fromkeys(record.task for record in good)))
    if quiet:
        lines = lines[-1:]
    elif good[0].preset != QUIET_PRESET:
        lines = last_lines(good) + lines
    for line in lines:
        say(line)


def _write(records: Sequence[Record], runs: Path, folder: Path, formats: Collection[str]) -> None:
    # Imported here because drawing takes seconds to load, which a run that changes nothing need not wait for.
    from benchmark.papers.pages import write_pages  # noqa: PLC0415
    from benchmark.report.cells import Results  # noqa: PLC0415
    from benchmark.report.figures import write_figures  # noqa: PLC0415
    from benchmark.report.tables import write_tables  # noqa: PLC0415

    shared = Results.of(records)  # their numbers become one table, for all that is written
    drawn = ("png", "svg") if "svg" in formats else ("png",)
    write_figures(shared, runs, folder, formats=drawn)  # which the pages show
    write_pages(shared, runs, folder, formats=formats)
    # After the pages, each of which knows the methods of its own paper alone.
    write_tables(shared, folder, runs, formats)


def _state(records: Sequence[Record], results: Path, formats: Collection[str]) -> str:
    """A hash of all that tables and figures are made from, and of how their files lie on disk."""
    papers = (f"benchmark.papers.{module.name}" for module in iter_modules(benchmark.papers.__path__))
    kept = results / "runs" / "artefacts"
    return key_of(
        records=[record.model_dump_json() for record in records],
        formats=sorted(formats),
        code=code_of(*DRAWN_BY, *papers),
        artefacts=sorted(folder.name for folder in kept.iterdir()) if kept.exists() else [],
        files=[_files(results / "runs" / "bias"), _files(results / "tables")],
    )


def _files(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of writing of each file below `folder`."""
    found = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return [(str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns) for path, stat in found]


def exit_code(records: Sequence[Record]) -> int:
    """The exit code of a run, and a line for each thing that went wrong."""
    for reason in failures(records):
        complain(reason)
    failed = [record for record in records if record.status != "ok"]
    return 0 if not failed else 2 if all(record.user_error for record in failed) else 1
