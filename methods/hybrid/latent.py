"""`latent-search`: the search of `gan-search` in the latent space of the β-VAE that `hybrid` trains.

Joshi, Koyejo, Kim and Ghosh, "xGEMs: Generating Examplars to Explain Black-Box Models", 2018, and with Vijitbenjaronk,
"Towards Realistic Individual Recourse and Actionable Explanations in Black-Box Decision Making Systems" (REVISE), 2019.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from methods.base import Classifier, Counterfactuals, ImageSet, Method
from methods.gan_search.method import GanSearch, between, classes_sought, search_remarks
from methods.gan_search.search import Objective, search
from methods.gan_search.settings import PriorSearchConfig
from methods.hybrid.vae import BetaVAE, BetaVaeConfig, Hybrid, HybridVaeConfig
from methods.training import Trainer


class LatentSearchConfig(PriorSearchConfig, BetaVaeConfig):
    """Settings of `latent-search`; those of the β-VAE and its modules are as in `hybrid`, for one training."""

    explain_only = PriorSearchConfig.explain_only


def _presets() -> dict[str, dict[str, Any]]:
    """The β-VAE's settings of `hybrid`, the search's of `gan-search`."""
    vae, searching = BetaVaeConfig.model_fields, PriorSearchConfig.model_fields
    return {
        preset: {name: value for name, value in Hybrid.presets[preset].items() if name in vae}
        | {name: value for name, value in GanSearch.presets[preset].items() if name in searching}
        for preset in Hybrid.presets
    }


class LatentSearch(Method):
    """Searches the latents of the β-VAE of `hybrid` by gradient descent for the smallest change that flips."""

    Config = LatentSearchConfig
    asks = "gradients"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = _presets()
    one_generator = True
    version = 2
    config: LatentSearchConfig
    network: nn.ModuleDict

    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:
        """The untrained β-VAE."""
        return nn.ModuleDict({"model": self._hybrid().untrained(shape, class_count)})

    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Train the β-VAE as `hybrid` does, or take it from there."""
        hybrid = self._hybrid()
        hybrid.prepare(data.shape, classifier)
        hybrid.learn(data, trainer)
        self.prepare(data.shape, classifier)
        self.network["model"] = hybrid.network.model.cpu()
        self.network.eval()
        return self

    def _hybrid(self) -> Hybrid:
        """A `hybrid` with the same β-VAE, which never swaps."""
        return Hybrid(
            HybridVaeConfig(
                bank=1, layer=1, **{name: getattr(self.config, name) for name in BetaVaeConfig.model_fields}
            )
        )

    @property
    def vae(self) -> BetaVAE:
        """The fitted β-VAE."""
        vae = self.network["model"]
        assert isinstance(vae, BetaVAE)  # noqa: S101 - `build` made it
        return vae

    def reconstruct(self, images: Tensor) -> Tensor:
        """What is decoded of the posterior's mean."""
        return self.vae.decoder(self.vae.posterior(images)[0])

    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """One search a query from its own latent; z(r) = z* + r (z − z*)."""
        vae, classifier = self.vae, self.classifier
        own = vae.posterior(images)[0]
        sought = classes_sought(self.config, classifier, images, target)
        allowed = self.config.allowed(own.shape[1])
        objective = Objective(lambda latents, _: vae.decoder(latents), classifier, images, sought, allowed)
        return between(vae.decoder, images, own, search(objective, own, self.config), relaxations)

    def remarks(self) -> tuple[str, ...]:
        """What was searched, from where, and what counts as a flip."""
        return ("searched from the query's own latent", *search_remarks(self.config))
