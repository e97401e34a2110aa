"""`benchmark check-method`."""

from typing import Annotated

import typer

from benchmark.arguments import method_of
from benchmark.cli import options
from benchmark.jobs.contract import check
from benchmark.plugins import load


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A method; of a file with --plugin.")],
    plugins: options.Plugins = None,
) -> int:
    """Say of every law whether the method obeys it, on small made-up pictures; exit code 1 if it breaks one."""
    load(plugins)
    broken = 0
    for law, case, words in check(method_of(name)):
        broken += bool(words)
        typer.echo(f"{'BROKEN' if words else 'holds '} [{case}] {law}" + f"\n       {words}" * bool(words))
    typer.echo(f"{name} breaks {broken} of these laws" if broken else f"{name} obeys every law")
    return int(bool(broken))
