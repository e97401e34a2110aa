"""Counterfactuals by swapping modules of a generator's channels with a donor's: what all generators have in common.

Besserve, Mehrjou, Sun and Schölkopf, "Counterfactuals uncover the modular structure of deep generative models", 2020.
"""

import abc
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from methods.base import Classifier, Counterfactuals, Illustration, ImageSet, Method, MethodConfig, Study
from methods.hybrid import pictures, studies
from methods.hybrid.model import ModularGenerator, Pairs, generate
from methods.hybrid.network import ModularNetwork, Place
from methods.hybrid.search import Wanted, least_change
from methods.nn import stacked
from methods.training import Trainer, derived_seed

Positive = Annotated[int, Field(gt=0)]
DONOR = "donor_"
"""What the names of the donors' tensors begin with."""


class ModulesConfig(MethodConfig):
    """Settings of a generator and its modules, which no classifier and no donor has a part in."""

    clusters: int = Field(3, ge=2, description="K, modules of a layer (Sec. 4.1)")
    pairs: Positive = Field(128, description="pairs of samples that an influence map is averaged over (ours)")
    window: Positive = Field(3, description="pixels, width of the moving average of influence maps (Sec. 3.4; ours)")
    percentile: float = Field(75, gt=0, lt=100, description="of a map, above which it is 1 in S (Sec. 3.4)")
    latent: Positive = Field(32, description="length of z (Table 1: 128)")
    generator: tuple[Positive, ...] = Field(
        (64, 64, 32),
        description="channels of the layers, coarse to fine, each doubles the size (Table 1: also 16)",
    )


class HybridConfig(ModulesConfig):
    """Settings of modules, hybrids and the search among them, for any generator."""

    explain_only = frozenset({"layer", "span", "donors", "confidence", "repetitions", "study_pairs"})
    layers_a_width: ClassVar[int] = 1
    """Layers that stand behind each number of `generator`."""

    layer: Positive = Field(
        2, description="whose channels are swapped, 1 the coarsest (Sec. 4.1: the intermediate one)"
    )
    span: Literal[1, 2] = Field(
        1, description="successive layers that are swapped, their modules clustered together (Sec. 4.1: 2 in a BEGAN)"
    )
    donors: Positive = Field(
        3, description="nearest of the target class that are tried; of more, more answers convince f alone (ours)"
    )
    confidence: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="probability of the target from which on a class counts as flipped; at .9 the oracles doubt more "
        "answers (ours)",
    )
    repetitions: Positive = Field(20, description="of the stability protocol (Fig. 9)")
    study_pairs: Positive = Field(256, description="pairs of training images that hybrids are studied on (ours)")
    bank: Positive = Field(5000, description="training images that donors are chosen from, at most (ours)")

    @model_validator(mode="after")
    def _layers_exist(self) -> Self:
        layers = len(self.generator) * self.layers_a_width
        if self.layer + self.span - 1 > layers:
            raise ValueError(f"the generator has {layers} layers, not {self.layer + self.span - 1}")
        return self


