"""Whether a discrete code keeps what the classifier knows, and whether changing it changes the classifier's mind.

Classes are argmax over the head of the classifier, f_K, applied to its own layer φ or to what a code φ' stands for.
"""

from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import mean, proportion
from metrics.rates import check_classes


def change(answer_representation_classes: Tensor, predicted: Tensor) -> Estimate:
    """Share of queries that f_K takes for another class once bits are flipped, whichever that is.

    Parameters
    ----------
    answer_representation_classes : Tensor
        Shape (N,), integer: the class of f_K(ψ).
    predicted : Tensor
        Shape (N,), integer: the class of the query.

    Returns
    -------
    Estimate
        A fraction in [0, 1], higher is better, with its Wilson interval; NaN if N = 0.

    Raises
    ------
    ValueError
        If an input is no integer vector, or the lengths differ.

    References
    ----------
    Gat et al., Latent Space Explanation by Intervention, 2022, Table 1.

    """
    check_classes(answer_representation_classes=answer_representation_classes, predicted=predicted)
    return proportion(answer_representation_classes != predicted)


def agreement(first_classes: Tensor, second_classes: Tensor) -> Estimate:
    """Share of queries for which two ways to classify them name the same class.

    Parameters
    ----------
    first_classes : Tensor
        Shape (N,), integer: of f_K(φ), or of f_K(φ').
    second_classes : Tensor
        Shape (N,), integer: of f_K(φ'), or the labels, where it is the accuracy.

    Returns
    -------
    Estimate
        A fraction in [0, 1], higher is better, with its Wilson interval; NaN if N = 0.

    Raises
    ------
    ValueError
        If an input is no integer vector, or the lengths differ.

    References
    ----------
    Gat et al., Latent Space Explanation by Intervention, 2022, Table 1.

    """
    check_classes(first_classes=first_classes, second_classes=second_classes)
    return proportion(first_classes == second_classes)


def mean_of_queries(values: Tensor) -> Estimate:
    """Mean of what a method reports of each query: shared information, the norm of information, a distance.

    Parameters
    ----------
    values : Tensor
        Shape (N,): cosines or distances in [0, 1], or norms of at least 0.

    Returns
    -------
    Estimate
        In the unit of `values`, with a normal interval; NaN if N = 0.

    Raises
    ------
    ValueError
        If `values` is no vector, or holds NaN or infinity.

    References
    ----------
    Gat et al., Latent Space Explanation by Intervention, 2022, Table 2.

    """
    return mean(values)
