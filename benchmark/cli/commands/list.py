"""`benchmark list`: it imports no torch, so that it answers at once."""

from collections.abc import Iterable

import typer
from tabulate import tabulate

from benchmark.cli import options
from benchmark.names import EMBEDDED, EXAMPLES, PRESETS
from benchmark.plugins import load, origins
from methods import METHODS
from metrics import METRICS


def command(plugins: options.Plugins = None) -> int:
    """Print every name with what it means, and with its package or file if it is none of ours."""
    load(plugins)
    theirs = {name: "" for kind, name in origins if kind == "datasets"}
    tasks = {task: "embedded" if task in EMBEDDED else "needs --data-root" for task in EXAMPLES}
    sections: list[tuple[str, Iterable[tuple[str, str]]]] = [
        ("methods", ((name, _summary(name) + _origin("methods", name)) for name in METHODS)),
        ("tasks", ((task, meaning + _origin("datasets", task)) for task, meaning in (tasks | theirs).items())),
        (
            "metrics",
            (
                (name, f"{metric.meaning} ({metric.scale}){_origin('metrics', name)}")
                for name, metric in METRICS.items()
            ),
        ),
        ("presets", PRESETS.items()),
    ]
    for title, rows in sections:
        typer.echo(f"{title}\n{tabulate(list(rows), tablefmt='plain')}\n")
    return 0


def _origin(kind: str, name: str) -> str:
    """The package or the file that a name comes from; nothing for ours."""
    return f" [{origins[kind, name]}]" if (kind, name) in origins else ""


def _summary(name: str) -> str:
    method = METHODS[name]
    setting = "".join(f" ({key}: {value})" for key, value in method.settings.items())
    return f"{'reference: ' if method.reference else ''}{method.meaning}{setting}"
