"""Planted biases as a chapter of a results folder's page: gates, leads, controls."""

from pathlib import Path

from benchmark.bias.discovery import BiasOutcome, read_outcome
from benchmark.bias.tables import bias_tables
from benchmark.report.cells import Table
from benchmark.report.page.chapters import Chapter, Part


def chapters(preset: str, runs: Path) -> list[Chapter]:
    """One chapter of all that was planted and is on disk in `runs`; none where nothing was."""
    folder = runs / "bias" / preset
    planted = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []
    found = {name: outcome for name in planted if (outcome := read_outcome(name, preset, runs)) is not None}
    if not found:
        return []
    return [
        Chapter(
            name="bias",
            title="Which methods show a bias that was planted",
            texts=[text for outcome in found.values() for text in _told(outcome)],
            parts=[
                Part.of(table, is_open=place == 0)
                for outcome in found.values()
                for place, table in enumerate(_leads_first(outcome))
            ],
            command="\n".join(_command(name, outcome, preset) for name, outcome in found.items()),
        )
    ]


def _leads_first(outcome: BiasOutcome) -> list[Table]:
    """The tables, what methods show before the gates that let them be asked."""
    return sorted(bias_tables(outcome), key=lambda table: table.name != f"bias-{outcome.planted}")


def _told(outcome: BiasOutcome) -> list[str]:
    """What came of one planted bias, in a sentence."""
    if outcome.gates.status != "ok":
        return [f"{outcome.planted} could not be planted: {outcome.gates.reason}."]
    if not outcome.open:
        return [f"{outcome.planted}: the gates are closed, so that no method is scored."]
    failed = [f"{one.method} failed: {one.reason}." for one in outcome.records if one.status != "ok"]
    return [f"{outcome.planted}: the gates are open; the first table says which methods show the bias.", *failed]


def _command(planted: str, outcome: BiasOutcome, preset: str) -> str:
    seeds = ",".join(map(str, outcome.gates.data.get("seeds", [outcome.gates.seed])))
    methods = ",".join(record.method for record in outcome.records)
    options = [f"--methods {methods}"] * bool(methods) + [f"--planted {planted}", f"--seeds {seeds}"]
    return " ".join(["python -m benchmark bias", *options, *([f"--preset {preset}"] if preset != "default" else [])])
