"""How soon the class changes while a counterfactual's pixels are pasted into its query (COUT)."""

import torch
from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import mean

STEPS = 50


def pasted(queries: Tensor, answers: Tensor, steps: int = STEPS) -> Tensor:
    """The images on the way from each query to its answer, the most changed pixels first.

    Parameters
    ----------
    queries, answers : Tensor
        Shape (N, C, H, W), the same type: floats, or 8-bit integers.
    steps : int
        Number of equal portions in which the pixels are pasted.

    Returns
    -------
    Tensor
        Shape (N, steps + 1, C, H, W): the query first, its answer last. A pixel is pasted with all its channels;
        of equal changes the pixel that comes first, row by row, is pasted first.

    Raises
    ------
    ValueError
        If the shapes differ, or `steps` < 1.

    """
    if queries.shape != answers.shape or queries.ndim != 4:
        raise ValueError(f"queries {tuple(queries.shape)} and answers {tuple(answers.shape)} are no pairs of images")
    if steps < 1:
        raise ValueError(f"at least one step, got {steps}")
    change = (answers.float() - queries.float()).abs().sum(1).flatten(1)  # (N, H·W)
    rank = (
        change.argsort(dim=1, descending=True, stable=True).argsort(dim=1).view(len(queries), 1, 1, *queries.shape[2:])
    )
    count = change.shape[1]
    shares = torch.arange(steps + 1, device=rank.device).view(1, -1, 1, 1, 1)
    return torch.where(rank * steps < shares * count, answers[:, None], queries[:, None])


def cout(answer_paths_target: Tensor, answer_paths_predicted: Tensor) -> Estimate:
    """Area under the target's probability minus the area under the query's class, while pixels are pasted.

    It is near 1 if the first few pixels flip the classifier, and near −1 if the classifier never leaves the query's
    class.

    Parameters
    ----------
    answer_paths_target : Tensor
        Shape (N, T + 1), in [0, 1]: the classifier's probability of the target in each of the `pasted` images.
    answer_paths_predicted : Tensor
        Shape (N, T + 1), in [0, 1]: its probability of the query's class.

    Returns
    -------
    Estimate
        In [−1, 1], higher is better; areas by the trapezoidal rule over the unit interval; NaN if N = 0.

    Raises
    ------
    ValueError
        If the shapes differ, T < 1, or an entry is no probability.

    References
    ----------
    Khorram & Fuxin, Cycle-Consistent Counterfactuals by Latent Transformations (C3LT), 2022.

    """
    if answer_paths_target.shape != answer_paths_predicted.shape or answer_paths_target.ndim != 2:
        shapes = f"{tuple(answer_paths_target.shape)} and {tuple(answer_paths_predicted.shape)}"
        raise ValueError(f"paths must be two (N, T + 1), got {shapes}")
    if answer_paths_target.shape[1] < 2:
        raise ValueError("a path has at least one step")
    for path in (answer_paths_target, answer_paths_predicted):
        if not ((path >= 0) & (path <= 1 + 1e-6)).all():  # a softmax in float32 may round up; NaN fails
            raise ValueError("probabilities must lie in [0, 1] and hold no NaN")
    difference = answer_paths_target.double() - answer_paths_predicted.double()
    return mean((difference[:, 1:] + difference[:, :-1]).mean(1) / 2)
