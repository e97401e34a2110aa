"""A page a paper: what it printed beside what our records say, its claims with verdicts, its figures made here."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from tabulate import tabulate

from benchmark.bias.discovery import BiasOutcome
from benchmark.bias.gates import CLASSIFIERS
from benchmark.bias.tables import bias_tables
from benchmark.data.tasks import data_set_of, file_name
from benchmark.jobs.again import paper_again
from benchmark.papers import PAPERS, Claim, Paper, Printed, Shown, load
from benchmark.papers.experiments import outcome, with_outcome
from benchmark.papers.measures import Measure, Measured, Setting
from benchmark.papers.panel import with_panel
from benchmark.papers.planting import outcomes
from benchmark.papers.verdicts import Evidence, Verdict, judge
from benchmark.records.record import Record, on_ours
from benchmark.report.cells import FORMATS, Results, Table
from benchmark.report.figures import Drawing, drawings, variants, write_drawings
from benchmark.report.latex import commented, tabulars
from benchmark.report.layout import DRAWN, FIGURES, TABLES
from benchmark.report.notes import notes_of, of_methods
from benchmark.report.tables import studies
from methods.files import write_whole

PUBLISHED = "published"
"""The source of a row that the paper printed; every other row is of ours, under its task's name."""
LONG = 14
"""A study of more rows than that stands in a file of its own."""
MINUS = "\N{MINUS SIGN}"

Cells = dict[str, str]
Tasks = Mapping[str, Sequence[Record]]


def write_pages(
    records: Sequence[Record],
    runs: Path,
    folder: Path,
    names: Iterable[str] = PAPERS,
    formats: Collection[str] = FORMATS,
) -> list[Path]:
    """The page of each paper that has successful records, in the tables of `folder`.

    With "tex" also its tables, with "csv" its numbers; with "png" and the like what shows methods beside one another.
    """
    results, made = Results.of(records), []
    for name in names:
        paper = load(name)
        if good := of_paper(paper, results):
            made.append(_write_page(name, paper, good, runs, folder, formats))
    return made


def of_paper(paper: Paper, results: Results) -> Results:
    """The successful records of a paper's methods, but for those about pictures or a classifier of the user's."""
    return results.good.only(lambda record: record.method in paper.methods and on_ours(record))


class Gathered(NamedTuple):
    """What a paper's page is made of."""

    tasks: dict[str, list[Record]]
    """Task -> its records, with what experiments and a panel of judges found."""
    planted: dict[str, BiasOutcome]
    """What came of the paper's planted biases."""

    @property
    def ours(self) -> Tasks:
        """Whatever can stand beside what the paper printed: tasks and planted biases."""
        return self.tasks | {bias: found.evidence for bias, found in self.planted.items() if found.evidence}


def gathered(paper: Paper, records: Results, runs: Path) -> Gathered:
    """Of a paper's successful records, and of what they rest on in `runs`."""
    tasks = {task: with_panel([with_outcome(one, runs) for one in records.on(task)], runs) for task in records.tasks}
    return Gathered(tasks, outcomes(paper, records[0].preset, runs))


def _write_page(name: str, paper: Paper, records: Results, runs: Path, folder: Path, formats: Collection[str]) -> Path:
    found = gathered(paper, records, runs)
    (tasks, planted), ours = found, found.ours
    tables, figures = folder / TABLES, folder / FIGURES
    of_part = partial(beside, ours=ours)
    own = {table.name: table for some in tasks.values() for table in studies(some)}
    own |= {table.name: table for one in planted.values() for table in bias_tables(one)}
    for some in tasks.values():
        write_drawings(_beside(paper, some, runs), figures, [name for name in DRAWN if name in formats])
    for table in own.values():
        table.write(tables, formats)
    for printed in paper.tables if "tex" in formats else ():
        stem = "-".join(re.findall(r"\w+", printed.name.lower()))
        write_whole(tables / f"paper-{name}-{stem}.tex", latex(printed, of_part(printed)).encode())
    if "csv" in formats:
        write_whole(tables / f"paper-{name}.csv", numbers(paper, ours).to_csv(index=False).encode())
    parts = [
        f"# {paper.title}: does it hold here?",
        _introduction(name, paper, records),
        _claims(paper.claims, tasks, runs, planted),
        "## Tables: published and here",
        *(_table(printed, of_part(printed), own) for printed in paper.tables if not _reason(printed, ours, own)),
        *(["## Figures, made here"] if paper.figures else []),
        *(
            _figure(shown, of_part(shown), own, figures, paper)
            for shown in paper.figures
            if not _reason(shown, ours, own)
        ),
        _missing(paper, ours, own),
    ]
    if unasked := [one.unasked for one in planted.values() if one.unasked]:
        parts.insert(2, _bullets(f"**{why}**" for why in unasked))
    path = tables / f"paper-{name}.md"
    write_whole(path, ("\n\n".join(parts) + "\n").encode())
    return path


