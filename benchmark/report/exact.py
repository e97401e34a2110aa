"""Numbers in a csv file, read to the last digit by every version of pandas."""

from pathlib import Path
from typing import Any

import pandas as pd

VERSION = tuple(int(part) for part in pd.__version__.split(".")[:2])
EXACT: dict[str, Any] = {"float_precision": "round_trip"} if VERSION < (3, 1) else {}
"""Below 3.1 pandas reads a third of all numbers off by the last digit, unless it is told not to."""


def read_table(path: Path, **options: Any) -> pd.DataFrame:  # noqa: ANN401 - pandas' own
    """The csv file at `path`; only what is empty is missing, since "null" is a method."""
    table: pd.DataFrame = pd.read_csv(path, keep_default_na=False, na_values=[""], **EXACT, **options)
    return table
