"""Whether an autoencoder of the target class knows an answer better than others do (IM1, IM2)."""

from torch import Tensor

from metrics.base import Estimate
from metrics.distances import check_images
from metrics.intervals import mean

EPSILON = 0.01
"""Added to both denominators, sums over an image: small beside any real image's, and keeps black ones finite."""


def im1(answers: Tensor, answer_target_autoencoded: Tensor, answer_predicted_autoencoded: Tensor) -> Estimate:
    """How much better the target class's autoencoder restores an answer than that of the query's class does.

    The mean over answers of |x' − AE_c'(x')|² / (|x' − AE_c(x')|² + ε). An answer that is smoother than any real image
    is easily restored, so that it may score better than real images of its class do.

    Parameters
    ----------
    answers : Tensor
        Shape (N, C, H, W), float in [0, 1].
    answer_target_autoencoded : Tensor
        Shape (N, C, H, W), float in [0, 1]: each answer restored by the autoencoder of its target class.
    answer_predicted_autoencoded : Tensor
        Shape (N, C, H, W), float in [0, 1]: by the autoencoder of the class that the classifier sees in the query.

    Returns
    -------
    Estimate
        At least 0, no upper limit, without unit, lower is better, 1 where both restore it alike; NaN if N = 0.

    Raises
    ------
    ValueError
        If the shapes differ, or an image is not float, leaves [0, 1], or holds NaN.

    References
    ----------
    Van Looveren & Klaise, Interpretable Counterfactual Explanations Guided by Prototypes, 2021, equation 15.

    """
    check_images(answers, answer_target_autoencoded, answer_predicted_autoencoded)
    own = _squares(answers, answer_predicted_autoencoded)
    return mean(_squares(answers, answer_target_autoencoded) / (own + EPSILON))


def im2(answers: Tensor, answer_target_autoencoded: Tensor, answer_autoencoded: Tensor) -> Estimate:
    """How differently the target class's autoencoder and that of all classes restore an answer.

    The mean over answers of |AE_c'(x') − AE(x')|² / (|x'|₁ + ε). It is as small for an answer that both fail to
    restore as for one that both restore, so it says little without `im1`.

    Parameters
    ----------
    answers : Tensor
        Shape (N, C, H, W), float in [0, 1].
    answer_target_autoencoded : Tensor
        Shape (N, C, H, W), float in [0, 1]: each answer restored by the autoencoder of its target class.
    answer_autoencoded : Tensor
        Shape (N, C, H, W), float in [0, 1]: by the autoencoder of all classes.

    Returns
    -------
    Estimate
        At least 0, no upper limit, without unit, lower is better; NaN if N = 0.

    Raises
    ------
    ValueError
        If the shapes differ, or an image is not float, leaves [0, 1], or holds NaN.

    References
    ----------
    Van Looveren & Klaise, Interpretable Counterfactual Explanations Guided by Prototypes, 2021, equation 16.

    """
    check_images(answers, answer_target_autoencoded, answer_autoencoded)
    size = answers.double().abs().flatten(1).sum(1)
    return mean(_squares(answer_target_autoencoded, answer_autoencoded) / (size + EPSILON))


def _squares(images: Tensor, others: Tensor) -> Tensor:
    return (images.double() - others.double()).square().flatten(1).sum(1)  # (N,)
