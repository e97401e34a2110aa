"""Records -> tables: one tidy file, and what is pivoted from it as csv, Markdown and LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from benchmark.compare import ARROWS, BEST, Marks, best
from benchmark.papers import PAPERS, Paper, load
from benchmark.record import Record
from methods.base import Study
from methods.files import write_whole
from metrics import METRICS

COLUMNS = ["task", "method", "seed", "relaxation", "metric", "subset", "value", "low", "high", "n"]
"""Of the tidy file; `relaxation` is empty where it does not apply."""

RATES = (
    "flip_rate",
    "flip_rate_representation",
    "oracle_agreement",
    "adversarial_flips",
    "oracle_aware_flips",
    "reconstruction_flips",
    "change",
    "accuracy_phi",
    "accuracy_phi_reconstruction",
    "agreement",
)
"""Fractions, which pivoted tables show in per cent, with their interval."""

SUMMARY = {
    "flip_rate": "flip rate %",
    "flip_rate_representation": "flip rate on φ %",
    "oracle_agreement": "oracle agreement %",
    "adversarial_flips": "adversarial flips %",
    "oracle_aware_flips": "oracle-aware flips %",
    "reconstruction_flips": "reconstruction flips %",
    "l1": "L1",
    "l2": "L2",
    "l0": "L0",
    "hoyer_sparsity": "Hoyer sparsity",
    "cout": "COUT",
    "im1": "IM1",
    "im2": "IM2",
    "composition": "composition",
    "reversibility": "reversibility",
    "diversity": "diversity",
    "mse": "MSE",
    "nll": "NLL",
    "kl": "KL",
    "bits_per_dim": "bits/dim",
    "shared_fisher": "shared Fisher",
    "mnac": "other attributes changed",
    "mnac_reconstruction": "in x̃",
    "truth_l1": "L1 to truth",
    "truth_l1_query": "of x",
    "truth_l1_reconstruction": "of x̃",
    "truth_l1_drawn": "L1 to truth, drawn pixels",
    "truth_l1_drawn_query": "of x, drawn",
    "truth_l1_drawn_reconstruction": "of x̃, drawn",
    "truth_ssim": "SSIM to truth",
    "truth_ssim_query": "SSIM of x",
    "truth_ssim_reconstruction": "SSIM of x̃",
}
"""Metric -> heading in the summary; for each extractor follow four Fréchet distances and two kernel distances."""

PROBED = ("cout", "composition", "reversibility", "diversity")
"""What costs more than the others, and rests on the first queries only."""

DECIMALS = {
    "nll": 1,
    "kl": 1,
    "bits_per_dim": 3,
    "l1": 4,
    "l2": 4,
    "mse": 5,
    "composition": 4,
    "reversibility": 4,
    "diversity": 4,
    "im2": 4,
    "fisher_norm": 4,
    "fisher_norm_plain": 4,
    **{f"truth_{what}{of}": 4 for what in ("l1", "l1_drawn", "ssim") for of in ("", "_query", "_reconstruction")},
}
"""Where they are not one (rates) or two."""

UNMARKED = Marks(frozenset(), ())
"""Of tables that are made without the outcomes of single queries."""


@dataclass(frozen=True)
class Table:
    """A table as it is shown, and what its reader has to know."""

    name: str
    title: str
    methods: pd.DataFrame
    """Text, a row a method."""
    references: pd.DataFrame
    """The same columns; what is no explanation stands apart."""
    notes: tuple[str, ...]

    def markdown(self) -> str:
        """GitHub's Markdown: methods, references, notes."""
        parts = [f"### {self.title}", _text(self.methods, "github")]
        if len(self.references):
            parts += ["References, which are no explanations but give the scale:", _text(self.references, "github")]
        return "\n\n".join(parts) + "\n\n" + "".join(f"- {note}\n" for note in self.notes)

    def latex(self) -> str:
        """LaTeX for the booktabs package; references below a rule."""
        both = pd.concat([self.methods, self.references])
        lines = _text(both, "latex_booktabs").splitlines()
        if len(self.references) and len(self.methods):
            lines.insert(len(lines) - 2 - len(self.references), r"\midrule")
        cells = "\n".join(lines).replace("↑", r"\textuparrow{}").replace("↓", r"\textdownarrow{}")
        return "".join(f"% {note}\n" for note in (self.title, *self.notes)) + cells + "\n"

    def csv(self) -> str:
        """The same cells, with a column that marks the references."""
        both = pd.concat([self.methods.assign(reference=False), self.references.assign(reference=True)])
        return str(both.to_csv(index=False))

    def write(self, folder: Path) -> None:
        """The three files of this table."""
        for suffix, text in (("md", self.markdown()), ("tex", self.latex()), ("csv", self.csv())):
            write_whole(folder / f"{self.name}.{suffix}", text.encode())


