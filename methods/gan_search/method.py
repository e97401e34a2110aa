"""`gan-search`, `gan-search-bank` and the reference `pixel-search`: one search, in a GAN's latent space or over pixels.

Liu, Kailkhura, Loveland and Han, "Generative Counterfactual Introspection for Explainable Deep Learning", 2019.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from methods.base import Classifier, Counterfactuals, Illustration, Images, ImageSet, Method, MethodConfig
from methods.gan_search.descent import refined
from methods.gan_search.model import LatentGAN, Sizes
from methods.gan_search.search import Objective, SearchResult, search
from methods.gan_search.settings import Positive, PriorSearchConfig, SearchConfig
from methods.nn import check_halvings, stacked
from methods.pictures import eight_bit
from methods.references import Unlearned
from methods.training import Phase, Plan, Trainer, warmup_cosine

BANK = "bank_"
"""What the names of the bank's buffers begin with."""
SAMPLED = 1000
"""Latents that sampled queries are looked for among."""


class GanConfig(MethodConfig):
    """Settings of the GAN, of its encoder and of how a query is inverted."""

    explain_only = frozenset({"inversion_steps", "inversion_rate"})

    inversion_steps: int = Field(
        120, ge=0, description="of gradient descent from the encoder's guess at a query (ours)"
    )
    inversion_rate: float = Field(0.1, gt=0, description="Adam's in the inversion, falling to 0 (ours)")
    latent: Positive = Field(32, description="length of L (Sec. 4.1: 10, which draws digits with twice the error)")
    generator: tuple[Positive, ...] = Field(
        (64, 48, 24), description="channels of the generator, coarse to fine, a doubling of the size after each (ours)"
    )
    discriminator: tuple[Positive, ...] = Field(
        (24, 48, 96), description="channels of the discriminator, fine to coarse, each halves the size (ours)"
    )
    encoder: tuple[Positive, ...] = Field((32, 64, 128), description="the same of the encoder (ours)")
    average: float = Field(0.995, ge=0, lt=1, description="share of the running average that a step keeps (ours)")
    epochs: Positive = Field(20, description="passes over the training images, of the GAN (ours)")
    min_steps: int = Field(1800, ge=0, description="steps of the GAN, at least (ours)")
    encoder_epochs: Positive = Field(10, description="passes over the training images, of the encoder (ours)")
    encoder_min_steps: int = Field(600, ge=0, description="steps of the encoder, at least (ours)")
    batch_size: Positive = Field(64, description="images a step (ours)")
    learning_rate: float = Field(2e-3, gt=0, description="Adam's, of all that is trained (DCGAN: 2e-4)")
    input_noise: float = Field(
        0.1,
        ge=0,
        description="std of the noise on what the discriminator sees, of the range (Arjovsky and Bottou 2017)",
    )
    momentum: float = Field(0.5, ge=0, lt=1, description="Adam's β_1, of generator and discriminator (DCGAN)")
    doubling: Literal["transposed", "resized"] = Field(
        "transposed",
        description="how the generator doubles the size: a transposed convolution (DCGAN), or pixels repeated before a "
        "convolution, without checkerboards (Odena et al. 2016)",
    )
    augments: bool = Field(
        False, description="whether the discriminator sees images shifted and lit at random (Zhao et al. 2020)"
    )


class GanSearchConfig(PriorSearchConfig, GanConfig):
    """Settings of `gan-search`."""

    explain_only = PriorSearchConfig.explain_only | GanConfig.explain_only | {"start"}

    start: Literal["query", "bank"] = Field(
        "query",
        description="where a search starts: at the query's own latent (Sec. 4.1) or the nearest of the target class, "
        "which flips already and asks for fewer and smaller steps (ours)",
    )
    bank: Positive = Field(5000, description="training images whose encodings a search may start from, at most (ours)")


