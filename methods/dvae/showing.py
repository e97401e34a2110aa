"""A figure of the bits' meaning, and tables of the bits that a flip needs and of the shared information."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from methods.base import Illustration, Study
from metrics.fisher import Form, shared_information

ABREAST = 2
"""Bits per row of the figure."""

Rows = list[dict[str, str | int | float]]


def meaning_of_bits(
    codes: Tensor, draw: Callable[[Tensor], Tensor], probabilities: Callable[[Tensor], Tensor]
) -> Illustration:
    """Mean pictures with each bit unset and set, and the classes whose probability each state raises most.

    Parameters
    ----------
    codes
        (N, n) bool, N > 0: codes of the training images; each bit in turn is unset and set in all of them.
    draw
        Codes -> pictures (N, C, H, W).
    probabilities
        Codes -> probabilities (N, classes).

    """
    pictures, texts = [], []
    for bit in range(codes.shape[1]):
        either = [_with(codes, bit, value) for value in (False, True)]
        pictures.append(torch.stack([draw(changed).mean(0) for changed in either]))
        unset, set_ = (probabilities(changed).mean(0) for changed in either)
        texts.append([_gain(unset - set_), _gain(set_ - unset), f"bit {bit}"])
    means = torch.stack(pictures)  # (n, 2, C, H, W)
    difference = means[:, 1:] - means[:, :1]
    largest = difference.abs().max().clamp_min(1e-6)
    panels = torch.cat([means, (1 + difference / largest) / 2], dim=1)
    blank = -len(panels) % ABREAST
    panels = torch.cat([panels, panels.new_ones(blank, *panels.shape[1:])])
    texts += [[""] * 3] * blank
    return Illustration(
        f"mean of g over {len(codes)} training images with a bit unset and set; difference: ±{float(largest):.2f}\n"
        "below, the class whose probability by f_K it raises most, and the rise",
        panels.unflatten(0, (-1, ABREAST)).flatten(1, 2),
        [[text for three in texts[row : row + ABREAST] for text in three] for row in range(0, len(texts), ABREAST)],
        ("unset", "set", "difference") * ABREAST,
    )


def _with(codes: Tensor, bit: int, value: bool) -> Tensor:
    changed = codes.clone()
    changed[:, bit] = value
    return changed


def _gain(rise: Tensor) -> str:
    """Rises of probability (classes,) -> caption with the class that rises most."""
    return f"{{{int(rise.argmax())}}} +{float(rise.max()):.2f}"


def histogram(reached: Mapping[str, Tensor], count: int) -> Study:
    """Bits that a flip needs; `reached`: criterion -> flipped bits of each of the M of `count` images that meet it."""
    rows: Rows = [
        {"bits flipped": bits, "images": images, "until the target leads in": until, "n": count}
        for until, needed in reached.items()
        for bits, images in enumerate(needed.bincount().tolist())
    ]
    return Study(
        title="how many bits a flip needs",
        rows=rows,
        notes=(
            f"greedy flips on {count} training images, each with one class other than its own as target",
            "images that no number of flips brings there are in no row",
        ),
        axes=("bits flipped", "images", "until the target leads in"),
        bars=True,
    )


def forms(drawn: Mapping[tuple[str, Form, int], Tensor], wanted: Tensor, *, exact: bool) -> Study:
    """Cosine between I(g), by generator, form and draws, and I(f_K), (N, d) each; and the norm of I(g).

    `exact`: whether I(f_K) is by the paper's definition.
    """
    of_head = "by the paper's definition throughout" if exact else "estimated by random signs, because φ is long"
    rows: Rows = []
    for (name, form, draws), information in drawn.items():
        cosines = shared_information(information, wanted)
        rows.append(
            {
                "generator": name,
                "noise": form,
                "draws": draws,
                "cosine": float(cosines.mean()),
                "std": float(cosines.std(correction=0)),
                "norm of I(g)": float(information.norm(dim=1).mean()),
                "n": len(wanted),
            }
        )
    return Study(
        title="information that g and f_K share",
        rows=rows,
        notes=(
            "noise: in one coordinate at a time (the paper's definition), in all at once, its estimate by random signs",
            f"I(f_K) {of_head}; std over images; of training images",
        ),
    )