class Hybridization(Method):
    """Swaps modules of a generator's channels: what all generators have in common.

    A generator takes part by an untrained model, a training, and codes for images.
    """

    one_generator = True
    config: HybridConfig
    network: ModularNetwork

    @abc.abstractmethod
    def untrained(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:
        """The model that holds the generator."""

    @abc.abstractmethod
    def train(self, data: ImageSet, trainer: Trainer) -> None:
        """Train `self.network.model`."""

    @abc.abstractmethod
    def generator_of(self, model: nn.Module) -> ModularGenerator:
        """The generator in `model`."""

    @abc.abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Z of many images (B, C, H, W) in one go, (B, latent): what donors are known by."""

    @abc.abstractmethod
    def invert(self, images: Tensor) -> Tensor:
        """z_1 of queries (N, C, H, W), (N, latent)."""

    @property
    def generator(self) -> ModularGenerator:
        """The fitted generator."""
        return self.generator_of(self.network.model)

    @property
    def place(self) -> Place:
        """Where channels are swapped."""
        return self.network.place(self.config.layer, self.config.span)

    # -- fitting -------------------------------------------------------------------------------------------------------

    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:
        """The untrained model, no modules, no donors.

        Raises
        ------
        ValueError
            If the images are too small to be halved so often.
        """
        config = self.config
        model = self.untrained(shape, class_count)
        generator = self.generator_of(model)
        return ModularNetwork(
            model,
            generator.layers,
            clusters=config.clusters,
            size=shape[1:],
            latent=generator.latent,
            donors=config.bank,
            class_count=class_count,
        )

    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Train the generator, find its modules, take donors; only they ask the classifier anything."""
        network = self.prepare(data.shape, classifier)
        assert isinstance(network, ModularNetwork)  # noqa: S101 - `build` returned it
        self.learn(data, trainer)
        network.to(trainer.device)
        network.fill(data, self.encode, self.generate, classifier)
        network.cpu()
        return self

    def learn(self, data: ImageSet, trainer: Trainer) -> None:
        """Train the generator and find its modules; where no classifier has a part, once for all methods that ask."""
        network = self.network
        config = {name: value for name, value in self.config.fit_part().items() if name != "bank"}
        key = {"training": f"modules of {type(self).__name__}", "version": self.version, "config": config}
        donors = {name: value for name, value in network.state_dict().items() if name.startswith(DONOR)}
        learn = partial(self._learn, data)
        network.load_state_dict({**(trainer.once(key, learn) if self.one_generator else learn(trainer)), **donors})
        network.eval()

    def _learn(self, data: ImageSet, trainer: Trainer) -> Mapping[str, Tensor]:
        """The state of the generator and its modules, in which no classifier and no donor has a part."""
        self.train(data, trainer)
        network, config = self.network.to(trainer.device).eval(), self.config
        torch.manual_seed(derived_seed(trainer.seed, 2))  # whatever state an interrupted training left
        with trainer.repeated(config.pairs) as pairs:
            network.discover(self.generator, pairs, config.window, config.percentile)
        state = network.cpu().state_dict()
        return {name: value for name, value in state.items() if not name.startswith(DONOR)}

    # -- answering -----------------------------------------------------------------------------------------------------

    def generate(self, latents: Tensor) -> Tensor:
        """Y(z) of latents (B, latent), (B, C, H, W)."""
        return generate(self.generator, latents)

    def reconstruct(self, images: Tensor) -> Tensor:
        """What is generated of the query's own z_1."""
        return self.generate(self.invert(images))

    @torch.no_grad()
    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """One search a query over donors and sets of modules; r blends what was swapped with the query's own."""
        own, place = self.invert(images), self.place
        donors = self.network.nearest_donors(own, target, self.config.donors, self.config.confidence)
        rows, position = donors.unique(return_inverse=True)
        pairs = Pairs.of(self.generator, place.layers, own, self.network.donor_latents[rows])
        sets = place.sets()
        if not len(sets):  # no set makes a hybrid, so nothing is swapped
            sets = torch.zeros(1, self.config.clusters, dtype=torch.bool, device=own.device)
        wanted = Wanted(images, target, self.classifier, self.config.confidence)
        choice = least_change(wanted, pairs, position, sets, place.swapped(sets))
        each = torch.arange(len(images), device=own.device)
        chosen = pairs.take(each, position[each, choice.donor])
        masks = place.swapped(choice.modules)
        answers = [chosen.hybrids(masks, r) for r in relaxations]
        intervention = {
            "donor": self.network.donor_images[donors[each, choice.donor]],
            "modules": choice.modules,
            "layer": torch.full_like(target, self.config.layer),
            "flipped": choice.flipped,
        }
        return Counterfactuals(stacked(answers, images), intervention)

    @property
    def _layers(self) -> str:
        """Where channels are swapped, in words."""
        first = self.config.layer
        return f"layer {first}" if self.config.span == 1 else f"layers {first} and {first + 1}"

    # -- figures and tables --------------------------------------------------------------------------------------------

    def samples(self, count: int) -> Mapping[str, Tensor]:
        """Images of latents drawn from the prior, and hybrids of such images by each module, (count, C, H, W) each."""
        own, other = self.generator.noise(count), self.generator.noise(count)
        place = self.place
        pairs = Pairs.of(self.generator, place.layers, own, other)
        hybrids = {
            f"hybrids of module {k}, {self._layers}": pairs.hybrids(place.swapped(single))
            for k, single in enumerate(place.singles, start=1)
            if not place.remark(single)
        }
        return {"samples": self.generate(self.generator.noise(count)), **hybrids}

    def illustrations(self) -> Mapping[str, Illustration]:
        """Modules with influence maps; hybrids of training images."""
        network, generator, classifier = self.network, self.generator, self.classifier
        places = {f"layer {layer}": place for layer, place in enumerate(network.single_places, start=1)}
        if self.config.span > 1:  # one layer alone changes little
            places = {self._layers: self.place}
        return {
            "influence": pictures.templates(network, places),
            "hybrids": pictures.hybrids(network, places, generator, classifier),
            "donor": pictures.of_one_donor(network, self.place, generator, classifier),
        }

    def studies(self) -> Mapping[str, Study]:
        """Modules, their stability, and what hybrids do to the classifier."""
        network, config, place = self.network, self.config, self.place
        patterns = network.patterns(place, config.window, config.percentile)
        return {
            "modules": studies.modules_study(network, self.generator, config.study_pairs),
            "stability": studies.stability_study(patterns, place.name, config.repetitions),
            **studies.faithfulness(network, self.generator, self.classifier, config.study_pairs).studies(),
            **self.of_training(),
        }

    def of_training(self) -> Mapping[str, Study]:
        """Tables of how the generator was trained; most have none."""
        return {}

    def remarks(self) -> tuple[str, ...]:
        """What is swapped, with whom, and what counts as a flip."""
        config = self.config
        return (
            f"swaps modules of {self._layers} (K = {config.clusters}), never all of them, with one of the "
            f"{config.donors} nearest training images of the target class: the least change that flips",
            f"a flip has to reach the probability {config.confidence:g}",
        )
