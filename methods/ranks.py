"""Parts of a code that are changed one after another until the class flips: their ranks, and when it does."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor


def lead(logits: Tensor, target: Tensor) -> Tensor:
    """The target's logit minus the largest other one, (B,), from logits (B, classes); above 0 if the target wins."""
    wanted = F.one_hot(target, logits.shape[1]).bool()
    return logits[wanted] - logits.masked_fill(wanted, -torch.inf).amax(1)


def chosen(ranks: Tensor, relaxation: float) -> Tensor:
    """Which parts are changed, (N, n) bool, when the last share `relaxation` of the changes is left out, rounded.

    `ranks` (N, n) say when a part is changed, from 0; n for a part that stays.
    """
    count = (ranks < ranks.shape[1]).sum(1, keepdim=True)
    return ranks < ((1 - relaxation) * count).round()
