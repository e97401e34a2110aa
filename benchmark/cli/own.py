"""What the options say of the user's own classifier."""

from pathlib import Path

from benchmark.errors import UserError
from benchmark.judges.spec import ClassifierSpec, classifier_spec


def classifier_of(
    source: str | None,
    weights: Path | None,
    wanted: str | None,
    output: str | None,
    columns: str | None,
    classes: Path | None,
    features: str | None,
    *,
    trust_code: bool,
) -> ClassifierSpec | None:
    """What the options say of a classifier; None if they name none."""
    said = {
        "weights": weights,
        "input": wanted,
        "output": output,
        "columns": columns,
        "classes": classes,
        "features": features,
        "trust_code": trust_code,
    }
    if source is None:
        if named := [name for name, value in said.items() if value]:
            raise UserError(f"{', '.join(named)}: of which classifier? name it by --classifier")
        return None
    return classifier_spec(source, **said)
