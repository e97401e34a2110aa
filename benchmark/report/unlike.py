"""Records in one table that were not asked the same, or are judged by other networks: told before any number."""

from collections.abc import Sequence

from benchmark.records.record import Record
from benchmark.report.compare import conditions

WORDS = {"queries": "number of queries"}
"""What differs, where its name alone would not be understood."""


def unlike(records: Sequence[Record]) -> list[str]:
    """A line for each task and seed whose methods cannot be compared: what differs, and what to do.

    A record lies under its task, method and seed, so a later run with another --set, --split or --limit replaces those
    of its own methods only.
    """
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        if record.status == "ok":
            groups.setdefault((record.task, record.seed), []).append(record)
    return [
        f"{task}, seed {seed}: methods differ in {', '.join(differing)}, so their numbers cannot be compared; run them "
        "again with one command"
        for (task, seed), group in groups.items()
        if (differing := _differing(group))
    ]


def _differing(records: Sequence[Record]) -> list[str]:
    """The conditions that are not the same for all."""
    asked = [conditions(record) for record in records]
    return [WORDS.get(name, name) for name in asked[0] if len({one[name] for one in asked}) > 1]
