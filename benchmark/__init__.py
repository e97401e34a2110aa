"""Visual counterfactual explanations of image classifiers, compared under one roof.

The commands as functions: `run`, `score` and `read` give the numbers, `fit` a method that explains pictures of yours.
They are imported when they are first asked for, because torch takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.api import classifier, fit, read, run, score

__version__ = "0.1.0"
__all__ = ["UserError", "classifier", "fit", "read", "run", "score"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'benchmark' has no attribute '{name}'")
    return getattr(import_module("benchmark.api"), name)