def figures_of(paper: Paper, found: Gathered, runs: Path) -> dict[str, Drawing]:
    """Name -> the drawing of what a paper's figures show here, of the lowest seed; planted biases draw their own."""
    made: dict[str, Drawing] = {}
    for records in found.tasks.values():
        made |= _beside(paper, records, runs)
        for record in records:
            if record.seed == records[0].seed:
                made |= drawings(record, runs, [outcome(record, runs)])
    return made


def _beside(paper: Paper, records: Sequence[Record], runs: Path) -> dict[str, Drawing]:
    """Methods that the paper shows beside one another, on one task."""
    firsts = [record for record in records if record.method in paper.beside and record.seed == records[0].seed]
    return variants(firsts, runs) if firsts else {}


def beside(part: Printed | Shown, ours: Tasks) -> Tasks:
    """Those of `ours`, tasks and planted biases, that stand beside a table or figure of the paper."""
    if part.of:
        return {name: records for name, records in ours.items() if data_set_of(name) in part.of}
    return {name: records for name, records in ours.items() if records[0].method != CLASSIFIERS}


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _introduction(name: str, paper: Paper, records: Results) -> str:
    """What a reader has to know of the page, of the paper and of these records."""
    commands = "\n".join(f"    {line}" for line in paper_again(name, records).splitlines())
    made = (
        f"This page is written by\n\n{commands}\n\nPublished numbers stand in the rows called *{PUBLISHED}*, "
        "ours in the rows called by their task, or by the bias that was planted."
    )
    notes = notes_of(records) if any(record.rows for record in records) else of_methods(records)
    return f"{made}\n\n{_bullets((*paper.notes, *notes))}"


# -- claims ------------------------------------------------------------------------------------------------------------

RULE = (
    "A number is held against a bound by its whole 95 % interval, and each seed has to lean to the same side; without "
    "an interval, or where it holds both answers, a claim is left open. Of one seed the interval is about its queries "
    "only, of three and more about trainings and queries; two seeds have to decide alike. Equal means within a bound, "
    "by the interval of the difference. Bounds called ours are not the paper's."
)
"""What a verdict takes."""


def verdicts_of(
    claims: Sequence[Claim], tasks: Tasks, runs: Path, planted: Mapping[str, BiasOutcome]
) -> dict[str, list[Verdict]]:
    """Task -> what came of each claim on it."""
    return {
        task: [judge(claim.test, Evidence(task, records, runs, planted)) for claim in claims]
        for task, records in tasks.items()
    }


def _claims(claims: Sequence[Claim], tasks: Tasks, runs: Path, planted: Mapping[str, BiasOutcome]) -> str:
    """Each claim with its verdict on each task, and how many hold."""
    verdicts = verdicts_of(claims, tasks, runs, planted)
    listed = []
    for place, claim in enumerate(claims):
        lines = [f"{place + 1}. {claim.text} ({claim.source})"]
        told = {task: of_task[place] for task, of_task in verdicts.items()}
        if len(set(told.values())) == 1:
            verdict = next(iter(told.values()))
            lines.append(f"   - **{verdict.words}**: {verdict.because}")
        else:
            lines += [f"   - {task}: **{verdict.words}**: {verdict.because}" for task, verdict in told.items()]
        listed.append("\n".join(lines))
    table = tabulate(_counts(verdicts), headers="keys", tablefmt="github", disable_numparse=True)
    return f"## What the paper says\n\n{table}\n\n{RULE}\n\n" + "\n".join(listed)


def _counts(verdicts: Mapping[str, Sequence[Verdict]]) -> list[dict[str, str]]:
    """A row a task: how many claims hold there. What came out the same on all, to the word, is counted once."""
    kinds = sorted({verdict.words for of_task in verdicts.values() for verdict in of_task})
    once = [set(told) for told in zip(*verdicts.values(), strict=True)]
    alike = [len(told) == 1 and len(verdicts) > 1 for told in once]
    parts = {
        task: [v for v, same in zip(of_task, alike, strict=True) if not same] for task, of_task in verdicts.items()
    }
    if any(alike):
        parts["the same for all tasks"] = [told.pop() for told, same in zip(once, alike, strict=True) if same]
    return [
        {"task": task} | {kind: str(sum(one.words == kind for one in found)) for kind in kinds}
        for task, found in parts.items()
    ]


