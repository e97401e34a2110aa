"""A task names a data set and the classes to tell apart: `mnist`, `mnist/3-8`, `celeba/Male`."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from itertools import permutations

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmark.data import ImageData, Source, Subset, digest_of, load
from benchmark.errors import UserError, unknown
from benchmark.names import DATASETS

WITH_TRUTH = ("avatars",)
"""Data sets with exact counterfactuals of their images."""
WITH_ATTRIBUTES = ("avatars", "celeba")
"""Data sets with attributes of their images."""

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1
"""Shares of all images for splits that are not official."""
NEEDED = 10
"""Different images of a class that a user's folder needs, so that a tenth of them is one."""
FEW_TRAINING, FEW_TESTS = 300, 100
"""Training images of a class, and test images of all, below which numbers mean little."""


@dataclass(frozen=True)
class Splits:
    """Training, validation and test images of one task."""

    train: Subset
    validation: Subset
    test: Subset

    def named(self, name: str) -> Subset:
        """The split called "train", "validation" or "test"."""
        split: Subset = getattr(self, name)
        return split


def data_set_of(task: str) -> str:
    """The data set of a task: `celeba` of `celeba/Male`."""
    return task.partition("/")[0]


def question_of(task: str) -> str:
    """The attribute or pair of classes of a task: `Male` of `celeba/Male`; empty for all classes."""
    return task.partition("/")[2]


def file_name(task: str) -> str:
    """A task's name in paths: `celeba_Male`."""
    return task.replace("/", "_")


def check_name(task: str, others: Collection[str] = ()) -> None:
    """Refuse a task whose data set is neither known nor among the `others`, before anything is loaded."""
    name = data_set_of(task)
    if name not in DATASETS and name not in others:
        raise unknown("data set", name, {*DATASETS, *others})
    if task != name and not question_of(task):
        raise UserError(f"'{task}' names no class or attribute of {name}; write {name}, or add one after the slash")


def knows_truth(task: str) -> bool:
    """Whether the task's data have exact counterfactuals."""
    return data_set_of(task) in WITH_TRUTH


def knows_attributes(task: str) -> bool:
    """Whether attributes of the task's images are known."""
    return data_set_of(task) in WITH_ATTRIBUTES


def load_task(task: str, source: Source) -> ImageData:
    """The labelled images of `task`.

    Raises
    ------
    UserError
        For an unknown data set, class or attribute, and if a class has too few images.
    """
    name, question = data_set_of(task), question_of(task)
    data = load(name, replace(source, check_attributes=partial(_check_attribute, name, question)))
    asked = _by_attribute(data, question) if data.labels is None else _by_class(data, question)
    asked = _checked(replace(asked, name=task, digest=digest_of(data.digest, task)))
    return asked if source.folder is None else _with_counts(asked)


def _by_attribute(data: ImageData, attribute: str) -> ImageData:
    """`data` labelled by one attribute, binary."""
    assert data.attributes is not None  # noqa: S101 - a data set has labels or attributes
    _check_attribute(data.name, attribute, data.attributes)
    labels = data.attributes[attribute].to_numpy().astype(np.int64)
    return replace(data, labels=labels, class_names=(f"not {attribute}", attribute), attribute=attribute)


def _check_attribute(name: str, attribute: str, attributes: pd.DataFrame) -> None:
    """Raise UserError for an attribute that the data set `name` does not have."""
    known = [str(column) for column in attributes]
    if not attribute:
        raise UserError(f"{name} needs an attribute, as in {name}/{known[0]} (known: {', '.join(known)})")
    if attribute not in known:
        raise unknown(f"attribute of {name}", attribute, known)


def _by_class(data: ImageData, question: str) -> ImageData:
    """`data` with all classes, or with the two classes of a question such as "3-8"."""
    if not question:
        return data
    assert data.labels is not None  # noqa: S101 - the caller looked
    pair = _two_classes(data, question)
    chosen = np.flatnonzero(np.isin(data.labels, pair))
    place = {int(old): new for new, old in enumerate(chosen)}
    official = {
        split: np.array([place[int(i)] for i in indices if int(i) in place], dtype=np.int64)
        for split, indices in data.official.items()
    }
    return replace(
        data,
        images=data.images[chosen],
        labels=(data.labels[chosen] == pair[1]).astype(np.int64),
        class_names=tuple(data.class_names[c] for c in pair),
        attributes=None if data.attributes is None else data.attributes.iloc[chosen].reset_index(drop=True),
        official=official,
        twins=None if data.twins is None else _first_of(data.twins[chosen]),
    )


