"""Names that a user may give, and what they mean; importing them takes no time."""

from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

Preset = Literal["smoke", "default", "paper"]
Split = Literal["validation", "test"]
"""Queries to choose settings on, or to report."""
Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Resize = Literal["fit", "crop", "stretch"]
"""How a picture comes to another size: with margins, by its middle, or out of shape."""
Precision = Literal["32-true", "bf16-mixed"]
Backend = Literal["loky", "dask", "ray"]
"""Where jobs run: in processes of this machine, or on a cluster."""

PRESETS: Mapping[Preset, str] = MappingProxyType(
    {
        "smoke": "seconds; shows that everything runs, the numbers mean nothing",
        "default": "a quarter of an hour to an hour a task on two CPU cores",
        "paper": "the papers' own sizes; wants a GPU and the papers' data",
    }
)
"""Name -> what it is for. What a preset changes stands with the class that it changes."""

MANY = ("all", "families")
"""Words for many methods: all, or the first of each family and the references. They ask those that suit the task."""

RESULTS = Path("results") / "local"
"""Where everything is written unless a folder is named; git ignores it."""

OUR_DATASETS: Mapping[str, str] = MappingProxyType(
    {
        "mnist": "benchmark.data.mnist:load",
        "mnist-full": "benchmark.data.idx:load_mnist",
        "fashion-mnist": "benchmark.data.idx:load_fashion_mnist",
        "celeba": "benchmark.data.celeba:load",
        "avatars": "benchmark.data.avatars:load",
    }
)
OUTSIDE_DATASETS: dict[str, str] = {}
"""Those of other packages and of plugin files, which `benchmark.plugins` enters."""

DATASETS: Mapping[str, str] = MappingProxyType(ChainMap(OUTSIDE_DATASETS, dict(OUR_DATASETS)))
"""Name -> "module:function"; each function takes a `benchmark.data.Source` and returns an `ImageData`."""

DIGITS = ("mnist", "mnist/3-8")
FACES = ("avatars/Smiling", "avatars/Eyeglasses", "avatars/Young")
EMBEDDED = (*DIGITS, *FACES)
"""Tasks that run without any files from outside."""
EXAMPLES = (*EMBEDDED, "mnist-full", "fashion-mnist", "fashion-mnist/Coat-Shirt", "celeba/Smiling")
"""What `benchmark list` shows."""
