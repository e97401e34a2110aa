"""What a command makes of records: tables and pages on disk, a few lines on the screen, an exit code."""

from collections.abc import Collection, Sequence
from pathlib import Path
from pkgutil import iter_modules

import benchmark.papers
from benchmark.cli.options import complain
from benchmark.cli.talk import QUIET_PRESET, last_lines, say
from benchmark.errors import UserError
from benchmark.jobs.again import run_again
from benchmark.locks import tables_locked
from benchmark.names import Preset
from benchmark.records.record import Record
from benchmark.records.store import code_of, file_digest, key_of
from benchmark.report.layout import DRAWN, FIGURES, TABLES
from benchmark.with_records import failures, read_records
from methods.files import write_whole

DRAWN_BY = ("benchmark.report.figures", "benchmark.report.tables", "benchmark.papers.pages")
"""The modules whose code makes tables and figures of records; the papers' own are found beside them."""
PAGED_BY = (
    "benchmark.report.page.html",
    "benchmark.report.page.attributes",
    "benchmark.report.page.blind",
    "benchmark.papers.chapter",
    "benchmark.bias.chapter",
)
"""The modules whose code makes the page, beside its template, style and script."""


def publish(
    records: Sequence[Record],
    results: Path,
    formats: Collection[str] = ("md",),
    *,
    paged: Sequence[Record] | None = None,
    quiet: bool = False,
) -> Path | None:
    """Write tables and the page of `records`, and say what they hold; if all failed, leave what is there.

    Tables are written as `formats` say: "md", "tex", "csv"; figures only where these name "png", "svg" or "pdf". To be
    `quiet` is to say only the last path, which is the page's. The page is of the records `paged`, where these are
    others; its path is returned.
    """
    good = [record for record in records if record.status == "ok"]
    if not good:
        return None
    stamp = results / "runs" / "published"
    with tables_locked(results / "runs"):
        if not stamp.exists() or stamp.read_bytes() != _state(records, results, formats).encode():
            _write(records, results, formats)
            write_whole(stamp, _state(records, results, formats).encode())
    page = write_report(results, paged or records)
    lines = [f"tables: {results / TABLES}", *([f"figures: {results / FIGURES}"] if {*formats} & {*DRAWN} else [])]
    lines.append(str(page))
    if quiet:
        lines = lines[-1:]
    elif good[0].preset != QUIET_PRESET:
        lines = last_lines(good) + lines
    for line in lines:
        say(line)
    return page


def _write(records: Sequence[Record], results: Path, formats: Collection[str]) -> None:
    # Imported here because drawing takes seconds to load, which a run that changes nothing need not wait for.
    from benchmark.papers.pages import write_pages  # noqa: PLC0415
    from benchmark.report.cells import Results  # noqa: PLC0415
    from benchmark.report.figures import write_figures  # noqa: PLC0415
    from benchmark.report.tables import write_tables  # noqa: PLC0415

    shared, runs = Results.of(records), results / "runs"  # their numbers become one table, for all that is written
    drawn, figures = [name for name in DRAWN if name in formats], results / FIGURES
    if drawn or figures.exists():  # what was asked for once is kept up to date
        write_figures(shared, runs, figures, formats=drawn)
    write_pages(shared, runs, results, formats=formats)
    # After the pages, each of which knows the methods of its own paper alone.
    write_tables(shared, results, runs, formats)


def write_report(results: Path, records: Sequence[Record], preset: Preset | None = None) -> Path:
    """Write the page of `records` and of the planted biases in `results`; one that was made of the same is left alone.

    `preset` is that of the records, where there may be none.
    """
    from benchmark.report.page.html import FILES, HERE, NAME  # noqa: PLC0415 - for the reason that `_write` gives

    stamp, path = results / "runs" / "paged", results / NAME
    files = [file_digest(HERE / name) for name in FILES]
    with tables_locked(results / "runs"):
        if (
            not path.exists()
            or not stamp.exists()
            or stamp.read_bytes() != _page_state(records, results, path, files).encode()
        ):
            fill_report(results, records, results, preset or records[0].preset)
            write_whole(stamp, _page_state(records, results, path, files).encode())
    return path


def fill_report(results: Path, records: Sequence[Record], folder: Path, preset: str) -> Path:
    """Write the page of `records`, which rest on what is in `results`, to `folder`."""
    # Imported here for the reason that `_write` gives.
    from benchmark.bias import chapter as biases  # noqa: PLC0415
    from benchmark.papers import chapter as papers  # noqa: PLC0415
    from benchmark.report.page import attributes, blind  # noqa: PLC0415
    from benchmark.report.page.html import write_page  # noqa: PLC0415

    runs = results / "runs"
    chapters = [*attributes.chapters(records), *blind.chapters(records, runs, results)]
    chapters += [*papers.chapters(records, runs, results / FIGURES)]
    chapters += biases.chapters(preset, runs)
    return write_page(records, runs, folder, chapters, run_again(records))


def _page_state(records: Sequence[Record], results: Path, path: Path, files: Sequence[str]) -> str:
    """The same of the page at `path`, which is filled into `files`."""
    sheets = [file_digest(sheet) for sheet in sorted(results.glob("blind*.json"))]
    return _state(records, results, [*files, *sheets, str(path), file_digest(path)], PAGED_BY)


def on_disk(results: Path, preset: Preset) -> list[Record]:
    """All records of a preset, of success and failure; empty if there are none."""
    try:
        return read_records(results, preset, "all", "all", "all")
    except UserError:
        return []


def _state(
    records: Sequence[Record], results: Path, formats: Collection[str], modules: Sequence[str] = DRAWN_BY
) -> str:
    """A hash of all that tables and figures are made from, and of how their files lie on disk."""
    papers = (f"benchmark.papers.{module.name}" for module in iter_modules(benchmark.papers.__path__))
    kept = results / "runs" / "artefacts"
    return key_of(
        records=[record.model_dump_json() for record in records],
        formats=sorted(formats),
        code=code_of(*modules, *papers),
        artefacts=sorted(folder.name for folder in kept.iterdir()) if kept.exists() else [],
        files=[_files(results / name) for name in ("runs/bias", TABLES, FIGURES)],
        numbers=[(path.name, path.stat().st_mtime_ns) for path in sorted(results.glob("*.csv"))],
    )


def _files(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of writing of each file below `folder`."""
    found = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return [(str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns) for path, stat in found]


def exit_code(records: Sequence[Record]) -> int:
    """The exit code of a run, and a line for each thing that went wrong."""
    for reason in failures(records):
        complain(reason)
    failed = [record for record in records if record.status == "failed"]
    return 0 if not failed else 2 if all(record.user_error for record in failed) else 1
