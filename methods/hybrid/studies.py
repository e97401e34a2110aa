"""What the modules of a generator are, how stable they are, and what hybrids do to the classifier, as tables."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from methods.base import Classifier, Study
from methods.hybrid.influence import influence
from methods.hybrid.model import ModularGenerator, Pairs, generate
from methods.hybrid.modules import Algorithm, Array, stability
from methods.hybrid.network import ModularNetwork, Place

Row = dict[str, str | int | float]

RANKS = range(2, 7)
"""K that the stability of clusters is told for (Fig. 9)."""
TOP = 10
"""Classes that the entropy of the classifier's output is taken over (Fig. 14)."""


# -- modules -----------------------------------------------------------------------------------------------------------


def modules_study(network: ModularNetwork, generator: ModularGenerator, pairs: int) -> Study:
    """Size and individual influence of the modules of each layer, and of each two successive ones (Fig. 8, right)."""
    own, other = generator.noise(pairs), generator.noise(pairs)
    rows = [row for place in network.every_place for row in _module_rows(place, generator, own, other)]
    size, effect = ([float(row[name]) for row in rows] for name in ("channels", "individual influence"))
    odd = [f"module {row['module']} of {row['layers']} is {row['remark']}" for row in rows if row["remark"]]
    return Study(
        title="size and individual influence of modules",
        rows=rows,
        notes=(
            f"individual influence: mean absolute change of a pixel when the module is swapped, over {pairs} pairs",
            f"correlation of size and influence over all rows: {np.corrcoef(size, effect)[0, 1]:.2f}",
            "no module is empty or has all channels of a layer" if not odd else f"never used: {'; '.join(odd)}",
        ),
        axes=("channels", "individual influence", "layers"),
    )


def _module_rows(place: Place, generator: ModularGenerator, own: Tensor, other: Tensor) -> list[Row]:
    """A row a module, small ones first."""
    rows: list[Row] = []
    for k, single in enumerate(place.singles):
        swapped = place.swapped(single)
        rows.append(
            {
                "layers": place.name,
                "module": k + 1,
                "channels": sum(int(mask.sum()) for mask in swapped),
                "individual influence": float(influence(generator, place.layers, own, other, swapped).mean()),
                "remark": place.remark(single),
            }
        )
    return sorted(rows, key=lambda row: row["channels"])


# -- stability ---------------------------------------------------------------------------------------------------------


def stability_study(patterns: Array, layers: str, repetitions: int) -> Study:
    """Label consistency and cosine of templates against K, for NMF and k-means (Fig. 9)."""
    algorithms: tuple[Algorithm, ...] = get_args(Algorithm)
    found = {(name, k): stability(patterns, k, name, repetitions) for name in algorithms for k in RANKS}
    rows: list[Row] = [
        {
            "algorithm": name,
            "K": k,
            "consistency": float(of.consistency.mean()),
            "std": float(of.consistency.std()),
            "cosine": float(of.cosine.mean()),
            "std of cosine": float(of.cosine.std()),
        }
        for (name, k), of in found.items()
    ]
    ours, theirs = ({k: found[name, k].consistency.mean() for k in RANKS} for name in algorithms)
    behind = [str(k) for k in RANKS if ours[k] <= theirs[k]]
    return Study(
        title="stability of modules against their number K",
        rows=rows,
        notes=(
            f"mean ± std over {repetitions} random splits in three thirds; consistency: share of common maps labelled "
            "alike; cosine: of matched templates",
            f"{layers}: NMF is not more consistent than k-means at K = {', '.join(behind)}"
            if behind
            else f"{layers}: NMF is more consistent than k-means at every K",
        ),
        axes=("K", "consistency", "algorithm"),
        spread="std",
    )


# -- faithfulness ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mixed:
    """Hybrids of pairs of training images, a classifier's view of them, and the originals."""

    layer: int
    module: int
    hybrids: Tensor
    """(M, C, H, W)."""
    probabilities: Tensor
    """(M, classes)."""


