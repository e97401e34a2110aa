"""What a method is asked about the first queries beyond one edit: nothing, several times over; the way back; again."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from methods.base import Method

NULL_EDITS = 5
"""Reconstructions, one of the other, before the distance is taken."""
DRAWS = 2
"""Answers to the same query under different sampling seeds; a pair has the distance of many on average."""


def probe(
    method: Method, answered: Mapping[str, Tensor], at: float, edited: Tensor, seed: Callable[[int], int]
) -> dict[str, Tensor]:
    """What composition, reversibility and diversity are computed of.

    Queries differ between the seeds of a run, as their test images do, so diversity is asked of one fitted method,
    under different seeds of its sampling.

    Parameters
    ----------
    method
        The fitted method.
    answered
        "queries" (n, C, H, W) in [0, 1], "targets" and "predicted" (n,).
    at
        The relaxation of the edits.
    edited
        (n, C, H, W) in [0, 1]: the answers at that relaxation.
    seed
        A seed for each number.

    Returns
    -------
    dict
        "null_edits" and "undone", (n, C, H, W), and "draws", (n, DRAWS, C, H, W), in [0, 1].
    """
    queries = answered["queries"]

    def ask(images: Tensor, target: Tensor, number: int) -> Tensor:
        torch.manual_seed(seed(number))
        return method.explain(images, target, [at]).images[0].clamp(0, 1)

    draws = [edited, *(ask(queries, answered["targets"], number) for number in range(1, DRAWS))]
    undone = ask(edited, answered["predicted"], DRAWS)
    images = queries
    for _ in range(NULL_EDITS):
        images = method.reconstruct(images).clamp(0, 1)
    return {"null_edits": images, "undone": undone, "draws": torch.stack(draws, dim=1)}
