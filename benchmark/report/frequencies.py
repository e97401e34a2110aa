"""Frequencies of attributes in the classes of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from methods.base import Study

FREQUENCIES = "frequencies"
"""Name of the study; "attributes" is the study of the changes in answers."""

Cells = dict[str, str | int | float]


@dataclass(frozen=True)
class Known:
    """The attributes of some images, and their classes."""

    attributes: pd.DataFrame
    """0 and 1, one row per image."""
    labels: np.ndarray
    """(N,)."""
    classes: Sequence[str]


def frequencies(known: Known) -> Study:
    """The share of each attribute in the first two classes, and their difference with its interval."""
    rows: list[Cells] = []
    first, second = known.classes[:2]
    for name in known.attributes:
        with_it = known.attributes[name].to_numpy() == 1
        shares = [float(with_it[known.labels == label].mean()) for label in (0, 1)]
        counts = [int((known.labels == label).sum()) for label in (0, 1)]
        half = 1.96 * sum(share * (1 - share) / n for share, n in zip(shares, counts, strict=True)) ** 0.5
        apart = shares[1] - shares[0]
        row: Cells = {"attribute": str(name), first: shares[0], second: shares[1], "classes": f"{second} minus {first}"}
        rows.append(row | {"difference": apart, "low": apart - half, "high": apart + half, "n": sum(counts)})
    note = "shares of the training images of each class that have the attribute"
    return Study(title="attributes in the classes", rows=rows, notes=(note,))
