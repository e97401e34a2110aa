"""A task names a data set and what is asked of it: `mnist`, `mnist/3-8`, `celeba/Male`."""

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
"""Data sets that know the exact counterfactuals of their images."""

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1
"""Of all images, where a data set has no split of its own."""


@dataclass(frozen=True)
class Splits:
    """Training, validation and test images of one task; nothing is chosen on the test split."""

    train: Subset
    validation: Subset
    test: Subset

    def named(self, name: str) -> Subset:
        """The split called "train", "validation" or "test"."""
        split: Subset = getattr(self, name)
        return split


def data_set_of(task: str) -> str:
    """The data set that a task is about: `celeba` of `celeba/Male`."""
    return task.partition("/")[0]


def question_of(task: str) -> str:
    """What a task asks of its data set: `Male` of `celeba/Male`; empty if all classes are asked for."""
    return task.partition("/")[2]


def file_name(task: str) -> str:
    """A task's name as part of a path: `celeba_Male`."""
    return task.replace("/", "_")


def check_name(task: str) -> None:
    """Refuse a task whose data set is unknown, before anything is loaded."""
    name = data_set_of(task)
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    if task != name and not question_of(task):
        raise UserError(f"'{task}' asks nothing of {name}; write {name}, or {name}/ and what is asked")


def knows_truth(task: str) -> bool:
    """Whether the exact counterfactuals of the task's images are known."""
    return data_set_of(task) in WITH_TRUTH


def load_task(task: str, source: Source) -> ImageData:
    """The labelled images of `task`.

    Raises
    ------
    UserError
        For an unknown data set, class or attribute, and where a class has fewer than two images.
    """
    name, question = data_set_of(task), question_of(task)
    data = load(name, replace(source, check_attributes=partial(_check_attribute, name, question)))
    asked = _by_attribute(data, question) if data.labels is None else _by_class(data, question)
    return _checked(replace(asked, name=task, digest=digest_of(data.digest, task)))


def _by_attribute(data: ImageData, attribute: str) -> ImageData:
    """Binary labels from a named attribute."""
    assert data.attributes is not None  # noqa: S101 - a data set has labels or attributes
    _check_attribute(data.name, attribute, data.attributes)
    labels = data.attributes[attribute].to_numpy().astype(np.int64)
    return replace(data, labels=labels, class_names=(f"not {attribute}", attribute), attribute=attribute)


def _check_attribute(name: str, attribute: str, attributes: pd.DataFrame) -> None:
    """Refuse an attribute that the data set `name` does not know."""
    known = [str(column) for column in attributes]
    if not attribute:
        raise UserError(f"{name} needs an attribute, as in {name}/{known[0]} (known: {', '.join(known)})")
    if attribute not in known:
        raise unknown(f"attribute of {name}", attribute, known)


def _by_class(data: ImageData, question: str) -> ImageData:
    """All classes, or the two that a question such as "3-8" names."""
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
    )


def _two_classes(data: ImageData, question: str) -> tuple[int, int]:
    """The two classes in "first-second", either by name; a name may itself hold a hyphen."""
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
    """`data`, if every class can be split."""
    assert data.labels is not None  # noqa: S101 - labelled by now
    for name, count in zip(data.class_names, np.bincount(data.labels, minlength=len(data.class_names)), strict=True):
        if count < 2:
            raise UserError(f"class '{name}' of {data.name} has {count} image(s); a task needs two or more of each")
    return data


def split(data: ImageData, seed: int) -> Splits:
    """The splits of `data` under `seed`: the official ones where they exist, drawn by class where they do not.

    Raises
    ------
    UserError
        If a class has too few images to stand in every split.
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
    """(the rest, `share` of all images of `data`), with the classes in proportion."""
    assert data.labels is not None  # noqa: S101 - labelled by now
    count = max(len(data.class_names), round(share * len(data)))
    try:
        rest, drawn = train_test_split(indices, test_size=count, random_state=seed, stratify=data.labels[indices])
    except ValueError as error:
        raise UserError(f"{data.name} is too small to be split into training, validation and test: {error}") from error
    return rest, drawn
