"""`patch-swap`: cells of the classifier's spatial features are swapped for a distractor's, until the class flips.

Goyal, Wu, Ernst, Batra, Parikh and Lee, "Counterfactual Visual Explanations", 2019.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from methods.bank import Bank
from methods.base import BATCH, Classifier, Counterfactuals, ImageSet, Layer, Method, MethodConfig, Study
from methods.nn import stacked
from methods.patch_swap.swaps import Donors, Swaps, greedy, mixed
from methods.ranks import lead
from methods.training import Trainer

Positive = Annotated[int, Field(gt=0)]
LAYER: Layer = "convolutional"
SEEN = 64
"""Pictures on which a cell's receptive field is found."""


class PatchSwapConfig(MethodConfig):
    """Settings of `patch-swap`."""

    explain_only = frozenset({"distractors", "shortlist", "until_picture"})

    bank: Positive = Field(5000, description="maximal number of training images to choose distractors from (ours)")
    distractors: Positive = Field(
        20, description="training images that the classifier sees as the target, the nearest by pixels (the paper: 1)"
    )
    shortlist: Positive = Field(
        128, description="swaps tried at each turn, the most promising by gradient (ours; the paper tries all)"
    )
    until_picture: bool = Field(
        True, description="whether swapping goes on until the picture, too, has the target class (ours)"
    )


