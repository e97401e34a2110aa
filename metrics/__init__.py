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
    meaning : str
        One line for people.
    also_flipped : bool
        Whether it is computed over the flipped queries too, beside all.

    """

    function: str
    needs: tuple[str, ...]
    unit: str
    better: Literal["higher", "lower", ""]
    meaning: str
    also_flipped: bool = False

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


def _fid(answers: str, network: str, better: Literal["lower", ""], meaning: str) -> Metric:
    needs = (f"{answers}_{network}_features", f"real_{network}_features")
    return Metric("metrics.frechet:frechet_distance", needs, "", better, meaning)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "flip_rate": Metric(
            "metrics.rates:flip_rate",
            ("answer_classes", "targets"),
            "",
            "higher",
            "share of counterfactuals that the classifier sees as their target class",
        ),
        "flip_rate_representation": Metric(
            "metrics.rates:flip_rate",
            ("answer_representation_classes", "targets"),
            "",
            "higher",
            "share of intervened representations, not pictures, that the classifier's head sees as their target class",
        ),
        "oracle_agreement": Metric(
            "metrics.rates:oracle_agreement",
            ("answer_oracle_classes", "targets"),
            "",
            "higher",
            "share of counterfactuals that an independent classifier sees as their target class",
            also_flipped=True,
        ),
        "adversarial_flips": Metric(
            "metrics.rates:adversarial_flips",
            ("answer_classes", "answer_oracle_classes", "targets"),
            "",
            "lower",
            "share of counterfactuals that convince the classifier, but not the oracle",
        ),
        "reconstruction_flips": Metric(
            "metrics.rates:reconstruction_flips",
            ("reconstruction_classes", "predicted"),
            "",
            "lower",
            "share of queries whose reconstruction alone changes the class",
        ),
        "l1": Metric(
            "metrics.distances:l1",
            ("answers", "queries"),
            "",
            "lower",
            "mean absolute difference to the query, of the intensity range",
            also_flipped=True,
        ),
        "l1_start": Metric(
            "metrics.concepts:mean_of_queries",
            ("answer_start_l1",),
            "",
            "",
            "mean absolute difference of the query to the picture that its search started from",
            also_flipped=True,
        ),
        "l2": Metric(
            "metrics.distances:l2",
            ("answers", "queries"),
            "",
            "lower",
            "root mean square difference to the query, of the intensity range",
            also_flipped=True,
        ),
        "l0": Metric(
            "metrics.distances:l0",
            ("answers", "queries"),
            "",
            "lower",
            "share of pixels that differ from the query by more than 8/255",
            also_flipped=True,
        ),
        "mse": Metric(
            "metrics.distances:mse",
            ("reconstructions", "queries"),
            "",
            "lower",
            "mean squared error of the reconstructions",
        ),
        "nll": Metric(
            "metrics.likelihood:nll",
            ("nll",),
            "nats/image",
            "lower",
            "negative log-likelihood of the queries given their latents",
        ),
        "kl": Metric(
            "metrics.likelihood:kl",
            ("kl",),
            "nats/image",
            "",
            "information that the latents carry beyond the prior",
        ),
        "bits_per_dim": Metric(
            "metrics.likelihood:bits_per_dim",
            ("nll", "kl", "dimensions"),
            "bits/dim",
            "lower",
            "bits that the model spends on a channel of a pixel",
        ),
        "change": Metric(
            "metrics.concepts:change",
            ("answer_representation_classes", "predicted"),
            "",
            "higher",
            "share of intervened representations that the classifier's head sees as another class than the query's",
        ),
        "accuracy_phi": Metric(
            "metrics.concepts:agreement",
            ("phi_classes", "labels"),
            "",
            "",
            "accuracy of the classifier's head on its own representation φ",
        ),
        "accuracy_phi_reconstruction": Metric(
            "metrics.concepts:agreement",
            ("phi_reconstruction_classes", "labels"),
            "",
            "higher",
            "accuracy of the classifier's head on what the discrete code of φ stands for",
        ),
        "agreement": Metric(
            "metrics.concepts:agreement",
            ("phi_classes", "phi_reconstruction_classes"),
            "",
            "higher",
            "share of queries that the classifier's head sees alike in φ and in what its discrete code stands for",
        ),
        "shared_fisher": Metric(
            "metrics.concepts:mean_of_queries",
            ("shared_fisher",),
            "",
            "higher",
            "cosine of the information that the answering generator and the classifier's head take from φ",
        ),
        "shared_fisher_plain": Metric(
            "metrics.concepts:mean_of_queries",
            ("shared_fisher_plain",),
            "",
            "",
            "the same of a generator that was trained without the regulariser",
        ),
        "fisher_norm": Metric(
            "metrics.concepts:mean_of_queries",
            ("fisher_norm",),
            "",
            "",
            "length of the answering generator's information, which a dot product can be raised by",
        ),
        "fisher_norm_plain": Metric(
            "metrics.concepts:mean_of_queries",
            ("fisher_norm_plain",),
            "",
            "",
            "the same of a generator that was trained without the regulariser",
        ),
        "fid_classifier": _fid(
            "answer", "classifier", "lower", "Fréchet distance of counterfactuals to real images, oracle features"
        ),
        "fid_classifier_reconstruction": _fid(
            "reconstruction",
            "classifier",
            "lower",
            "Fréchet distance of reconstructions to real images, oracle features",
        ),
        "fid_classifier_samples": _fid(
            "sample", "classifier", "lower", "Fréchet distance of generated samples to real images, oracle features"
        ),
        "fid_classifier_real": _fid(
            "query", "classifier", "", "Fréchet distance of queries to as many other real images, oracle features"
        ),
        "fid_inception": _fid(
            "answer", "inception", "lower", "Fréchet distance of counterfactuals to real images, Inception features"
        ),
        "fid_inception_reconstruction": _fid(
            "reconstruction",
            "inception",
            "lower",
            "Fréchet distance of reconstructions to real images, Inception features",
        ),
        "fid_inception_samples": _fid(
            "sample", "inception", "lower", "Fréchet distance of generated samples to real images, Inception features"
        ),
        "fid_inception_real": _fid(
            "query", "inception", "", "Fréchet distance of queries to as many other real images, Inception features"
        ),
    }
)
