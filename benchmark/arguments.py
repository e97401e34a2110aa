"""What a user asks for, checked: from names and numbers, or text that lists them, to what a run takes."""

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack, get_args

import torch

from benchmark.data.folder_config import FolderConfig, folder_config
from benchmark.data.tasks import check_name
from benchmark.data.wanted import Wanted
from benchmark.errors import UserError, unknown
from benchmark.jobs.memory import check_room, room
from benchmark.jobs.parallel import Cluster
from benchmark.jobs.protocol import Protocol
from benchmark.jobs.runner import Shard
from benchmark.jobs.settings import parse_overrides
from benchmark.judges.features import EXTRACTORS
from benchmark.judges.spec import ClassifierSpec
from benchmark.names import EMBEDDED, Accelerator, Backend, Precision, Preset, Split
from benchmark.report.layout import DRAWN
from methods import METHODS
from methods.training import Devices
from metrics import METRICS

Given = str | float | Iterable[str | float]
"""One or several names or numbers: "vaex,hybrid", ["vaex", "hybrid"], 0, (0, 1, 2)."""
Location = Path | str
T = TypeVar("T")

FORMATS = ("md", "tex", "csv", *DRAWN)
RELAXATIONS = "0,0.2,0.4,0.6,0.8,1"


class Pictures(TypedDict, total=False):
    """A folder of the user's own pictures; what each means and its default stand at `protocol_of`."""

    data: Location | None
    image_size: str | int | None
    resize: str
    channels: int | None
    skip_broken: bool


class Options(Pictures, total=False):
    """How a run is carried out; what each means and its default stand at `protocol_of`."""

    relaxations: Given
    settings: Sequence[str] | None
    split: Split
    limit: int | None
    data_root: Location | None
    classifier: ClassifierSpec | None
    fid: Given
    inception_weights: Location | None
    accelerator: Accelerator
    devices: int
    precision: Precision
    wanted: Wanted | None
    studies: bool
    raise_errors: bool


def protocol_of(results: Location, preset: Preset, **options: Unpack[Options]) -> Protocol:
    """How a run is carried out.

    Parameters
    ----------
    results
        Folder of everything that is written.
    preset
        "smoke", "default" or "paper".
    **options
        `relaxations`: values of r in [0, 1]; by default 0, 0.2, ..., 1.
        `settings`: overrides, as in ["vaex.epochs=30"].
        `split`: queries of "test" (default), or of "validation".
        `limit`: queries, at most.
        `data_root`: folder of data sets that are not embedded.
        `classifier`: the user's own, as `benchmark.classifier` gives it; by default one is trained.
        `data`: folder of pictures of yours, a subfolder a class or labels.csv; its name is a task.
        `image_size`: pixels, 64 or "48x64" (width x height); by default the pictures' own size if all have one and no
        side is above 128, else 64. `resize`: "crop" (default), "fit" or "stretch".
        `channels`: 1 or 3; by default 1 if all pictures are grey. `skip_broken`: whether to leave broken ones out.
        `fid`: extractors of Fréchet distances, "oracle" (default) and "inception".
        `inception_weights`: file of pytorch-fid's weights; by default they are downloaded.
        `accelerator`: "auto" (default), "cpu", "cuda" or "mps"; `devices`: how many one training uses.
        `precision`: of trainings, "32-true" (default) or "bf16-mixed".
        `wanted`: pictures of the user's own as queries, with targets.
        `studies`: whether methods make tables and figures of their own (default).
        `raise_errors`: whether the first error ends the run instead of its job.

    Raises
    ------
    UserError
        For a value that is unknown or out of range, and for weights or devices that are not there.
    """
    _choice("preset", preset, Preset)
    _choice("split", split := options.get("split", "test"), Split)
    _choice("precision", precision := options.get("precision", "32-true"), Precision)
    _positive("limit", limit := options.get("limit"))
    _positive("devices", devices := options.get("devices", 1))
    return Protocol(
        results=Path(results),
        preset=preset,
        overrides=parse_overrides(options.get("settings") or []),
        relaxations=relaxations_of(options.get("relaxations", RELAXATIONS)),
        split=split,
        limit=limit,
        data_root=path_of(options.get("data_root")),
        classifier=options.get("classifier"),
        folder=_folder(options),
        extractors=extractors_of(options.get("fid", "oracle")),
        inception_weights=_weights(path_of(options.get("inception_weights"))),
        devices=Devices(_accelerator(options.get("accelerator", "auto")), devices, precision),
        wanted=options.get("wanted"),
        studies=options.get("studies", True),
        raise_errors=options.get("raise_errors", False),
    )


