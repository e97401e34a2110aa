"""Bias discovery as tables and figures: gates, the leads of each method, controls, leakage."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure

from benchmark.bias.discovery import LEAKAGE, BiasOutcome
from benchmark.bias.opposite import OPPOSITE, majority_names
from benchmark.bias.power import EXPERIMENTS, FOUND
from benchmark.bias.trial import BIASED_AT_LEAST, KINDS, UNBIASED_AT_MOST, Case, Planted, Trial
from benchmark.records.changes import CHANGED
from benchmark.records.record import Record, Row
from benchmark.records.store import find
from benchmark.report.cells import Table
from benchmark.report.drawing import save, styled
from benchmark.report.grid import grid
from benchmark.report.layout import FIGURES, TABLES
from benchmark.report.tables import studies
from methods import BASELINE, METHODS

EACH = 2
"""Rows of a figure for each (label, attribute) cell: its first queries, not chosen ones."""


def bias_tables(outcome: BiasOutcome) -> list[Table]:
    """The gates and, if they are open, the leads of the methods, the controls and the leakage.

    Empty if the bias could not be planted.
    """
    if outcome.gates.status != "ok":
        return []
    made = [_gates(outcome), *studies([outcome.gates, *outcome.opposite])]
    good = [record for record in outcome.records if record.status == "ok"]
    if not good:
        return made
    planted, shown = outcome.planted, [_shown(record) for record in good]
    notes, strictly = (*_notes(outcome), *_learning(good)), _strictly(outcome)
    told = (*notes, *_reading(outcome), *strictly, *_failed(outcome))
    made.append(_table(f"bias-{planted}", f"{planted}: which methods show the planted bias", shown, good, told))
    made += studies([_telling(record) for record in good if CHANGED in record.studies])
    controls = [_controls(record, outcome) for record in good]
    title = f"{planted}: controls, where there is no bias to discover"
    made.append(_table(f"bias-controls-{planted}", title, controls, good, (*notes, *strictly)))
    leaks = [_contrast(record, LEAKAGE) for record in good]
    title = f"{planted}: leakage, the lead of a method that learnt from biased faces, on an unbiased classifier"
    told = (*_notes(outcome), *_leaking(outcome), *strictly)
    made.append(_table(f"bias-leakage-{planted}", title, leaks, good, told))
    return made


def _telling(record: Record) -> Record:
    """The record with nothing but what the method itself says of the attributes that it changes."""
    return record.model_copy(update={"studies": {CHANGED: record.studies[CHANGED]}})


def _gates(outcome: BiasOutcome) -> Table:
    """The gates, one row for each kind of classifier."""
    planted, numbers = outcome.planted, _numbers(outcome.gates)
    rows = [_classifier(kind, planted, numbers) for kind in KINDS]
    told = "**open**" if outcome.open else "**closed: the task is not scored**"
    missing = (
        "" if outcome.ignores else ", **and one is missing**: the classifiers that should ignore the attribute use it"
    )
    edited = numbers["raised_confounded", "all"]
    notes = [
        f"the control `ignoring` needs at most {100 * UNBIASED_AT_MOST:.0f} % flipped queries{missing}",
        f"the gates are {told}: they need at least {100 * BIASED_AT_LEAST:.0f} % of the queries flipped for confounded "
        f"classifiers, a p({planted.label}) that the edit raises, and at most {100 * UNBIASED_AT_MOST:.0f} % flipped "
        "for unconfounded ones",
        f"p: mean probability of {planted.label} over the n = {edited.n} queries with {planted.attribute}, as they are "
        f"and after the exact edit removes it, which raises p under the bias; difference: edited minus unedited, with "
        "its 95 % interval over queries",
        *(f"not scored, because its oracle is wrong too often: {name}" for name in outcome.dropped),
        *(["without its oracle the planted attribute cannot be scored"] * (planted.attribute in outcome.dropped)),
        *(["no attribute is left outside the planted family: no lead"] * (not outcome.gates.data["rivals"])),
        *_notes(outcome),
    ]
    cells = pd.DataFrame(rows)
    title = f"{planted}: the effect of the exact do({planted.attribute}) on the classifiers"
    return Table(f"bias-gates-{planted}", title, cells, cells.iloc[:0], tuple(notes))


def _classifier(kind: str, planted: Planted, numbers: Mapping[tuple[str, str], Row]) -> dict[str, str]:
    """Table cells of one kind of classifier: its accuracy and the effect of the edit."""
    found = {name: numbers[f"{name}_{kind}", "all"] for name in ("right", "flipped", "before", "after", "raised")}
    return {
        "classifier": kind,
        "learns from": KINDS[kind],
        "right %": _per_cent(found["right"]),
        f"flipped by do({planted.attribute}) %": _per_cent(found["flipped"]),
        f"p({planted.label}) as they are": _decimals(found["before"].value or 0),
        f"p({planted.label}) edited": _decimals(found["after"].value or 0),
        "difference [95 %]": _interval(found["raised"]),
    }


def _shown(record: Record) -> dict[str, str]:
    """Table cells of one method: flip rates, scores, leads, rank and verdict."""
    numbers = _numbers(record)
    cells = {"method": record.method}
    for kind in ("confounded", "unconfounded"):
        cells[f"flips {kind} %"] = _per_cent(numbers[f"flips_{kind}", "all"])
    cells |= {name: str(value) for name, value in record.data["shown"].items()}
    cells["lead [95 %]"] = _interval(numbers["lead_confounded", "all"])
    cells["strict lead [95 %]"] = _interval(numbers["strict_lead_confounded", "all"])
    cells["lead over valid flips"] = _interval(numbers["lead_confounded", "flipped"])
    cells["rank"] = f"{numbers['rank_confounded', 'all'].value:.0f}"
    beaten = numbers.get(("lead_over_baseline", "all"))
    cells[f"lead over {BASELINE}'s"] = "" if beaten is None else _interval(beaten)
    return {
        **cells,
        "discovered": _discovered(numbers, "confounded"),
        "could have missed": record.data.get("could miss", ""),
    }


def _controls(record: Record, outcome: BiasOutcome) -> dict[str, str]:
    """The leads of one method in the controls, where a discovery is a false alarm."""
    cells = {"method": record.method}
    for contrast in ("ignoring", "another") if outcome.ignores else ("another",):
        told = _contrast(record, contrast)
        cells |= {f"{contrast}: {name}": told[name] for name in ("lead [95 %]", "strict lead [95 %]")}
        cells[f"{contrast}: false alarm"] = told["discovered"]
    return cells


def _contrast(record: Record, contrast: str) -> dict[str, str]:
    """Leads and verdict of one contrast; empty cells if the method has none."""
    numbers = _numbers(record)
    if (f"lead_{contrast}", "all") not in numbers:
        return {"method": record.method, "lead [95 %]": "", "strict lead [95 %]": "", "discovered": ""}
    return {
        "method": record.method,
        "lead [95 %]": _interval(numbers[f"lead_{contrast}", "all"]),
        "strict lead [95 %]": _interval(numbers[f"strict_lead_{contrast}", "all"]),
        "discovered": _discovered(numbers, contrast),
    }


def _numbers(record: Record) -> Mapping[tuple[str, str], Row]:
    return {(row.metric, row.subset): row for row in record.rows}


def _discovered(numbers: Mapping[tuple[str, str], Row], contrast: str) -> str:
    """Whether the lower bounds of lead and strict lead are above 0; "not strictly" if only the lead's is."""
    lead, strict = (numbers[f"{name}_{contrast}", "all"].low for name in ("lead", "strict_lead"))
    if lead is None or lead <= 0:
        return "no"
    return "yes" if strict is not None and strict > 0 else "not strictly"


