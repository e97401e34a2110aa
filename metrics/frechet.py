"""Fréchet distance between two sets of features; with Inception's features it is called FID."""

import contextlib
import io
import math
import warnings

import numpy as np
import numpy.typing as npt
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from threadpoolctl import threadpool_limits
from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import Z

Array = npt.NDArray[np.float64]

SEED = 0  # of the bootstrap: the same features always get the same interval
MANY_FEATURES = 512  # from here on (Inception has 2048) one replicate costs seconds


def frechet_distance(
    features: Tensor | Array,
    reference: Tensor | Array,
    *,
    replicates: int | None = None,
) -> Estimate:
    """Squared Fréchet distance of the Gaussians fitted to two sets of features.

    The interval, value ± 1.96 standard deviations of bootstrap replicates, is the sampling variation at these n, cut
    off at 0. It does not cover the distance's upward bias at small n: for that, compare two real sets of the same n.

    Parameters
    ----------
    features : Tensor or array
        Shape (n, F), float: one row an image.
    reference : Tensor or array
        Shape (m, F), float: features of real images by the same network.
    replicates : int, optional
        Bootstrap replicates: 50 if F < 512, else 10. Below 2 the interval is NaN.

    Returns
    -------
    Estimate
        At least 0, no upper limit, in squared units of the features, lower is better; n is that of `features`.
        All NaN if either set has fewer than two rows.

    Raises
    ------
    ValueError
        If an input is no matrix, or holds NaN or infinity, or the two differ in F.

    References
    ----------
    Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017; Vercheval & Pižurica, Hierarchical Variational
    Autoencoders for Visual Counterfactuals (VAEX), Table II. The value is pytorch-fid's.

    """
    x, y = _matrix(features, "features"), _matrix(reference, "reference")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features and reference come from different networks: F = {x.shape[1]} and {y.shape[1]}")
    if min(len(x), len(y)) < 2:  # no covariance
        return Estimate(math.nan, math.nan, math.nan, len(x))
    few = x.shape[1] < MANY_FEATURES
    if replicates is None:
        replicates = 50 if few else 10
    # On small matrices the threads of a busy machine wait for each other many times longer than they compute.
    with threadpool_limits(1 if few else None):
        value = max(0.0, _pytorch_fid(x, y))  # rounding makes it slightly negative on equal sets
        half = Z * _bootstrap_deviation(x, y, replicates)
    return Estimate(value, value - min(half, value), value + half, len(x))


def _pytorch_fid(x: Array, y: Array) -> float:
    """Return pytorch-fid's distance, or the same distance by `_from_factors` where its matrix root fails."""
    moments = (x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))
    # It prints and scipy warns wherever n < F makes the product singular, which is no news in an evaluation.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy's LinAlgWarning is one
        warnings.simplefilter("ignore", DeprecationWarning)  # it passes scipy an argument that scipy is to drop
        try:
            return float(calculate_frechet_distance(*moments))
        except ValueError:  # a complex root of a singular product, or F = 1, which scipy's sqrtm takes for a scalar
            return _from_factors(x, y)


def _from_factors(x: Array, y: Array) -> float:
    """Return the distance without a matrix root.

    With covariances AᵀA and BᵀB, the trace of √(AᵀA BᵀB) is the sum of the singular values of ABᵀ, whether or not the
    product is singular.
    """
    a, b = _factor(x), _factor(y)
    shift = x.mean(0) - y.mean(0)
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(shift @ shift + np.square(a).sum() + np.square(b).sum() - 2 * cross)


def _factor(x: Array) -> Array:
    """Return A, (min(n, F), F), of which AᵀA is the covariance of the rows of x."""
    factor: Array = (x - x.mean(0)) / math.sqrt(len(x) - 1)
    if len(x) > x.shape[1]:  # R of QR says the same in fewer rows
        factor = np.asarray(np.linalg.qr(factor, mode="r"))
    return factor


def _bootstrap_deviation(x: Array, y: Array, replicates: int) -> float:
    if replicates < 2:
        return math.nan
    generator = np.random.default_rng(SEED)
    distances = [_from_factors(_resample(x, generator), _resample(y, generator)) for _ in range(replicates)]
    return float(np.std(distances, ddof=1))


def _resample(x: Array, generator: np.random.Generator) -> Array:
    return x[generator.integers(len(x), size=len(x))]


def _matrix(features: Tensor | Array, name: str) -> Array:
    matrix = torch.as_tensor(features).detach().cpu().double().numpy()
    if matrix.ndim != 2:
        raise ValueError(f"{name} must be (n, F), got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} hold NaN or infinity")
    return matrix
