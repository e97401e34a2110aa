"""Guided diffusion: three papers whose methods walk one model.

DiME: Jeanneret, Simon and Jurie, "Diffusion Models for Counterfactual Explanations", 2022. ACE: the same, "Adversarial
Counterfactual Visual Explanations", 2023. FastDiME: Weng, Pegios, Petersen, Feragen and Bigdeli, "Fast Diffusion-Based
Counterfactuals for Shortcut Removal and Generation", 2024.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from benchmark.papers import Claim, Paper, Printed, Shown
from benchmark.papers.experiments import ROWS, Asked, Outcome, Row, estimated, under
from benchmark.papers.measures import Measure, metric, study
from benchmark.papers.verdicts import ahead, at_least, at_most, every, falling
from methods.base import Illustration, Method, Study
from methods.diffusion.method import Denoising
from metrics.base import Average, Estimate
from metrics.distances import l0, l1

DEPTHS = (0.0, 0.2, 0.4, 0.6, 0.8)
"""Relaxations, the deepest first, at which the trade of flips for closeness is read."""
TIMED = 20
"""Queries of which the walks are timed."""
MASK = "mask"
"""The study of answers with and without the mask, on the same queries and noise."""
SPEED = "speed"
"""The study of the seconds of FastDiME and DiME."""
DRAWN = 2, 8
"""Rows and columns of pictures that the model draws from plain noise."""

FID = Printed(
    name="CelebA",
    title="FID of the answers",
    setting="CelebA at 128 pixels, Inception's features",
    columns=("Smile", "Age"),
    published={"ACE with L1": ("1.27", "1.45")},
    here={"fastdime": (None, None)},
    incomparable={"fastdime": "these classifiers, pictures and features are others"},
)


def _mask(method: str, quantity: str) -> Measure:
    """What the mask changes of a quantity: with it minus without."""
    words = f"{quantity}, with the mask minus without,"
    return study(method, MASK, "difference", {"quantity": quantity}, words=words, interval=True)


def _speed() -> Measure:
    words = "seconds of DiME over seconds of FastDiME, from full depth,"
    return study("fastdime", SPEED, "seconds", {"walk": "DiME over FastDiME"}, words=words, interval=True)


PARTS = Printed(
    name="Parts",
    title="what the mask changes, and what the inner chain costs",
    setting="the papers' tables of parts",
    columns=("DiME's seconds over FastDiME's", "FID (oracle) of what it draws from plain noise"),
    published={},
    here={"fastdime": (_speed(), metric("fastdime", "fid_oracle_samples"))},
    studies=(MASK, SPEED),
    notes=("what the papers print of it was not at hand",),
)


# -- experiments -------------------------------------------------------------------------------------------------------


def mask(method: Method, asked: Asked) -> Study:
    """Answers at r = 0 with the mask, and by the same noise without it."""
    found = [_of_answers(_answers(one, asked), asked) for one in (method, under(method, mask_threshold=0.0))]
    rows: list[Row] = []
    for name, first in found[0].items():
        second = found[1][name]
        means = {"with": float(first.double().mean()), "without": float(second.double().mean())}
        rows.append({"quantity": name, **means, **estimated("difference", first.double() - second.double())})
    note = "difference: with the mask minus without, on the same queries under the same noise, r = 0"
    return Study(title="answers with and without the mask", rows=rows, notes=(note,))


def _answers(method: Method, asked: Asked) -> Tensor:
    torch.manual_seed(0)
    return method.explain(asked.queries, asked.targets, [0.0]).images[0]


def _of_answers(images: Tensor, asked: Asked) -> Mapping[str, Tensor]:
    """What is measured of answers (N, C, H, W), each (N,)."""
    return {
        "changed pixels (L0)": _each(l0(images, asked.queries)),
        "L1 to the query": _each(l1(images, asked.queries)),
        "flips": asked.classifier(images).argmax(1) == asked.targets,
        "oracle agreement": asked.oracle(images).argmax(1) == asked.targets,
    }


def _each(estimate: Estimate) -> Tensor:
    """The value of each answer, (N,), of which a metric is the mean."""
    assert isinstance(estimate, Average)  # noqa: S101 - as of every mean
    return estimate.values


def speed(method: Method, asked: Asked) -> Study:
    """Seconds that FastDiME and DiME take for the same queries, in turns in one process; one scale each."""
    one = {"scales": method.config.model_dump()["scales"][:1]}
    walks = {"FastDiME": under(method, **one), "DiME": under(method, **one, clean="chain", masked=False)}
    each = [
        [_seconds(walk, asked, place) for walk in walks.values()]
        for place in (0, *range(min(TIMED, len(asked.queries))))
    ]
    seconds = torch.tensor(each[1:], dtype=torch.float64)  # the first call is slower
    rows: list[Row] = [{"walk": name, **estimated("seconds", seconds[:, k])} for k, name in enumerate(walks)]
    rows.append({"walk": "DiME over FastDiME", **estimated("seconds", seconds[:, 1] / seconds[:, 0])})
    note = "of one query from full depth, one scale of guidance; the last row is the mean of the queries' ratios"
    return Study(title="seconds of FastDiME and DiME", rows=rows, notes=(note,))


def _seconds(walk: Method, asked: Asked, place: int) -> float:
    started = time.perf_counter()
    walk.explain(asked.queries[place : place + 1], asked.targets[place : place + 1], [0.0])
    return time.perf_counter() - started


def of_fastdime(method: Method, asked: Asked) -> Outcome:
    """What the mask changes, and what the inner chain costs; answers of each depth, and what the model draws."""
    assert isinstance(method, Denoising)  # noqa: S101 - as the methods of this paper are
    few = _first(asked)
    torch.manual_seed(0)
    depths = DEPTHS[::-1]
    answers = method.explain(few.queries, few.targets, depths).images
    columns = {"query": few.queries, **{f"r = {r:g}": images for r, images in zip(depths, answers, strict=True)}}
    columns["r = 0,\nno mask"] = _answers(under(method, mask_threshold=0.0), few)
    shown = _pictures("answers from ever greater depth; below, the classifier's class", columns, asked)
    torch.manual_seed(0)
    drawn = method.from_noise(DRAWN[0] * DRAWN[1]).unflatten(0, DRAWN)
    blank = [[""] * DRAWN[1]] * DRAWN[0]
    noise = Illustration("what the model draws from plain noise", drawn, blank, [""] * DRAWN[1])
    return Outcome({"depths": shown, "noise": noise}, {MASK: mask(method, asked), SPEED: speed(method, asked)})


def of_ace(method: Method, asked: Asked) -> Outcome:
    """What the repainting of the query changes."""
    few = _first(asked)
    columns = {
        "query": few.queries,
        "repainted": _answers(method, few),
        "not\nrepainted": _answers(under(method, mask_threshold=0.0), few),
    }
    shown = _pictures("answers with and without repainting; below, the classifier's class", columns, asked)
    return Outcome({"repainted": shown}, {MASK: mask(method, asked)})


def _first(asked: Asked) -> Asked:
    """The queries of which pictures are shown."""
    return replace(asked, queries=asked.queries[:ROWS], targets=asked.targets[:ROWS], predicted=asked.predicted[:ROWS])


def _pictures(title: str, columns: Mapping[str, Tensor], asked: Asked) -> Illustration:
    """Pictures (N, C, H, W) side by side, with what the classifier sees in them."""
    seen = torch.stack([asked.classifier(images).argmax(1) for images in columns.values()], dim=1)
    captions = [[f"{{{label}}}" for label in row] for row in seen.tolist()]
    return Illustration(title, torch.stack([*columns.values()], dim=1), captions, tuple(columns))


# -- the papers --------------------------------------------------------------------------------------------------------

PAPER = Paper(
    title="Jeanneret et al. 2022 (DiME) and 2023 (ACE), Weng et al. 2024 (FastDiME): guided diffusion",
    methods=("fastdime", "dime", "ace", "pixel-search"),
    tables=(FID, PARTS),
    figures=(
        Shown(
            "Walks of FastDiME",
            "answers from ever greater depth, and from full depth without the mask",
            ("depths-{task}-fastdime",),
        ),
        Shown(
            "Repainting of ACE",
            "answers with and without the query's pixels put back where little changed",
            ("repainted-{task}-ace",),
        ),
        Shown("Samples", "what the model draws from plain noise", ("noise-{task}-fastdime",)),
        Shown(
            "Photographs",
            "faces, streets and objects in CelebA, CelebA-HQ, BDD100K and ImageNet",
            missing="there are no photographs here",
        ),
    ),
    claims=(
        Claim(
            "Sec. 3 of DiME",
            "guided by gradients at clean pictures, a query flips (at least 95 % of them, our bound)",
            at_least(metric("dime", "flip_rate", 0.0), 0.95),
        ),
        Claim(
            "Sec. 3 of DiME",
            "a lesser depth keeps the answer closer to the query, and a greater one flips more",
            every(
                falling([metric("dime", "l1", r) for r in DEPTHS]),
                falling([metric("dime", "flip_rate", r) for r in DEPTHS]),
            ),
        ),
        Claim(
            "Sec. 3 of FastDiME",
            "guided by the step's own estimate, too, a query flips (at least 95 % of them, our bound)",
            at_least(metric("fastdime", "flip_rate", 0.0), 0.95),
        ),
        Claim(
            "Sec. 3 of FastDiME",
            "from full depth it is many times faster than DiME (at least 8 times, our bound)",
            at_least(_speed(), 8),
        ),
        Claim(
            "Sec. 3 of FastDiME",
            "the mask changes fewer pixels at equal flips (at most 5 % of queries fewer, our bound)",
            every(
                at_most(_mask("fastdime", "changed pixels (L0)"), 0),
                at_least(_mask("fastdime", "flips"), -0.05),
            ),
        ),
        Claim(
            "Sec. 3 of FastDiME",
            "depth trades flips for closeness here too",
            every(
                falling([metric("fastdime", "l1", r) for r in DEPTHS]),
                falling([metric("fastdime", "flip_rate", r) for r in DEPTHS]),
            ),
        ),
        Claim(
            "Sec. 3 of ACE",
            "an attack through the denoising chain changes meaning: the oracle follows it more than one over pixels",
            ahead("ace", "pixel-search", "oracle_agreement", (0.0,)),
        ),
        Claim(
            "Sec. 3 of ACE",
            "putting the query's pixels back where little changed brings the answer closer to the query",
            at_most(_mask("ace", "L1 to the query"), 0),
        ),
        Claim(
            "Sec. 4 of ACE",
            "its answers are closer to the query than those of DiME",
            ahead("ace", "dime", "l1", (0.0,), sign=-1),
        ),
    ),
    experiments={"fastdime": of_fastdime, "ace": of_ace},
    notes=(
        "three papers, one page, as one model serves their methods; of what they print only the FID of ACE on CelebA "
        "stands here, their other numbers are of measures that need networks for faces",
        "their models are U-Nets of CelebA at 128 pixels and more; the one here is small",
        "without the perceptual term of DiME, which needs a network trained on photographs",
    ),
    task="celeba/Smiling",
)
