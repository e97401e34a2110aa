"""Look up our value for a published number, in one task's records (one per seed)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from benchmark.bias.gates import CLASSIFIERS
from benchmark.records.record import Record
from benchmark.report.cells import written
from benchmark.report.trainings import interval_of, shown_as
from metrics import METRICS
from metrics.metric import PLAIN, RATE, Format

NONE = float("nan")


class Found(NamedTuple):
    """A number of one record."""

    value: float
    low: float = NONE
    """Lower bound of the 95 % interval; NaN without interval."""
    high: float = NONE
    n: int = 0


class Measured(NamedTuple):
    """A measured number; over several seeds their mean, with the interval of tables (`benchmark.report.trainings`)."""

    value: float
    low: float
    """Lower bound of the 95 % interval; NaN without interval, as of two seeds."""
    high: float
    n: int
    """Number of queries per seed; 0 if unknown."""
    seeds: int
    std: float
    """Standard deviation over seeds; NaN for one seed."""
    shown: Format = PLAIN

    def text(self) -> str:
        """Text for a table: value, ± std over several seeds, [interval]."""
        return written(self.shown, self.value, self.std, self.low, self.high)

    def sentence(self) -> str:
        """Text for a sentence, with unit, n and seeds."""
        rests = [f"n = {self.n}"] if self.n else []
        rests += [f"{self.seeds} seeds"] if self.seeds > 1 else []
        return f"{self.text()}{self.unit}" + (f" ({', '.join(rests)})" if rests else "")

    @property
    def unit(self) -> str:
        """The unit, as it follows a number in a sentence."""
        return " %" if self.shown.percent else ""


@dataclass(frozen=True)
class Measure:
    """A number of one method: how to find and how to write it."""

    method: str
    name: str
    """Name of the number in a sentence."""
    find: Callable[[Record], Found | None]
    """Finds the number in a record of the method; returns None if it is missing."""
    shown: Format = PLAIN
    metric: str = ""
    """Name in METRICS; empty for a number from a study."""

    def of(self, records: Sequence[Record]) -> Measured | None:
        """The number in the records of one task; None if they have none."""
        found = [one for record in records if record.method == self.method and (one := self.find(record))]
        if not found:
            return None
        value, low, high, n = np.array(found).T
        std = float(value.std(ddof=1)) if len(found) > 1 else NONE
        ends = interval_of(self.metric, value, low, high, n)
        return Measured(float(value.mean()), *ends, int(n.max()), len(found), std, self.shown)

    def text(self, records: Sequence[Record]) -> str:
        """Text for a table; empty if there is none."""
        measured = self.of(records)
        return "" if measured is None else measured.text()


@dataclass(frozen=True)
class Setting:
    """A setting of one method, to compare with a paper's; it is not measured."""

    method: str
    field: str

    def text(self, records: Sequence[Record]) -> str:
        """Text for a table; empty if there is none."""
        found = dict.fromkeys(
            _words(record.config[self.field])
            for record in records
            if record.method == self.method and self.field in record.config
        )
        return " or ".join(found)


def metric(method: str, name: str, relaxation: float | None = None) -> Measure:
    """A metric over all queries, by its name in METRICS."""

    def find(record: Record) -> Found | None:
        for row in record.rows:
            if (row.metric, row.subset, row.relaxation) == (name, "all", relaxation) and row.value is not None:
                low, high = (NONE if end is None else end for end in (row.low, row.high))
                return Found(row.value, low, high, row.n)
        return None

    at = "" if relaxation is None else f" at r = {relaxation:g}"
    return Measure(method, f"{in_words(name)}{at} of {method}", find, shown_as(name), name)


def lead(method: str) -> Measure:
    """The lead of a planted bias in a method's counterfactuals; above 0 the bias is discovered."""
    return replace(
        metric(method, "lead_confounded", 0.0), name=f"lead of the bias in the answers of {method}", metric=""
    )


def strict_lead(method: str) -> Measure:
    """The same of the attribute alone, with what changes by chance cancelled out (`docs/bias.md`)."""
    return replace(
        lead(method), name=f"strict {lead(method).name}", find=metric(method, "strict_lead_confounded", 0.0).find
    )


def of_classifiers(name: str, words: str) -> Measure:
    """A number of the classifiers of a planted bias (`benchmark.bias.gates`), called `words` in sentences."""
    return replace(metric(CLASSIFIERS, name), name=words, metric="")


def fact(name: str, share: Callable[[float], float], words: str) -> Measure:
    """`share` of the setting `name` of a planted bias's faces; it has no interval."""

    def find(record: Record) -> Found | None:
        return Found(share(float(record.data[name]))) if name in record.data else None

    return Measure(CLASSIFIERS, words, find, RATE)


def in_words(name: str) -> str:
    """Name of a metric in a sentence, without its unit."""
    kind, _, rest = name.partition("_")
    if kind == "fid":
        extractor, _, of = rest.partition("_")
        return f"FID ({extractor}) of {of or 'answer'}s"
    return (METRICS[name].heading if name in METRICS else "") or name.replace("_", " ")


def study(
    method: str,
    name: str,
    column: str,
    where: Mapping[str, str | float],
    *,
    words: str = "",
    interval: bool = False,
    error: str = "",
    spread: str = "",
    count: str = "",
) -> Measure:
    """A cell of a study: `column` in the rows that match `where`; the mean if several rows match.

    With `interval` the interval is in the columns "low" and "high". Otherwise it is ± 1.96 standard errors: from the
    column `error`, or from the standard deviations in the column `spread`. n is the setting called `count`, or else the
    column "n". `words` is its name in sentences.
    """

    def find(record: Record) -> Found | None:
        rows = record.studies[name].rows if name in record.studies else []
        of = [row for row in rows if all(row.get(key) == value for key, value in where.items())]
        of = [row for row in of if isinstance(row.get(column), int | float)]
        if not of:
            return None
        n = int(record.config[count]) if count else int(of[0].get("n", 0))
        value = sum(float(row[column]) for row in of) / len(of)
        if interval:
            return Found(value, float(of[0]["low"]), float(of[0]["high"]), n)
        half = NONE
        if error or spread:
            squares = sum(float(row[error or spread]) ** 2 for row in of) / (n if spread else 1)
            half = 1.96 * squares**0.5 / len(of)
        return Found(value, value - half, value + half, n)

    at = ", ".join(f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in where.items())
    return Measure(method, f"{words or f'{column} ({at})'} of {method}", find, Format(3))


def at_end(end: Literal["coarsest", "finest"], depth: str, method: str, name: str, column: str, **how: Any) -> Measure:  # noqa: ANN401 - as of `study`
    """A cell of a study as `study` finds it, at the first or last number in its column `depth`; `how` may say more."""
    where = how.pop("where", {})

    def find(record: Record) -> Found | None:
        rows = record.studies[name].rows if name in record.studies else []
        there = [int(row[depth]) for row in rows if where.items() <= row.items()]
        if not there:
            return None
        at = min(there) if end == "coarsest" else max(there)
        return study(method, name, column, {**where, depth: at}, **how).find(record)

    return Measure(method, f"{column} at the {end} {depth} of {method}", find, Format(3))


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