# -- tables ------------------------------------------------------------------------------------------------------------


def _table(printed: Printed, tasks: Tasks, own: Mapping[str, Table]) -> str:
    """A table of the paper in its own form, ours in rows of its own."""
    parts = [f"### {printed.name}: {printed.title}", f"Published: {setting(printed)}."]
    if printed.here:
        parts.append(tabulate(rows(printed, tasks), headers="keys", tablefmt="github", disable_numparse=True))
    else:
        published = [row for row in rows(printed, tasks) if row["source"] == PUBLISHED]
        parts.append(tabulate(published, headers="keys", tablefmt="github", disable_numparse=True))
    notes = [*printed.notes, *_incomparable(printed)]
    if any(MINUS in row["source"] and cell.startswith("(") for row in rows(printed, tasks) for cell in row.values()):
        notes.append(f"a difference in brackets is within {_plain(printed)}, which is our judgement")
    parts += [_bullets(notes)] if notes else []
    return "\n\n".join([*parts, *_studies(printed.studies, tasks, own)])


def _incomparable(printed: Printed) -> list[str]:
    """Each reason why no difference is given, with what it is a reason for."""
    reasons = dict.fromkeys(printed.incomparable.values())
    return [
        f"no difference, {why}: {', '.join(what for what, other in printed.incomparable.items() if other == why)}"
        for why in reasons
    ]


def setting(printed: Printed) -> str:
    """The paper's data and size, with n where it says so."""
    return printed.setting if printed.n is None else f"{printed.setting}, n = {printed.n:,}"


def rows(printed: Printed, tasks: Tasks) -> list[Cells]:
    """The rows of a table: what is published, under it ours on each task, and the difference of the two."""
    made = []
    for row in dict.fromkeys([*printed.published, *printed.here]):
        if row in printed.published:
            made.append({"row": row, "source": PUBLISHED} | _published(printed, row))
        for task, records in tasks.items() if row in printed.here else ():
            made += _ours(printed, row, task, records)
    return made


def _published(printed: Printed, row: str) -> Cells:
    """What is printed, and what it should be where that is a misprint."""
    cells = dict(zip(printed.columns, printed.published[row], strict=True))
    for (at, column), right in printed.corrected.items():
        if at == row:
            cells[column] = f"{right} (printed {cells[column]})"
    return cells


def _ours(printed: Printed, row: str, task: str, records: Sequence[Record]) -> list[Cells]:
    """Our row of one task and, if any is given, its differences to what is published."""
    measures = dict(zip(printed.columns, printed.here[row], strict=True))
    cells = {column: "" if measure is None else measure.text(records) for column, measure in measures.items()}
    if not any(cells.values()):
        return []
    own = {"row": row, "source": task} | cells
    apart = {
        column: _difference(measure, records, printed, row, column) if isinstance(measure, Measure) else ""
        for column, measure in measures.items()
    }
    return [own, {"row": row, "source": f"{task} {MINUS} {PUBLISHED}"} | apart] if any(apart.values()) else [own]


def _difference(measure: Measure, records: Sequence[Record], printed: Printed, row: str, column: str) -> str:
    """Ours minus what is published, in brackets if that is within the tolerance; empty where they do not compare."""
    measured = measure.of(records)
    if measured is None or {row, column} & printed.incomparable.keys():
        return ""
    apart = difference(measured, printed, row, column)
    if apart is None:
        return ""
    text = ("+" if apart >= 0 else MINUS) + measured.shown.text(abs(apart))
    return f"({text})" if printed.tolerance is not None and abs(apart) <= printed.tolerance else text


def difference(measured: Measured, printed: Printed, row: str, column: str) -> float | None:
    """Ours minus what is published in the same row; if there is none, minus the nearer end of all rows, 0 within."""
    partners = [row] if row in printed.published else list(printed.published)
    values = [value for partner in partners if (value := printed.value(partner, column)) is not None]
    if not values:
        return None
    nearest = min(max(measured.value, min(values)), max(values))
    return measured.value - nearest


def _plain(printed: Printed) -> str:
    """The tolerance in the table's unit."""
    tolerance = printed.tolerance or 0.0
    rates = printed.percent or any("%" in cell.printed for cell in printed.cells())
    return f"{100 * tolerance:g} per cent" if rates else f"{tolerance:g}"


def latex(printed: Printed, tasks: Tasks) -> str:
    """The same table for LaTeX with booktabs and graphicx."""
    notes = (f"{printed.name}: {printed.title}", f"published: {setting(printed)}", *printed.notes)
    return commented(*notes) + tabulars(pd.DataFrame(rows(printed, tasks)).fillna(""))


