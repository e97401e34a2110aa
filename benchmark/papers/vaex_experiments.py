"""Experiments of the paper of `vaex` with a fitted model, beyond a run: Fig. 2, Secs. III and IV."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from benchmark.papers.experiments import ROWS, Asked, Outcome, Row, estimated
from methods.base import Illustration, Method, Study
from methods.vaex.method import Intervention, Vaex

FALLING = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
INTERVENTIONS: Mapping[str, Sequence[Intervention]] = MappingProxyType(
    {"condition": ("condition",), "z_0": ("z_0",), "both": ("condition", "z_0")}
)
"""Name of the intervention -> the method's arguments for it."""
ABLATIONS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {"without free bits": {"free_bits": 0.0}, "centred once": {"centrings": 1}, "not centred": {"centrings": 0}}
)
"""Name of the training without one part -> its settings."""
AS_IT_IS = "as it is"
PER_CLASS = 6
"""Pictures of the prior per class in the figure."""
SAMPLES = 200
"""Pictures of the prior for the classifier, in all."""


def own_class(method: Method, asked: Asked) -> Outcome:
    """Answers to the query's own class, which show the loss as the posterior is relaxed (Fig. 2)."""
    images = method.explain(asked.queries, asked.predicted, FALLING).images
    probability = torch.stack([asked.classifier(part).softmax(1) for part in images])
    keeps = probability.argmax(2) == asked.predicted
    errors = (images - asked.queries).square().flatten(2).mean(2)
    rows = [
        {"r": r, "MSE": float(error.mean()), **estimated("keeps its class", kept)}
        for r, error, kept in zip(FALLING, errors, keeps, strict=True)
    ]
    own = probability.gather(2, asked.predicted.expand(len(FALLING), -1)[..., None])[..., 0]
    captions = [
        [f"{{{c}}}", *(f"p({{{c}}}) = {float(p):.2f}" for p in own[:, query])]
        for query, c in enumerate(asked.predicted[:ROWS].tolist())
    ]
    shown = torch.cat([asked.queries[None], images])[:, :ROWS].transpose(0, 1)
    title = "answers to the query's own class as r falls; below, the classifier's probability of that class"
    headings = ("query", *(f"r = {r:g}" for r in FALLING))
    note = "condition: the query's own class, one-hot; MSE: to the query; [low, high]: interval of the share"
    return Outcome(
        {"own-class": Illustration(title, shown, captions, headings)},
        {"own-class": Study(title="pictures under their own class as r falls", rows=rows, notes=(note,))},
    )


def interventions(method: Method, asked: Asked) -> Outcome:
    """The condition alone, the class channels of z_0 alone, and both, as r falls (Sec. III-C)."""
    assert isinstance(method, Vaex)  # noqa: S101 - registered so
    noise = method.network.noise(len(asked.queries))
    rows: list[Row] = []
    for name, which in INTERVENTIONS.items():
        images, _ = method.intervened(asked.queries, asked.targets, noise, FALLING, which)
        rows += [{"intervention": name, "r": r, **_flips(part, asked)} for r, part in zip(FALLING, images, strict=True)]
    note = "the same queries, targets and noise of the latents; the part that is not set keeps the query's class"
    study = Study(
        title="condition and z_0, alone and together",
        rows=rows,
        notes=(note,),
        axes=("r", "flip rate", "intervention"),
    )
    return Outcome({}, {"interventions": study})


def prior(method: Method, asked: Asked) -> Outcome:
    """Pictures of the conditional prior, and how often the classifier sees the class of their condition."""
    assert isinstance(method, Vaex)  # noqa: S101 - registered so
    classes = method.classifier.class_count
    images = method.samples(SAMPLES)["samples"]
    wanted = torch.arange(SAMPLES).to(images.device) % classes
    right = asked.classifier(images).argmax(1) == wanted
    shown = torch.stack([images[wanted == c][:PER_CLASS] for c in range(classes)])
    captions = [[f"{{{c}}}"] * PER_CLASS for c in range(classes)]
    title = "samples of the conditional prior; below, the class of the condition"
    study = Study(
        title="samples of the conditional prior",
        rows=[{"judge": "classifier", **estimated("sees the condition", right)}],
        notes=("all classes equally often; ξ = onehot(class), no query and no posterior",),
    )
    return Outcome({"prior": Illustration(title, shown, captions, [""] * PER_CLASS)}, {"prior": study})


def ablations(method: Method, asked: Asked) -> Outcome:
    """The same training without free bits, and with less of the double centring (Secs. III-A, IV)."""
    assert asked.refitted is not None  # noqa: S101 - set for a paper's page
    models = {AS_IT_IS: method, **{name: asked.refitted(**changes) for name, changes in ABLATIONS.items()}}
    rows: list[Row] = []
    for name, model in models.items():
        images = model.explain(asked.queries, asked.targets, FALLING).images
        errors = (model.reconstruct(asked.queries) - asked.queries).square().flatten(1).mean(1)
        kl = model.diagnostics(asked.queries)["kl"]
        own: Row = {"training": name, "MSE": float(errors.mean()), "KL": float(kl.mean())}
        rows += [{**own, "r": r, **_flips(part, asked)} for r, part in zip(FALLING, images, strict=True)]
    note = "MSE of the reconstruction and KL in nats, which do not depend on r; one training each"
    study = Study(title="trainings with a part left out", rows=rows, notes=(note,), axes=("r", "flip rate", "training"))
    return Outcome({}, {"ablations": study})


def _flips(images: Tensor, asked: Asked) -> Row:
    """The flip rate of answers (N, C, H, W) with its interval, and the oracle's agreement."""
    flips = asked.classifier(images).argmax(1) == asked.targets
    agrees = asked.oracle(images).argmax(1) == asked.targets
    return {**estimated("flip rate", flips), "oracle agreement": float(agrees.double().mean())}
