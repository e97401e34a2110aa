"""What the numbers say, in a few plain sentences: who flips, who convinces, who changes least, what is not known."""

from collections.abc import Mapping, Sequence

from benchmark.records.record import Record
from benchmark.report import doubts
from benchmark.report.page.columns import ALL_SEEDS, Cell
from benchmark.report.unlike import unlike
from metrics import METRICS

CONVINCING = 0.8
"""Of those that convince the oracle so often, the one is named that changes least."""
HALF = 0.5
"""Where not even the best method convinces so often, that is what is said first."""
FOOLED = 0.2
"""A flip rate that is so much higher than what convinces the oracle is warned of."""

Rows = Mapping[str, Mapping[str, Sequence[Cell | None]]]
"""Method -> column -> cells."""


def sentences(task: str, rows: Rows, references: set[str], relaxation: float, place: int, choice: str) -> list[str]:
    """Of one task at one relaxation: what a newcomer should take away."""
    convinced, changed, flipped = (
        {method: cell for method, row in rows.items() if (cell := _at(row, name, place)) is not None}
        for name in ("oracle_aware_flips", "l1", "flip_rate")
    )
    own = {method: cell[0] for method, cell in convinced.items() if method not in references}
    best = most_convincing(rows, references, place)
    if not best:
        return [f"On {task} no method has an answer at r = {relaxation:g}."]
    n = convinced[best][3]
    others = [method for method, rate in own.items() if rate == own[best] and method != best]
    named = f"{best} (as often: {', '.join(others)})" if others else best
    first = f"{named} convinces most often"
    if own[best] < HALF:
        first = f"no method convinces in half of its answers. {named} does most often"
    told = [
        f"On {task} at r = {relaxation:g}, {first}: classifier and oracle both see the target in "
        f"{_rate(own[best])} of its {n:,} answers, at a change (L1) of {_change(changed, best)}."
        if own[best]
        else f"On {task} at r = {relaxation:g}, no answer of any method convinces both classifier and oracle."
    ]
    told += _least(own, changed, best)
    told += _fooled(own, flipped)
    told += _reference(convinced, changed, references, own[best])
    return [*told, _unknown(choice)]


def most_convincing(rows: Rows, references: set[str], place: int) -> str:
    """The method that convinces both networks most often, of equals the one that changes less; "" if there is none."""
    cells = {method: (_at(row, "oracle_aware_flips", place), _at(row, "l1", place)) for method, row in rows.items()}
    own = {
        method: (convinced[0], -(changed[0] if changed else 1.0))
        for method, (convinced, changed) in cells.items()
        if convinced is not None and method not in references
    }
    return max(own, key=lambda method: own[method], default="")


def _at(row: Mapping[str, Sequence[Cell | None]], name: str, place: int) -> Cell | None:
    return row[name][place] if name in row else None


def _rate(value: float) -> str:
    return f"{METRICS['flip_rate'].shown.text(value)} %"


def _change(cells: Mapping[str, Cell], method: str) -> str:
    return METRICS["l1"].shown.text(cells[method][0]) if method in cells else "unknown size"


def _least(own: Mapping[str, float], changed: Mapping[str, Cell], best: str) -> list[str]:
    """Who changes least, of those that convince."""
    convincing = [method for method, rate in own.items() if rate >= CONVINCING and method in changed]
    if not convincing:
        return []
    least = min(convincing, key=lambda method: float(changed[method][0]))
    share = f"{100 * CONVINCING:.0f} %"
    if least == best:
        return [f"Of those that convince in at least {share}, it also changes least."]
    return [
        f"Of those that convince in at least {share}, {least} changes least (L1 {_change(changed, least)}, "
        f"convinces in {_rate(own[least])})."
    ]


def _fooled(own: Mapping[str, float], flipped: Mapping[str, Cell]) -> list[str]:
    """Whose flips the oracle believes least."""
    gaps = {method: flipped[method][0] - rate for method, rate in own.items() if method in flipped}
    worst = max(gaps, key=lambda method: gaps[method], default="")
    if not worst or gaps[worst] < FOOLED:
        return []
    return [
        f"A flip alone proves little: {worst} flips the classifier in {_rate(flipped[worst][0])}, and convinces both "
        f"in {_rate(own[worst])}."
    ]


def _reference(
    convinced: Mapping[str, Cell], changed: Mapping[str, Cell], references: set[str], rate: float
) -> list[str]:
    """Which references, which explain nothing, convince as often as the best method, or else often."""
    own = {method: cell[0] for method, cell in convinced.items() if method in references and cell[0] > 0}
    beating = [method for method in own if own[method] >= rate]
    if beating:
        kind = "the reference" if len(beating) == 1 else "the references"
        return [f"No method convinces more often than {kind} {' and '.join(beating)}."]
    return [
        f"The reference {method}, which explains nothing, convinces in {_rate(own[method])} (L1 "
        f"{_change(changed, method)})."
        for method in own
        if own[method] >= CONVINCING
    ]


def _unknown(choice: str) -> str:
    trained = "how much another training of the same would differ is only as well known as few seeds can tell"
    if choice != ALL_SEEDS:
        trained = f"how another training would turn out (seed {choice} only)"
    return f"Not known: {trained}; and what people would see, for the oracle is a network too."


def warnings(records: Sequence[Record]) -> list[str]:
    """What has to be read before any number."""
    found = [f"Partial run: --limit {record.limit}." for record in records if record.limit]
    if any(record.preset == "smoke" for record in records):
        found.insert(0, "Preset smoke: a test that everything runs. Its numbers and pictures mean nothing.")
    found += [f"{line}." for line in unlike(records)]
    for record in records:
        found += [f"{record.task}: {remark}" for remark in record.data.get("remarks", [])]
    return list(dict.fromkeys([*found, *doubts.warnings(records)]))