def _text(cells: pd.DataFrame, style: str) -> str:
    return tabulate(cells.to_dict("list"), headers="keys", tablefmt=style, showindex=False, disable_numparse=True)


def tidy(records: Sequence[Record], *, timings: bool = False) -> pd.DataFrame:
    """A row a number of every successful record: seconds and memory, or all the others.

    The two are kept apart because the others are the same to the last digit whenever a run is repeated.
    """
    rows = [
        {"task": record.task, "method": record.method, "seed": record.seed, **number.model_dump()}
        for record in records
        if record.status == "ok"
        for number in (record.timings if timings else record.rows)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def tables(records: Sequence[Record], marks: Marks = UNMARKED) -> list[Table]:
    """The summary, flip rates against r for each task, and each paper's numbers beside ours.

    `marks` says what the summary marks as significantly best.
    """
    good = [record for record in records if record.status == "ok"]
    if not good:
        return []
    notes = _notes(records)
    flips = [
        _flip_rates(good, task, _notes([record for record in records if record.task == task]))
        for task in dict.fromkeys(record.task for record in good)
    ]
    papers = [_published(name, load(name), good, notes) for name in PAPERS]
    return [_summary(good, notes, marks), *flips, *_studies(good), *(table for table in papers if len(table.methods))]


def write_tables(records: Sequence[Record], folder: Path, runs: Path | None = None) -> list[Table]:
    """Everything that is made of `records`, written to `folder`; returns the tables to show.

    With the outcomes of single queries, which lie in `runs`, the summary marks what is significantly best.
    """
    for name, timings in (("metrics", False), ("timings", True)):
        write_whole(folder / f"{name}.csv", tidy(records, timings=timings).to_csv(index=False).encode())
    made = tables(records, UNMARKED if runs is None else best(records, runs))
    for table in made:
        table.write(folder)
    return made


# -- pivoting ----------------------------------------------------------------------------------------------------------


def _summary(records: Sequence[Record], notes: tuple[str, ...], marks: Marks) -> Table:
    """One row a task and method, at the smallest relaxation; a mark at what is significantly best."""
    numbers = tidy(records)
    strongest = numbers["relaxation"].min()
    here = numbers["relaxation"].isna() | (numbers["relaxation"] == strongest)
    numbers = numbers[here & (numbers["subset"] == "all")]
    extractors = [name.removesuffix("_real") for name in numbers["metric"].unique() if _is_yardstick(name)]
    headings = dict(SUMMARY)
    for name in extractors:
        label = f"FID ({name.removeprefix('fid_')})"
        headings |= {name: f"{label} x'", f"{name}_reconstruction": f"{label} x̃"}
        headings |= {f"{name}_samples": f"{label} samples", f"{name}_real": f"{label} real"}
        kernel, label = name.replace("fid", "kid", 1), label.replace("FID", "KID")
        headings |= {kernel: f"{label} x'", f"{kernel}_real": f"{label} real"}
    rows = [
        {"task": str(task), "method": str(method), "n": _n(group)}
        | {
            _arrow(heading, metric): _cell(group[group["metric"] == metric], metric)
            + (f" {BEST}" if (task, method, metric) in marks.best else "")
            for metric, heading in headings.items()
        }
        for (task, method), group in numbers.groupby(["task", "method"], sort=False)
    ]
    return _table("summary", f"All methods at r = {strongest:g}", rows, records, (*notes, *marks.notes))


def _arrow(heading: str, metric: str) -> str:
    """A heading with the direction in which the metric is better, if one is."""
    return f"{heading} {ARROWS[METRICS[metric].better]}".strip()


def _is_yardstick(metric: str) -> bool:
    """Whether it is a Fréchet distance of real images to others, of which there is one an extractor."""
    return metric.startswith("fid") and metric.endswith("_real")


def _flip_rates(records: Sequence[Record], task: str, notes: tuple[str, ...]) -> Table:
    """One row a method, one column a relaxation: flip rate, its interval, and the oracle's agreement."""
    numbers = tidy([record for record in records if record.task == task])
    numbers = numbers[numbers["subset"] == "all"]
    rows = []
    for method, group in numbers.groupby("method", sort=False):
        row = {
            "method": str(method),
            "n": _n(group),
            _arrow("MSE", "mse"): _cell(group[group["metric"] == "mse"], "mse"),
        }
        for relaxation in sorted(group["relaxation"].dropna().unique()):
            row[f"r = {relaxation:g}"] = _flips(group[group["relaxation"] == relaxation])
        rows.append(row)
    flips, agreement = _arrow("flip rate %", "flip_rate"), _arrow("oracle agreement %", "oracle_agreement")
    title = f"{task}: {flips} [95 % interval] / {agreement}, against r"
    return _table(f"flip-rate-{task.replace('/', '_')}", title, rows, records, notes)


def _flips(numbers: pd.DataFrame) -> str:
    """The flip rate of one method at one relaxation, its interval, and the oracle's agreement."""
    flips, agreement = (numbers[numbers["metric"] == name] for name in ("flip_rate", "oracle_agreement"))
    return f"{_cell(flips, 'flip_rate')} / {100 * agreement['value'].mean():.1f}"


def _studies(records: Sequence[Record]) -> list[Table]:
    """A table for each task and study: the rows of every method and seed that made it."""
    found: dict[tuple[str, str], list[tuple[Record, Study]]] = {}
    for record in records:
        for name, study in record.studies.items():
            found.setdefault((record.task, name), []).append((record, study))
    made = []
    for (task, name), parts in found.items():
        rows = [
            {"method": record.method, "seed": str(record.seed)} | {key: _number(value) for key, value in row.items()}
            for record, study in parts
            for row in study.rows
        ]
        title = f"{task}: {parts[0][1].title}"
        made.append(_table(f"{name}-{task.replace('/', '_')}", title, rows, records, _study_notes(parts)))
    return made


def _study_notes(parts: Sequence[tuple[Record, Study]]) -> tuple[str, ...]:
    """The notes of a study; what only some of its records say is said of them."""
    sayers: dict[str, list[str]] = {}
    for record, study in parts:
        for note in study.notes:
            sayers.setdefault(note, []).append(f"{record.method}, seed {record.seed}")
    return tuple(note if len(who) == len(parts) else f"{'; '.join(who)}: {note}" for note, who in sayers.items())


def _number(value: str | float) -> str:
    """A study's cell: text as it is, numbers to four significant digits."""
    return value if isinstance(value, str) else f"{value:.4g}"


def _published(name: str, paper: Paper, records: Sequence[Record], notes: tuple[str, ...]) -> Table:
    """One row a published number, one column a task of ours."""
    numbers = tidy(records)
    numbers = numbers[numbers["subset"] == "all"]
    rows = []
    for number in paper.numbers:
        mine = numbers[numbers["method"] == number.method]
        if mine.empty:
            continue
        at = ""
        if number.relaxation is not None:
            mine, at = mine[mine["relaxation"] == number.relaxation], f" at r = {number.relaxation:g}"
        heading = {
            "table": number.table,
            "method": number.method,
            "number": _arrow(f"{number.metric}{at}", number.metric),
        }
        rows.append(heading | {"published": number.value} | _ours(mine, number.metric))
    cells = pd.DataFrame(rows).fillna("")
    shown = "flip rates: % [95 % interval] / oracle agreement %"
    own_notes = (f"published: {paper.setting}", shown, *paper.notes, *notes)
    return Table(f"paper-{name}", f"{paper.title}, beside ours", cells, cells.iloc[:0], own_notes)


def _ours(numbers: pd.DataFrame, metric: str) -> dict[str, str]:
    """Task -> our number; a flip rate has the oracle's agreement beside it."""
    tasks = {str(task): group for task, group in numbers.groupby("task", sort=False)}
    if metric == "flip_rate":
        return {task: _flips(group) for task, group in tasks.items()}
    return {task: _cell(group[group["metric"] == metric], metric) for task, group in tasks.items()}


def _table(
    name: str, title: str, rows: list[dict[str, str]], records: Sequence[Record], notes: tuple[str, ...]
) -> Table:
    """A table of `rows`, references apart, columns without any number left out."""
    cells = pd.DataFrame(rows).fillna("")
    cells = cells.loc[:, (cells != "").any()]
    references = cells["method"].isin({record.method for record in records if record.reference})
    return Table(name, title, cells[~references], cells[references], notes)


def _n(group: pd.DataFrame) -> str:
    """The number of queries (of each seed)."""
    counts = group[group["metric"] == "flip_rate"]["n"]
    return "" if counts.empty else str(int(counts.max()))


def _cell(numbers: pd.DataFrame, metric: str) -> str:
    """One metric of one method, a row a seed: the value, over several seeds mean ± std, and the interval of a rate.

    Over several seeds the interval is the mean of theirs: their test images overlap, so they are not pooled.
    """
    values = numbers["value"].dropna()
    if values.empty:
        return ""
    factor, digits = (100, 1) if metric in RATES else (1, DECIMALS.get(metric, 2))
    text = f"{factor * values.mean():.{digits}f}"
    if len(values) > 1:
        text += f" ± {factor * values.std():.{digits}f}"
    if metric in RATES or metric.startswith("fid"):
        text += f" [{factor * numbers['low'].mean():.{digits}f}, {factor * numbers['high'].mean():.{digits}f}]"
    return text


# -- notes -------------------------------------------------------------------------------------------------------------


def _notes(records: Sequence[Record]) -> tuple[str, ...]:
    """What a reader has to know before the numbers mean anything, without repeating itself."""
    good = [record for record in records if record.status == "ok"]
    notes = [f"preset `{preset}`, {split} split" for preset, split in dict.fromkeys((r.preset, r.split) for r in good)]
    notes += [f"**partial run**: --limit {limit}" for limit in dict.fromkeys(r.limit for r in good) if limit]
    notes += [_task_note([r for r in good if r.task == task]) for task in dict.fromkeys(r.task for r in good)]
    for record in good:
        if changed := record.data.get("settings"):
            note = f"{record.task}: drawn with {', '.join(f'{name} = {value}' for name, value in changed.items())}"
            notes += [note] if note not in notes else []
    notes.append("[low, high]: 95 % interval (Wilson for rates, bootstrap for Fréchet distances)")
    numbers = tidy(good)
    for name in (name for name in numbers["metric"].unique() if _is_yardstick(name)):
        counts = " and ".join(map(str, sorted({int(n) for n in numbers[numbers["metric"] == name]["n"]}, reverse=True)))
        extractor = name.removeprefix("fid_").removesuffix("_real")
        features = {"classifier": "the oracle's penultimate features"}.get(extractor, f"{extractor} features")
        notes.append(
            f"FID, KID ({extractor}): {features}, n = {counts}, to as many other real images; real: of real to real"
        )
    probed = numbers[numbers["metric"].isin(PROBED) & (numbers["subset"] == "all")]
    if len(probed):
        names = ", ".join(SUMMARY[name] for name in PROBED if name in set(probed["metric"]))
        notes.append(f"{names}: of the first {int(probed['n'].max())} queries")
    for remark in dict.fromkeys(remark for record in good for remark in record.remarks):
        methods = dict.fromkeys(record.method for record in good if remark in record.remarks)
        notes.append(f"{', '.join(methods)}: {remark}")
    notes += [f"**failed**: {r.method} on {r.task}, seed {r.seed}: {r.reason}" for r in records if r.status != "ok"]
    return tuple(notes)


def _task_note(records: Sequence[Record]) -> str:
    """The seeds of one task, and the test accuracy of its classifier and oracle, with n and interval."""
    numbers = tidy(records).drop_duplicates(["seed", "metric"])
    parts = []
    for role in ("classifier", "oracle"):
        here = numbers[numbers["metric"] == f"{role}_accuracy"]
        value, low, high = (100 * here[column].mean() for column in ("value", "low", "high"))
        parts.append(f"{role} {value:.1f} [{low:.1f}, {high:.1f}]")
    n = int(numbers[numbers["metric"] == "classifier_accuracy"]["n"].max())
    seeds = sorted({record.seed for record in records})
    runs = f"seed {seeds[0]}" if len(seeds) == 1 else f"mean ± std over seeds {', '.join(map(str, seeds))}"
    return f"{records[0].task}: {runs}; test accuracy % of the {' and the '.join(parts)}, n = {n}"
