"""What a user says of a folder of pictures, checked before the folder is looked into."""

import os
import re
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict

from benchmark.data.decoding import Channels
from benchmark.errors import UserError, unknown
from benchmark.names import DATASETS, Resize

SMALLEST = 16
"""Pixels of a side, at least: the networks halve pictures several times."""
FORBIDDEN = re.compile(r'[,|/\\<>:"?*`]')
"""What a task's name must not hold, because it also names files and columns, and stands in lists."""

Size = tuple[int, int]


class FolderConfig(BaseModel):
    """What a user says of a folder of pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    size: Size | None = None
    """(width, height) in pixels; None: their own if they have one and it is small, else 64 x 64."""
    resize: Resize = "crop"
    channels: Channels | None = None
    """None: 1 if every picture is grey, else 3."""
    skip_broken: bool = False

    @property
    def name(self) -> str:
        """Of the task: the folder's own name."""
        return Path(os.path.abspath(self.path)).name  # noqa: PTH100 - a link goes by its own name

    def said(self) -> dict[str, str]:
        """The options that say the same, with their values; a switch has none."""
        size = "x".join(map(str, self.size)) if self.size else ""
        values = {"--data": str(self.path), "--image-size": size, "--channels": str(self.channels or "")}
        values |= {"--resize": self.resize} if self.resize != "crop" else {}
        return {name: value for name, value in values.items() if value} | (
            {"--skip-broken": ""} if self.skip_broken else {}
        )


def folder_config(
    path: Path, image_size: str | int | None, resize: str, channels: int | None, *, skip_broken: bool
) -> FolderConfig:
    """The settings that a user gives, checked; the folder itself is looked into when it is loaded.

    Raises
    ------
    UserError
        For a size, a resize or a number of channels that there is not, and a folder's name that cannot be a task's.
    """
    if resize not in get_args(Resize):
        raise unknown("--resize", resize, get_args(Resize))
    if channels not in {None, *get_args(Channels)}:
        raise UserError(f"--channels takes 1 (grey) or 3 (colour), not {channels}")
    config = FolderConfig.model_validate(
        {
            "path": path,
            "size": None if image_size is None else _size(str(image_size)),
            "resize": resize,
            "channels": channels,
            "skip_broken": skip_broken,
        }
    )
    _check_name(config.name)
    return config


def _size(text: str) -> Size:
    """(width, height) of "64" or "48x64"."""
    found = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", text.strip().lower())
    if not found or min(int(side) for side in found.groups() if side) < SMALLEST:
        raise UserError(
            f"--image-size takes pixels from {SMALLEST}, one side (64) or width x height (48x64), not '{text}'"
        )
    return int(found[1]), int(found[2] or found[1])


def _check_name(name: str) -> None:
    way_out = "rename the folder, or make a link to it of another name and give that"
    if name in {*DATASETS, "all"}:
        raise UserError(f"a folder called '{name}' would be taken for the data set of that name: {way_out}")
    if not name or not name.isprintable() or name[0] in ".-" or name != name.strip() or FORBIDDEN.search(name):
        raise UserError(
            f"a folder called '{name}' cannot name a task (no , | / \\ < > : \" ? * ` and no . or - first): {way_out}"
        )
