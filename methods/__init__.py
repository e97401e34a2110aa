"""The methods: every way to make a counterfactual that the benchmark knows.

To add one, write a folder with a `Method` in it and name it in `METHODS`; the contract test then runs over it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any

from methods.base import Method


@dataclass(frozen=True)
class Entry:
    """A registered method: the class that does it, and the settings in which this variant differs from its defaults."""

    path: str
    """ "module:Class", imported on use."""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """The package that holds the class: methods of one family share what they train."""
        return self.path.split(":")[0].rpartition(".")[0]

    def load(self) -> type[Method]:
        """The method's class."""
        module, name = self.path.split(":")
        loaded: type[Method] = getattr(import_module(module), name)
        return loaded


METHODS: Mapping[str, Entry] = MappingProxyType(
    {
        "vaex": Entry("methods.vaex.method:Vaex"),
        "vaex-cat": Entry("methods.vaex.method:Vaex", {"conditioning": "concatenation"}),
        "vaex-masked": Entry("methods.vaex.method:Vaex", {"masked": True}),
        "gan-search": Entry("methods.gan_search.method:GanSearch"),
        "gan-search-bank": Entry(
            "methods.gan_search.method:GanSearch", {"start": "bank", "steps": 20, "search_rate": 0.1}
        ),
        "hybrid": Entry("methods.hybrid.vae:Hybrid"),
        "hybrid-gan": Entry("methods.hybrid.gan:HybridGan"),
        "dvae": Entry("methods.dvae.method:Dvae"),
        "dvae-single": Entry("methods.dvae.method:Dvae", {"policy": "single"}),
        "dvae-all": Entry("methods.dvae.method:Dvae", {"policy": "all"}),
        "truth": Entry("methods.references:Truth"),
        "null": Entry("methods.references:Null"),
        "nearest-unlike": Entry("methods.references:NearestUnlike"),
        "pixel-search": Entry("methods.gan_search.method:PixelSearch"),
    }
)
"""Name -> what it stands for, in the order of the tables."""

BASELINE = "nearest-unlike"
"""What a method must beat, or explain."""