class Faithfulness:
    """Hybrids of each module of each layer, from the same pairs of training images of two classes."""

    def __init__(
        self, network: ModularNetwork, generator: ModularGenerator, classifier: Classifier, pairs: int
    ) -> None:
        own, other = network.unlike_pairs(pairs)
        self.generator, self.classifier, self.count = generator, classifier, pairs
        self.originals, seconds = (generate(generator, latents) for latents in (own, other))
        self.one, self.two = (classifier(images).softmax(1) for images in (self.originals, seconds))
        places = enumerate(network.single_places, start=1)
        self.mixed = [mixed for layer, place in places for mixed in self._mix(layer, place, own, other)]

    def _mix(self, layer: int, place: Place, own: Tensor, other: Tensor) -> list[Mixed]:
        """The hybrids of each module that makes any."""
        pairs = Pairs.of(self.generator, place.layers, own, other)
        found = []
        for k, single in enumerate(place.singles):
            if not place.remark(single):
                hybrids = pairs.hybrids(place.swapped(single))
                found.append(Mixed(layer, k + 1, hybrids, self.classifier(hybrids).softmax(1)))
        return found

    def studies(self) -> Mapping[str, Study]:
        """Recognition and pixel distance against depth (Fig. 6), and entropy (Fig. 14)."""
        return {"recognition": self.recognition(), "distance": self.distance(), "entropy": self.entropy()}

    def recognition(self) -> Study:
        """How often hybrids are recognised as one of their originals, by the one that is recognised more often."""
        first, second = self.one.argmax(1), self.two.argmax(1)
        rows: list[Row] = []
        for mixed in self.mixed:
            seen = mixed.probabilities.argmax(1)
            shares = [float((seen == original).double().mean()) for original in (first, second)]
            rate = max(shares)
            error = math.sqrt(rate * (1 - rate) / self.count)
            cells = {"recognition rate": rate, "standard error": error, "as original 1": shares[0]}
            rows.append({"layer": mixed.layer, "module": mixed.module, **cells, "as original 2": shares[1]})
        note = (
            "recognition rate: share of hybrids seen as the class of original 1, or of original 2, the larger of both"
        )
        return self._study("recognition of hybrids by the classifier", rows, "recognition rate", "standard error", note)

    def distance(self) -> Study:
        """How far hybrids are from their first original."""
        rows: list[Row] = []
        for mixed in self.mixed:
            apart = (mixed.hybrids - self.originals).abs().flatten(1).mean(1)
            cells = {"pixel distance": float(apart.mean()), "standard error": float(apart.std()) / self.count**0.5}
            rows.append({"layer": mixed.layer, "module": mixed.module, **cells})
        note = "pixel distance: mean absolute difference to original 1, of the intensity range"
        return self._study("distance of hybrids to original 1", rows, "pixel distance", "standard error", note)

    def entropy(self) -> Study:
        """Entropy of the classifier on hybrids, over the classes that it ranks first most often; and on originals."""
        ranked = torch.cat([mixed.probabilities for mixed in self.mixed] or [self.one]).argmax(1)
        top = ranked.bincount(minlength=self.one.shape[1]).topk(min(TOP, self.one.shape[1])).indices
        layers = dict.fromkeys(mixed.layer for mixed in self.mixed)
        views = [(mixed.layer, str(mixed.module), mixed.probabilities) for mixed in self.mixed]
        views += [(layer, "none: originals", self.one) for layer in layers]
        rows: list[Row] = []
        for layer, module, probabilities in views:
            nats = _entropy(probabilities[:, top])
            low, middle, high = nats.quantile(nats.new_tensor([0.1, 0.5, 0.9])).tolist()
            spread = {"10 %": low, "50 %": middle, "90 %": high}
            rows.append(
                {"layer": layer, "module": module, "entropy": float(nats.mean()), "std": float(nats.std()), **spread}
            )
        note = f"entropy in nats, over the {len(top)} classes ranked first most often; 10, 50, 90 %: its quantiles"
        return self._study("entropy of the classifier on hybrids", rows, "entropy", None, note)

    def _study(self, title: str, rows: list[Row], height: str, spread: str | None, note: str) -> Study:
        """A table against depth, a line a module."""
        pairs = f"{self.count} pairs of training images of two classes"
        order = "layer 1 is the coarsest, module 1 the largest of its layer"
        return Study(
            title=title, rows=rows, notes=(note, pairs, order), axes=("layer", height, "module"), spread=spread
        )


def _entropy(probabilities: Tensor) -> Tensor:
    """In nats, of probabilities (M, classes) brought to a sum of one: (M,)."""
    return torch.distributions.Categorical(probs=probabilities.clamp(min=1e-12)).entropy()
