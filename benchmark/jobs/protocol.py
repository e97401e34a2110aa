"""The settings of a run, its jobs, and the images of a task."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark.data import ImageData, Source
from benchmark.data.folder_config import FolderConfig
from benchmark.data.tasks import data_set_of, file_name, knows_attributes, knows_truth, load_task
from benchmark.data.wanted import Wanted
from benchmark.jobs.settings import Overrides, source_settings
from benchmark.judges.spec import ClassifierSpec
from methods import METHODS
from methods.training import Advance, Devices, silent

WHOLE = (".npy", ".sha256", ".json")
"""How the names of finished files in the cache of images end."""


@dataclass(frozen=True)
class Protocol:
    """The settings of a run that all its jobs share."""

    results: Path
    preset: str = "default"
    overrides: Overrides | None = None
    relaxations: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    split: str = "test"
    limit: int | None = None
    data_root: Path | None = None
    folder: FolderConfig | None = None
    """The user's own folder of pictures, which is a task of its own."""
    extractors: tuple[str, ...] = ("oracle",)
    inception_weights: Path | None = None
    devices: Devices = field(default_factory=Devices)
    classifier: ClassifierSpec | None = None
    """The user's own; None: one is trained for each task and seed."""
    wanted: Wanted | None = None
    """Pictures of the user's own as queries, with their targets; None: the first of a split."""
    studies: bool = True
    """Whether methods make tables and figures of their own, which may take longer than all their answers."""
    threads: int = 1
    """CPU threads per job; results depend on this number, not on how many jobs run at once."""
    raise_errors: bool = False
    writes: bool = True
    """Whether anything may be written to `results`; a forecast and a look at a classifier leave it alone."""

    @property
    def runs(self) -> Path:
        """Folder of what can be recomputed: weights, counterfactuals, records."""
        return self.results / "runs"

    @property
    def own_tasks(self) -> tuple[str, ...]:
        """The name of the user's own folder, if there is one."""
        return () if self.folder is None else (self.folder.name,)


@dataclass(frozen=True)
class Job:
    """One method on one task under one seed."""

    task: str
    method: str
    seed: int

    def __str__(self) -> str:
        return f"{self.method} on {self.task}, seed {self.seed}"

    @property
    def answerable(self) -> bool:
        """Whether a data set of ours, which is not loaded for it, knows what the method takes."""
        return self._taken(truth=knows_truth(self.task), attributes=knows_attributes(self.task))

    def suits(self, data: ImageData) -> bool:
        """Whether the task's `data` know what the method takes: exact counterfactuals, or attributes."""
        return self._taken(truth=data.exact is not None, attributes=data.attributes is not None)

    def _taken(self, *, truth: bool, attributes: bool) -> bool:
        method = METHODS[self.method].load()
        return (truth or not method.takes_truth) and (attributes or not method.takes_attributes)

    def path(self, protocol: Protocol) -> Path:
        """The path of its record."""
        asked = "records" if protocol.wanted is None else f"asked/{protocol.wanted.key}"
        folder = protocol.runs / asked / protocol.preset / file_name(self.task) / self.method
        return folder / f"seed-{self.seed}.json"


_loaded: dict[tuple[object, ...], ImageData] = {}


def images_of(task: str, protocol: Protocol, advance: Advance = silent) -> ImageData:
    """The images of `task`, read or drawn once per process."""
    settings = source_settings(data_set_of(task), protocol.preset, protocol.overrides or {})
    folder = protocol.folder if protocol.folder and protocol.folder.name == data_set_of(task) else None
    key = (task, protocol.data_root, folder, settings)
    if (found := _loaded.get((*key, True))) is not None:
        return found
    if (*key, protocol.writes) not in _loaded:
        stage = "decode" if settings is None else "draw"
        with _cache_of(protocol) as cache:
            source = Source(
                protocol.data_root,
                cache,
                lambda done, total: advance(stage, done, total, None),
                folder=folder,
                settings=settings,
            )
            _loaded[*key, protocol.writes] = load_task(task, source)
    return _loaded[*key, protocol.writes]


@contextmanager
def _cache_of(protocol: Protocol) -> Iterator[Path]:
    """The folder where images are kept; where nothing may be written, a passing one that links what is kept.

    Images stay mapped to memory when their folder is gone.
    """
    kept = protocol.runs / "cache"
    if protocol.writes:
        yield kept
        return
    with TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as passing:
        for file in (file for file in kept.glob("*") if file.suffix in WHOLE):
            (Path(passing) / file.name).symlink_to(file.resolve())
        yield Path(passing)