class GanSearch(Method):
    """Searches a GAN's latent space by gradient descent for the smallest change that flips the class."""

    Config = GanSearchConfig
    asks = "gradients"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "generator": (16, 8),
            "discriminator": (8, 16),
            "encoder": (8, 16),
            "average": 0.9,
            "epochs": 2,
            "min_steps": 0,
            "encoder_epochs": 2,
            "encoder_min_steps": 0,
            "steps": 5,
            "bisections": 3,
            "bisection_steps": 3,
            "restarts": 2,
            "inversion_steps": 5,
            "bank": 200,
        },
        "paper": {
            "latent": 10,
            "generator": (512, 256, 128, 64),
            "discriminator": (64, 128, 256, 512),
            "encoder": (64, 128, 256, 512),
            "average": 0.999,
            "epochs": 25,
            "learning_rate": 2e-4,
            "input_noise": 0.0,
            "batch_size": 128,
            "steps": 100,
            "bisections": 7,
            "bisection_steps": 100,
            "confidence": 0.9,
            "restarts": 0,
            "radius": None,
            "inversion_steps": 100,
            "bank": 20_000,
        },
        "faces": {
            "latent": 48,
            "generator": (64, 48, 32, 16),
            "discriminator": (16, 32, 64, 96),
            "encoder": (16, 32, 64, 128),
            "doubling": "resized",
            "augments": True,
            "epochs": 10,
            "min_steps": 0,
            "encoder_epochs": 4,
            "encoder_min_steps": 0,
            "steps": 20,
            "inversion_steps": 40,
            "bank": 3000,
        },
        "bias": {
            "generator": (64, 32, 16),
            "discriminator": (16, 32, 64),
            "encoder": (16, 32, 64),
            "epochs": 12,
            "min_steps": 0,
            "encoder_epochs": 6,
            "encoder_min_steps": 0,
            "confidence": 0.9,
            "steps": 20,
            "restarts": 0,
            "radius": None,
            "inversion_steps": 20,
            "bank": 2000,
        },
    }
    one_generator = True
    version = 2
    config: GanSearchConfig
    network: LatentGAN

    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:
        """The untrained networks and an empty bank.

        Raises
        ------
        ValueError
            If the images are too small to be halved so often.
        """
        config = self.config
        resized = config.doubling == "resized"
        sizes = Sizes(shape, config.latent, config.generator, config.discriminator, config.encoder, resized)
        depth = max(len(config.generator), len(config.discriminator), len(config.encoder))
        check_halvings(shape, depth)
        return LatentGAN(
            sizes,
            average=config.average,
            noise=config.input_noise,
            bank=config.bank,
            class_count=class_count,
            augments=config.augments,
        )

    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Train the GAN and its encoder, then fill the bank; only the bank asks the classifier anything."""
        self.prepare(data.shape, classifier)
        self.learn(data, trainer)
        self.network.to(trainer.device)
        self._fill_bank(data, trainer.device)
        self.network.cpu()
        return self

    def learn(self, data: ImageSet, trainer: Trainer) -> None:
        """Train the GAN and its encoder, once for all methods and classifiers."""
        network, settings = self.network, self.config.fit_part()
        gan = {name: settings[name] for name in settings if name in GanConfig.model_fields}
        key = {"training": "DCGAN and encoder", "version": self.version, "config": gan}
        bank = {name: value for name, value in network.state_dict().items() if name.startswith(BANK)}
        network.load_state_dict({**trainer.once(key, partial(self._train, data)), **bank})
        network.eval()

    def _train(self, data: ImageSet, trainer: Trainer) -> Mapping[str, Tensor]:
        """The state of the GAN and its encoder, whose training no classifier and no bank has a part in."""
        network, config, images = self.network, self.config, Images(data)
        gan = Plan(images, len(data), config.epochs, config.batch_size, config.min_steps)
        trainer.fit(network, self._gan_phases, gan)
        encoder = Plan(
            images,
            len(data),
            config.encoder_epochs,
            config.batch_size,
            config.encoder_min_steps,
            partial(warmup_cosine, 0),
        )
        trainer.fit(network, self._encoder_phases, encoder, stage="encoder")
        return {name: value for name, value in network.state_dict().items() if not name.startswith(BANK)}

    def _gan_phases(self, network: nn.Module) -> list[Phase]:
        assert isinstance(network, LatentGAN)  # noqa: S101 - `build` returned it
        adam = partial(Adam, lr=self.config.learning_rate, betas=(self.config.momentum, 0.999), fused=True)
        return [
            Phase("discriminator_losses", adam(network.discriminator.parameters())),
            Phase("generator_losses", adam(network.generator.parameters())),
        ]

    def _encoder_phases(self, network: nn.Module) -> list[Phase]:
        assert isinstance(network, LatentGAN)  # noqa: S101 - `build` returned it
        return [Phase("encoder_losses", Adam(network.encoder.parameters(), lr=self.config.learning_rate, fused=True))]

    @torch.no_grad()
    def _fill_bank(self, data: ImageSet, device: torch.device) -> None:
        """Encodings of training images, evenly spread over the training set."""
        used = torch.linspace(0, len(data) - 1, min(self.config.bank, len(data))).long()
        for rows in torch.arange(len(used)).split(256):
            latents = self.network.encoder(data.batch(used[rows]).to(device))
            self.network.bank_latents[rows] = latents
            self.network.bank_probabilities[rows] = self.classifier(self.network.generate(latents)).softmax(1)

    # -- answering -----------------------------------------------------------------------------------------------------

    def invert(self, images: Tensor) -> Tensor:
        """L_0 of real queries (N, C, H, W), (N, latent): the encoder's guess, refined on the squared error."""
        guess = self.network.encoder(images)
        return refined(guess, self.network.generate, images, self.config.inversion_steps, self.config.inversion_rate)

    def reconstruct(self, images: Tensor) -> Tensor:
        """What is generated of the query's own latent."""
        return self.network.generate(self.invert(images))

    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """One search a query; L(r) = L* + r (L_0 − L*). A query of the target class comes back as it is."""
        own = self.invert(images)
        return between(self.network.generate, images, own, self._search(images, own, target, self.config), relaxations)

    def _search(self, images: Tensor, own: Tensor, target: Tensor, config: GanSearchConfig) -> SearchResult:
        """The search for `images`, whose latents are `own` (N, latent)."""
        sought = classes_sought(config, self.classifier, images, target)
        generate, allowed = self.network.generate, config.allowed(own.shape[1])
        objective = Objective(lambda latents, _: generate(latents), self.classifier, images, sought, allowed)
        start = own if config.start == "query" else self.network.nearest(own, target, config.confidence)
        return search(objective, start, config)

    # -- figures and tables --------------------------------------------------------------------------------------------

    def samples(self, count: int) -> Mapping[str, Tensor]:
        """Images of latents drawn from the prior, (count, C, H, W)."""
        return {"samples": self.network.generate(self.network.noise(count))}

    def sampled_queries(self) -> tuple[Tensor, Tensor]:
        """The paper's queries, drawn from the prior: L_0 (K, latent), the first that shows each class, and the classes.

        A class shows where the classifier is as sure of it as a flip must be; one that is not seen is left out.
        """
        latents = self.network.noise(SAMPLED)
        probability, predicted = self.classifier(self.network.generate(latents)).softmax(1).max(1)
        sure = probability >= self.config.confidence
        found = [(sure & (predicted == c)).nonzero()[:1, 0] for c in range(self.classifier.class_count)]
        first = torch.cat(found)
        return latents[first], predicted[first]

    def illustrations(self) -> Mapping[str, Illustration]:
        """Figs. 2 to 4 on sampled queries: criticisms of one of them, with and without the distance; prototypes."""
        latents, classes = self.sampled_queries()
        if not len(latents):
            return {}
        others = classes.new_tensor([c for c in range(self.classifier.class_count) if c != classes[-1]])
        one, its_class = latents[-1:].expand(len(others), -1), classes[-1:].expand(len(others))
        criticism = {"mode": "criticism", "distance": "l1"}
        return {
            "criticism": self._illustrate("criticisms", one, its_class, others, **criticism),
            "criticism-without-distance": self._illustrate(
                "criticisms without the distance term", one, its_class, others, **criticism | {"distance": "none"}
            ),
            "prototype": self._illustrate("prototypes", latents, classes, classes, mode="prototype"),
        }

    def _illustrate(self, what: str, own: Tensor, predicted: Tensor, target: Tensor, **changes: str) -> Illustration:
        """The optimisation paths of sampled queries under changed settings."""
        images = self.network.generate(own)
        found = self._search(images, own, target, self.config.model_copy(update=changes))
        frames = [images, *(self.network.generate(latents) for latents in found.path.unbind(1))]
        facts = (part.tolist() for part in (predicted, target, found.flipped))
        blank = [""] * (len(frames) - 1)
        captions = [
            [f"{{{before}}} → {{{after}}}{'' if flipped else ': not reached'}", *blank]
            for before, after, flipped in zip(*facts, strict=True)
        ]
        headings = ("query", "start", *blank[2:], "answer")
        return Illustration(f"{what} of sampled queries", torch.stack(frames, dim=1), captions, headings)

    def remarks(self) -> tuple[str, ...]:
        """What was searched, from where, and what counts as a flip."""
        start = {
            "query": "from the query's own latent",
            "bank": "from the nearest latent of the target class in a bank, so that it flips by construction",
        }[self.config.start]
        return (f"searched {start}", *search_remarks(self.config))