def _first_of(groups: np.ndarray) -> np.ndarray:
    """(n,): where the group of each of `groups` (n,) comes first."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    return first[group]


def _two_classes(data: ImageData, question: str) -> tuple[int, int]:
    """The two classes of "first-second", by name; a name may contain a hyphen."""
    words = question.split("-")
    for cut in range(1, len(words)):
        names = "-".join(words[:cut]), "-".join(words[cut:])
        if all(name in data.class_names for name in names) and names[0] != names[1]:
            return data.class_names.index(names[0]), data.class_names.index(names[1])
    pairs = [f"{first}-{second}" for first, second in permutations(data.class_names, 2)]
    nearest = "".join(f"; did you mean '{pair}'?" for pair in get_close_matches(question, pairs, n=1))
    known = ", ".join(data.class_names)
    raise UserError(f"'{question}' does not name two classes of {data.name}{nearest} (first-second; known: {known})")


def _checked(data: ImageData) -> ImageData:
    """`data`; UserError if a class is too small to be split."""
    assert data.labels is not None  # noqa: S101 - labelled by now
    for name, count in zip(data.class_names, np.bincount(data.labels, minlength=len(data.class_names)), strict=True):
        if count < 2:
            raise UserError(f"class '{name}' of {data.name} has {count} image(s); a task needs two or more of each")
    return data


def _with_counts(data: ImageData) -> ImageData:
    """A user's own pictures, with a remark where they are so few that numbers mean little.

    Raises
    ------
    UserError
        If a class has too few pictures to stand in every split, saying how many it needs.
    """
    if lacking := "; ".join(_lacking(data)):
        raise UserError(f"{data.name} has too few pictures: {lacking}; add some, or leave the class out")
    splits = split(data, seed=0)
    remarks, each = [], np.bincount(splits.train.labels, minlength=len(data.class_names))
    if len(splits.test) < FEW_TESTS:
        remarks.append(_on_rates(len(splits.test)))
    if each.min() < FEW_TRAINING:
        name = data.class_names[int(each.argmin())]
        remarks.append(
            f"class '{name}' has {each.min()} training pictures, fewer than {FEW_TRAINING}: too few to train a "
            "generator well, so that its answers blur, and perhaps an oracle, so look at its accuracy; the references "
            "need no generator"
        )
    return replace(data, remarks=(*data.remarks, *remarks))


def _on_rates(count: int) -> str:
    """What `count` test pictures are too few for: a rate near one half, and a difference of two, at 95 %."""
    half = 98 / math.sqrt(count)  # 1.96 · √(1/4 / n), in points
    return (
        f"{count} test pictures are too few to know a rate better than to ± {half:.0f} points, or to tell methods "
        f"apart that differ by less than about {math.sqrt(2) * half:.0f}"
    )


def _lacking(data: ImageData) -> Iterator[str]:
    """What each class would need more of; identical images count once."""
    assert data.labels is not None  # noqa: S101 - labelled by now
    everything = np.arange(len(data))
    first = everything if data.twins is None else data.twins
    for part, needed in {"train": NEEDED, "validation": 1, "test": 1}.items():
        indices = data.official.get(part, everything if part == "train" else None)
        if indices is None:
            continue
        counts = np.bincount(data.labels[np.unique(first[indices])], minlength=len(data.class_names))
        where = f" for {part}" if data.official else ""
        for name, count in zip(data.class_names, counts, strict=True):
            if count < needed:
                yield f"class '{name}' has {count} different one(s){where}, and needs {needed}"


def split(data: ImageData, seed: int) -> Splits:
    """The splits of `data` under `seed`: official ones where they exist, otherwise drawn by class.

    Where one is drawn, identical images come to the same side.

    Raises
    ------
    UserError
        If a class has too few images for every split.
    """
    test, validation = data.official.get("test"), data.official.get("validation")
    given = [part for part in (test, validation) if part is not None]
    train = data.official.get("train", np.setdiff1d(np.arange(len(data)), np.concatenate([np.array([], int), *given])))
    if test is None:
        train, test = _draw(data, train, TEST_SHARE, seed)
    if validation is None:
        train, validation = _draw(data, train, VALIDATION_SHARE, seed)
    shuffled = np.random.default_rng(seed).permutation(test)
    return Splits(Subset(data, train), Subset(data, validation), Subset(data, shuffled))


def _draw(data: ImageData, indices: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`indices` divided into (the rest, `share` of all images of `data`), stratified by class."""
    assert data.labels is not None  # noqa: S101 - labelled by now
    groups = indices if data.twins is None else indices[_first_of(data.twins[indices])]
    own = indices[groups == indices]
    count = max(len(data.class_names), round(share * len(data)))
    try:
        rest, drawn = train_test_split(own, test_size=count, random_state=seed, stratify=data.labels[own])
    except ValueError as error:
        raise UserError(f"{data.name} is too small to be split into training, validation and test: {error}") from error
    copies = groups != indices
    following = (indices[copies & np.isin(groups, side)] for side in (rest, drawn))
    return tuple(np.concatenate(pair) for pair in zip((rest, drawn), following, strict=True))  # type: ignore[return-value]
