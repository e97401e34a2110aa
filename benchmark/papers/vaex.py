"""Vercheval and Pižurica, "Hierarchical Variational Autoencoders for Visual Counterfactuals", 2021."""

import math
from dataclasses import replace

import torch

from benchmark.papers import FACES, Claim, Paper, Printed, Shown
from benchmark.papers.experiments import ROWS, Asked, Outcome, estimated
from benchmark.papers.measures import Measure, lead, metric, study
from benchmark.papers.verdicts import (
    Evidence,
    Verdict,
    ahead,
    alike,
    among,
    at_least,
    at_most,
    every,
    falling,
    more,
    shows,
)
from methods.base import Illustration, Method, Study

VARIANTS = {"VAEX": "vaex", "VAEXcat": "vaex-cat"}
"""The paper's name -> the method's name here."""
RELAXATIONS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
CELEBA = "CelebA, sex, 129 px"

BIAS = "Male-on-Smiling"
"""The planted bias that tests the paper's claim about smiles of women."""

OWN_CLASS = "own-class"
"""Name of the study of answers to the query's own class."""


def _here(*metrics: tuple[str, float | None]) -> dict[str, tuple[Measure, ...]]:
    """The same metrics for both variants, by the paper's names."""
    return {row: tuple(metric(name, *one) for one in metrics) for row, name in VARIANTS.items()}


def _lost(name: str) -> Measure:
    """The number of other attributes that a reconstruction changes."""
    return replace(metric(name, "mnac_reconstruction"), name=f"other attributes changed in reconstructions of {name}")


TABLE_1 = Printed(
    name="Table I",
    title="likelihood and reconstruction",
    setting=f"{CELEBA}, test images",
    columns=("NLL", "D_KL", "MSE", "bits/dim"),
    published={
        "VAEX": ("103610", "732.5", "0.0010", "5.03"),
        "VAEXcat": ("-104155", "746.9", "0.0010", "5.01"),
    },
    here=_here(("nll", None), ("kl", None), ("mse", None), ("bits_per_dim", None)),
    corrected={("VAEX", "NLL"): "-103610"},
    incomparable={
        "NLL": "grows with the number of pixels",
        "D_KL": "grows with the number of pixels",
        "bits/dim": "depends on the variance floor",
    },
    tolerance=0.002,
    notes=(
        "VAEX's NLL is printed without its minus sign: bits/dim = (NLL + KL) / (D ln 2) + 8 with D = 3 · 129² gives "
        "the printed 5.03 with the sign, and 11.0 without",
    ),
)

TABLE_2 = Printed(
    name="Table II",
    title="Fréchet distances, counterfactuals at r = 0",
    setting=f"{CELEBA}, test images against as many others, Inception features",
    n=2048,
    columns=("Reconstructions", "Counterfactuals"),
    published={"VAEX": ("48.1", "66.0"), "VAEXcat": ("49.6", "66.4")},
    here=_here(("fid_inception_reconstruction", None), ("fid_inception", 0.0))
    | {
        f"{row}, the oracle's features": (
            metric(name, "fid_oracle_reconstruction"),
            metric(name, "fid_oracle", 0.0),
        )
        for row, name in VARIANTS.items()
    },
    incomparable={f"{row}, the oracle's features": "the scale depends on the features" for row in VARIANTS},
    tolerance=5.0,
    notes=("Inception's features need colour images, and are computed with --fid inception",),
)

TABLE_3 = Printed(
    name="Table III",
    title="flip rate against r, per cent",
    setting=f"{CELEBA}, test images",
    columns=tuple(f"r = {r:g}" for r in RELAXATIONS),
    published={
        "VAEX": ("100.0%", "99.8%", "99.4%", "96.1%", "71.4%", "13.9%"),
        "VAEXcat": ("99.6%", "99.0%", "96.9%", "87.7%", "54.4%", "9.8%"),
    },
    here=_here(*(("flip_rate", r) for r in RELAXATIONS)),
    tolerance=0.05,
)

TEXT = Printed(
    name="Sec. IV",
    title="test accuracy of the investigated classifier, per cent",
    setting=CELEBA,
    columns=("accuracy",),
    published={"classifier": ("98.5%",)},
    here={"classifier": (metric("vaex", "classifier_accuracy"),)},
    tolerance=0.02,
)


def _keeps(name: str) -> Measure:
    """The share of answers to the query's own class, at r = 0, that still have that class."""
    words = "share at r = 0 that keeps its class"
    return study(name, OWN_CLASS, "keeps its class", {"r": 0.0}, words=words, interval=True)


