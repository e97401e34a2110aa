"""How often a method asks the classifier."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

ASKED = ("forward", "head")
"""The ways to logits: of a picture, and of φ."""


@dataclass
class Calls:
    """What a classifier was asked: `rows` pictures, or φ of pictures, whose logits it was to give."""

    rows: int = 0
    busy: bool = False
    """Whether it is answering, so that a part of it that it asks itself is no question."""

    def counting(self, way: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The same way to logits, with each row counted."""

        def asked(rows: Tensor, *rest: object, **named: object) -> Tensor:
            if self.busy:
                return way(rows, *rest, **named)
            self.rows += len(rows)
            self.busy = True
            try:
                return way(rows, *rest, **named)
            finally:
                self.busy = False

        return asked


@contextmanager
def counted(classifier: nn.Module) -> Iterator[Calls]:
    """Count what the classifier is asked in this block."""
    calls = Calls()
    for name in ASKED:
        setattr(classifier, name, calls.counting(getattr(classifier, name)))
    try:
        yield calls
    finally:
        for name in ASKED:
            delattr(classifier, name)
