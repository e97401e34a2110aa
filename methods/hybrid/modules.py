"""From influence maps to modules: smoothing, binarisation, clustering (Sec. 3.4), and how stable it is (Sec. 4.1)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

Algorithm = Literal["NMF", "k-means"]
ITERATIONS = 5000
"""Of NMF, at most."""
STARTS = 10
"""Of k-means, the best of which counts."""


@dataclass(frozen=True)
class Clusters:
    """A partition of channels into K modules."""

    labels: Labels
    """The module of each channel, (channels,); −1: a channel without influence, which belongs to none."""
    templates: Array
    """The pattern of each module, (K, pixels), of unit length."""


def smooth(maps: npt.ArrayLike, window: int) -> Array:
    """Moving average of influence maps (channels, H, W) over `window` × `window` pixels."""
    averaged: Array = uniform_filter(np.asarray(maps, dtype=np.float64), size=(0, window, window), mode="nearest")
    return averaged


def binarise(maps: Array, percentile: float) -> Array:
    """S, (channels, pixels): 1 where a map (channels, H, W) is above the `percentile` of its own values, else 0."""
    flat = maps.reshape(len(maps), -1)
    above: Array = (flat > np.percentile(flat, percentile, axis=1, keepdims=True)).astype(np.float64)
    return above


def cluster(patterns: Array, count: int, algorithm: Algorithm = "NMF", seed: int = 0) -> Clusters:
    """Group the rows of S = `patterns` (channels, pixels) into `count` modules, the largest first.

    NMF ascribes a channel to the template that contributes most to its map. W and H are defined up to a factor a
    template, so contributions are compared with templates of unit length.
    """
    alive = patterns.any(axis=1)
    # In an order of their own, so that the channels' order decides nothing.
    order = np.flatnonzero(alive)[np.lexsort(patterns[alive].T)]
    rows = patterns[order]
    labels = np.full(len(patterns), -1)
    if len(rows) <= count or algorithm == "k-means":
        found, templates = _k_means(rows, count, seed)
    else:
        found, templates = _nmf(rows, count, seed)
    by_size = np.argsort(-np.bincount(found, minlength=count), kind="stable")
    labels[order] = np.argsort(by_size)[found]
    templates = templates[by_size]
    return Clusters(labels, templates / np.maximum(np.linalg.norm(templates, axis=1, keepdims=True), 1e-12))


def _nmf(rows: Array, count: int, seed: int) -> tuple[Labels, Array]:
    model = NMF(count, init="nndsvda", max_iter=ITERATIONS, random_state=seed)
    weights = model.fit_transform(rows)
    lengths = np.linalg.norm(model.components_, axis=1)
    return (weights * lengths).argmax(axis=1), model.components_


def _k_means(rows: Array, count: int, seed: int) -> tuple[Labels, Array]:
    distinct = min(count, len(np.unique(rows, axis=0)))
    templates = np.zeros((count, rows.shape[1]))
    if not distinct:
        return np.zeros(0, dtype=np.int64), templates
    model = KMeans(distinct, n_init=STARTS, random_state=seed).fit(rows)
    templates[:distinct] = model.cluster_centers_
    return model.labels_.astype(np.int64), templates


# -- stability ---------------------------------------------------------------------------------------------------------


def match(first: Labels, second: Labels, count: int) -> Labels:
    """The label of `second` that each of the `count` labels of `first` agrees with most, one to one: (count,)."""
    agreed = np.zeros((count, count))
    np.add.at(agreed, (first, second), 1)
    _, partner = linear_sum_assignment(agreed, maximize=True)
    return np.asarray(partner)


@dataclass(frozen=True)
class Stability:
    """What two clusterings that share a third of their maps agree on, a value a repetition."""

    consistency: Array
    """Share of the common maps that both give the same (matched) label, (repetitions,) in [0, 1]."""
    cosine: Array
    """Cosine of matched templates, averaged over modules, (repetitions,) in [0, 1]."""


def stability(patterns: Array, count: int, algorithm: Algorithm, repetitions: int, seed: int = 0) -> Stability:
    """Split the maps into three thirds at random, cluster two twice with one in common, match, compare (Fig. 9)."""
    generator = np.random.default_rng(seed)
    alive = patterns[patterns.any(axis=1)]
    found = [_agreement(alive[generator.permutation(len(alive))], count, algorithm) for _ in range(repetitions)]
    consistency, cosine = np.array(found).T
    return Stability(consistency, cosine)


def _agreement(shuffled: Array, count: int, algorithm: Algorithm) -> tuple[float, float]:
    """Label consistency and mean cosine of the clusterings of the first two and of the last two thirds."""
    one, common, other = np.array_split(np.arange(len(shuffled)), 3)
    first = cluster(shuffled[np.r_[common, one]], count, algorithm)
    second = cluster(shuffled[np.r_[common, other]], count, algorithm)
    ours, theirs = first.labels[: len(common)], second.labels[: len(common)]
    partner = match(ours, theirs, count)
    cosine = (first.templates * second.templates[partner]).sum(axis=1).mean()
    return float((partner[ours] == theirs).mean()), float(cosine)
