"""`attribute-search`: the search of `gan-search` over the attributes that an AttGAN's decoder is told (Sec. 4.2).

Liu, Kailkhura, Loveland and Han, "Generative Counterfactual Introspection for Explainable Deep Learning", 2019.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from methods.base import CHANGE, Classifier, Counterfactuals, DescribedImages, ImageSet, Method, MethodConfig
from methods.gan_search.attgan import AttGAN, Sizes, Weights
from methods.gan_search.method import in_range, intervention, search_remarks
from methods.gan_search.search import Objective, SearchResult, search
from methods.gan_search.settings import Positive, SearchConfig
from methods.nn import check_halvings, stacked
from methods.training import Phase, Plan, Trainer, warmup_cosine

THIRTEEN = (
    *("Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows", "Eyeglasses", "Male"),
    *("Mouth_Slightly_Open", "Mustache", "No_Beard", "Pale_Skin", "Young"),
)
"""The attributes of CelebA that AttGAN edits."""


class AttGANConfig(MethodConfig):
    """Settings of the AttGAN."""

    attributes: tuple[str, ...] = Field(
        (), description="that the decoder is told, of those that the images have; none named: all of them (ours)"
    )
    widths: tuple[Positive, ...] = Field(
        (16, 32, 64, 96),
        min_length=2,
        description="channels of the encoder, fine to coarse, each halves the size; the decoder mirrors them (ours)",
    )
    critic: tuple[Positive, ...] = Field(
        (16, 32, 64, 96), description="the same of the convolutions that critic and attribute classifier share (ours)"
    )
    hidden: Positive = Field(64, description="units between these and each of the two answers (ours)")
    attribute_weight: float = Field(
        40.0, ge=0, description="of the cross entropy of edited images (AttGAN: 10, for hundreds of times the steps)"
    )
    reconstruction_weight: float = Field(100.0, ge=0, description="of the L1 of reconstructions in [−1, 1] (AttGAN)")
    critic_steps: Positive = Field(1, description="steps of the critic to one of the generator (AttGAN: 5)")
    epochs: Positive = Field(5, description="passes over the training images (ours)")
    min_steps: int = Field(0, ge=0, description="steps of the critic, at least (ours)")
    batch_size: Positive = Field(16, description="images a step (ours)")
    learning_rate: float = Field(2e-3, gt=0, description="Adam's, falling to 0 by half a cosine (AttGAN: 2e-4)")
    momentum: float = Field(0.5, ge=0, lt=1, description="Adam's β_1 (AttGAN)")


class AttributeSearchConfig(SearchConfig, AttGANConfig):
    """Settings of `attribute-search`."""


@dataclass(frozen=True)
class Described:
    """Training batches of images and their attributes."""

    images: ImageSet
    attributes: Tensor
    """(N, A) of 0 and 1."""

    def __call__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) and attributes (B, A)."""
        return self.images.batch(indices), self.attributes[indices]


