"""What came of each single query, as a table for other programs."""

from collections.abc import Mapping, Sequence

import pandas as pd
from torch import Tensor

from benchmark.jobs.evidence import UNANSWERED

COLUMNS = ["name", "relaxation", "target", "predicted", "probability", "oracle", "flipped", "l1"]


def per_picture(
    names: Sequence[str],
    targets: Tensor,
    relaxations: Sequence[float],
    outcomes: Mapping[str, Tensor],
    classes: Sequence[str],
) -> pd.DataFrame:
    """A row an answer: what the classifier and the oracle see in it, and how far it is from its query.

    Parameters
    ----------
    names
        Of the N queries.
    targets
        (N,).
    relaxations
        R of them.
    outcomes
        As `benchmark.jobs.measure.measure` returns them.
    classes
        Names of the classes.

    Returns
    -------
    pandas.DataFrame
        R × N rows. "predicted", "oracle" and "l1" are empty where there is no answer. "probability" is the target's by
        the classifier, "l1" the mean absolute difference to the query, both in [0, 1].
    """
    words = {UNANSWERED: "", **dict(enumerate(classes))}
    tables = []
    for place, r in enumerate(relaxations):
        seen, judged = outcomes["answer_classes"][place], outcomes["answer_oracle_classes"][place]
        change = outcomes["value.l1"][place].masked_fill(seen == UNANSWERED, float("nan"))
        columns = {
            "name": names,
            "relaxation": r,
            "target": [words[label] for label in targets.tolist()],
            "predicted": [words[label] for label in seen.tolist()],
            "probability": outcomes["target_probability"][place].numpy().round(6),
            "oracle": [words[label] for label in judged.tolist()],
            "flipped": (seen == targets).numpy(),
            "l1": change.numpy().round(6),
        }
        tables.append(pd.DataFrame(columns, columns=COLUMNS))
    return pd.concat(tables, ignore_index=True)
