"""`benchmark list`: it imports no torch, so that it answers at once."""

from collections.abc import Iterable

import typer
from tabulate import tabulate

from benchmark.names import EMBEDDED, EXAMPLES, PRESETS
from methods import METHODS
from metrics import METRICS


def command() -> int:
    """Print every name with what it means."""
    sections: list[tuple[str, Iterable[tuple[str, str]]]] = [
        ("methods", ((name, _summary(name)) for name in METHODS)),
        ("tasks", ((task, "embedded" if task in EMBEDDED else "needs --data-root") for task in EXAMPLES)),
        ("metrics", ((name, f"{metric.meaning} ({metric.scale})") for name, metric in METRICS.items())),
        ("presets", PRESETS.items()),
    ]
    for title, rows in sections:
        typer.echo(f"{title}\n{tabulate(list(rows), tablefmt='plain')}\n")
    return 0


def _summary(name: str) -> str:
    method = METHODS[name]
    setting = "".join(f" ({key}: {value})" for key, value in method.settings.items())
    return f"{'reference: ' if method.reference else ''}{method.meaning}{setting}"