class AttributeSearch(Method):
    """Searches an AttGAN's attributes by gradient descent for the smallest change that flips the class.

    The label's own attribute keeps its value where the classifier is asked for one. A query's own attributes are those
    that the AttGAN's attribute classifier reads in it, so that any picture can be asked.
    """

    Config = AttributeSearchConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "widths": (8, 16),
            "critic": (8, 16),
            "hidden": 16,
            "epochs": 2,
            "steps": 5,
            "bisections": 3,
            "bisection_steps": 3,
        },
        "paper": {
            "attributes": THIRTEEN,
            "widths": (64, 128, 256, 512, 1024),
            "critic": (64, 128, 256, 512, 1024),
            "hidden": 1024,
            "attribute_weight": 10.0,
            "critic_steps": 5,
            "epochs": 200,
            "batch_size": 32,
            "learning_rate": 2e-4,
            "steps": 100,
            "bisections": 7,
            "bisection_steps": 100,
        },
        "faces": {"steps": 20},
        "bias": {"widths": (24, 48, 64), "critic": (24, 48, 64), "epochs": 6, "steps": 20},
    }
    asks = "gradients"
    one_generator = True
    takes_attributes = True
    version = 2
    config: AttributeSearchConfig
    network: AttGAN

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes that the decoder is told, A of them.

        Raises
        ------
        ValueError
            If nobody knows any of them.
        """
        known, wanted = self.attributes.names if self.attributes else (), self.config.attributes
        if names := tuple(name for name in known if name in wanted or not wanted):
            return names
        raise ValueError(f"it learns from attributes, of which these images have none of {', '.join(wanted) or 'any'}")

    @property
    def label(self) -> str:
        """The attribute that the classifier is asked for, which is held; empty if it is asked for something else."""
        return self.attributes.label if self.attributes else ""

    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:  # noqa: ARG002 - any number of classes
        """The untrained AttGAN."""
        config = self.config
        check_halvings(shape, max(len(config.widths), len(config.critic)))
        sizes = Sizes(shape, len(self.names), config.widths, config.critic, config.hidden)
        return AttGAN(sizes, Weights(config.attribute_weight, config.reconstruction_weight))

    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Train the AttGAN, once for all classifiers."""
        assert isinstance(data, DescribedImages)  # noqa: S101 - as `takes_attributes` asks
        self.prepare(data.shape, classifier)
        settings = self.config.fit_part()
        key = {"training": "AttGAN", "version": self.version, "config": settings, "attributes": self.names}
        self.network.load_state_dict(trainer.once(key, partial(self._train, data)))
        self.network.eval()
        return self

    def _train(self, data: DescribedImages, trainer: Trainer) -> Mapping[str, Tensor]:
        config, described = self.config, Described(data, data.described(self.names))
        plan = Plan(described, len(data), config.epochs, config.batch_size, config.min_steps, partial(warmup_cosine, 0))
        trainer.fit(self.network, self._phases, plan)
        return self.network.state_dict()

    def _phases(self, network: nn.Module) -> list[Phase]:
        assert isinstance(network, AttGAN)  # noqa: S101 - `build` returned it
        adam = partial(Adam, lr=self.config.learning_rate, betas=(self.config.momentum, 0.999), fused=True)
        return [
            Phase("critic_losses", adam(network.critic.parameters())),
            Phase(
                "generator_losses",
                adam([*network.encoder.parameters(), *network.decoder.parameters()]),
                every=self.config.critic_steps,
            ),
        ]

    # -- answering -----------------------------------------------------------------------------------------------------

    def reconstruct(self, images: Tensor) -> Tensor:
        """What is decoded with the attributes that are read in the query."""
        return self.network.decode(self.network.encode(images), self.network.read(images))

    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """One search a query; a(r) = a* + r (a0 − a*). A query of the target class comes back as it is."""
        own, code = self.network.read(images), self.network.encode(images)

        def generate(attributes: Tensor, rows: Tensor) -> Tensor:
            return self.network.decode((code[0][rows], code[1][rows]), self._allowed(attributes, own[rows]))

        found, every = self._search(images, own, target, generate), torch.arange(len(images), device=images.device)
        answer, kept = self._allowed(found.latents, own), found.unchanged[:, None, None, None]
        answers = [torch.where(kept, images, generate(torch.lerp(answer, own, r), every)) for r in relaxations]
        path = torch.stack([generate(attributes, every) for attributes in found.path.unbind(1)], dim=1)
        changes = {f"{CHANGE}{name}": answer[:, i] - own[:, i] for i, name in enumerate(self.names)}
        return Counterfactuals(stacked(answers, images), {**changes, **intervention(found, path)})

    def _search(
        self, images: Tensor, own: Tensor, target: Tensor, generate: Callable[[Tensor, Tensor], Tensor]
    ) -> SearchResult:
        """The search for `images`, whose attributes are `own` (N, A)."""
        if self.config.mode == "prototype":
            target = self.classifier(images).argmax(1)
        return search(Objective(generate, self.classifier, images, target), own, self.config)

    def _allowed(self, attributes: Tensor, own: Tensor) -> Tensor:
        """`attributes` (B, A) cut to the box that training saw, and the label's own as it was in `own`."""
        held = torch.tensor([name == self.label for name in self.names], device=own.device)
        return torch.where(held, own, in_range(attributes + 0.5) - 0.5)

    def remarks(self) -> tuple[str, ...]:
        """What was searched, and what counts as a flip."""
        searched = ", ".join(name for name in self.names if name != self.label)
        held = f", {self.label} held" * (self.label in self.names)
        return (f"searched over {searched}{held}", *search_remarks(self.config))
