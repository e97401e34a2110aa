"""What lies in a user's folder of pictures: a subfolder a class, or labels.csv; train/, val/ and test/ above either."""

import csv
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.data.decoding import SUFFIXES
from benchmark.errors import UserError

LABELS = "labels.csv"
SPLITS = {"train": "train", "val": "validation", "validation": "validation", "valid": "validation", "test": "test"}
"""Name of a folder, in lower case -> the split that it holds."""
CLUTTER = {"thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "@eadir", "$recycle.bin"}
"""What systems leave in folders, in lower case; names that begin with a dot are left by them, too."""
HOW = f"give a folder with one subfolder a class, or with {LABELS} (file,label)"


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder, by part, class and name; nothing is opened yet."""

    folder: Path
    names: tuple[str, ...]
    """Paths below the folder, with "/"."""
    classes: tuple[str, ...]
    """The class of each picture."""
    parts: tuple[str, ...]
    """The given split of each picture: "train", "validation", "test", or "" where the folder has none."""
    attributes: pd.DataFrame | None
    """(N, A) int8 of 0 and 1."""
    passed_over: Mapping[str, int]
    """What was no picture -> how many files."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """In alphabetical order, as torchvision numbers them."""
        return tuple(sorted(set(self.classes)))

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64 indices into `class_names`."""
        place = {name: number for number, name in enumerate(self.class_names)}
        return np.array([place[name] for name in self.classes], np.int64)

    def path(self, row: int) -> Path:
        """Of the file of one picture."""
        return self.folder / self.names[row]

    def only(self, rows: np.ndarray) -> "Listing":
        """The pictures at `rows` (n,)."""
        chosen = [tuple(part[row] for row in rows) for part in (self.names, self.classes, self.parts)]
        kept = None if self.attributes is None else self.attributes.iloc[rows].reset_index(drop=True)
        return replace(self, names=chosen[0], classes=chosen[1], parts=chosen[2], attributes=kept)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    label: str
    part: str = ""
    attributes: tuple[str, ...] = ()
    cells: tuple[int, ...] = ()


def list_folder(folder: Path) -> Listing:
    """The pictures below `folder`.

    Raises
    ------
    UserError
        If there is no such folder, no picture in a class, or a labels.csv that is malformed or names files that are not
        there.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; {HOW}")
    passed_over: Counter[str] = Counter()
    entries = sorted(_entries(folder, passed_over), key=lambda entry: (entry.part, entry.label, entry.name))
    if not entries:
        if listed := sorted(folder.glob(LABELS)) or sorted(folder.glob(f"*/{LABELS}")):
            raise UserError(f"{listed[0]} names no picture: give it a row for each, file,label")
        raise UserError(f"{folder} has no picture in a subfolder ({', '.join(SUFFIXES)}); {HOW}")
    columns = entries[0].attributes
    if any(entry.attributes != columns for entry in entries):
        raise UserError(f"the {LABELS} of the parts of {folder} have different columns: give them the same")
    values = np.array([entry.cells for entry in entries], np.int8).reshape(len(entries), len(columns))
    return Listing(
        folder,
        names=tuple(entry.name for entry in entries),
        classes=tuple(entry.label for entry in entries),
        parts=tuple(entry.part for entry in entries),
        attributes=pd.DataFrame(values, columns=list(columns)) if columns else None,
        passed_over={kind: number for kind, number in sorted(passed_over.items()) if number},
    )


def _entries(folder: Path, passed_over: Counter[str]) -> list[_Entry]:
    if (folder / LABELS).is_file():
        return _with_parts(_from_csv(folder, "", passed_over))
    parts = _parts(folder)
    if not parts:
        return _from_subfolders(folder, "", passed_over)
    entries = []
    for below in parts:
        read = _from_csv if (folder / below / LABELS).is_file() else _from_subfolders
        found = read(folder, f"{below}/", passed_over)
        entries += [replace(entry, part=SPLITS[below.lower()]) for entry in found]
    _count_outside(folder, passed_over)
    return entries


def _parts(folder: Path) -> list[str]:
    """The subfolders that hold splits; none where train/ is a class, with pictures right in it, or is not there."""
    names = [path.name for path in _subfolders(folder)]
    parts = [name for name in names if name.lower() in SPLITS]
    train = next((name for name in parts if name.lower() == "train"), None)
    if train is None or not ((folder / train / LABELS).is_file() or _subfolders(folder / train)):
        if parts and len(parts) == len(names) and train is None:
            raise UserError(
                f"{folder} has {parts[0]}/ but no train/; {HOW}, and with train/, val/ and test/ above them"
            )
        return []
    if other := [name for name in names if name not in parts]:
        raise UserError(f"beside train/ in {folder} lies {other[0]}/, which is no split: move it elsewhere")
    if len({SPLITS[name.lower()] for name in parts}) < len(parts):
        raise UserError(f"{folder} has the same split twice ({', '.join(sorted(parts))}): keep one of them")
    return parts


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_clutter(path.name))


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in CLUTTER


def _files(folder: Path, below: str) -> Iterator[str]:
    """All files below `folder` / `below`, as paths from `folder` with "/"; folders of clutter are not entered."""
    for top, folders, files in os.walk(folder / below):
        folders[:] = sorted(name for name in folders if not _is_clutter(name))
        place = Path(top).relative_to(folder)
        yield from ((place / name).as_posix() for name in sorted(files))


def _kind(name: str) -> str:
    """Empty for a picture; what else a file is, to be counted."""
    base = name.rpartition("/")[2]
    if _is_clutter(base):
        return "hidden files" if base.startswith(".") else base
    suffix = Path(base).suffix.lower()
    return "" if suffix in SUFFIXES else f"*{suffix}" if suffix else "files without a suffix"


# -- subfolders --------------------------------------------------------------------------------------------------------


def _from_subfolders(folder: Path, below: str, passed_over: Counter[str]) -> list[_Entry]:
    """A class a subfolder of `folder` / `below`, with all pictures below it, however deep."""
    entries: list[_Entry] = []
    for path in _subfolders(folder / below):
        label, before = _class_name(path.name, str(path)), len(entries)
        for name in _files(folder, f"{below}{path.name}"):
            if kind := _kind(name):
                passed_over[kind] += 1
            else:
                entries.append(_Entry(name, label))
        passed_over["folders without pictures"] += len(entries) == before
    _count_outside(folder / below, passed_over)
    return entries


def _count_outside(folder: Path, passed_over: Counter[str]) -> None:
    """Files that lie beside the folders of classes or splits."""
    for path in folder.iterdir():
        if path.is_file():
            passed_over[_kind(path.name) or "pictures outside every class"] += 1


def _class_name(text: str, where: str) -> str:
    name = unicodedata.normalize("NFC", text.strip())
    if not name or not name.isprintable() or "|" in name:
        raise UserError(f"{where}: '{name}' cannot name a class in a table: not empty, on one line, without |")
    return name


# -- labels.csv --------------------------------------------------------------------------------------------------------


def _from_csv(folder: Path, below: str, passed_over: Counter[str]) -> list[_Entry]:
    """The rows of the labels.csv in `folder` / `below`, which names files relative to itself."""
    path = folder / below / LABELS
    columns, rows = _rows(path)
    present = {unicodedata.normalize("NFC", name): name for name in _files(folder, below)}
    entries, missing = [], []
    for line, (file, label, *values) in rows:
        name = present.pop(unicodedata.normalize("NFC", f"{below}{Path(file).as_posix()}"), None)
        if name is None:
            missing.append(f"'{file}' (line {line})")
            continue
        entries.append(
            _Entry(name, _class_name(label, f"{path}, line {line}"), "", columns, _binary(path, line, values))
        )
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"{path} names {missing[0]}{more}, not in the folder or named twice: mend the file")
    present.pop(unicodedata.normalize("NFC", f"{below}{LABELS}"), None)
    passed_over.update(_kind(name) or f"pictures not in {LABELS}" for name in present)
    return entries


def _rows(path: Path) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    """The names of the attributes, and each row's line with its cells, as many as the header has."""
    how = "it needs the header file,label and further columns of 0 and 1 if there are attributes, in UTF-8"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {error}; {how}") from error
    header = rows[0][1] if rows else []
    if header[:2] != ["file", "label"]:
        raise UserError(f"{path} begins with '{','.join(header)[:60]}'; {how}")
    if not all(header):
        raise UserError(f"{path}: column {header.index('') + 1} has no name; {how}")
    if twice := [name for place, name in enumerate(header) if name in header[:place]]:
        raise UserError(f"{path} has two columns '{twice[0]}': name each otherwise; {how}")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise UserError(f"{path}, line {line}: {len(row)} cells under {len(header)} headings; {how}")
    return tuple(header[2:]), rows[1:]


def _binary(path: Path, line: int, values: Sequence[str]) -> tuple[int, ...]:
    if not set(values) <= {"0", "1"}:
        raise UserError(f"{path}, line {line}: attributes are 0 or 1, not '{','.join(values)[:40]}'")
    return tuple(int(value) for value in values)


def _with_parts(entries: list[_Entry]) -> list[_Entry]:
    """With the split that the first folder of each name says, where all names begin with such a folder."""
    first = [entry.name.partition("/")[0].lower() for entry in entries]
    if "train" not in first or not set(first) <= SPLITS.keys():
        return entries
    return [replace(entry, part=SPLITS[part]) for entry, part in zip(entries, first, strict=True)]
