"""`benchmark run`."""

from typing import Annotated

import typer

from benchmark import names
from benchmark.api import run_records
from benchmark.arguments import RELAXATIONS
from benchmark.cli import options
from benchmark.cli.publishing import exit_code, publish
from benchmark.cli.talk import Talk
from benchmark.names import RESULTS


def command(
    methods: options.Methods = "all",
    tasks: options.Tasks = "mnist",
    seeds: options.Seeds = "0",
    relaxations: options.Relaxations = RELAXATIONS,
    preset: options.Preset = "default",
    settings: options.Settings = None,
    data_root: options.DataRoot = None,
    split: options.Split = "test",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Queries, at most; tables say that the run is partial.")
    ] = None,
    fid: options.Fid = "oracle",
    inception_weights: options.InceptionWeights = None,
    jobs: options.Jobs = None,
    accelerator: options.Accelerator = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Devices that one training uses.")] = 1,
    precision: Annotated[names.Precision, typer.Option(help="Number format of trainings.")] = "32-true",
    results: options.Results = RESULTS,
    plugins: options.Plugins = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Run the jobs, publish their records, say what failed."""
    talk = Talk(preset, quiet=quiet)
    try:
        records = run_records(
            methods,
            tasks,
            preset,
            seeds,
            plugins=plugins,
            jobs=jobs,
            results=results,
            relaxations=relaxations,
            settings=settings,
            data_root=data_root,
            split=split,
            limit=limit,
            fid=fid,
            inception_weights=inception_weights,
            accelerator=accelerator,
            devices=devices,
            precision=precision,
            raise_errors=debug,
            listener=talk,
        )
        publish(records, results, quiet=quiet)
    except KeyboardInterrupt as error:
        raise options.StoppedError(talk.stopped) from error
    return exit_code(records)