class PixelSearchConfig(SearchConfig):
    """Settings of `pixel-search`."""

    search_rate: float = Field(
        0.05, gt=0, description="Adam's at the start; a pixel can cross [0, 1] in 40 steps (ours)"
    )


class PixelSearch(Unlearned):
    """Searches over the pixels themselves, with no generator: flips anything by noise (after Wachter et al. 2017)."""

    Config = PixelSearchConfig
    asks = "gradients"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"steps": 5, "bisections": 3, "bisection_steps": 3},
        "faces": {"steps": 20, "search_rate": 0.1},
        "bias": {"steps": 20},
    }
    version = 2
    config: PixelSearchConfig

    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """One search a query, from the query; a relaxation r blends its answer with the query, pixel by pixel."""
        sought = classes_sought(self.config, self.classifier, images, target)
        objective = Objective(lambda pixels, _: in_range(pixels), self.classifier, images, sought)
        found = search(objective, images, self.config)
        answer = found.latents.clamp(0, 1)
        dial = torch.tensor(relaxations, device=images.device)[:, None, None, None, None]
        return Counterfactuals(torch.lerp(answer, images, dial), intervention(found, found.path))

    def remarks(self) -> tuple[str, ...]:
        """What counts as a flip."""
        return search_remarks(self.config)


