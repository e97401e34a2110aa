"""What the paper of `dvae` does with a fitted method: pictures by both generators; flips under its own KL weight."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from benchmark.papers.experiments import ROWS, Asked, Outcome, Row, estimated, under
from methods.base import Illustration, Method, Study
from methods.dvae.flips import flipped
from methods.dvae.method import Dvae

POLICIES = {"as few bits as it takes": "greedy", "the most influential bit": "single", "all bits": "all"}
"""What the paper's "flip" may mean -> our policy."""
REGULARISER = "regulariser"
"""Name of the study of pictures from the same codes by the generators with and without the regulariser."""
KL_WEIGHTS = "kl-weights"
"""Name of the study of flips under our KL weight and under the printed one."""


def regulariser(method: Method, asked: Asked) -> Outcome:
    """Pictures from the same codes by the generators with and without the regulariser (Figs. 3 and 6).

    Bits are chosen by f_K alone, so that the choice does not depend on a generator.
    """
    assert isinstance(method, Dvae)  # noqa: S101 - registered so
    chooser = under(method, until_picture=False)
    told = chooser.explain(asked.queries, asked.targets, [0.0]).intervention
    codes = (told["bits"], flipped(told["bits"], told["ranks"], 0.0))
    phi = [method.network.dvae.decode(bits) for bits in codes]
    pictures = {
        name: [method.network.pixel_logits(name, part).sigmoid().view_as(asked.queries) for part in phi]
        for name in method.network.generators
    }
    answering = method.network.answering
    seen = [method.head(part).softmax(1) for part in phi]
    figures = {"concepts": _concepts(asked, pictures[answering], seen)}
    if len(pictures) > 1:
        figures["regulariser"] = _with_and_without(asked, pictures)
    rows, flips = [], {}
    for name, (_, after) in pictures.items():
        flips[name], agrees = (judge(after).argmax(1) == asked.targets for judge in (asked.classifier, asked.oracle))
        cells = {"generator": "without" if name == "plain" else "with", **estimated("flip rate", flips[name])}
        rows.append(cells | {"oracle agreement": float(agrees.double().mean())})
    if len(pictures) > 1:
        apart = flips["regularised"].double() - flips["plain"].double()
        rows.append({"generator": "with minus without", **estimated("flip rate", apart), "oracle agreement": ""})
    note = "g(ψ) from the same codes, flipped until f_K(ψ) has the target class; [low, high]: of the flip rate"
    return Outcome(
        figures,
        {REGULARISER: Study(title="pictures by generators with and without the regulariser", rows=rows, notes=(note,))},
    )


def _concepts(asked: Asked, drawn: Sequence[Tensor], seen: Sequence[Tensor]) -> Illustration:
    """Queries, g(φ') and g(ψ), each with f_K's probability of the target (Fig. 3)."""
    captions = []
    for query in range(min(ROWS, len(asked.queries))):
        own, target = int(asked.predicted[query]), int(asked.targets[query])
        captions.append(
            [f"{{{own}}} → {{{target}}}", *(f"p({{{target}}}) = {float(part[query, target]):.2f}" for part in seen)]
        )
    shown = torch.stack([asked.queries, *drawn], dim=1)[:ROWS]
    title = "concepts before and after flipped bits; below, f_K's probability of the target"
    return Illustration(title, shown, captions, ("query", "g(φ')", "g(ψ)"))


def _with_and_without(asked: Asked, pictures: Mapping[str, Sequence[Tensor]]) -> Illustration:
    """g(φ') and g(ψ) by both generators, each with the classifier's class (Fig. 6)."""
    columns = [asked.queries, *pictures["plain"], *pictures["regularised"]]
    classes = torch.stack([asked.classifier(part).argmax(1) for part in columns], dim=1)[:ROWS].tolist()
    targets = asked.targets.tolist()
    captions = [
        [f"{{{row[0]}}} → {{{target}}}", *(f"{{{c}}}" for c in row[1:])]
        for row, target in zip(classes, targets, strict=False)
    ]
    title = "pictures from the same codes without and with the regulariser; below, the classifier's class"
    headings = ("query", "without:\ng(φ')", "\ng(ψ)", "with:\ng(φ')", "\ng(ψ)")
    return Illustration(title, torch.stack(columns, dim=1)[:ROWS], captions, headings)


def kl_weights(method: Method, asked: Asked) -> Outcome:
    """How often flips change the class of f_K, under the KL weight of the run and under that of Eq. 1, which is 1.

    Only f_K is asked, so no generator is trained.
    """
    assert isinstance(method, Dvae)  # noqa: S101 - registered so
    assert asked.refitted is not None  # noqa: S101 - a run can fit
    others = method.classifier.class_count - 1
    printed = asked.refitted(kl_weight=float(others), generator_epochs=0, generator_min_steps=0)
    rows: list[Row] = [
        {"KL weight": weight, "flips": flips, **estimated("change", _changed(one, policy, asked))}
        for weight, one in ((method.config.kl_weight / others, method), (1.0, printed))
        for flips, policy in POLICIES.items()
    ]
    note = "change: f_K(ψ) has another class than f(x); bits are chosen by f_K alone; the same classifier and queries"
    return Outcome({}, {KL_WEIGHTS: Study(title="flips under two weights of the KL term", rows=rows, notes=(note,))})


def _changed(method: Method, policy: str, asked: Asked) -> Tensor:
    """Whether flips by a policy change the class of each query, (N,) bool."""
    answers = under(method, policy=policy, until_picture=False).explain(asked.queries, asked.targets, [0.0])
    return answers.evidence["representation_classes"][0] != asked.predicted