COLUMNS = ["table", "row", "column", "source", "text", "value", "low", "high", "n", "seeds"]
"""Of a page's csv: a row a published number, and a row a task for ours; rates are fractions."""


def numbers(paper: Paper, ours: Tasks) -> pd.DataFrame:
    """All numbers of a page, published and of `ours`, tasks and planted biases, in a tidy form."""
    found: list[list[object]] = []
    for printed in paper.tables:
        for cell in printed.cells():
            found.append([*cell[:3], PUBLISHED, cell.printed, cell.value, None, None, cell.n, None])
        for row, measures in printed.here.items():
            for column, measure in zip(printed.columns, measures, strict=True):
                for task, records in beside(printed, ours).items():
                    found += _tidy([printed.name, row, column, task], measure, records)
    return pd.DataFrame(found, columns=COLUMNS)


def _tidy(place: list[str], measure: Measure | Setting | None, records: Sequence[Record]) -> list[list[object]]:
    if measure is None or not (text := measure.text(records)):
        return []
    measured = measure.of(records) if isinstance(measure, Measure) else None
    return [[*place, text, *((None,) * 5 if measured is None else measured[:5])]]


# -- figures, studies, and what is missing -----------------------------------------------------------------------------


def _figure(shown: Shown, tasks: Tasks, own: Mapping[str, Table], folder: Path, paper: Paper) -> str:
    """The pictures of each task that are there, how to get those that are not, and the tables behind them."""
    parts = [f"### {shown.name}: {shown.what}"]
    there = [(of, stem) for of, stem in names_of(shown, tasks) if (folder / f"{stem}.png").exists()]
    for task in tasks:
        mine = [stem for of, stem in there if of == task]
        parts += [f"![{task}: {shown.what}](../{FIGURES}/{stem}.png)" for stem in mine]
        if len(mine) < len(shown.files):
            option = "" if task in (*paper.tasks, *paper.planted) else f" with `--task {task}`"
            parts.append(f"{task}: not all pictures are there; the command above draws them{option}.")
    return "\n\n".join([*parts, *_studies(shown.studies, tasks, own)])


def names_of(shown: Shown, tasks: Iterable[str]) -> list[tuple[str, str]]:
    """(task, name) of the pictures that show what a figure does."""
    return [(task, stem.format(task=file_name(task))) for task in tasks for stem in shown.files]


def _studies(names: Sequence[str], tasks: Tasks, own: Mapping[str, Table]) -> list[str]:
    """The tables of the studies called `names`: short ones, and links to long ones."""
    found = [own[f"{name}-{file_name(task)}"] for name in names for task in tasks if f"{name}-{file_name(task)}" in own]
    shown = []
    for table in found:
        if len(table.methods) + len(table.references) > LONG:
            shown.append(f"Numbers: [{table.title}]({table.name}.md)")
        else:
            both = pd.concat([table.methods, table.references])
            cells = tabulate(both.to_dict("list"), headers="keys", tablefmt="github", disable_numparse=True)
            notes = [*table.notes, *_references(table)]
            shown.append(f"**{table.title}**\n\n{cells}\n\n{_bullets(notes)}".strip())
    return shown


def _references(table: Table) -> list[str]:
    """Which rows are no explanations but give the scale, if any are."""
    return [f"references: {', '.join(table.references['method'])}"] if len(table.references) else []


def _reason(part: Printed | Shown, ours: Tasks, own: Mapping[str, Table]) -> str:
    """Why a table or figure of the paper is not made here; empty if it is."""
    shown = beside(part, ours)
    if not shown:
        return f"needs {' or '.join(part.of)}"
    if isinstance(part, Printed):
        return part.missing
    if any(f"{study}-{file_name(name)}" in own for study in part.studies for name in shown):
        return ""
    if part.studies and all(records[0].method == CLASSIFIERS for records in shown.values()):
        return "no method was asked"
    return "" if part.files else part.missing or "the command above makes it"


def _missing(paper: Paper, ours: Tasks, own: Mapping[str, Table]) -> str:
    """Every table and figure that is not made here, with the reason."""
    found = [(table.name, table.title, _reason(table, ours, own)) for table in paper.tables]
    found += [(shown.name, shown.what, _reason(shown, ours, own)) for shown in paper.figures]
    cells = [row for row in found if row[2]]
    table = tabulate(cells, headers=("of the paper", "shows", "why not"), tablefmt="github", disable_numparse=True)
    return f"## Not made here\n\n{table}"
