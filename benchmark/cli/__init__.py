"""The command line: a file a command in `commands`, loaded when asked for; the exit code says what came of it."""

import errno
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from benchmark import __version__
from benchmark.cli.options import StoppedError, complain
from benchmark.errors import UserError, reason_of

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What typer raises for an unknown option and the like; it exports no name for it."""

STOPPED = 130
"""The exit code after Ctrl-C; what typer makes of it, too."""

INTRODUCTION = """Visual counterfactual explanations of image classifiers, compared under one roof.

\b
Start here:
  benchmark demo                       digits and their counterfactuals in seconds; nothing is trained
  benchmark run                        every method on real digits, about an hour on two cores
  benchmark run --preset smoke         the same in seconds; the numbers mean nothing
  benchmark list                       methods, tasks, metrics, presets
  benchmark report                     tables and figures again, from the records
  benchmark paper vaex                 a paper's numbers and claims beside ours, as a page (all: of each)
  benchmark bias                       which methods show a bias that was planted in a classifier
  benchmark compare vaex gan-search    differences between two methods, and whether they exceed chance
  benchmark audit --help               explain a classifier of your own
  benchmark export --out DIR           queries, targets and classifier as files, for any program
  benchmark score DIR ANSWERS          its answers, scored and kept beside the methods of a run
  benchmark check-method NAME          whether a method, yours too, does what all methods do
  benchmark check                      the numbers against results/baselines
  benchmark reproduce RECORD           one record made again by its own settings, and compared
  benchmark clean                      remove weights, counterfactuals and records

Everything is written to results/local, which git ignores. What was computed is kept in runs there, so the same command
goes on where an interrupted one was.
"""

COMMANDS = {
    "demo": "Draw counterfactuals of digits that you pick, by networks that come with the package.",
    "run": "Fit, explain, score; then write and print the tables.",
    "paper": "Run the methods of papers, and write a page a paper: its numbers and claims beside ours.",
    "list": "Methods, tasks, metrics and presets.",
    "report": "Write tables and figures again from the records, without computing anything.",
    "audit": "Explain a classifier of your own by methods that it can be asked by: one of each family.",
    "classifier": "Look a classifier of your own over: outputs, accuracy, and which preprocessing fits it.",
    "check": "Compare the records with a baseline; exit code 1 and a table if numbers moved.",
    "reproduce": "Make a record again by its own settings, and say whether its numbers are the same.",
    "bias": "Plant a bias in a classifier of drawn faces, and ask which methods' counterfactuals show it.",
    "compare": "Compare two methods on the same queries: differences, with interval and p.",
    "show": "One number of one method, with interval and n.",
    "table": "A narrow table for a paper: chosen methods and metrics, the best in bold, as LaTeX, Markdown or csv.",
    "figure": "A figure for a paper: flip rate against r, or the answers of all methods; pdf, svg or png.",
    "check-method": "Hold a method, of ours or yours, to the laws that all methods obey; seconds.",
    "clean": "Remove what runs have kept, once you agree; tables and figures stay.",
    "export": "Write the queries, targets and classifier of a task as files, for any program to answer.",
    "score": "Score counterfactuals that another program made, by the judges and metrics of a run.",
}
"""Name -> its line of help. The file of that name (`_` for `-`), with its function `command`, is loaded on use."""


def application(arguments: Sequence[str]) -> typer.Typer:
    """The command line as far as `arguments` need it: of other commands only their line of help."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    app.callback(invoke_without_command=True, help=INTRODUCTION)(introduction)
    asked = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, meaning in COMMANDS.items():
        command = _loaded(name) if name == asked else _not_loaded
        app.command(name, help=meaning)(command)
    return app


def introduction(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Print the version if it is asked for, and the help where no command is given."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG}
"""What a disk does in the middle of a run: it is full, or nothing can be written to it any more."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    typed = sys.argv[1:] if arguments is None else list(arguments)
    with _waiting(typed):
        app = application(typed)
    call = partial(_unended, partial(app, args=typed, prog_name="benchmark", standalone_mode=False))
    sys.exit(_guarded(call, debug="--debug" in typed))


LONG = {"run", "audit", "paper", "bias", "reproduce"}
"""Commands that take minutes: they say a first word also where it is piped."""
LIGHT = {"list", "clean", "--help", "--version", "--quiet"}
"""With one of these words nothing is loaded that takes time, or nothing is to be said."""


def _waiting(typed: Sequence[str]) -> AbstractContextManager[object]:
    """The first word while torch is loaded, which takes seconds; on a terminal it is gone afterwards."""
    if not typed or LIGHT & set(typed) or "torch" in sys.modules:
        return nullcontext()
    if not sys.stderr.isatty():
        if typed[0] in LONG:
            typer.echo("getting ready ...")
            sys.stdout.flush()
        return nullcontext()
    from rich.console import Console  # noqa: PLC0415 - help and version do without it
    from rich.live import Live  # noqa: PLC0415
    from rich.spinner import Spinner  # noqa: PLC0415

    return Live(Spinner("dots", "getting ready ..."), console=Console(stderr=True), transient=True)


def _loaded(name: str) -> Callable[..., object]:
    command: Callable[..., object] = import_module(f"benchmark.cli.commands.{name.replace('-', '_')}").command
    return command


def _not_loaded() -> None:
    """Stands for a command in the list of all."""


def _of_disk(error: OSError) -> str:
    """What the system says of a file; of a disk that it is full, or the like, and what to do."""
    if error.errno not in DISK:
        return f"{error.filename}: {error.strerror}"
    where = f" in {Path(error.filename).parent}" if error.filename else ""
    return f"cannot write{where}: {error.strerror}; mend that, and the same command goes on"


def _unended(call: Callable[[], int | None]) -> int | None:
    """What `call` returns; typer does not end the program in it, so that whatever does is a stranger's code."""
    try:
        return call()
    except SystemExit as error:
        raise UserError(f"a plugin or a classifier stopped this: {reason_of(error)}") from error


def _guarded(call: Callable[[], int | None], *, debug: bool) -> int:
    """The exit code of `call`, with a user's mistake said in one line; to debug, with its traceback before that."""
    try:
        code = int(call() or 0)
    except UserError as error:
        if debug:
            traceback.print_exc()
        complain(str(error))
        return 2
    except OSError as error:
        if debug or (error.filename is None and error.errno not in DISK):
            raise
        complain(_of_disk(error))
        return 2
    except typer.Exit as error:
        return int(error.exit_code)
    except UsageError as error:
        message = error.format_message().replace("Value error, ", "")  # type: ignore[attr-defined] # click's own method
        complain(f"{message} (see benchmark --help)")
        return 2
    except StoppedError as error:
        typer.echo(str(error), err=True)
        return STOPPED
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    if code == STOPPED:
        typer.echo("stopped; the same command goes on", err=True)
    return code
