"""The methods: every way to make a counterfactual that the benchmark knows.

To add one, write a folder with a `Method` in it and name it in `OURS`; the contract test then runs over it.
"""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from methods.base import Method  # listing the methods imports no torch


@dataclass(frozen=True)
class Entry:
    """A registered method: the class that does it, and the settings in which this variant differs from its defaults."""

    path: str
    """ "module:Class", imported on use."""
    meaning: str
    """The first line of the class's docstring, for who lists the methods."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    reference: bool = False
    """As of the class."""

    @property
    def family(self) -> str:
        """The package that holds the class, or its module where it is in none; `families` takes the first of each."""
        module = self.path.split(":")[0]
        return module.rpartition(".")[0] or module

    def load(self) -> type["Method"]:
        """The method's class."""
        module, name = self.path.split(":")
        loaded: type[Method] = getattr(import_module(module), name)
        return loaded


VAEX = (
    "methods.vaex.method:Vaex",
    "Conditions a VAE on another class and lets go of the query's own code, level by level, as r falls.",
)
GAN_SEARCH = (
    "methods.gan_search.method:GanSearch",
    "Searches a GAN's latent space by gradient descent for the smallest change that flips the class.",
)
DVAE = (
    "methods.dvae.method:Dvae",
    "Learns boolean concepts of the classifier's own layer, flips some, and draws the representation that results.",
)
LEAP = (
    "methods.leap.method:Leap",
    "Leaps from a query's class to the target along a flow of a VAE's latents, asking for probabilities alone.",
)
DIME = (
    "methods.diffusion.dime:Dime",
    "Noises a query and denoises it towards another class, guided by the classifier's gradient at a clean picture.",
)

OURS: Mapping[str, Entry] = MappingProxyType(
    {
        "vaex": Entry(*VAEX),
        "vaex-cat": Entry(*VAEX, {"conditioning": "concatenation"}),
        "vaex-masked": Entry(*VAEX, {"masked": True}),
        "gan-search": Entry(*GAN_SEARCH),
        "gan-search-bank": Entry(*GAN_SEARCH, {"start": "bank", "steps": 20, "search_rate": 0.1}),
        "attribute-search": Entry(
            "methods.gan_search.attributes:AttributeSearch",
            "Searches an AttGAN's attributes by gradient descent for the smallest change that flips the class.",
        ),
        "hybrid": Entry(
            "methods.hybrid.vae:Hybrid",
            "Swaps groups of channels inside a β-VAE for those of a training image of the target class.",
        ),
        "latent-search": Entry(
            "methods.hybrid.latent:LatentSearch",
            "Searches the latents of the β-VAE of `hybrid` by gradient descent for the smallest change that flips.",
        ),
        "hybrid-gan": Entry("methods.hybrid.gan:HybridGan", "As `hybrid`, inside the DCGAN of `gan-search`."),
        "hybrid-began": Entry(
            "methods.hybrid.began:HybridBegan", "As `hybrid`, inside a BEGAN, at two successive convolutions."
        ),
        "hybrid-biggan": Entry(
            "methods.hybrid.biggan:HybridBiggan",
            "As `hybrid`, inside a conditional GAN, from one class to another.",
        ),
        "dvae": Entry(*DVAE),
        "dvae-single": Entry(*DVAE, {"policy": "single"}),
        "dvae-all": Entry(*DVAE, {"policy": "all"}),
        "dvae-convolutional": Entry(*DVAE, {"layer": "convolutional"}),
        "leap": Entry(*LEAP),
        "leap-robust": Entry(*LEAP, {"injections": 5}),
        "fastdime": Entry(*DIME),
        "dime": Entry(*DIME, {"clean": "chain", "masked": False}),
        "ace": Entry(
            "methods.diffusion.ace:Ace",
            "Descends through a chain of denoising to what flips behind it, and repaints what had to change.",
        ),
        "patch-swap": Entry(
            "methods.patch_swap.method:PatchSwap",
            "Swaps cells of the classifier's spatial features for those of a picture of the target class; trains "
            "nothing.",
        ),
        "truth": Entry(
            "methods.references:Truth",
            "Answers exactly: the picture of the same noise with the attribute set, which only drawn data know.",
            reference=True,
        ),
        "null": Entry(
            "methods.references:Null",
            "Answers every question with the query itself: what a table shows for no change at all.",
            reference=True,
        ),
        "nearest-unlike": Entry(
            "methods.references:NearestUnlike",
            "Answers with the nearest training image (L2 over pixels) that the classifier gives the target class.",
            reference=True,
        ),
        "pixel-search": Entry(
            "methods.gan_search.method:PixelSearch",
            "Searches over the pixels themselves, with no generator: flips anything by noise "
            "(after Wachter et al. 2017).",
            reference=True,
        ),
    }
)
"""The methods of this package."""

OUTSIDE: dict[str, Entry] = {}
"""Those of other packages and of plugin files, which `benchmark.plugins` enters."""

METHODS: Mapping[str, Entry] = MappingProxyType(ChainMap(OUTSIDE, dict(OURS)))
"""Name -> what it stands for, in the order of the tables: ours first."""

BASELINE = "nearest-unlike"
"""What a method must beat, or explain."""
