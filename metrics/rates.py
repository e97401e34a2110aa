"""How often a counterfactual, or a reconstruction, changes the class that a network sees.

Classes are integer vectors (N,), the argmax of a network's logits; other types or different lengths raise ValueError.
`answer_classes` are the classes that the classifier gives the counterfactuals, `answer_oracle_votes` (N, M) those that
each of M oracles gives, `reconstruction_classes` and `predicted` the classifier's classes of reconstructions and
queries, `targets` the target classes. Every estimate has a Wilson interval, and is NaN if N = 0.
"""

import torch
from torch import Tensor

from metrics.base import Estimate
from metrics.intervals import mean_share, proportion


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


def oracle_agreement(answer_oracle_votes: Tensor, targets: Tensor) -> Estimate:
    """Mean over counterfactuals of the share of oracles, independent classifiers, that see the target class.

    Returns
    -------
    Estimate
        A fraction in [0, 1], higher is better.

    References
    ----------
    Hvilshøj et al., On Quantitative Evaluations of Counterfactuals, 2021; a panel instead of one oracle is ours.

    """
    check_classes(targets=targets)
    return mean_share(_agreeing(answer_oracle_votes, targets))


def oracle_disagreement(answer_oracle_votes: Tensor) -> Estimate:
    """Share of counterfactuals in which the oracles do not all see the same class, whichever that is.

    Returns
    -------
    Estimate
        A fraction in [0, 1]; where it is high, `oracle_agreement` depends on who judges.

    References
    ----------
    Defined here.

    """
    check_votes(answer_oracle_votes)
    return proportion((answer_oracle_votes != answer_oracle_votes[:, :1]).any(1))


def adversarial_flips(answer_classes: Tensor, answer_oracle_votes: Tensor, targets: Tensor) -> Estimate:
    """Share of counterfactuals that convince the classifier of their target class, but not an oracle; oracles' mean.

    Returns
    -------
    Estimate
        A fraction in [0, 1] of all N, not of the flipped ones; lower is better.

    References
    ----------
    Defined here, after the oracle of Hvilshøj et al., 2021.

    """
    check_classes(answer_classes=answer_classes, targets=targets)
    return mean_share((answer_classes == targets) * (1 - _agreeing(answer_oracle_votes, targets)))


def oracle_aware_flips(answer_classes: Tensor, answer_oracle_votes: Tensor, targets: Tensor) -> Estimate:
    """Share of counterfactuals that convince the classifier and an oracle of their target class; oracles' mean.

    Returns
    -------
    Estimate
        A fraction in [0, 1] of all N, the flip rate minus the adversarial flips; higher is better.

    References
    ----------
    Defined here, after the oracle of Hvilshøj et al., 2021.

    """
    check_classes(answer_classes=answer_classes, targets=targets)
    return mean_share((answer_classes == targets) * _agreeing(answer_oracle_votes, targets))


def _agreeing(votes: Tensor, targets: Tensor) -> Tensor:
    """The share of oracles that see the target, (N,) float64, of `votes` (N, M)."""
    check_votes(votes)
    if len(votes) != len(targets):
        raise ValueError(f"the oracles judge {len(votes)} counterfactuals, and there are {len(targets)} targets")
    return (votes == targets[:, None]).double().mean(1)


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


def check_votes(votes: Tensor) -> None:
    """Raise ValueError unless `votes` are integer classes (N, M) of at least one oracle."""
    integer = not (votes.is_floating_point() or votes.is_complex() or votes.dtype == torch.bool)
    if not integer or votes.ndim != 2 or not votes.shape[1]:
        raise ValueError(f"votes must be integer classes (N, M), got {votes.dtype} {tuple(votes.shape)}")
