"""Discrete codes: whether they keep what the classifier uses, and whether changed bits change the class.

Classes are integer vectors (N,), the argmax of the classifier's head f_K, applied to its own layer φ or to the
reconstruction φ' of a code; other types or different lengths raise ValueError. Shares have a Wilson interval. All
estimates are NaN if N = 0.
"""

from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import mean, proportion
from metrics.rates import check_classes


def change(answer_representation_classes: Tensor, predicted: Tensor) -> Estimate:
    """Share of queries that f_K gives another class, of any kind, after bits are flipped.

    Parameters
    ----------
    answer_representation_classes : Tensor
        Shape (N,), integer: the class of f_K(ψ).
    predicted : Tensor
        Shape (N,), integer: the class of the query.

    Returns
    -------
    Estimate
        A fraction in [0, 1], higher is better.

    References
    ----------
    Gat et al., Latent Space Explanation by Intervention, 2022, Table 1.

    """
    check_classes(answer_representation_classes=answer_representation_classes, predicted=predicted)
    return proportion(answer_representation_classes != predicted)


def agreement(first_classes: Tensor, second_classes: Tensor) -> Estimate:
    """Share of queries to which two classifications give the same class.

    Parameters
    ----------
    first_classes : Tensor
        Shape (N,), integer: the classes of f_K(φ) or of f_K(φ').
    second_classes : Tensor
        Shape (N,), integer: the classes of f_K(φ'), or the labels; with labels the share is the accuracy.

    Returns
    -------
    Estimate
        A fraction in [0, 1], higher is better.

    References
    ----------
    Gat et al., Latent Space Explanation by Intervention, 2022, Table 1.

    """
    check_classes(first_classes=first_classes, second_classes=second_classes)
    return proportion(first_classes == second_classes)


def mean_of_queries(values: Tensor) -> Estimate:
    """Mean of one value per query that a method reports: shared information, norm of information, a distance.

    Parameters
    ----------
    values : Tensor
        Shape (N,): cosines or distances in [0, 1], or norms of at least 0.

    Returns
    -------
    Estimate
        In the unit of `values`, with a normal interval.

    Raises
    ------
    ValueError
        If `values` is no vector, or holds NaN or infinity.

    References
    ----------
    Gat et al., Latent Space Explanation by Intervention, 2022, Table 2.

    """
    return mean(values)