class PatchSwap(Method):
    """Swaps cells of the classifier's spatial features for those of a picture of the target class; trains nothing.

    The picture shows each swapped cell as a tile, its share of the picture. The cell itself sees more than that, its
    receptive field; the table `cells` has both.
    """

    Config = PatchSwapConfig
    asks = "features"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"bank": 200}, "paper": {"bank": 20_000}}
    config: PatchSwapConfig
    network: Bank

    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:  # noqa: ARG002 - any number of classes
        """An empty bank.

        Raises
        ------
        ValueError
            If the classifier's features have no places.
        """
        if self.classifier.spatial is None:
            raise ValueError(
                "it swaps places of the classifier's features, and these have none: let --features name a module whose "
                "output is pictures x channels x height x width"
            )
        return Bank(self.config.bank, shape)

    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Fill the bank with training images; nothing is learnt."""
        bank = self.prepare(data.shape, classifier)
        assert isinstance(bank, Bank)  # noqa: S101 - `build` returned it
        bank.fill(data, classifier, trainer.device)
        return self

    # -- cells ---------------------------------------------------------------------------------------------------------

    @property
    def grid(self) -> tuple[int, int, int]:
        """Channels, and the grid of cells, (D, h, w)."""
        spatial = self.classifier.spatial
        assert spatial is not None  # noqa: S101 - `build` has seen to it
        return spatial

    def cells(self, images: Tensor) -> Tensor:
        """The features of images (B, C, H, W) as cells, row by row of the grid: (B, n, D)."""
        parts = [self.classifier.features(some, LAYER) for some in images.split(BATCH)]
        return torch.cat(parts).unflatten(1, (self.grid[0], -1)).transpose(1, 2)

    def logits(self, cells: Tensor) -> Tensor:
        """What the classifier's head makes of cells (B, n, D): (B, classes)."""
        return self.classifier.head(cells.transpose(1, 2).flatten(1), LAYER)

    def lead(self, cells: Tensor, target: Tensor) -> Tensor:
        """The target's lead in the head, of cells (B, n, D): (B,), in logits."""
        return lead(self.logits(cells), target)

    # -- answering -----------------------------------------------------------------------------------------------------

    def reconstruct(self, images: Tensor) -> Tensor:
        """The query itself: no cell swapped."""
        return images

    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """The query with the tiles of its swapped cells, of which the last share r is left out."""
        rows = self.network.nearest(images, target, self.config.distractors)
        pictures = self.network.pictures(rows.clamp_min(0)).to(images)  # (N, K, C, H, W)
        own, others = self.cells(images), self.cells(pictures.flatten(0, 1))
        donors = Donors(
            others.unflatten(0, rows.shape).flatten(1, 2), (rows >= 0).repeat_interleave(own.shape[1], dim=1)
        )
        enough = partial(self._seen, images, pictures, target)
        swaps = greedy(self.lead, own, donors, target, self.config.shortlist, enough)
        answers, classes = [], []
        for r in relaxations:
            swapped = swaps.swapped(r)
            answers.append(self.pasted(images, pictures, swapped, swaps.sources))
            classes.append(self.logits(mixed(own, donors.cells, swapped, swaps.sources)).argmax(1))
        return Counterfactuals(
            stacked(answers, images),
            {"bank_rows": rows, "ranks": swaps.ranks, "sources": swaps.sources},
            {"representation_classes": stacked(classes, target)},
        )

    def _seen(self, images: Tensor, pictures: Tensor, target: Tensor, rows: Tensor, swaps: Swaps) -> Tensor:
        """Whether the picture of each of `rows` (k,) has its target class; (k,), true if nobody asks."""
        if not self.config.until_picture or not len(rows):
            return torch.ones_like(rows, dtype=torch.bool)
        drawn = self.pasted(images[rows], pictures[rows], swaps.swapped(), swaps.sources)
        return torch.cat([self.classifier(some).argmax(1) for some in drawn.split(BATCH)]) == target[rows]

    def pasted(self, images: Tensor, pictures: Tensor, swapped: Tensor, sources: Tensor) -> Tensor:
        """The queries (N, C, H, W) with the tiles of the `swapped` cells (N, n) from `pictures` (N, K, C, H, W)."""
        answers, (_, *grid) = images.clone(), self.grid
        count = grid[0] * grid[1]
        for cell in range(count):
            for source in sources[swapped[:, cell], cell].unique().tolist():
                rows = (swapped[:, cell] & (sources[:, cell] == source)).nonzero()[:, 0]
                to, come = tile(cell, grid, images.shape[2:]), tile(source % count, grid, images.shape[2:], cell)
                answers[rows, :, to[0], to[1]] = pictures[rows, source // count, :, come[0], come[1]]
        return answers

    def remarks(self) -> tuple[str, ...]:
        """What a cell is in the picture, and what it sees."""
        until = "the picture has the target class too" if self.config.until_picture else "the features flip"
        return (
            f"swaps cells of the features until {until}",
            "a swapped cell is drawn as its tile, a rectangle of the grid of cells over the picture; its receptive "
            "field is larger (table cells)",
        )

    def studies(self) -> Mapping[str, Study]:
        """The geometry of a cell in the middle."""
        _, height, width = self.grid
        cell = height // 2 * width + width // 2
        pictures = self.network.pictures(torch.arange(min(SEEN, len(self.network.classes))))
        rows, columns = tile(cell, (height, width), pictures.shape[2:])
        down, across = self.receptive(pictures, cell)
        facts: dict[str, str | int | float] = {
            "cells": f"{height} x {width}",
            "tile": f"{rows.stop - rows.start} x {columns.stop - columns.start}",
            "receptive field": f"{down} x {across}",
        }
        note = f"pixels, of a cell in the middle; the receptive field is what moves it on {len(pictures)} pictures"
        return {"cells": Study(title="what a cell of the features is in the picture", rows=[facts], notes=(note,))}

    @torch.enable_grad()
    def receptive(self, pictures: Tensor, cell: int) -> tuple[int, int]:
        """Height and width of the smallest rectangle of pixels that holds all on which a cell's features depend."""
        pictures = pictures.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(self.cells(pictures)[:, cell].sum(), pictures)
        touched = gradient.abs().sum((0, 1)) > 0
        rows, columns = (touched.any(side).nonzero()[:, 0] for side in (1, 0))
        return _extent(rows), _extent(columns)


def tile(cell: int, grid: Sequence[int], size: Sequence[int], like: int | None = None) -> tuple[slice, slice]:
    """The pixels of a cell, counted row by row, of a `grid` (h, w) over a picture of `size` (H, W): rows, columns.

    With `like` it has the size of that cell's tile, which may be a pixel larger or smaller, and stays in the picture.
    """
    found = []
    places = zip(divmod(cell, grid[1]), divmod(cell if like is None else like, grid[1]), grid, size, strict=True)
    for place, model, cells, pixels in places:
        length = max(1, (model + 1) * pixels // cells - model * pixels // cells)
        start = min(place * pixels // cells, pixels - length)
        found.append(slice(start, start + length))
    return found[0], found[1]


def _extent(places: Tensor) -> int:
    """From the first to the last of ascending places (k,), both included."""
    return int(places[-1] - places[0]) + 1 if len(places) else 0
