"""The user's own outputs of a few pictures against what their classifier answers here: the one sure test of a spec."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from benchmark.data import ImageData
from benchmark.data.decoding import BrokenPictureError, decode, facts_of
from benchmark.data.folder_config import FolderConfig
from benchmark.errors import UserError
from benchmark.judges.adapter import OwnClassifier
from benchmark.judges.examine import Finding
from benchmark.judges.preprocessings import fed_as, plausible
from methods.pictures import unit

SAME = 0.01
"""Largest difference between outputs that count as the same, relative to the largest output (at least 1): files have
few digits, and programs resize a little differently."""
HOW = "--reference takes a csv: a picture's file, then one column per output of the network"


class Reference(NamedTuple):
    """What a user's own program says of N pictures."""

    paths: Sequence[Path]
    images: Tensor
    """(N, C, H, W) in [0, 1], at the size of the data."""
    whole: Sequence[Tensor]
    """The same at their own sizes, (1, C, h, w) each; empty if these are the data's."""
    outputs: Tensor
    """(N, K): probabilities or logits, as --output says."""


class Way(NamedTuple):
    """Outputs here, in one way to feed the network."""

    name: str
    option: str
    """What to say for it."""
    outputs: Tensor
    """(N, K)."""


def read_reference(path: Path, data: ImageData, folder: FolderConfig | None) -> Reference:
    """The pictures and outputs that the csv at `path` names; its files are relative to it, or to the user's folder.

    Raises
    ------
    UserError
        If a file is missing or broken, or a row has not as many numbers as the first.
    """
    rows = _rows(path)
    places = [path.parent, *([folder.path] if folder else [])]
    paths = [_found(name, places, path) for name, _ in rows]
    _, height, width = data.shape
    images = torch.cat([_picture(one, (width, height), data, folder) for one in paths])
    whole = [_picture(one, None, data, folder) for one in paths]
    own = any(picture.shape[2:] != (height, width) for picture in whole)
    return Reference(paths, images, whole if own else [], torch.tensor([numbers for _, numbers in rows]))


def _rows(path: Path) -> list[tuple[str, list[float]]]:
    """File and outputs of each row; a first row without numbers is a header."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            cells = [row for row in csv.reader(file, strict=True, skipinitialspace=True) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {error}; {HOW}") from error
    found = [(row[0].strip(), _numbers(row[1:])) for row in cells]
    found = found[1:] if found and found[0][1] is None else found
    if not found:
        raise UserError(f"{path} names no picture; {HOW}")
    kept = [(name, numbers) for name, numbers in found if numbers]
    count = len(kept[0][1]) if kept else 0
    for name, numbers in found:
        if not numbers or len(numbers) != count:
            raise UserError(f"{path} has not {count or 'any'} numbers for '{name}'; {HOW}")
    return kept


def _numbers(cells: Sequence[str]) -> list[float] | None:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return None


def _found(name: str, places: Sequence[Path], source: Path) -> Path:
    path = next((place / name for place in places if (place / name).is_file()), None)
    if path is None:
        raise UserError(f"{source} names '{name}', which is not in {' or '.join(map(str, places))}")
    return path


def _picture(path: Path, size: tuple[int, int] | None, data: ImageData, folder: FolderConfig | None) -> Tensor:
    """(1, C, height, width) in [0, 1], at `size` (width, height) or its own."""
    try:
        facts, channels = facts_of(path), data.shape[0]
        own = size or (facts.width, facts.height)
        pixels = decode(path, own, folder.resize if folder else "crop", 1 if channels == 1 else 3)
    except BrokenPictureError as error:
        raise UserError(f"{path} {error}") from error
    return unit(torch.from_numpy(pixels.copy()))[None]


def reproduced(classifier: OwnClassifier, reference: Reference) -> Finding:
    """Whether `classifier` answers as the user's own program does; if not, which other way to feed it would.

    Raises
    ------
    UserError
        If the network has another number of outputs.
    """
    said, *others = _ways(classifier, reference)
    wanted, given = said.outputs.shape[1], reference.outputs.shape[1]
    if wanted != given:
        raise UserError(
            f"--reference has {given} column(s) of outputs, {classifier.spec.name} puts out {wanted}; {HOW}"
        )
    unit_of = max(1.0, float(reference.outputs.abs().max()))
    apart = (said.outputs - reference.outputs).abs().amax(1)
    where = reference.paths[int(apart.argmax())].name
    words = f"{classifier.spec.output} of {len(apart)} pictures, at most {float(apart.max()):.2g} apart (on {where})"
    if float(apart.max()) <= SAME * unit_of:
        return Finding("reference", True, words)
    largest = {way: float((way.outputs - reference.outputs).abs().max()) for way in others}
    best = min(largest, key=lambda way: largest[way], default=None)
    if best is None or largest[best] > SAME * unit_of:
        return Finding("reference", False, f"{words}; no usual preprocessing gives your outputs")
    return Finding("reference", False, f"{words}; {largest[best]:.2g} with {best.name}: {best.option}")


@torch.no_grad()
def _ways(classifier: OwnClassifier, reference: Reference) -> Iterator[Way]:
    """The outputs as it is said, then in each other way that the network can be fed."""
    for name, wanted in plausible(classifier.spec.input, reference.images.shape[1]).items():
        with suppress(UserError), fed_as(classifier, wanted):
            yield Way(name, f"--input '{wanted.text()}'", classifier.fed(reference.images).float().cpu())
    with suppress(UserError):
        if reference.whole:
            outputs = torch.cat([classifier.fed(picture) for picture in reference.whole])
            yield Way("the pictures at their own size", "say a larger --image-size", outputs.float().cpu())
