"""Whether the target class's autoencoder restores an answer better than other autoencoders do (IM1, IM2).

Images are float (N, C, H, W) in [0, 1] without NaN and of one shape; others raise ValueError. Every estimate is NaN if
N = 0.
"""

from torch import Tensor

from metrics.base import Estimate
from metrics.distances import check_images
from metrics.intervals import mean

EPSILON = 0.01
"""Added to both denominators, so that black images stay finite; negligible beside the sum over a real image."""


def im1(answers: Tensor, answer_target_autoencoded: Tensor, answer_predicted_autoencoded: Tensor) -> Estimate:
    """Error of the target class's autoencoder on an answer, divided by the error of the old class's autoencoder.

    The mean over answers of |x' − AE_c'(x')|² / (|x' − AE_c(x')|² + ε). An answer that is smoother than any real image
    is easily restored, and may score better than real images of its class.

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
        At least 0, no upper limit, without unit, lower is better, 1 if both errors are equal.

    References
    ----------
    Van Looveren & Klaise, Interpretable Counterfactual Explanations Guided by Prototypes, 2021, equation 15.

    """
    check_images(answers, answer_target_autoencoded, answer_predicted_autoencoded)
    own = _squares(answers, answer_predicted_autoencoded)
    return mean(_squares(answers, answer_target_autoencoded) / (own + EPSILON))


def im2(answers: Tensor, answer_target_autoencoded: Tensor, answer_autoencoded: Tensor) -> Estimate:
    """Difference between the restorations of an answer by the target class's autoencoder and by all classes'.

    The mean over answers of |AE_c'(x') − AE(x')|² / (|x'|₁ + ε). It is small if both restore an answer, but also if
    both fail to, so it says little without `im1`.

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
        At least 0, no upper limit, without unit, lower is better.

    References
    ----------
    Van Looveren & Klaise, Interpretable Counterfactual Explanations Guided by Prototypes, 2021, equation 16.

    """
    check_images(answers, answer_target_autoencoded, answer_autoencoded)
    size = answers.double().abs().flatten(1).sum(1)
    return mean(_squares(answer_target_autoencoded, answer_autoencoded) / (size + EPSILON))


def _squares(images: Tensor, others: Tensor) -> Tensor:
    return (images.double() - others.double()).square().flatten(1).sum(1)  # (N,)