# -- lists of names and numbers ----------------------------------------------------------------------------------------


def entries_of(given: Given, option: str) -> list[str]:
    """The entries of a list, or of comma-separated text, in order, each once."""
    parts = given.split(",") if isinstance(given, str) else given if isinstance(given, Iterable) else [given]
    entries = list(dict.fromkeys(entry for part in parts if (entry := str(part).strip())))
    if not entries:
        raise UserError(f"--{option} is empty; name one or more, separated by commas")
    return entries


def methods_of(given: Given, recorded: Iterable[str] = ()) -> list[str]:
    """Registered methods and `recorded` ones, in the order of the tables; of `MANY`, those that it stands for."""
    known = list(dict.fromkeys([*METHODS, *sorted(recorded)]))
    if given == "all":
        return known
    names = leading() if given == "families" else [method_of(name, known) for name in entries_of(given, "methods")]
    return [name for name in known if name in names]


def leading() -> list[str]:
    """The first method of each family, and all references."""
    families: dict[str, str] = {}
    for name, entry in METHODS.items():
        if not entry.reference:
            families.setdefault(entry.family, name)
    return [*families.values(), *(name for name, entry in METHODS.items() if entry.reference)]


def method_of(name: str, known: Collection[str] = METHODS.keys()) -> str:
    """`name`, if it is a `known` method."""
    if name not in known:
        raise unknown("method", name, known)
    return name


def tasks_of(given: Given | None, others: Collection[str] = ()) -> list[str]:
    """Tasks whose data set is known, or among the `others`; the embedded ones for "all".

    None stands for the first of the `others`, which is a user's own folder, or for mnist.
    """
    if given is None:
        return [*others, "mnist"][:1]
    tasks = list(EMBEDDED) if given == "all" else entries_of(given, "tasks")
    for task in tasks:
        check_name(task, others)
    return tasks


def seeds_of(given: Given) -> list[int]:
    """Whole numbers from 0."""
    entries = entries_of(given, "seeds")
    if not all(entry.isdecimal() and len(entry) <= 10 and int(entry) < 2**32 for entry in entries):
        raise UserError(f"--seeds takes whole numbers from 0, as in 0,1,2, not '{_text(given)}'")
    return [int(entry) for entry in entries]


def relaxations_of(given: Given) -> tuple[float, ...]:
    """Numbers from 0 to 1, in order."""
    try:
        values = tuple(float(entry) for entry in entries_of(given, "relaxations"))
    except ValueError:
        values = (float("nan"),)
    if not all(0 <= value <= 1 for value in values):
        raise UserError(f"--relaxations (or --r) takes numbers from 0 to 1, as in 0,0.5,1, not '{_text(given)}'")
    return tuple(sorted(set(values)))


def extractors_of(given: Given) -> tuple[str, ...]:
    """Known feature extractors."""
    names = entries_of(given, "fid")
    for name in names:
        if name not in EXTRACTORS:
            raise unknown("feature extractor", name, EXTRACTORS)
    return tuple(names)


def metrics_of(given: Given) -> list[str]:
    """Registered metrics, in the order given."""
    names = entries_of(given, "metrics")
    for name in names:
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
    return names


def formats_of(given: Given) -> list[str]:
    """What tables and figures are written as."""
    names = entries_of(given, "format")
    for name in names:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    return names


