"""How often a counterfactual, or a reconstruction, changes the class that a network sees.

Classes are what a network answered, argmax over its logits; the networks were applied before.
"""

import torch
from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import proportion


def flip_rate(answer_classes: Tensor, targets: Tensor) -> Estimate:
    """Share of counterfactuals that the classifier sees as their target class (validity).

    Parameters
    ----------
    answer_classes : Tensor
        Shape (N,), integer: the investigated classifier's class of each counterfactual.
    targets : Tensor
        Shape (N,), integer: the class that was asked for.

    Returns
    -------
    Estimate
        A fraction in [0, 1], higher is better, with its Wilson interval; NaN if N = 0.

    Raises
    ------
    ValueError
        If an input is no integer vector (classes that are NaN, say), or the lengths differ.

    References
    ----------
    Vercheval & Pižurica, Hierarchical Variational Autoencoders for Visual Counterfactuals (VAEX), Table III.

    """
    check_classes(answer_classes=answer_classes, targets=targets)
    return proportion(answer_classes == targets)


def oracle_agreement(answer_oracle_classes: Tensor, targets: Tensor) -> Estimate:
    """Share of counterfactuals that an independent classifier, the oracle, sees as their target class.

    Parameters
    ----------
    answer_oracle_classes : Tensor
        Shape (N,), integer: the oracle's class of each counterfactual.
    targets : Tensor
        Shape (N,), integer: the class that was asked for.

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
    Hvilshøj et al., On Quantitative Evaluations of Counterfactuals, 2021.

    """
    check_classes(answer_oracle_classes=answer_oracle_classes, targets=targets)
    return proportion(answer_oracle_classes == targets)


def adversarial_flips(answer_classes: Tensor, answer_oracle_classes: Tensor, targets: Tensor) -> Estimate:
    """Share of counterfactuals that convince the classifier of their target class, but not the oracle.

    Parameters
    ----------
    answer_classes : Tensor
        Shape (N,), integer: the investigated classifier's class of each counterfactual.
    answer_oracle_classes : Tensor
        Shape (N,), integer: the oracle's class of each counterfactual.
    targets : Tensor
        Shape (N,), integer: the class that was asked for.

    Returns
    -------
    Estimate
        A fraction in [0, 1] of all N, not of the flipped ones; lower is better; NaN if N = 0.

    Raises
    ------
    ValueError
        If an input is no integer vector, or the lengths differ.

    References
    ----------
    Defined here, after the oracle of Hvilshøj et al., 2021.

    """
    check_classes(answer_classes=answer_classes, answer_oracle_classes=answer_oracle_classes, targets=targets)
    return proportion((answer_classes == targets) & (answer_oracle_classes != targets))


def oracle_aware_flips(answer_classes: Tensor, answer_oracle_classes: Tensor, targets: Tensor) -> Estimate:
    """Share of counterfactuals that convince both the classifier and the oracle of their target class.

    Parameters
    ----------
    answer_classes : Tensor
        Shape (N,), integer: the investigated classifier's class of each counterfactual.
    answer_oracle_classes : Tensor
        Shape (N,), integer: the oracle's class of each counterfactual.
    targets : Tensor
        Shape (N,), integer: the class that was asked for.

    Returns
    -------
    Estimate
        A fraction in [0, 1] of all N, the flip rate less the adversarial flips; higher is better; NaN if N = 0.

    Raises
    ------
    ValueError
        If an input is no integer vector, or the lengths differ.

    References
    ----------
    Defined here, after the oracle of Hvilshøj et al., 2021.

    """
    check_classes(answer_classes=answer_classes, answer_oracle_classes=answer_oracle_classes, targets=targets)
    return proportion((answer_classes == targets) & (answer_oracle_classes == targets))


def reconstruction_flips(reconstruction_classes: Tensor, predicted: Tensor) -> Estimate:
    """Share of queries whose mere reconstruction already changes the classifier's answer.

    Parameters
    ----------
    reconstruction_classes : Tensor
        Shape (N,), integer: the classifier's class of each reconstruction.
    predicted : Tensor
        Shape (N,), integer: the classifier's class of each query.

    Returns
    -------
    Estimate
        A fraction in [0, 1], lower is better, with its Wilson interval; NaN if N = 0.

    Raises
    ------
    ValueError
        If an input is no integer vector, or the lengths differ.

    References
    ----------
    Defined here: a flip that the reconstruction makes alone is no merit of the counterfactual.

    """
    check_classes(reconstruction_classes=reconstruction_classes, predicted=predicted)
    return proportion(reconstruction_classes != predicted)


def check_classes(**classes: Tensor) -> None:
    """Refuse what is no vector of classes, and vectors of different lengths."""
    for name, tensor in classes.items():
        integer = not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)
        if not integer or tensor.ndim != 1:
            raise ValueError(f"{name} must be integer classes (N,), got {tensor.dtype} {tuple(tensor.shape)}")
    lengths = {name: len(tensor) for name, tensor in classes.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the classes differ in length: {lengths}")
