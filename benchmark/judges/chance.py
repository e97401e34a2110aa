"""One rule for an accuracy beside chance: a look at a classifier doubts by it, and a run stops by it."""

from metrics.base import Estimate


def doubt(accuracy: Estimate, classes: int) -> str:
    """What the interval of an accuracy says against guessing one of `classes`; empty where it is shown to be better."""
    if accuracy.low > 1 / classes:
        return ""
    words = "surely no better" if no_better(accuracy, classes) else "not shown to be better"
    return f"{words} than chance ({1 / classes:.1%})"


def no_better(accuracy: Estimate, classes: int) -> bool:
    """Whether the whole interval lies at chance or below, which no run should go on from."""
    return accuracy.high <= 1 / classes