def in_range(pixels: Tensor) -> Tensor:
    """`pixels` cut to [0, 1], with the gradient of the identity, so that none is stuck where it was cut."""
    return pixels + (pixels.clamp(0, 1) - pixels).detach()


def classes_sought(config: SearchConfig, classifier: Classifier, images: Tensor, target: Tensor) -> Tensor:
    """The classes to search for, (N,): the `target`, or for prototypes what the classifier sees in `images`."""
    return classifier(images).argmax(1) if config.mode == "prototype" else target


def between(
    generate: Callable[[Tensor], Tensor],
    images: Tensor,
    own: Tensor,
    found: SearchResult,
    relaxations: Sequence[float],
) -> Counterfactuals:
    """What is generated between the queries' `own` latents, at r = 1, and those `found`, at r = 0, (N, latent) each."""
    kept = found.unchanged[:, None, None, None]
    answers = [torch.where(kept, images, generate(torch.lerp(found.latents, own, r))) for r in relaxations]
    path = torch.stack([generate(latents) for latents in found.path.unbind(1)], dim=1)
    start_l1 = (images - path[:, 0]).abs().flatten(1).mean(1).expand(len(relaxations), -1)
    return Counterfactuals(
        stacked(answers, images),
        {"own_latent": own, "latent": found.latents, **intervention(found, path)},
        {"start_l1": start_l1},
    )


def intervention(found: SearchResult, path: Tensor) -> dict[str, Tensor]:
    """What every search reports: whether it flipped, λ and its brackets, and its path of pictures (N, T, C, H, W)."""
    return {
        "flipped": found.flipped,
        "weight": found.weight,
        "brackets": found.brackets,
        "path": eight_bit(path.clamp(0, 1)),
    }


def search_remarks(config: SearchConfig) -> tuple[str, ...]:
    """What a reader has to know of any search."""
    remarks = [f"a flip has to reach the probability {config.confidence:g}"]
    if config.mode == "prototype":
        remarks.append("prototypes: searches for the query's own class, whatever the target")
    if config.distance == "none":
        remarks.append("searches without a distance term")
    return tuple(remarks)