def bits_per_dim(evidence: Evidence) -> Verdict:
    """Whether bits/dim = (NLL + KL) / (D ln 2) + 8 for the means measured here."""
    told, right = [], []
    for name in VARIANTS.values():
        nll, kl, bits = (evidence.of(metric(name, part)).value for part in ("nll", "kl", "bits_per_dim"))
        dimensions = next(math.prod(record.data["shape"]) for record in evidence.records)
        expected = (nll + kl) / (dimensions * math.log(2)) + 8
        right.append(abs(expected - bits) < 1e-4)
        told.append(f"{name}: ({nll:.1f} + {kl:.1f}) / ({dimensions} ln 2) + 8 = {expected:.4f}, measured {bits:.4f}")
    return Verdict(all(right), "; ".join(told))


# -- experiments -------------------------------------------------------------------------------------------------------

FALLING = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)


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


# -- the paper ---------------------------------------------------------------------------------------------------------

PAPER = Paper(
    title="Vercheval and Pižurica 2021, Hierarchical Variational Autoencoders for Visual Counterfactuals",
    methods=tuple(VARIANTS.values()),
    tables=(TABLE_1, TABLE_2, TABLE_3, TEXT),
    figures=(
        Shown("Fig. 1", "the network as a diagram", missing="a drawing; methods/vaex/model.py is the network"),
        Shown(
            "Fig. 2", "the rest of a picture at r = 0, under its own class", ("own-class-{task}-vaex",), (OWN_CLASS,)
        ),
        Shown(
            "Fig. 3",
            "queries and answers as r falls, both variants, probabilities below",
            ("variants-{task}-vaex",),
        ),
    ),
    claims=(
        Claim(
            "Table III",
            "without the query's residual (r = 0) nearly every query flips",
            every(*(at_least(metric(name, "flip_rate", 0.0), 0.95) for name in VARIANTS.values())),
        ),
        Claim(
            "Sec. IV, Table III",
            "conditioning alone (r = 1) changes little",
            every(*(at_most(metric(name, "flip_rate", 1.0), 0.2) for name in VARIANTS.values())),
        ),
        Claim(
            "Sec. IV",
            "partial relaxation (r = 0.6) is enough for most queries",
            every(*(at_least(metric(name, "flip_rate", 0.6), 0.5) for name in VARIANTS.values())),
        ),
        Claim(
            "Table III",
            "the flip rate falls steadily as r rises",
            every(*(falling([metric(name, "flip_rate", r) for r in RELAXATIONS]) for name in VARIANTS.values())),
        ),
        Claim(
            "Sec. IV, Table III",
            "the classifier is flipped more often by AdaIN (VAEX) than by concatenation (VAEXcat)",
            ahead("vaex", "vaex-cat", "flip_rate", RELAXATIONS),
        ),
        Claim("Table I", "bits/dim is (NLL + KL) / (D ln 2) + 8, which fixes the sign of NLL", bits_per_dim),
        Claim(
            "Table I",
            "concatenation has the better likelihood",
            ahead("vaex-cat", "vaex", "nll", None, sign=-1),
        ),
        Claim(
            "Fig. 2",
            "little is lost at r = 0: pictures keep their class (at least 95 % of them, our bound)",
            every(
                *(
                    at_least(
                        _keeps(name),
                        0.95,
                    )
                    for name in VARIANTS.values()
                )
            ),
        ),
        Claim("Table I", "both reconstruct equally well", alike(metric("vaex", "mse"), metric("vaex-cat", "mse"))),
        Claim(
            "Sec. IV, Table II",
            "both variants' answers are about as far from real images",
            alike(metric("vaex", "fid_oracle", 0.0), metric("vaex-cat", "fid_oracle", 0.0)),
        ),
        Claim(
            "Sec. IV, Table II",
            "answers at r = 0 are further from real images than reconstructions",
            every(
                *(
                    more(metric(name, "fid_oracle", 0.0), metric(name, "fid_oracle_reconstruction"))
                    for name in VARIANTS.values()
                )
            ),
        ),
        Claim(
            "Sec. IV, Fig. 3",
            "answers show biases of the classifier, such as smiles of women",
            every(*(shows(BIAS, lead(name)) for name in VARIANTS.values())),
        ),
        Claim(
            "Sec. IV",
            "answers do not change what is unrelated to the class, such as hair (our bound: no more than a "
            "reconstruction changes)",
            among(
                FACES,
                every(*(more(_lost(name), metric(name, "mnac", 0.0)) for name in VARIANTS.values())),
            ),
        ),
    ),
    told=(BIAS,),
    beside=tuple(VARIANTS.values()),
    experiments=dict.fromkeys(VARIANTS.values(), own_class),
    notes=(
        "NLL, KL and bits/dim depend on image size and on the variance floor: compare them within a column only",
        "read flip rates together with the oracle's agreement, in flip-rate-*.md",
    ),
)
