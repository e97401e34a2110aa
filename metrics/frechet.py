"""Fréchet distance between two sets of features; with Inception's features it is called FID."""

import math

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import Z

Array = npt.NDArray[np.float64]

SEED = 0  # of the bootstrap: the same features always get the same interval
MANY_FEATURES = 512  # from here on (Inception has 2048) one replicate costs seconds
SPLITS = 10


def frechet_distance(
    features: Tensor | Array,
    reference: Tensor | Array,
    *,
    replicates: int | None = None,
) -> Estimate:
    """Squared Fréchet distance of the Gaussians fitted to two sets of features.

    The interval, value ± 1.96 standard deviations of bootstrap replicates, cut off at 0, covers the sampling variation
    at these n. It does not cover the upward bias at small n: for that, compare two real sets of the same n.

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
    Autoencoders for Visual Counterfactuals (VAEX), Table II. Agrees with pytorch-fid's value, without its matrix root.

    """
    x, y = feature_pair(features, reference)
    if min(len(x), len(y)) < 2:  # no covariance
        return Estimate(math.nan, math.nan, math.nan, len(x))
    few = x.shape[1] < MANY_FEATURES
    if replicates is None:
        replicates = 50 if few else 10
    # On small matrices the threads of a busy machine wait for each other many times longer than they compute.
    with threadpool_limits(1 if few else None):
        value = max(0.0, _distance(x, y))  # rounding makes it slightly negative on equal sets
        half = Z * _bootstrap_deviation(x, y, replicates)
    return Estimate(value, value - min(half, value), value + half, len(x))


def split_distance(answers: Tensor | Array, queries: Tensor | Array, *, replicates: int | None = None) -> Estimate:
    """Fréchet distance of the answers to half of the queries to the other half, the mean of ten random splits.

    An answer that hardly differs from its query is close to it however bad it is, so no answer is compared with its own
    query. The interval, value ± 1.96 bootstrap deviations of one split, is too wide: the mean of ten varies less.

    Parameters
    ----------
    answers, queries : Tensor or array
        Shape (n, F), float: features of each query and of its answer, by the same network.
    replicates : int, optional
        Bootstrap replicates of each split: 5 if F < 512, else 2. Below 2 the interval is NaN.

    Returns
    -------
    Estimate
        At least 0, no upper limit, in squared units of the features, lower is better. Each side has n / 2 images, so
        the bias is larger than that of `frechet_distance` at n. All NaN below n = 4.

    Raises
    ------
    ValueError
        If an input is no matrix, or holds NaN or infinity, or the two differ in shape.

    References
    ----------
    Jeanneret, Simon & Jurie, Adversarial Counterfactual Visual Explanations (ACE), CVPR 2023, who call it sFID.

    """
    x, y = feature_pair(answers, queries)
    if len(x) != len(y):
        raise ValueError(f"expected an answer to every query, got {len(x)} and {len(y)}")
    if len(x) < 4:
        return Estimate(math.nan, math.nan, math.nan, len(x))
    few = x.shape[1] < MANY_FEATURES
    if replicates is None:
        replicates = 5 if few else 2
    order = np.lexsort(np.hstack([x, y]).T)  # the same splits for any order of the queries
    generator, values, variances = np.random.default_rng(SEED), [], []
    with threadpool_limits(1 if few else None):
        for _ in range(SPLITS):
            left, right = np.array_split(generator.permutation(order), 2)
            values.append(max(0.0, _distance(x[left], y[right])))
            variances.append(_bootstrap_deviation(x[left], y[right], replicates) ** 2)
    value, half = float(np.mean(values)), Z * math.sqrt(np.mean(variances))
    return Estimate(value, value - min(half, value), value + half, len(x))


def gaussian_distance(mean: Array, covariance: Array, other_mean: Array, other_covariance: Array) -> float:
    """Squared Fréchet distance of two Gaussians, |m₁ − m₂|² + tr(C₁ + C₂ − 2 √(C₁C₂)), without a matrix root.

    Parameters
    ----------
    mean, other_mean : array
        Shape (F,).
    covariance, other_covariance : array
        Shape (F, F), symmetric, without negative eigenvalues; either may be singular.

    Returns
    -------
    float
        At least 0 up to rounding, in squared units of the features.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a covariance holds NaN or infinity.

    References
    ----------
    Dowson & Landau, The Fréchet distance between multivariate normal distributions, 1982.

    """
    return _from_factors(mean - other_mean, _root(covariance), _root(other_covariance))


def _distance(x: Array, y: Array) -> float:
    return _from_factors(x.mean(0) - y.mean(0), _factor(x), _factor(y))


def _from_factors(shift: Array, a: Array, b: Array) -> float:
    """Return the distance of Gaussians whose covariances are AᵀA and BᵀB.

    The trace of √(AᵀA BᵀB) is the sum of the singular values of ABᵀ, whether or not the product is singular; their
    squares are the eigenvalues of a symmetric matrix, which cost a third of a singular value decomposition.
    """
    product = a @ b.T
    if len(product) > product.shape[1]:
        product = product.T
    squares = np.linalg.eigvalsh(product @ product.T)
    cross = np.sqrt(np.maximum(squares, 0)).sum()  # rounding makes the smallest slightly negative
    return float(shift @ shift + np.square(a).sum() + np.square(b).sum() - 2 * cross)


def _factor(x: Array) -> Array:
    """Return A, (min(n, F), F), such that AᵀA is the covariance of the rows of x."""
    centred: Array = (x - x.mean(0)) / math.sqrt(len(x) - 1)
    return _root(centred.T @ centred) if len(x) > x.shape[1] else centred


def _root(covariance: Array) -> Array:
    """Return a square A such that AᵀA is `covariance`."""
    try:
        return np.asarray(np.linalg.cholesky(covariance).T, dtype=np.float64)
    except np.linalg.LinAlgError:  # singular: a feature that is constant, say
        values, vectors = np.linalg.eigh(covariance)
        return np.asarray(np.sqrt(np.maximum(values, 0))[:, None] * vectors.T, dtype=np.float64)


def _bootstrap_deviation(x: Array, y: Array, replicates: int) -> float:
    if replicates < 2:
        return math.nan
    generator = np.random.default_rng(SEED)
    distances = [_distance(_resample(x, generator), _resample(y, generator)) for _ in range(replicates)]
    return float(np.std(distances, ddof=1))


def _resample(x: Array, generator: np.random.Generator) -> Array:
    return x[generator.integers(len(x), size=len(x))]


def feature_pair(features: Tensor | Array, reference: Tensor | Array) -> tuple[Array, Array]:
    """Two sets of features as matrices of doubles; ValueError unless both are matrices with the same F."""
    x, y = _matrix(features, "features"), _matrix(reference, "reference")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features and reference come from different networks: F = {x.shape[1]} and {y.shape[1]}")
    return x, y


def _matrix(features: Tensor | Array, name: str) -> Array:
    matrix = torch.as_tensor(features).detach().cpu().double().numpy()
    if matrix.ndim != 2:
        raise ValueError(f"{name} must be (n, F), got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} hold NaN or infinity")
    return matrix
