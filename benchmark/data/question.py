"""What a job asks: the images of a task, how a seed splits them, and the first images of a split as queries."""

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.data import ImageData, Subset
from benchmark.data.tasks import Splits, split
from benchmark.errors import UserError
from methods.training import derived_seed

PURPOSES = ("training", "classifier", "oracle", "fit", "targets", "explain", "show", "probe", "autoencoders")
"""What random numbers are drawn for; a seed and a purpose make a stream."""


@dataclass(frozen=True)
class Question:
    """The images of a task under one seed; the same for every method."""

    data: ImageData
    seed: int
    splits: Splits
    train: Subset
    """What methods and judges learn from: the training split, or its first images."""
    asked: Subset
    """The split that the queries are from."""
    queries: Subset

    @classmethod
    def of(cls, data: ImageData, seed: int, split_name: str, *, train_images: int | None, queries: int) -> "Question":
        """At most so many training images and `queries` of `data`, split under `seed`.

        Raises
        ------
        UserError
            If a class has too few images to stand in every split, or none among the training images.
        """
        splits = split(data, seed)
        asked = splits.named(split_name)
        train = splits.train.first(train_images or len(splits.train))
        _check_classes(train)
        return cls(data, seed, splits, train, asked, asked.first(queries))

    def seed_for(self, purpose: str, *rest: int) -> int:
        """A seed for each of `PURPOSES`, and of its parts."""
        return derived_seed(self.seed, PURPOSES.index(purpose), *rest)

    @property
    def class_count(self) -> int:
        """Classes that an image can be of."""
        return len(self.data.class_names)

    @property
    def real_count(self) -> int:
        """How many images stand on either side of a Fréchet distance."""
        return min(len(self.queries), len(self.asked) // 2)

    def reals(self) -> Tensor:
        """The last `real_count` images of the split, none of which is compared with itself, (M, C, H, W) uint8."""
        return torch.from_numpy(self.data.images[self.asked.indices[len(self.asked) - self.real_count :]])


def _check_classes(train: Subset) -> None:
    """Refuse training images without a class, which could be a target all the same."""
    names = train.data.class_names
    missing = (train.labels.bincount(minlength=len(names)) == 0).nonzero()[:, 0].tolist()
    if missing:
        raise UserError(
            f"none of the {len(train)} training images is of class '{names[missing[0]]}' of {train.data.name}: "
            "take more by --set data.train_images=..., or null for all"
        )
