"""The registry of metrics: what each computes, of which evidence, and which direction is better.

To add a metric:

1. write a pure function of tensors in `metrics/<file>.py` that returns an `Estimate`;
2. add a line to `METRICS` that names the function and the evidence it needs, in the order of its arguments;
3. hold it by tests in `tests/metrics/`: a perfect, a useless and a degenerate input.

Evidence is what a run has collected once the networks were applied: whatever begins with "answer" exists once for each
relaxation, the rest once for a job. A function is imported only when it is used.
"""

import hashlib
import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, cast

from metrics.base import Estimate

__all__ = ["METRICS", "Estimate", "Metric"]


@dataclass(frozen=True)
class Metric:
    """One line of the registry.

    Attributes
    ----------
    function : str
        "module:function", imported on use.
    needs : tuple of str
        Names of the evidence, passed to the function in this order.
    unit : str
        "" for a fraction or a number without unit.
    better : {"higher", "lower", ""}
        "" where neither is: a yardstick, or one half of a trade-off.
    range : tuple of float
        Lowest and highest value there can be; infinite where there is no limit.
    meaning : str
        One line for people.
    also_flipped : bool
        Whether it is computed over the flipped queries too, beside all.

    """

    function: str
    needs: tuple[str, ...]
    unit: str
    better: Literal["higher", "lower", ""]
    range: tuple[float, float]
    meaning: str
    also_flipped: bool = False

    @property
    def scale(self) -> str:
        """Unit, direction and range, for people."""
        low, high = (f"{limit:g}".replace("inf", "∞") for limit in self.range)
        ends = ("(" if low == "-∞" else "[") + f"{low}, {high}" + (")" if high == "∞" else "]")
        return ", ".join(filter(None, (self.unit, self.better and f"{self.better} is better", ends)))

    @property
    def per_relaxation(self) -> bool:
        """Whether there is one value for each relaxation, rather than one for a job."""
        return any(need.startswith("answer") for need in self.needs)

    def load(self) -> Callable[..., Estimate]:
        """Import the function."""
        module, name = self.function.split(":")
        return cast(Callable[..., Estimate], getattr(importlib.import_module(module), name))

    def fingerprint(self) -> str:
        """Hash what decides the value, so that a metric is computed again once its definition is edited.

        That is this line without its prose, the function's module, and the modules on which all metrics rest.
        """
        modules = (self.function.split(":")[0], "metrics.intervals", "metrics.base")
        sources: list[Any] = [inspect.getsource(importlib.import_module(module)) for module in modules]
        return hashlib.sha256(repr([replace(self, meaning=""), *sources]).encode()).hexdigest()[:16]


FRACTION, POSITIVE, ANY = (0.0, 1.0), (0.0, math.inf), (-math.inf, math.inf)

SETS = {
    "": ("answer", "counterfactuals to real images"),
    "_reconstruction": ("reconstruction", "reconstructions to real images"),
    "_samples": ("sample", "generated samples to real images"),
    "_real": ("query", "queries to as many other real images"),
}
"""What is held against real images: end of the metric's name -> beginning of the evidence's name, and its meaning."""


def _to_reals(network: str, features: str) -> dict[str, Metric]:
    """Fréchet and kernel distance of each set to real images by one network's features; of reals, a yardstick."""
    found = {}
    for family, function, limits, words in (
        ("fid", "metrics.frechet:frechet_distance", POSITIVE, "Fréchet distance"),
        ("kid", "metrics.kernel:kernel_distance", ANY, "kernel distance, without bias at small n,"),
    ):
        for suffix, (images, meaning) in SETS.items():
            needs = (f"{images}_{network}_features", f"real_{network}_features")
            better: Literal["lower", ""] = "" if images == "query" else "lower"
            text = f"{words} of {meaning}, {features} features"
            found[f"{family}_{network}{suffix}"] = Metric(function, needs, "", better, limits, text)
    found[f"sfid_{network}"] = Metric(
        "metrics.frechet:split_distance",
        (f"answers_{network}_features", f"queries_{network}_features"),
        "",
        "lower",
        POSITIVE,
        f"split FID: Fréchet distance of answers to one half of the queries to the other half, {features} features",
    )
    return found


ANCHORS = {
    "": ("answers", "of the answers"),
    "_query": ("queries", "of the queries as they are, an anchor"),
    "_reconstruction": ("reconstructions", "of the reconstructions as they are, an anchor"),
}
"""What is held against the exact counterfactuals: end of the metric's name -> the evidence, and its meaning."""