def _interval(row: Row) -> str:
    if row.value is None:
        return ""
    return _decimals(row.value) + ("" if row.low is None else f" [{_decimals(row.low)}, {_decimals(row.high or 0)}]")


def _decimals(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # never "-0.00"


def _per_cent(row: Row) -> str:
    return "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * (part or 0) for part in (row.value, row.low, row.high)))


def _table(name: str, title: str, rows: list[dict[str, str]], records: Sequence[Record], notes: Sequence[str]) -> Table:
    cells = pd.DataFrame(rows)
    references = cells["method"].isin({record.method for record in records if record.reference})
    return Table(name, title, cells[~references], cells[references], tuple(notes))


def _notes(outcome: BiasOutcome) -> tuple[str, ...]:
    """Preset, split, faces, queries and seeds of the trial."""
    record, planted = outcome.gates, outcome.planted
    facts, seeds = record.data, record.data["seeds"]
    limit = (f"**partial run**: --limit {record.limit}",) if record.limit else ()
    return (
        f"preset `{record.preset}`, {record.split} split, faces of {facts['size']} px, bias of strength "
        f"{facts['strength']:g}, evidence for the label {facts['evidence']:g}; n = {facts['queries']} queries, "
        f"balanced over the four ({planted.label}, {planted.attribute}) cells; classifiers of seeds "
        f"{', '.join(map(str, seeds))}, all methods of seed {seeds[0]}",
        *limit,
    )


def _learning(records: Sequence[Record]) -> tuple[str, ...]:
    """Which methods train once for all classifiers, and which once for each."""
    kept, anew = "one generator for all classifiers", "trained anew for each classifier, on the same faces"
    said: dict[str, list[str]] = {}
    for record in records:
        if not record.reference:
            once = METHODS[record.method].load().one_generator
            said.setdefault(kept if once else anew, []).append(record.method)
    return tuple(f"{', '.join(names)}: {note}" for note, names in said.items())


def _reading(outcome: BiasOutcome) -> tuple[str, ...]:
    family = ", ".join(outcome.planted.family())
    return (
        "score: mean signed change of an attribute from reconstruction to counterfactual, towards the label, read by "
        "its oracle; an answer that did not flip counts as unchanged; gap: score with the bias minus without, in the "
        f"planted direction; family: {family}",
        "lead: the family's gap minus the greatest gap outside it, in either direction, "
        f"{outcome.planted.label} excepted; {_drawn(outcome)}",
        "rank: place of the family among the attributes outside it, by gap; ties get the worse rank",
        f"could have missed: a bias that lets fewer points of the answers end with {outcome.planted.attribute} as it "
        f"wants is discovered in less than {100 * FOUND:.0f} % of {EXPERIMENTS} experiments, which are simulated from "
        "the method's answers to classifiers without the bias",
    )


def _strictly(outcome: BiasOutcome) -> tuple[str, ...]:
    return (
        f"strict lead: the lead of {outcome.planted.attribute} alone, with the changes of each attribute weighted "
        "as if both targets were equally frequent with the attribute and without it; random changes then cancel out; "
        "where all answers with it, or all without it, have one target, they count as unchanged",
        "discovered, false alarm: the lower bounds of both leads are above 0; not strictly: only the lead's is",
    )


def _drawn(outcome: BiasOutcome) -> str:
    """The variation that the intervals of leads cover."""
    if len(outcome.gates.data["seeds"]) == 1:
        return "bootstrap over queries: with one seed, the interval does not cover the variation between trainings"
    return "bootstrap over queries and seeds; too narrow with few seeds"


def _failed(outcome: BiasOutcome) -> tuple[str, ...]:
    return tuple(f"**failed**: {r.method}: {r.reason}" for r in outcome.records if r.status != "ok")


def _leaking(outcome: BiasOutcome) -> tuple[str, ...]:
    return (
        f"one unconfounded classifier, seed {outcome.gates.seed}: its explanation by the method fitted to confounded "
        "faces minus the one by the method fitted to unconfounded faces; the interval covers queries only",
    )


def publish(trial: Trial, outcome: BiasOutcome, folder: Path) -> list[Table]:
    """Write tables and figures of one planted bias to the results `folder`; returns the tables to show.

    If the gates are closed, older tables and figures of the bias are deleted: their verdicts no longer hold.
    """
    made = bias_tables(outcome)
    if outcome.gates.status == "ok" and not outcome.open:
        for path in (path for name in (TABLES, FIGURES) for path in (folder / name).glob(f"bias-*{outcome.planted}*")):
            path.unlink()
    for table in made:
        table.write(folder / TABLES)
    write_figures(trial, outcome, folder / FIGURES)
    return made


# -- figures -----------------------------------------------------------------------------------------------------------


def write_figures(trial: Trial, outcome: BiasOutcome, folder: Path) -> list[Path]:
    """Draw the exact edits and, if the gates are open, the changes of attributes and both classifiers' answers."""
    if outcome.gates.status != "ok":
        return []
    good = [record for record in outcome.records if record.status == "ok"]
    with styled():
        files = save(edited(trial), folder / f"bias-edited-{outcome.planted}")
        if good:
            files += save(attributes_changed(good, trial), folder / f"bias-attributes-{outcome.planted}")
        drawn = [("bias", record, {"unconfounded": "without bias", "confounded": "with bias"}) for record in good]
        drawn += [(OPPOSITE, record, majority_names(outcome.planted)) for record in outcome.opposite]
        for name, record, kinds in drawn:
            figure = side_by_side(record, trial, kinds)
            if figure is not None:
                files += save(figure, folder / f"{name}-{outcome.planted}-{record.method}")
    return files


def attributes_changed(records: Sequence[Record], trial: Trial) -> Figure:
    """Signed change of every attribute under both classifiers, one panel per method (gan-search, Figs. 6 to 8)."""
    columns = min(4, len(records))
    rows = -(-len(records) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.0 * rows + 1.0), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    family = set(trial.planted.family())
    for place, (panel, record) in enumerate(zip(panels, records, strict=False)):
        cells = pd.DataFrame(record.studies["attributes"].rows)
        cells = cells[cells["classifier"].isin(["unconfounded", "confounded"])]
        cells = cells[cells["attribute"] != trial.planted.label]
        sns.barplot(
            cells, x="attribute", y="signed change", hue="classifier", palette=["0.7", "C1"], errorbar=None, ax=panel
        )
        panel.axhline(0, color="0.3", linewidth=0.6)
        panel.set_title(record.method + (" (reference)" if record.reference else ""), fontsize=8)
        panel.set(xlabel="", ylabel="")
        lowest = place + columns >= len(records)  # the lowest of its column, also where the last row is short
        panel.tick_params(axis="x", rotation=90, labelsize=7, labelbottom=lowest)
        for label in panel.get_xticklabels():
            label.set_fontweight("bold" if label.get_text() in family else "normal")
        panel.get_legend().remove()
    for panel in panels[len(records) :]:
        panel.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    figure.supylabel(f"signed change towards {trial.planted.label}", fontsize=8)
    figure.suptitle(f"{trial.planted}: what counterfactuals change; bold: the planted family", fontsize=9)
    return figure


def edited(trial: Trial) -> Figure:
    """Queries with the attribute and after its removal, with both classifiers' p(label) below (dvae, Fig. 5)."""
    planted, faces = trial.planted, trial.faces()
    assert faces.labels is not None  # noqa: S101 - a task has labels
    rows = torch.from_numpy(faces.official["test"])
    labels, having = torch.from_numpy(faces.labels)[rows], trial.having()
    cells = [torch.nonzero(having & (labels == label)).flatten()[: 2 * EACH] for label in (0, 1)]
    queries, without = torch.from_numpy(faces.images[rows.numpy()]), trial.edited().tensors()["images"]
    given = {kind: trial.gate(kind) for kind in ("unconfounded", "confounded")}
    columns, captions = [], [["" for _ in range(4)] for _ in cells[0]]
    for place, cell in enumerate(cells):
        for step, (images, name) in enumerate(((queries, "before"), (without, "after"))):
            columns.append(images[cell])
            for line, row in zip(captions, cell.tolist(), strict=True):
                p = {kind: float(found[name][0, row]) for kind, found in given.items()}
                line[2 * place + step] = f"without bias: {p['unconfounded']:.2f}\nwith bias: {p['confounded']:.2f}"
    edit = f"\nnot {planted.attribute}"
    headings = [f"{planted.attribute},\nnot {planted.label}", edit, f"{planted.attribute},\n{planted.label}", edit]
    title = (
        f"{planted}, seed {trial.seeds[0]}: the first queries with {planted.attribute}\n"
        f"and the same without it; below, p({planted.label})\nby a classifier without the bias and by one with it"
    )
    return grid(columns[0], torch.stack(columns[1:]), captions, headings, title)


def side_by_side(record: Record, trial: Trial, kinds: Mapping[str, str]) -> Figure | None:
    """Two classifiers' counterfactuals of the same queries (dvae, Fig. 4); None if they are no longer on disk.

    `kinds`: kind of classifier -> its name in the figure.
    """
    runs = trial.protocol.runs
    parts = {kind: find(runs, record.artefacts[f"explain-{kind}"])[0] for kind in kinds}
    seen = {kind: find(runs, record.artefacts[f"bias-{kind}"])[0] for kind in parts}
    if not all(parts.values()) or not all(seen.values()):
        return None
    rows = _chosen(trial)
    classes = (f"not {trial.planted.label}", trial.planted.label)
    queries = parts[next(iter(kinds))]["queries"][rows]
    columns, captions = [], [["" for _ in range(5)] for _ in rows]
    for place, kind in enumerate(parts):
        columns += [parts[kind]["reconstructions"][rows], parts[kind]["images"][0][rows]]
        for line, row in zip(captions, rows, strict=True):
            line[1 + 2 * place] = f"query seen: {classes[int(parts[kind]['predicted'][row])]}"
            line[2 + 2 * place] = f"seen: {classes[int(seen[kind]['seen'][row])]}"
    headings = ["query", *(heading for name in kinds.values() for heading in ("x̃", f"x' {name}"))]
    title = (
        f"{record.method}, {trial.planted}, seed {trial.seeds[0]}: the first queries of each cell\n"
        f"as two classifiers of {trial.planted.label} see them: {' and '.join(kinds.values())}"
    )
    return grid(queries, torch.stack(columns), captions, headings, title)


def _chosen(trial: Trial) -> list[int]:
    """The indices of the first `EACH` queries of each (label, attribute) cell, cell after cell."""
    queries = trial.work(Case(BASELINE, "unconfounded", trial.seeds[0])).question.queries
    assert queries.data.attributes is not None  # noqa: S101 - drawn faces have some
    found = queries.data.attributes.iloc[queries.indices].reset_index(drop=True)
    cells = found.groupby([trial.planted.label, trial.planted.attribute]).indices
    return [int(row) for rows in cells.values() for row in rows[:EACH]]
