"""What the modules of a generator are, how stable they are, and what hybrids do to the classifier, as tables."""

from collections.abc import Callable, Mapping
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
BATCH = 256
"""Pairs whose hybrids are made at once."""


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
    """Hybrids by one module at one place."""

    at: int
    """How deep the place is."""
    module: int
    hybrids: Tensor
    """(M, C, H, W)."""


class HybridSets:
    """Hybrids of each module of several places, all of the same pairs of codes `own` and `other` (M, ...)."""

    def __init__(
        self,
        places: Mapping[int, Place],
        generator: ModularGenerator,
        own: Tensor,
        other: Tensor,
        *,
        depth: str = "layer",
        pairs: str = "pairs of training images of two classes",
        batch: int = BATCH,
    ) -> None:
        self.generator, self.depth, self.pairs, self.batch = generator, depth, pairs, batch
        self.count = len(own)
        self.originals, self.seconds = (self._generated(latents) for latents in (own, other))
        self.mixed = [mixed for at, place in places.items() for mixed in self._mix(at, place, own, other)]

    def _generated(self, latents: Tensor) -> Tensor:
        return torch.cat([generate(self.generator, part) for part in latents.split(self.batch)])

    def _mix(self, at: int, place: Place, own: Tensor, other: Tensor) -> list[Mixed]:
        """The hybrids of each module that makes any."""
        both = zip(own.split(self.batch), other.split(self.batch), strict=True)
        parts = [Pairs.of(self.generator, place.layers, z_1, z_2) for z_1, z_2 in both]
        found = []
        for k, single in enumerate(place.singles):
            if not place.remark(single):
                swapped = place.swapped(single)
                found.append(Mixed(at, k + 1, torch.cat([pairs.hybrids(swapped) for pairs in parts])))
        return found

    def apart(self, mixed: Mixed) -> Tensor:
        """Mean absolute difference of hybrids to their first originals, (M,)."""
        return (mixed.hybrids - self.originals).abs().flatten(1).mean(1)

    def distance(self) -> Study:
        """How far hybrids are from their first original."""
        rows: list[Row] = []
        for mixed in self.mixed:
            apart = self.apart(mixed)
            cells = {"pixel distance": float(apart.mean()), "standard error": float(apart.std()) / self.count**0.5}
            rows.append({self.depth: mixed.at, "module": mixed.module, **cells})
        note = "pixel distance: mean absolute difference to original 1, of the intensity range"
        return self.study("distance of hybrids to original 1", rows, "pixel distance", "standard error", note)

    def study(self, title: str, rows: list[Row], height: str, spread: str | None, note: str) -> Study:
        """A table against depth, a line a module."""
        order = f"{self.depth} 1 is the coarsest, module 1 the largest of its {self.depth}"
        notes = (note, f"{self.count} {self.pairs}", order)
        return Study(title=title, rows=rows, notes=notes, axes=(self.depth, height, "module"), spread=spread)


class Faithfulness:
    """What a classifier sees in hybrids, beside what it sees in their originals."""

    def __init__(self, made: HybridSets, classifier: Callable[[Tensor], Tensor]) -> None:
        self.made = made
        self.one, self.two = (classifier(images).softmax(1) for images in (made.originals, made.seconds))
        self.views = [(mixed, classifier(mixed.hybrids).softmax(1)) for mixed in made.mixed]

    def studies(self) -> Mapping[str, Study]:
        """Recognition and pixel distance against depth (Fig. 6), and entropy (Fig. 14)."""
        return {"recognition": self.recognition(), "distance": self.made.distance(), "entropy": self.entropy()}

    def recognition(self) -> Study:
        """How often hybrids are recognised as one of their originals, by the one that is recognised more often."""
        first, second = self.one.argmax(1), self.two.argmax(1)
        rows: list[Row] = []
        for mixed, probabilities in self.views:
            cells = recognised(probabilities.argmax(1)[None], first, second)
            rows.append({self.made.depth: mixed.at, "module": mixed.module, **cells})
        note = (
            "recognition rate: share of hybrids seen as the class of original 1, or of original 2, the larger of both"
        )
        title = "recognition of hybrids by the classifier"
        return self.made.study(title, rows, "recognition rate", "standard error", note)

    def entropy(self) -> Study:
        """Entropy of the classifier on hybrids, over the classes that it ranks first most often; and on originals."""
        ranked = torch.cat([probabilities for _, probabilities in self.views] or [self.one]).argmax(1)
        top = ranked.bincount(minlength=self.one.shape[1]).topk(min(TOP, self.one.shape[1])).indices
        depths = dict.fromkeys(mixed.at for mixed, _ in self.views)
        views = [(mixed.at, str(mixed.module), probabilities) for mixed, probabilities in self.views]
        views += [(at, "none: originals", self.one) for at in depths]
        rows: list[Row] = []
        for at, module, probabilities in views:
            nats = _entropy(probabilities[:, top])
            low, middle, high = nats.quantile(nats.new_tensor([0.1, 0.5, 0.9])).tolist()
            spread = {"10 %": low, "50 %": middle, "90 %": high}
            cells = {"entropy": float(nats.mean()), "std": float(nats.std()), **spread}
            rows.append({self.made.depth: at, "module": module, **cells})
        note = f"entropy in nats, over the {len(top)} classes ranked first most often; 10, 50, 90 %: its quantiles"
        return self.made.study("entropy of the classifier on hybrids", rows, "entropy", None, note)


def faithfulness(
    network: ModularNetwork, generator: ModularGenerator, classifier: Classifier, pairs: int
) -> Faithfulness:
    """The classifier's view of hybrids at each layer, of so many pairs of training images of two classes."""
    own, other = network.unlike_pairs(pairs)
    places = dict(enumerate(network.single_places, start=1))
    return Faithfulness(HybridSets(places, generator, own, other), classifier)


def recognised(seen: Tensor, first: Tensor, second: Tensor) -> Row:
    """How many hybrids, `seen` as classes (modules, M), keep the first or the second class (M,), the larger of both.

    The standard error is over the M pairs.
    """
    kept = [(seen == original).double().mean(0) for original in (first, second)]  # (M,) each
    better = max(kept, key=lambda shares: float(shares.mean()))
    return {
        "recognition rate": float(better.mean()),
        "standard error": float(better.std(correction=0)) / len(better) ** 0.5,
        "as original 1": float(kept[0].mean()),
        "as original 2": float(kept[1].mean()),
    }


def _entropy(probabilities: Tensor) -> Tensor:
    """In nats, of probabilities (M, classes) brought to a sum of one: (M,)."""
    return torch.distributions.Categorical(probs=probabilities.clamp(min=1e-12)).entropy()
