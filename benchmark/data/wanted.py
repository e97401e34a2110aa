"""Pictures of the user's own as queries, each with the class that it is to become."""

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmark.data import ImageData, Subset, digest_of
from benchmark.data.decoding import BrokenPictureError, decode
from benchmark.errors import UserError, unknown
from benchmark.names import Resize

HEADER = ("file", "target")


@dataclass(frozen=True)
class Wanted:
    """Which pictures, which targets."""

    files: tuple[Path, ...]
    targets: tuple[str, ...]
    """Names of classes, one for each picture."""
    resize: Resize = "crop"

    @cached_property
    def key(self) -> str:
        """A hash of the contents and the targets."""
        return digest_of(self.resize, *(path.read_bytes() for path in self.files), *self.targets)[:16]

    def queries(self, data: ImageData) -> Subset:
        """The pictures at the size and with the channels of `data`; nobody knows their labels.

        Raises
        ------
        UserError
            If one cannot be read, or its target is no class.
        """
        channels, height, width = data.shape
        assert channels in (1, 3)  # noqa: S101 - as every data set here
        images = []
        for path in self.files:
            try:
                images.append(decode(path, (width, height), self.resize, channels))  # type: ignore[arg-type] # 1 or 3
            except BrokenPictureError as error:
                raise UserError(f"{path} {error}") from error
        self.classes(data)
        stack = np.stack(images)
        own = ImageData(data.name, stack, None, data.class_names, digest_of(stack, self.key))
        return Subset(own, np.arange(len(stack)))

    def classes(self, data: ImageData) -> list[int]:
        """The targets as places in `data.class_names`."""
        for target in self.targets:
            if target not in data.class_names:
                raise unknown(f"class of {data.name}", target, data.class_names)
        return [data.class_names.index(target) for target in self.targets]


def wanted_of(query: Path | None, target: str | None, targets: Path | None, resize: Resize) -> Wanted | None:
    """What --query and --target, or --targets ask for; None if nothing.

    Raises
    ------
    UserError
        If they do not go together, or a file is not there.
    """
    if (query is None) != (target is None) or (query is not None and targets is not None):
        raise UserError("--query takes one picture and --target its class; --targets a csv of many; one or the other")
    if query is not None and target is not None:
        asked = [(query, target)]
    elif targets is not None:
        asked = _listed(targets)
    else:
        return None
    for path, _ in asked:
        if not path.is_file():
            raise UserError(f"there is no picture {path}")
    files, names = zip(*asked, strict=True)
    return Wanted(files, names, resize)


def _listed(path: Path) -> list[tuple[Path, str]]:
    """The rows of a csv with the header file,target; files are relative to it."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True, skipinitialspace=True))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if not rows or not set(HEADER) <= rows[0].keys():
        raise UserError(f"{path} has no rows under the header {','.join(HEADER)}: a picture's file, a class's name")
    for place, row in enumerate(rows, 1):
        if not row["file"] or not row["target"]:
            raise UserError(f"picture {place} of {path} has no file or no target")
    return [(path.parent / row["file"].strip(), row["target"].strip()) for row in rows]