def _text(given: Given) -> str:
    return str(given) if isinstance(given, str) or not isinstance(given, Iterable) else ",".join(map(str, given))


def one_of(entries: list[T], what: str) -> T:
    """The only entry, which is no "all"."""
    if len(entries) > 1 or entries[0] == "all":
        raise UserError(f"this takes one {what}, not {'all' if entries[0] == 'all' else len(entries)}")
    return entries[0]


# -- single values -----------------------------------------------------------------------------------------------------


def shard_of(given: str | None) -> Shard | None:
    """(I, N) of "I/N", the I-th of N parts of a run; None where none is given.

    Raises
    ------
    UserError
        If it is something else.
    """
    if given is None:
        return None
    place, _, count = given.partition("/")
    whole = all(part.isdecimal() and len(part) <= 10 for part in (place, count))
    if not (whole and 1 <= int(place) <= int(count)):
        raise UserError(f"--shard takes I/N with I from 1 to N, as in 2/8, not '{given[:40]}'")
    return int(place), int(count)


def cluster_of(backend: Backend, given: Sequence[str] | None) -> Cluster:
    """Where jobs run, with options as in ["scheduler=tcp://host:8786"].

    Raises
    ------
    UserError
        If the backend is unknown or takes no options, or an option has no value.
    """
    _choice("backend", backend, Backend)
    pairs = [option.partition("=") for option in given or ()]
    if wrong := [name for name, _, value in pairs if not name or not value]:
        raise UserError(f"--backend-option takes NAME=VALUE, not '{wrong[0]}'")
    if pairs and backend == "loky":
        raise UserError("--backend loky takes no --backend-option")
    return Cluster(backend, {name: value for name, _, value in pairs})


def workers_of(jobs: int | None, devices: Devices) -> int:
    """How many jobs run at once: `jobs`, or one a core or a GPU if memory holds them, unless one takes several devices.

    Raises
    ------
    UserError
        For more jobs at once than the memory holds, and for several that want several GPUs each.
    """
    _positive("jobs", jobs)
    if devices.accelerator == "cuda" and devices.devices > 1 and (jobs or 1) > 1:
        raise UserError("each of several jobs has one GPU: leave out --jobs or --devices")
    if jobs is not None:
        check_room(jobs)
        return jobs
    if devices.devices > 1 or devices.accelerator == "mps":
        return 1
    return max(1, int(min(_processors(devices), room())))


def _processors(devices: Devices) -> int:
    """The GPUs of this machine, or the cores that this process may use."""
    if devices.accelerator == "cuda":
        return torch.cuda.device_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _choice(kind: str, name: str, choices: Any) -> None:  # noqa: ANN401 - a Literal is no type
    if name not in (known := get_args(choices)):
        raise unknown(kind, name, known)


def _positive(option: str, number: int | None) -> None:
    if number is not None and number < 1:
        raise UserError(f"--{option} takes a whole number from 1, not {number}")


def path_of(given: Location | None) -> Path | None:
    """The path, or None where none is given."""
    return None if given is None else Path(given)


def _folder(options: Pictures) -> FolderConfig | None:
    if (path := path_of(options.get("data"))) is not None:
        given = options.get("image_size"), options.get("resize", "crop"), options.get("channels")
        return folder_config(path, *given, skip_broken=options.get("skip_broken", False))
    if (
        any(options.get(name) for name in ("image_size", "channels", "skip_broken"))
        or options.get("resize", "crop") != "crop"
    ):
        raise UserError(
            "--image-size, --resize, --channels and --skip-broken go with --data, the folder of your pictures"
        )
    return None


def _weights(path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise UserError(f"there is no file {path}; --inception-weights names a file of weights")
    return path


def _accelerator(name: Accelerator) -> str:
    """What "auto" stands for here; and a refusal of what this machine has not got."""
    _choice("accelerator", name, Accelerator)
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next((other for other in ("cuda", "mps") if present[other]), "cpu")
    if not present[name]:
        raise UserError(f"this machine has no {name} device; use --accelerator auto")
    return name
