"""`benchmark clean`."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from filelock import Timeout

from benchmark.cli import options
from benchmark.errors import UserError
from benchmark.locks import SUFFIX, locked
from benchmark.names import RESULTS

RUNS = {
    "artefacts": True,
    "asked": True,
    "bias": True,
    "cache": True,
    "locks": True,
    "progress": True,
    "records": True,
    "published": False,
    "paged": False,
}
"""What a run keeps, and whether it is a folder; one that holds anything else is not ours to remove."""


def command(
    results: options.Results = RESULTS,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Remove what lies in the runs folder, once the user has agreed."""
    runs = results / "runs"
    _check(runs)
    size = sum(path.lstat().st_size for path in runs.rglob("*") if not path.is_dir() or path.is_symlink()) / 1e6
    if not yes:
        if not sys.stdin.isatty():
            raise UserError(f"{runs} holds {size:.0f} MB, and nobody is there to agree; add --yes")
        if not typer.confirm(f"remove {size:.0f} MB in {runs}? tables and figures stay"):
            return 0
    _check_idle(runs)
    for entry in runs.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    typer.echo(f"{size:.0f} MB removed from {runs}")
    return 0


def _check(runs: Path) -> None:
    """Refuse what no run has made, and links, which lead elsewhere.

    Raises
    ------
    UserError
        If it is none of ours.
    """
    if not runs.is_dir():
        raise UserError(f"there is nothing to remove: {runs} is no folder")
    if runs.parent.is_symlink() or runs.is_symlink() or any(entry.is_symlink() for entry in runs.iterdir()):
        raise UserError(f"{runs} is or holds a link, which leads elsewhere; remove it by hand")
    if strange := sorted(entry.name for entry in runs.iterdir() if RUNS.get(entry.name) != entry.is_dir()):
        raise UserError(f"{runs} is no folder of a run: it holds {', '.join(strange[:3])}; nothing was removed")


def _check_idle(runs: Path) -> None:
    """Refuse while a run is at work, which holds a lock on what it makes.

    Raises
    ------
    UserError
        If a lock is held.
    """
    for path in (runs / "locks").glob(f"*{SUFFIX}"):
        try:
            with locked(path, patience=0):
                pass
        except Timeout as error:
            raise UserError(f"a run is at work in {runs}; wait for it or stop it, then clean") from error