def _to_truth() -> dict[str, Metric]:
    """Distances to the exact counterfactuals, where the data know them; and how many other attributes changed."""
    families: tuple[tuple[str, tuple[str, ...], Literal["higher", "lower"], tuple[float, float], str], ...] = (
        ("truth_l1", (), "lower", FRACTION, "mean absolute difference to the exact counterfactuals"),
        ("truth_l1_drawn", ("queries",), "lower", FRACTION, "the same over the pixels that the attribute draws,"),
        ("truth_ssim", (), "higher", (-1.0, 1.0), "structural similarity to the exact counterfactuals"),
    )
    found = {}
    for name, more, better, limits, words in families:
        for suffix, (images, meaning) in ANCHORS.items():
            line = Metric(f"metrics.truth:{name}", (images, "exact", *more), "", better, limits, f"{words} {meaning}")
            found[name + suffix] = replace(line, better="") if suffix == "_query" else line
    for suffix, (seen, words) in {
        "": ("answer", "answers"),
        "_reconstruction": ("reconstruction", "reconstructions"),
    }.items():
        found[f"mnac{suffix}"] = Metric(
            "metrics.truth:mnac",
            (f"{seen}_other_attributes", "other_attributes"),
            "attributes/face",
            "lower",
            POSITIVE,
            f"mean number of attributes, that of the task apart, that oracles see change from queries to {words}",
        )
    return found


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "flip_rate": Metric(
            "metrics.rates:flip_rate",
            ("answer_classes", "targets"),
            "",
            "higher",
            FRACTION,
            "share of counterfactuals that the classifier sees as their target class",
        ),
        "flip_rate_representation": Metric(
            "metrics.rates:flip_rate",
            ("answer_representation_classes", "targets"),
            "",
            "higher",
            FRACTION,
            "share of intervened representations, not pictures, that the classifier's head sees as their target class",
        ),
        "oracle_agreement": Metric(
            "metrics.rates:oracle_agreement",
            ("answer_oracle_classes", "targets"),
            "",
            "higher",
            FRACTION,
            "share of counterfactuals that an independent classifier sees as their target class",
            also_flipped=True,
        ),
        "adversarial_flips": Metric(
            "metrics.rates:adversarial_flips",
            ("answer_classes", "answer_oracle_classes", "targets"),
            "",
            "lower",
            FRACTION,
            "share of counterfactuals that convince the classifier, but not the oracle",
        ),
        "oracle_aware_flips": Metric(
            "metrics.rates:oracle_aware_flips",
            ("answer_classes", "answer_oracle_classes", "targets"),
            "",
            "higher",
            FRACTION,
            "share of counterfactuals that convince both the classifier and the oracle",
        ),
        "reconstruction_flips": Metric(
            "metrics.rates:reconstruction_flips",
            ("reconstruction_classes", "predicted"),
            "",
            "lower",
            FRACTION,
            "share of queries whose reconstruction alone changes the class",
        ),
        "l1": Metric(
            "metrics.distances:l1",
            ("answers", "queries"),
            "",
            "lower",
            FRACTION,
            "mean absolute difference to the query, of the intensity range",
            also_flipped=True,
        ),
        "l1_start": Metric(
            "metrics.concepts:mean_of_queries",
            ("answer_start_l1",),
            "",
            "",
            FRACTION,
            "mean absolute difference of the query to the picture that its search started from",
            also_flipped=True,
        ),
        "l2": Metric(
            "metrics.distances:l2",
            ("answers", "queries"),
            "",
            "lower",
            FRACTION,
            "root mean square difference to the query, of the intensity range",
            also_flipped=True,
        ),
        "l0": Metric(
            "metrics.distances:l0",
            ("answers", "queries"),
            "",
            "lower",
            FRACTION,
            "share of pixels that differ from the query by more than 8/255",
            also_flipped=True,
        ),
        "hoyer_sparsity": Metric(
            "metrics.distances:hoyer_sparsity",
            ("answers", "queries"),
            "",
            "higher",
            FRACTION,
            "how much of the change sits in few pixels (Hoyer), over the answers that change anything",
            also_flipped=True,
        ),
        "mse": Metric(
            "metrics.distances:mse",
            ("reconstructions", "queries"),
            "",
            "lower",
            FRACTION,
            "mean squared error of the reconstructions",
        ),
        "composition": Metric(
            "metrics.distances:composition",
            ("null_edits", "probes"),
            "",
            "lower",
            FRACTION,
            "mean absolute difference of the first queries to five reconstructions one after the other",
        ),
        "reversibility": Metric(
            "metrics.distances:reversibility",
            ("answer_undone", "probes"),
            "",
            "lower",
            FRACTION,
            "mean absolute difference of the first queries to their edits undone, at the smallest r",
            also_flipped=True,
        ),
        "diversity": Metric(
            "metrics.distances:diversity",
            ("answer_draws",),
            "",
            "",
            FRACTION,
            "mean absolute difference between a first query's answers under several sampling seeds, at the smallest r",
            also_flipped=True,
        ),
        "cout": Metric(
            "metrics.transition:cout",
            ("answer_paths_target", "answer_paths_predicted"),
            "",
            "higher",
            (-1.0, 1.0),
            "area under the target's less the old class's probability, the most changed pixels pasted first",
            also_flipped=True,
        ),
        "im1": Metric(
            "metrics.plausibility:im1",
            ("answers", "answer_target_autoencoded", "answer_predicted_autoencoded"),
            "",
            "lower",
            POSITIVE,
            "error of the target class's autoencoder on the answer, over that of the old class's",
            also_flipped=True,
        ),
        "im2": Metric(
            "metrics.plausibility:im2",
            ("answers", "answer_target_autoencoded", "answer_autoencoded"),
            "",
            "lower",
            POSITIVE,
            "disagreement of the target class's autoencoder with that of all classes, over the answer's L1",
            also_flipped=True,
        ),
        "nll": Metric(
            "metrics.likelihood:nll",
            ("nll",),
            "nats/image",
            "lower",
            ANY,
            "negative log-likelihood of the queries given their latents",
        ),
        "kl": Metric(
            "metrics.likelihood:kl",
            ("kl",),
            "nats/image",
            "",
            ANY,
            "information that the latents carry beyond the prior",
        ),
        "bits_per_dim": Metric(
            "metrics.likelihood:bits_per_dim",
            ("nll", "kl", "dimensions"),
            "bits/dim",
            "lower",
            ANY,
            "bits that the model spends on a channel of a pixel",
        ),
        "change": Metric(
            "metrics.concepts:change",
            ("answer_representation_classes", "predicted"),
            "",
            "higher",
            FRACTION,
            "share of intervened representations that the classifier's head sees as another class than the query's",
        ),
        "accuracy_phi": Metric(
            "metrics.concepts:agreement",
            ("phi_classes", "labels"),
            "",
            "",
            FRACTION,
            "accuracy of the classifier's head on its own representation φ",
        ),
        "accuracy_phi_reconstruction": Metric(
            "metrics.concepts:agreement",
            ("phi_reconstruction_classes", "labels"),
            "",
            "higher",
            FRACTION,
            "accuracy of the classifier's head on what the discrete code of φ stands for",
        ),
        "agreement": Metric(
            "metrics.concepts:agreement",
            ("phi_classes", "phi_reconstruction_classes"),
            "",
            "higher",
            FRACTION,
            "share of queries that the classifier's head sees alike in φ and in what its discrete code stands for",
        ),
        "shared_fisher": Metric(
            "metrics.concepts:mean_of_queries",
            ("shared_fisher",),
            "",
            "higher",
            FRACTION,
            "cosine of the information that the answering generator and the classifier's head take from φ",
        ),
        "shared_fisher_plain": Metric(
            "metrics.concepts:mean_of_queries",
            ("shared_fisher_plain",),
            "",
            "",
            FRACTION,
            "the same of a generator that was trained without the regulariser",
        ),
        "fisher_norm": Metric(
            "metrics.concepts:mean_of_queries",
            ("fisher_norm",),
            "",
            "",
            POSITIVE,
            "length of the answering generator's information, which a dot product can be raised by",
        ),
        "fisher_norm_plain": Metric(
            "metrics.concepts:mean_of_queries",
            ("fisher_norm_plain",),
            "",
            "",
            POSITIVE,
            "the same of a generator that was trained without the regulariser",
        ),
        **_to_truth(),
        **_to_reals("classifier", "oracle"),
        **_to_reals("inception", "Inception"),
    }
)
