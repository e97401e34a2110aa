"""`benchmark audit`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmark.arguments import one_of, protocol_of, tasks_of
from benchmark.cli import options
from benchmark.cli.groups import NO_PICTURES, NOTHING_SAID, ClassifierOptions, PictureOptions, spread
from benchmark.cli.publishing import exit_code, on_disk, publish
from benchmark.cli.talk import Talk, say
from benchmark.data.question import Question
from benchmark.data.tasks import file_name
from benchmark.data.wanted import wanted_of
from benchmark.errors import UserError
from benchmark.jobs.protocol import Protocol, images_of
from benchmark.jobs.settings import DATA
from benchmark.names import RESULTS
from benchmark.plugins import load
from benchmark.with_records import examined, run_records

FEW, ENOUGH = 100, 500
"""Training pictures of a class under which no generator learns much, and from which a small one does."""


@spread
def command(
    classifier: options.Classifier = None,
    said: ClassifierOptions = NOTHING_SAID,
    task: options.OwnTask = None,
    data_root: options.DataRoot = None,
    pictures: PictureOptions = NO_PICTURES,
    query: options.Query = None,
    target: options.Target = None,
    targets: options.Targets = None,
    methods: options.Methods = "families",
    seeds: options.Seeds = "0",
    preset: options.Preset = "default",
    settings: options.Settings = None,
    limit: Annotated[int, typer.Option(min=1, help="Test pictures that are explained, at most.")] = 200,
    studies: Annotated[bool, typer.Option("--studies", help="Methods' own tables and figures, too.")] = False,
    jobs: options.Jobs = None,
    accelerator: options.Accelerator = "auto",
    results: Annotated[
        Path | None, typer.Option(help="Folder of everything that is written. [default: one for this classifier]")
    ] = None,
    plugins: options.Plugins = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> int:
    """Explain a classifier of your own by methods that it can be asked by: one of each family."""
    load(plugins)
    spec = said.of(classifier)
    if spec is None:
        raise UserError("audit explains a classifier of yours: name it by --classifier")
    protocol = protocol_of(
        results or RESULTS, preset, settings=settings, data_root=data_root, classifier=spec, **pictures.given()
    )
    task = one_of(tasks_of(task, protocol.own_tasks), "task")
    folder = results or RESULTS / "audits" / f"{spec.name.replace(':', '-')}-{file_name(task)}"
    protocol = replace(protocol, results=folder)
    asked, talk = wanted_of(query, target, targets, pictures.resize), Talk(preset, quiet=quiet)
    try:
        if not quiet:
            for finding in examined(task, protocol).findings:
                say(f"{'ok  ' if finding.fine else 'LOOK'} {finding.what}: {finding.words}")
            for line in plan(task, protocol):
                say(line)
            if methods == "families":
                say("one method of each family is asked, and the references; --methods all asks every one")
        records = run_records(
            methods,
            task,
            preset,
            seeds,
            jobs=jobs,
            results=folder,
            settings=settings,
            limit=limit,
            data_root=data_root,
            classifier=spec,
            **pictures.given(),
            wanted=asked,
            accelerator=accelerator,
            studies=studies,
            raise_errors=debug,
            listener=talk,
        )
        for record in records:
            if record.status == "unasked":
                say(f"not asked: {record.reason}")
        if asked is None:
            publish(records, folder, paged=on_disk(folder, preset), quiet=quiet)
        else:
            from benchmark.cli.answers import write_answers  # noqa: PLC0415 - it draws, which takes seconds to load

            write_answers(records, asked, folder)
    except KeyboardInterrupt as error:
        raise options.StoppedError(talk.stopped) from error
    return exit_code(records)


def plan(task: str, protocol: Protocol) -> list[str]:
    """How many pictures generators and the oracle learn from, and what to expect of that."""
    data = images_of(task, protocol)
    settings = DATA.resolved(protocol.preset, protocol.overrides or {}, data.shape[0])
    question = Question.of(data, 0, protocol.split, train_images=settings.train_images, queries=settings.queries)
    counts = question.train.labels.bincount(minlength=question.class_count).tolist()
    each = ", ".join(f"{name} {count:,}" for name, count in zip(data.class_names, counts, strict=True))
    return [f"training pictures: {each}", f"generators learn from {sum(counts):,} pictures: {expectation(min(counts))}"]


def expectation(count: int) -> str:
    """What a generator makes of so many pictures of its rarest class."""
    if count < FEW:
        return (
            "far too few, so expect blurs; look at nearest-unlike, pixel-search and patch-swap first, and at the "
            "oracle's accuracy before you trust a number"
        )
    if count < ENOUGH:
        return "few, so expect coarse answers; nearest-unlike, pixel-search and patch-swap need no generator"
    return "enough for small pictures"
