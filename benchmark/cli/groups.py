"""Options that go together, declared once for all commands that take them: of a classifier, and of pictures."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import Any, get_type_hints

from benchmark.arguments import Pictures
from benchmark.cli import options
from benchmark.errors import UserError
from benchmark.judges.spec import ClassifierSpec, classifier_spec


@dataclass(frozen=True)
class ClassifierOptions:
    """What is said of a classifier of the user's own, beside where it lies."""

    classifier_weights: options.ClassifierWeights = None
    classifier_input: options.ClassifierInput = None
    output: options.ClassifierOutput = None
    output_columns: options.OutputColumns = None
    classes: options.Classes = None
    features: options.Features = None
    trust_code: options.TrustCode = False

    def of(self, source: str | None) -> ClassifierSpec | None:
        """The classifier at `source`; None if there is none.

        Raises
        ------
        UserError
            If something is said of none, and as `classifier_spec`.
        """
        said = {
            "weights": self.classifier_weights,
            "input": self.classifier_input,
            "output": self.output,
            "columns": self.output_columns,
            "classes": self.classes,
            "features": self.features,
            "trust_code": self.trust_code,
        }
        if source is not None:
            return classifier_spec(source, **said)
        if named := [name for name, value in said.items() if value]:
            raise UserError(f"{', '.join(named)}: of which classifier? name it by --classifier")
        return None


@dataclass(frozen=True)
class PictureOptions:
    """The user's own folder of pictures, and how they are read."""

    data: options.Data = None
    image_size: options.ImageSize = None
    resize: options.Resize = "crop"
    channels: options.Channels = None
    skip_broken: options.SkipBroken = False

    def given(self) -> Pictures:
        """As `benchmark.arguments.protocol_of` takes them."""
        found: Pictures = asdict(self)  # type: ignore[assignment] # the same names
        return found


NOTHING_SAID = ClassifierOptions()
NO_PICTURES = PictureOptions()


def spread(command: Callable[..., int]) -> Callable[..., int]:
    """`command` with the options of each group in place of the parameter that takes the group, for typer to read."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}

    @wraps(command)
    def flat(**given: Any) -> int:  # noqa: ANN401 - whatever typer reads
        packed = {
            name: group(**{one.name: given.pop(one.name) for one in fields(group)}) for name, group in groups.items()
        }
        return command(**given, **packed)

    taken: list[Parameter] = []
    for parameter in signature(command).parameters.values():
        group = groups.get(parameter.name)
        taken += [parameter.replace(annotation=hints[parameter.name])] if group is None else _parameters(group)
    flat.__signature__ = signature(command).replace(parameters=taken)  # type: ignore[attr-defined] # inspect reads it
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in taken}
    return flat


def _parameters(group: Any) -> list[Parameter]:  # noqa: ANN401 - a dataclass
    """A group's fields as parameters."""
    hints = get_type_hints(group, include_extras=True)
    kind = Parameter.POSITIONAL_OR_KEYWORD
    return [Parameter(one.name, kind, default=one.default, annotation=hints[one.name]) for one in fields(group)]
