"""Functional Fisher information: how much a positive function h depends on each coordinate of its argument.

I^i_ν(h) = E[h'(z)² / h(z)] under Gaussian noise around a point, where h' is the derivative along coordinate i; for
several outputs, the sum (Gat et al. 2022, Eqs. 3 to 5). It is computed as 4 E[(∂ exp(½ log h))²], which is equal and
stays finite where h vanishes. Functions are therefore given by their logarithm.

Methods train on this quantity, so this is the one metrics module that they import. A method that does so raises its
`version` when the values here change.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from torch import Tensor

LogFunction = Callable[[Tensor], Tensor]
"""log h: points (B, d) -> (B, K) logarithms of positive outputs, computed row by row."""

Form = Literal["coordinate", "joint", "probe"]


def fisher_information(log_h: LogFunction, centres: Tensor, form: Form = "coordinate", draws: int = 3) -> Tensor:
    """The information of h in every coordinate, around every centre.

    Parameters
    ----------
    log_h
        The logarithm of h.
    centres : Tensor
        Shape (N, d): the means of the Gaussians, whose covariance is I.
    form : {"coordinate", "joint", "probe"}
        "coordinate": noise in one coordinate at a time, the others fixed (the paper's definition), by Gauss-Hermite
        quadrature, without randomness; d derivatives per node.
        "joint": noise in all coordinates at once, by random draws; d derivatives per draw.
        "probe": an unbiased estimate of "joint" from one backward pass per draw: with random signs v over the outputs,
        E[(Jᵀv)_i²] is the sum of the squares of column i of J.
    draws : int
        Nodes of the quadrature, or random draws; at least 1.

    Returns
    -------
    Tensor
        Shape (N, d), at least 0, per squared unit of the coordinate; differentiable in the parameters of h.

    Raises
    ------
    ValueError
        If the centres are no matrix, or `draws` < 1.

    References
    ----------
    Gat, Lorberbom, Schwartz, Hazan, Latent Space Explanation by Intervention, 2022; the probe is ours.

    """
    if centres.ndim != 2 or draws < 1:
        raise ValueError(f"centres must be (N, d), draws at least 1, got {tuple(centres.shape)} and {draws}")
    forms = {"coordinate": _coordinate, "joint": _joint, "probe": _probe}
    return 4 * forms[form](partial(_root, log_h), centres, draws)


def _root(log_h: LogFunction, points: Tensor) -> Tensor:
    """√h, (B, K)."""
    return (0.5 * log_h(points)).exp()


def _coordinate(root: LogFunction, centres: Tensor, draws: int) -> Tensor:
    nodes, weights = np.polynomial.hermite_e.hermegauss(draws)
    columns = []
    for axis in torch.eye(centres.shape[1]).to(centres):
        along = axis.expand_as(centres)
        slopes = [_squared_slope(root, centres + float(node) * along, along) for node in nodes]
        columns.append(torch.stack(slopes, dim=1) @ torch.from_numpy(weights / weights.sum()).to(centres))
    return _stacked(columns, centres)


def _joint(root: LogFunction, centres: Tensor, draws: int) -> Tensor:
    total = torch.zeros_like(centres)
    for _ in range(draws):
        points = centres + torch.randn_like(centres)
        axes = torch.eye(centres.shape[1]).to(centres)
        total = total + _stacked([_squared_slope(root, points, axis.expand_as(points)) for axis in axes], centres)
    return total / draws


def _probe(root: LogFunction, centres: Tensor, draws: int) -> Tensor:
    differentiable, total = torch.is_grad_enabled(), torch.zeros_like(centres)
    for _ in range(draws):
        with torch.enable_grad():
            points = (centres + torch.randn_like(centres)).requires_grad_()
            outputs = root(points)
            signs = torch.randint(0, 2, outputs.shape, device=outputs.device).to(outputs) * 2 - 1
            (slope,) = torch.autograd.grad((signs * outputs).sum(), points, create_graph=differentiable)
        total = total + slope.square()
    return total / draws


def _squared_slope(root: LogFunction, points: Tensor, along: Tensor) -> Tensor:
    """(N,): the squared derivatives of all outputs in one direction, summed."""
    with catch_warnings():
        simplefilter("ignore", FutureWarning)  # torch's own, of the torch.jit.script that its jvp still uses
        slope: Tensor = torch.func.jvp(root, (points,), (along,))[1]
    return slope.square().sum(1)


def _stacked(columns: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack(columns, dim=1) if columns else torch.zeros_like(like)


# -- information that two functions share ------------------------------------------------------------------------------


def shared_information(first: Tensor, second: Tensor) -> Tensor:
    """Cosine of two functions' information, row by row: 1 if they depend on the coordinates in equal proportions.

    Parameters
    ----------
    first, second : Tensor
        Shape (N, d), at least 0.

    Returns
    -------
    Tensor
        Shape (N,), in [0, 1]; 0 where one of them has no information.

    References
    ----------
    Gat et al. 2022, Table 2.

    """
    return (directions(first) * directions(second)).sum(1)


def inverse_dot(first: Tensor, second: Tensor) -> Tensor:
    """1 / (I · I'), (N,): the paper's regulariser (Eq. 6), which a larger norm lowers as well as a larger cosine."""
    return 1 / (first * second).sum(1).clamp_min(torch.finfo(first.dtype).eps)


def inverse_cosine(first: Tensor, second: Tensor) -> Tensor:
    """1 / cos(I, I'), (N,), at least 1: a regulariser that no norm lowers."""
    return 1 / shared_information(first, second).clamp_min(torch.finfo(first.dtype).eps)


def directions(information: Tensor) -> Tensor:
    """Information (N, d) scaled to rows of length 1; rows of zeros stay zeros."""
    # Squares of small information would vanish in float32, so a row is brought to size 1 before its norm is taken.
    size = information.detach().amax(1, keepdim=True)
    scaled = information / torch.where(size > 0, size, 1)
    return scaled / scaled.square().sum(1, keepdim=True).clamp_min(torch.finfo(scaled.dtype).tiny).sqrt()
