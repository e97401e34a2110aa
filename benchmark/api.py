"""What `import benchmark` offers: the commands as functions that return numbers."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import pandas as pd
from rich.console import Console

from benchmark.arguments import (
    Given,
    Location,
    Options,
    Pictures,
    method_of,
    one_of,
    path_of,
    protocol_of,
    seeds_of,
    tasks_of,
)
from benchmark.errors import UserError
from benchmark.jobs.outside import Files
from benchmark.jobs.progress import board
from benchmark.jobs.protocol import Job
from benchmark.jobs.settings import check_overrides
from benchmark.judges.spec import ClassifierSpec, classifier_spec
from benchmark.names import RESULTS, Accelerator, Precision, Preset
from benchmark.plugins import load
from benchmark.records.store import check_writable
from benchmark.report.cells import tidy
from benchmark.with_records import failures, read_records, run_records, score_record

if TYPE_CHECKING:
    from benchmark.explainer import Explainer

log = logging.getLogger(__name__)


def run(
    methods: Given = "all",
    task: Given | None = None,
    preset: Preset = "default",
    seeds: Given = 0,
    *,
    plugins: Iterable[Location] = (),
    jobs: int | None = None,
    results: Location = RESULTS,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Fit, explain and score; what is on disk and still holds is not made again. Writes records, and no tables.

    Parameters
    ----------
    methods, task, seeds
        One or several: "vaex,hybrid" or ["vaex", "hybrid"]; "all" of methods and tasks, "families" for one method of
        each family and the references. By default the task is the folder that the option `data` names, or mnist.
    preset
        "smoke", "default" or "paper".
    plugins
        Python files with methods, data sets and metrics of yours; see `benchmark.plugins`.
    jobs
        Jobs at once; by default one a core, or one on a GPU.
    results
        Folder of everything that is written; by default results/local.
    **options
        As `benchmark run --help` lists them, with `_` for `-`; see `benchmark.arguments.protocol_of`.

    Returns
    -------
    pandas.DataFrame
        A row a number: task, method, seed, relaxation, metric, subset, value, low, high, n; as in metrics.csv. A job
        that failed has no row, and is named in a warning.

    Raises
    ------
    UserError
        For an argument that is wrong, with the command line's words, and if all jobs failed.
    """
    records = run_records(methods, task, preset, seeds, plugins=plugins, jobs=jobs, results=results, **options)
    reasons = failures(records)
    if reasons and all(record.status != "ok" for record in records):
        raise UserError("; ".join(reasons))
    for reason in reasons:
        log.warning("%s", reason)
    return tidy(records)


def fit(
    method: str,
    task: str | None = None,
    preset: Preset = "default",
    seed: int = 0,
    *,
    plugins: Iterable[Location] = (),
    settings: Sequence[str] | None = None,
    data_root: Location | None = None,
    classifier: ClassifierSpec | None = None,
    accelerator: Accelerator = "auto",
    precision: Precision = "32-true",
    results: Location = RESULTS,
    **pictures: Unpack[Pictures],
) -> "Explainer":
    """One method, fitted as in a run (and kept for it), to be asked about pictures of yours.

    Parameters
    ----------
    method, task, seed
        One of each; the task is by default the folder that the option `data` names, or mnist.
    settings
        Overrides, as in ["vaex.epochs=30"].
    data_root
        Folder of data sets that are not embedded.
    classifier
        The user's own, as `benchmark.classifier` gives it; by default one is trained.
    accelerator, precision
        "auto", "cpu", "cuda" or "mps"; "32-true" or "bf16-mixed".
    plugins, preset, results
        As for `run`.
    **pictures
        `data` and what goes with it, as for `benchmark.arguments.protocol_of`.

    Raises
    ------
    UserError
        For an argument that is wrong, and if the task cannot be had.
    """
    from benchmark.explainer import Explainer  # noqa: PLC0415 - it draws, and nothing else here loads what draws

    load(plugins)
    protocol = protocol_of(
        results,
        preset,
        settings=settings,
        data_root=data_root,
        classifier=classifier,
        accelerator=accelerator,
        precision=precision,
        **pictures,
    )
    asked = one_of(tasks_of(task, protocol.own_tasks), "task")
    job = Job(asked, method_of(method), one_of(seeds_of(seed), "seed"))
    check_overrides([job.method], preset, protocol.overrides or {})
    check_writable(protocol.runs)
    with board(Console(stderr=True), protocol.runs) as drawn:
        return Explainer.fitted(job, protocol, drawn)


def score(
    queries: Location,
    counterfactuals: Location,
    task: str | None = None,
    targets: Location | None = None,
    reconstructions: Location | None = None,
    *,
    name: str = "outside",
    seed: int = 0,
    preset: Preset = "default",
    data_root: Location | None = None,
    classifier: ClassifierSpec | None = None,
    fid: Given = "oracle",
    inception_weights: Location | None = None,
    results: Location = RESULTS,
    **pictures: Unpack[Pictures],
) -> pd.DataFrame:
    """Score counterfactuals that another program made, by the judges and metrics of a run.

    Parameters
    ----------
    queries, counterfactuals, reconstructions
        Folders of PNG files, or npy or npz files, matched by name; counterfactuals also in subfolders r=0.2 and so on.
    task
        Whose classifier and oracle judge; with `data`, its folder by default.
    targets
        csv with the header name,target; by default, with two classes, the other one.
    name
        What stands in the column `method`.
    seed
        Of the classifier, the oracle and the splits.
    data_root, classifier, fid, inception_weights, **pictures
        As for `benchmark.arguments.protocol_of`; of pictures `data` and what goes with it.
    preset, results
        As for `run`.

    Returns
    -------
    pandas.DataFrame
        As of `run`.

    Raises
    ------
    UserError
        For an argument that is wrong, a file that cannot be read, and images that do not fit the task.
    """
    files = Files(Path(queries), Path(counterfactuals), path_of(targets), path_of(reconstructions))
    protocol = protocol_of(
        results,
        preset,
        data_root=data_root,
        classifier=classifier,
        fid=fid,
        inception_weights=inception_weights,
        **pictures,
    )
    return tidy([score_record(files, task, name, seed, protocol)])


def read(
    results: Location = RESULTS,
    preset: Preset = "default",
    methods: Given = "all",
    tasks: Given = "all",
    seeds: Given = "all",
) -> pd.DataFrame:
    """The numbers of earlier runs, as `run` returns them, without computing anything.

    Raises
    ------
    UserError
        If there are none.
    """
    return tidy(read_records(results, preset, methods, tasks, seeds))


def classifier(source: str, **said: Any) -> ClassifierSpec:  # noqa: ANN401 - as the options have them
    """A classifier of your own, for `run`, `fit` and `score`.

    Parameters
    ----------
    source
        "model.onnx", "file.py:build", "package.module:build" or "torchvision:resnet18".
    **said
        `weights`, `input`, `output`, `columns`, `classes`, `features`, `trust_code`: as the options of `benchmark run`.

    Raises
    ------
    UserError
        If a file is not there, or something that is said cannot be.
    """
    return classifier_spec(source, **said)
