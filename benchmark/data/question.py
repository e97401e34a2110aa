"""The question of a job: the images of a task, split by a seed, with the first images of one split as queries."""

from dataclasses import dataclass

from benchmark.data import ImageData, Subset
from benchmark.data.tasks import Splits, split
from benchmark.data.wanted import Wanted
from benchmark.errors import UserError
from methods.training import derived_seed

PURPOSES = (
    *("training", "classifier", "oracle", "fit", "targets", "explain", "show", "probe", "autoencoders", "panel"),
    *("oracle-2", "oracle-3", "classifier-2", "classifier-3"),
)
"""Purposes of random numbers; a seed and a purpose determine a stream. A new one comes last, so that none moves."""


@dataclass(frozen=True)
class Question:
    """The images of a task under one seed; the same for every method."""

    data: ImageData
    seed: int
    splits: Splits
    train: Subset
    """Training images of methods and judges: the training split, or its first images."""
    asked: Subset
    """The split from which the queries are taken."""
    queries: Subset

    @classmethod
    def of(
        cls,
        data: ImageData,
        seed: int,
        split_name: str,
        *,
        train_images: int | None,
        queries: int,
        wanted: Wanted | None = None,
    ) -> "Question":
        """The question of `data` split under `seed`, with at most `train_images` and `queries`; or with those `wanted`.

        Raises
        ------
        UserError
            If a class has too few images to stand in every split, or none among the training images.
        """
        splits = split(data, seed)
        asked = splits.named(split_name)
        train = splits.train.first(train_images or len(splits.train))
        _check_classes(train)
        own = asked.first(queries) if wanted is None else wanted.queries(data)
        return cls(data, seed, splits, train, asked, own)

    def seed_for(self, purpose: str, *rest: int) -> int:
        """The seed of one of `PURPOSES`, and of its parts."""
        return derived_seed(self.seed, PURPOSES.index(purpose), *rest)

    @property
    def foreign(self) -> dict[str, str]:
        """The hash of queries that are not the data's own; empty for those that are."""
        return {} if self.queries.data is self.data else {"queries": self.queries.data.digest}

    @property
    def class_count(self) -> int:
        """The number of classes."""
        return len(self.data.class_names)

    @property
    def real_count(self) -> int:
        """The number of images on either side of a Fréchet distance."""
        return min(len(self.queries), len(self.asked) // 2)

    def real(self) -> Subset:
        """The last `real_count` images of the split, disjoint from the queries compared."""
        return Subset(self.data, self.asked.indices[len(self.asked) - self.real_count :])


def _check_classes(train: Subset) -> None:
    """Refuse training images without a class, which could be a target all the same."""
    names = train.data.class_names
    missing = (train.labels.bincount(minlength=len(names)) == 0).nonzero()[:, 0].tolist()
    if missing:
        raise UserError(
            f"none of the {len(train)} training images is of class '{names[missing[0]]}' of {train.data.name}: "
            "take more by --set data.train_images=..., or null for all"
        )
