"""The usual ways to feed a classifier, and a classifier that is fed in another one for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmark.judges.adapter import OwnClassifier, Preprocessing
from benchmark.judges.spec import Input

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
IMAGENET_GREY = {"mean": (0.449,), "std": (0.226,)}
MNIST = {"mean": (0.1307,), "std": (0.3081,)}


@contextmanager
def fed_as(classifier: OwnClassifier, wanted: Input) -> Iterator[None]:
    """While it lasts, `classifier` feeds its network as `wanted`."""
    own = classifier.preprocessing
    classifier.preprocessing = Preprocessing(wanted)
    try:
        yield
    finally:
        classifier.preprocessing = own


def plausible(said: Input, channels: int) -> dict[str, Input]:
    """By what it is called: as it is said, and what others are trained on; each once."""
    plain: dict[str, object] = {"range": (0.0, 1.0), "mean": (0.0,), "std": (1.0,)}
    colour = (said.channels or channels) == 3
    changes: dict[str, dict[str, object]] = {
        "[0, 1]": plain,
        "bytes": {**plain, "range": (0.0, 255.0)},
        "[-1, 1]": {**plain, "range": (-1.0, 1.0)},
        "ImageNet's mean and deviation": {**plain, **(IMAGENET if colour else IMAGENET_GREY)},
        **({} if colour else {"MNIST's mean and deviation": {**plain, **MNIST}}),
        "black and white swapped": {"invert": not said.invert},
        **({"blue first": {"order": "rgb" if said.order == "bgr" else "bgr"}} if colour else {}),
    }
    found = {"as it is said": said}
    for name, change in changes.items():
        wanted = Input.model_validate({**said.model_dump(), **change})
        if wanted not in found.values():
            found[name] = wanted
    return found
