"""How often a counterfactual, or a reconstruction, changes the class that a network sees.

Classes are integer vectors (N,), the argmax of a network's logits; other types or different lengths raise ValueError.
`answer_classes` and `answer_oracle_classes` are the classes that classifier and oracle give the counterfactuals,
`reconstruction_classes` and `predicted` the classifier's classes of reconstructions and queries, `targets` the target
classes. Every estimate has a Wilson interval, and is NaN if N = 0.
"""

import torch
from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import proportion


def flip_rate(answer_classes: Tensor, targets: Tensor) -> Estimate:
    """Share of counterfactuals that the classifier sees as their target class (validity).

    Returns
    -------
    Estimate
        A fraction in [0, 1], higher is better.

    References
    ----------
    Vercheval & Pižurica, Hierarchical Variational Autoencoders for Visual Counterfactuals (VAEX), Table III.

    """
    check_classes(answer_classes=answer_classes, targets=targets)
    return proportion(answer_classes == targets)


def oracle_agreement(answer_oracle_classes: Tensor, targets: Tensor) -> Estimate:
    """Share of counterfactuals that an independent classifier, the oracle, sees as their target class.

    Returns
    -------
    Estimate
        A fraction in [0, 1], higher is better.

    References
    ----------
    Hvilshøj et al., On Quantitative Evaluations of Counterfactuals, 2021.

    """
    check_classes(answer_oracle_classes=answer_oracle_classes, targets=targets)
    return proportion(answer_oracle_classes == targets)


def adversarial_flips(answer_classes: Tensor, answer_oracle_classes: Tensor, targets: Tensor) -> Estimate:
    """Share of counterfactuals that convince the classifier of their target class, but not the oracle.

    Returns
    -------
    Estimate
        A fraction in [0, 1] of all N, not of the flipped ones; lower is better.

    References
    ----------
    Defined here, after the oracle of Hvilshøj et al., 2021.

    """
    check_classes(answer_classes=answer_classes, answer_oracle_classes=answer_oracle_classes, targets=targets)
    return proportion((answer_classes == targets) & (answer_oracle_classes != targets))


def oracle_aware_flips(answer_classes: Tensor, answer_oracle_classes: Tensor, targets: Tensor) -> Estimate:
    """Share of counterfactuals that convince both the classifier and the oracle of their target class.

    Returns
    -------
    Estimate
        A fraction in [0, 1] of all N, the flip rate minus the adversarial flips; higher is better.

    References
    ----------
    Defined here, after the oracle of Hvilshøj et al., 2021.

    """
    check_classes(answer_classes=answer_classes, answer_oracle_classes=answer_oracle_classes, targets=targets)
    return proportion((answer_classes == targets) & (answer_oracle_classes == targets))


def reconstruction_flips(reconstruction_classes: Tensor, predicted: Tensor) -> Estimate:
    """Share of queries whose reconstruction alone changes the class that the classifier sees.

    Returns
    -------
    Estimate
        A fraction in [0, 1], lower is better.

    References
    ----------
    Defined here: a flip by the reconstruction alone is no success of the counterfactual.

    """
    check_classes(reconstruction_classes=reconstruction_classes, predicted=predicted)
    return proportion(reconstruction_classes != predicted)


def check_classes(**classes: Tensor) -> None:
    """Raise ValueError unless all `classes` are integer vectors of one length."""
    for name, tensor in classes.items():
        integer = not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)
        if not integer or tensor.ndim != 1:
            raise ValueError(f"{name} must be integer classes (N,), got {tensor.dtype} {tuple(tensor.shape)}")
    lengths = {name: len(tensor) for name, tensor in classes.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the classes differ in length: {lengths}")
