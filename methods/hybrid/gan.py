"""`hybrid-gan`: the modules of the DCGAN that `gan-search` searches."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from methods.base import ImageSet
from methods.gan_search.method import GanConfig, GanSearch, GanSearchConfig
from methods.gan_search.model import LatentGAN
from methods.hybrid.method import HybridConfig, Hybridization
from methods.hybrid.model import Layered, ModularGenerator
from methods.hybrid.vae import Hybrid
from methods.training import Trainer


class HybridGanConfig(GanConfig, HybridConfig):
    """Settings of `hybrid-gan`."""

    explain_only = HybridConfig.explain_only | GanConfig.explain_only


PAPER = {"latent": 150, "generator": (128, 64, 32, 16), "batch_size": 64}
"""The GAN of Besserve et al. 2020 (Appendix E, "GAN CelebA"), where it is another than that of `gan-search`."""


def _presets() -> dict[str, dict[str, Any]]:
    """The GAN's settings of `gan-search`, but for the paper's own sizes; all others of `hybrid`."""
    gan = set(GanConfig.model_fields)
    others = set(HybridConfig.model_fields) - gan
    return {
        preset: {name: value for name, value in Hybrid.presets[preset].items() if name in others}
        | {name: value for name, value in GanSearch.presets[preset].items() if name in gan}
        | (PAPER if preset == "paper" else {})
        for preset in Hybrid.presets
    }


class HybridGan(Hybridization):
    """As `hybrid`, inside the DCGAN of `gan-search`."""

    Config = HybridGanConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = _presets()
    config: HybridGanConfig

    def untrained(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:
        """The untrained GAN.

        Raises
        ------
        ValueError
            If the images are too small to be halved so often.
        """
        with torch.random.fork_rng(devices=[]):  # the hybrids' own random numbers do not depend on the GAN's size
            return self._search().build(shape, class_count)

    def train(self, data: ImageSet, trainer: Trainer) -> None:
        """Train the GAN and its encoder, or take them from `gan-search`."""
        self._around_model().learn(data, trainer)

    def generator_of(self, model: nn.Module) -> ModularGenerator:
        """The running average of the generator."""
        assert isinstance(model, LatentGAN)  # noqa: S101 - `untrained` returned it
        return Layered(model.averaged, self.config.latent)

    def encode(self, images: Tensor) -> Tensor:
        """The encoder's guess."""
        return self._around_model().network.encoder(images)

    def invert(self, images: Tensor) -> Tensor:
        """The encoder's guess, refined on the squared error."""
        return self._around_model().invert(images)

    def _search(self) -> GanSearch:
        """A `gan-search` with the same GAN, which never searches."""
        return GanSearch(
            GanSearchConfig(bank=1, **{name: getattr(self.config, name) for name in GanConfig.model_fields})
        )

    def _around_model(self) -> GanSearch:
        """The same, around this GAN."""
        search = self._search()
        assert isinstance(self.network.model, LatentGAN)  # noqa: S101 - `untrained` returned it
        search.network = self.network.model
        return search
