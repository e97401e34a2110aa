"""`benchmark paper`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmark.arguments import one_of, protocol_of, seeds_of, tasks_of, workers_of
from benchmark.cli import options
from benchmark.cli.publishing import exit_code, on_disk, write_report
from benchmark.errors import UserError, unknown
from benchmark.jobs import estimate, runner
from benchmark.jobs.progress import board
from benchmark.jobs.protocol import Job, Protocol
from benchmark.names import RESULTS
from benchmark.papers import PAPERS, load, running
from benchmark.papers import pretrained as pretrained_networks
from benchmark.records.store import check_writable
from benchmark.report.layout import FIGURES, TABLES


def command(
    names: Annotated[
        list[str], typer.Argument(metavar="PAPER...", help="vaex, gan-search, hybrid, dvae, leap, diffusion; or all.")
    ],
    tasks: Annotated[
        str | None,
        typer.Option(
            "--task",
            "--tasks",
            help="Comma-separated. [default: mnist,mnist/3-8 and such; for the preset paper, the paper's]",
        ),
    ] = None,
    preset: options.Preset = "default",
    seeds: options.Seeds = "0",
    data_root: options.DataRoot = None,
    fid: options.Fid = "oracle",
    inception_weights: options.InceptionWeights = None,
    jobs: options.Jobs = None,
    accelerator: options.Accelerator = "auto",
    pretrained: Annotated[
        Path | None,
        typer.Option(help="Folder of pretrained networks: make what the paper makes of them, and nothing else."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the preset paper starts.")] = False,
    results: options.Results = RESULTS,
) -> int:
    """Run the jobs of papers, and print the pages."""
    papers = _papers(names)
    protocol = protocol_of(
        results,
        preset,
        data_root=data_root,
        fid=fid,
        inception_weights=inception_weights,
        accelerator=accelerator,
    )
    if pretrained is not None:
        return _show_pretrained(papers, pretrained, protocol, asked=not yes)
    todo = {}
    for name in papers:
        paper = load(name)
        chosen = tasks_of(tasks or (paper.task if preset == "paper" else paper.tasks))
        asked = [Job(task, method, seed) for task in chosen for seed in seeds_of(seeds) for method in paper.methods]
        todo[name] = [job for job in asked if job.answerable]
    check_writable(protocol.runs, results / TABLES, results / FIGURES)
    if preset == "paper":
        _confirm(list(dict.fromkeys(job for wanted in todo.values() for job in wanted)), protocol, asked=not yes)
    with board(Console(stderr=True), protocol.runs) as drawn:
        records = running.run_papers(todo, protocol, workers_of(jobs, protocol.devices), drawn)
    done = {Job(record.task, record.method, record.seed) for record in records if record.status == "ok"}
    for name in papers:
        if done & set(todo[name]):
            _print(name, results)
    if done:
        typer.echo(str(write_report(results, on_disk(results, preset))))
    return exit_code(records)


def _print(name: str, results: Path) -> None:
    """A paper's page down to its tables, and where the rest is."""
    page = results / TABLES / f"paper-{name}.md"
    typer.echo(page.read_text(encoding="utf-8").partition("\n## Tables")[0])
    typer.echo(f"\nwritten to {page}\n")


def _show_pretrained(names: Sequence[str], folder: Path, protocol: Protocol, *, asked: bool) -> int:
    """What one paper makes of networks in `folder`."""
    name = one_of(list(names), "paper")
    check_writable(protocol.runs, protocol.results / TABLES, protocol.results / FIGURES)
    networks = pretrained_networks.read(name, folder, protocol)
    _agree(networks.forecast(), asked=asked)
    records = pretrained_networks.show(name, networks, protocol)
    _print(name, protocol.results)
    return exit_code(records)


def _papers(names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in PAPERS and list(names) != ["all"]:
            raise unknown("paper", name, PAPERS)
    return list(PAPERS) if list(names) == ["all"] else list(dict.fromkeys(names))


def _confirm(jobs: Sequence[Job], protocol: Protocol, *, asked: bool) -> None:
    """Say what unfinished jobs need, from a few measured steps, and ask whether to start if that is to be `asked`.

    Raises
    ------
    UserError
        If nobody is there to answer.
    typer.Abort
        If the answer is no.
    """
    jobs = [job for job in jobs if runner.finished(job, protocol) is None]
    if not jobs:
        return
    typer.echo("measuring a few steps of everything ...", err=True)
    _agree(estimate.estimate(jobs, protocol), asked=asked)


def _agree(forecast: estimate.Forecast, *, asked: bool) -> None:
    """Print what is needed, and ask whether to start."""
    typer.echo(forecast.text(), err=True)
    if not asked:
        return
    if not sys.stdin.isatty():
        raise UserError("the preset paper asks before it starts, and nobody is there to answer; add --yes")
    typer.confirm("start?", abort=True, err=True)
