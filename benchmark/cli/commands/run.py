"""`benchmark run`."""

from typing import Annotated

import typer

from benchmark import names
from benchmark.arguments import RELAXATIONS, Options, cluster_of, shard_of
from benchmark.cli import options
from benchmark.cli.groups import NO_PICTURES, NOTHING_SAID, ClassifierOptions, PictureOptions, spread
from benchmark.cli.publishing import exit_code, on_disk, publish
from benchmark.cli.talk import Talk, say, say_plan
from benchmark.data.wanted import wanted_of
from benchmark.names import RESULTS
from benchmark.with_records import empty_part, foreseen, run_records


@spread
def command(
    methods: options.Methods = "all",
    tasks: options.Tasks = None,
    seeds: options.Seeds = "0",
    relaxations: options.Relaxations = RELAXATIONS,
    preset: options.Preset = "default",
    settings: options.Settings = None,
    data_root: options.DataRoot = None,
    classifier: options.Classifier = None,
    said: ClassifierOptions = NOTHING_SAID,
    pictures: PictureOptions = NO_PICTURES,
    query: options.Query = None,
    target: options.Target = None,
    targets: options.Targets = None,
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
    shard: options.Shard = None,
    backend: options.Backend = "loky",
    backend_options: options.BackendOptions = None,
    dry_run: options.DryRun = False,
    results: options.Results = RESULTS,
    plugins: options.Plugins = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Run the jobs, publish their records, say what failed."""
    talk = Talk(preset, quiet=quiet)
    spec = said.of(classifier)
    asked = wanted_of(query, target, targets, pictures.resize)
    part, cluster = shard_of(shard), cluster_of(backend, backend_options)
    given = Options(
        relaxations=relaxations,
        settings=settings,
        data_root=data_root,
        classifier=spec,
        wanted=asked,
        split=split,
        limit=limit,
        fid=fid,
        inception_weights=inception_weights,
        accelerator=accelerator,
        devices=devices,
        precision=precision,
        raise_errors=debug,
    )
    given.update(pictures.given())  # type: ignore[typeddict-item] # some of its keys
    what = (methods, tasks, preset, seeds)
    try:
        if dry_run:
            there, missing, forecast = foreseen(*what, plugins=plugins, results=results, shard=part, **given)
            say_plan(there, missing, forecast)
            return 0
        records = run_records(
            *what,
            plugins=plugins,
            jobs=jobs,
            results=results,
            shard=part,
            cluster=cluster,
            listener=talk,
            **given,
        )
        if part is not None:
            why = None if records else empty_part(*what, results=results, shard=part, **given)
            done = f"is empty: {why}" if why else "is made"
            say(f"part {shard} {done}; after the last one: python -m benchmark report --results {results}")
        elif asked is None:
            publish(records, results, paged=on_disk(results, preset), quiet=quiet)
        else:
            from benchmark.cli.answers import write_answers  # noqa: PLC0415 - it draws, which takes seconds to load

            write_answers(records, asked, results)
    except KeyboardInterrupt as error:
        raise options.StoppedError(talk.stopped) from error
    return exit_code(records)
