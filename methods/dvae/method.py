"""`dvae`, `dvae-single` and `dvae-all`: flip bits of a discrete latent of φ, and draw what the classifier then sees.

Gat, Lorberbom, Schwartz and Hazan, "Latent Space Explanation by Intervention", 2022.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from methods.base import (
    BATCH,
    Classifier,
    Counterfactuals,
    Illustration,
    ImageSet,
    Layer,
    Method,
    MethodConfig,
    Study,
    in_batches,
)
from methods.dvae.flips import everything, flipped, greedy, single
from methods.dvae.model import Concepts, DiscreteVAE, Sizes
from methods.dvae.showing import forms, histogram, meaning_of_bits
from methods.training import Phase, Plan, Trainer, warmup_cosine
from metrics.fisher import Form, directions, fisher_information, inverse_cosine, inverse_dot, shared_information

Positive = Annotated[int, Field(gt=0)]

WARMUP = 100
"""Steps over which the learning rate rises; without them the latents may die at once."""
EXACT = 50
"""Images whose information is computed in every form."""
EXACT_FORMS: tuple[tuple[Form, int], ...] = (("coordinate", 3), ("joint", 4))
"""The exact ones, with their draws."""
OF_HEAD: Mapping[Layer, tuple[Form, int]] = {"fully connected": ("coordinate", 3), "convolutional": ("probe", 32)}
"""How the information of f_K is found at each layer, with its draws: exactly, or estimated where φ is long."""
REGULARISERS = {"none": None, "inverse_dot": inverse_dot, "inverse_cosine": inverse_cosine}


class DvaeConfig(MethodConfig):
    """Settings of `dvae`."""

    explain_only = frozenset({"policy", "until_picture", "draws"})

    policy: Literal["greedy", "single", "all"] = Field(
        "greedy",
        description="bits to flip: as few as it takes, one after another; the most influential one; all (the paper "
        'says "a single flip" and "when the discrete representation is flipped")',
    )
    until_picture: bool = Field(
        True, description="whether `greedy` goes on until g(ψ) is of the target class too, and not f_K(ψ) alone (ours)"
    )
    draws: Positive = Field(32, description="random draws of the information of g that is reported (ours)")
    layer: Layer = Field(
        "fully connected",
        description="the hidden layer φ of f: its first fully connected one (the paper's) or its last convolutional "
        "block, flattened (ours; the paper: any)",
    )
    bits: Positive = Field(16, description="n, boolean latents (ours)")
    hidden: tuple[Positive, ...] = Field(
        (128, 128, 64), description="widths inside the encoder, mirrored in the decoder: four linear layers each"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="between linear layers (the paper uses some, not how much)")
    temperature: float = Field(0.5, gt=0, description="τ of the Gumbel-softmax relaxation (ours)")
    kl_weight: float = Field(0.03, ge=0, description="of the KL term (Eq. 1: 1)")
    epochs: Positive = Field(90, description="passes over the training images, of the DVAE (ours)")
    min_steps: int = Field(1200, ge=0, description="steps of the DVAE, at least (ours)")
    generator: tuple[Positive, ...] = Field((256, 256), description="widths inside g (ours)")
    generator_epochs: Positive = Field(16, description="passes over the training images, of g (ours)")
    generator_min_steps: int = Field(1500, ge=0, description="steps of g, at least (ours)")
    regulariser: Literal["inverse_dot", "inverse_cosine", "none"] = Field(
        "inverse_dot", description="of the generator that answers: 1 / (I(g) · I(f_K)) (Eq. 6), 1 / cosine (ours), none"
    )
    weight: float = Field(1.2, ge=0, description="λ of the regulariser (Eq. 6; ours)")
    probes: Positive = Field(2, description="random draws of the information that is trained on (ours)")
    regularised: Positive = Field(32, description="images of a batch that the regulariser looks at, at most (ours)")
    batch_size: Positive = Field(128, description="images a step (ours)")
    learning_rate: float = Field(2e-3, gt=0, description="Adam's at its peak (ours)")
    samples: Positive = Field(1000, description="training images that show what the bits mean, at most (ours)")


@dataclass(frozen=True)
class Rows:
    """Training batches of rows of tensors that were computed once, and of images where `data` is given."""

    tensors: tuple[Tensor, ...]
    data: ImageSet | None = None

    def __call__(self, indices: Tensor) -> tuple[Tensor, ...]:
        """The rows at `indices`, then the images (B, C, H, W)."""
        images = () if self.data is None else (self.data.batch(indices),)
        return (*(tensor[indices] for tensor in self.tensors), *images)


class Dvae(Method):
    """Learns boolean concepts of the classifier's own layer, flips some, and draws the representation that results."""

    Config = DvaeConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "epochs": 4,
            "min_steps": 200,
            "generator": (32,),
            "generator_epochs": 2,
            "generator_min_steps": 60,
            "samples": 100,
        },
        "paper": {"bits": 32, "hidden": (256, 128, 64), "dropout": 0.1, "generator": (512, 1024), "batch_size": 128},
        "faces": {"generator_epochs": 12, "generator_min_steps": 600},
        "bias": {"generator_epochs": 10, "generator_min_steps": 300},
    }
    config: DvaeConfig
    network: Concepts

    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:  # noqa: ARG002 - any number of classes
        """The untrained DVAE and generators."""
        config = self.config
        sizes = Sizes(
            shape,
            self.classifier.feature_counts[config.layer],
            config.bits,
            config.hidden,
            config.generator,
            config.dropout,
            config.samples,
        )
        dvae = DiscreteVAE(sizes, temperature=config.temperature, kl_weight=config.kl_weight)
        return Concepts(
            sizes,
            dvae,
            regulariser=REGULARISERS[config.regulariser],
            weight=config.weight,
            probes=config.probes,
            regularised=config.regularised,
        )

    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Train the DVAE on φ, freeze it, then train the generators on φ'; no label is used."""
        network, config = self.prepare(data.shape, classifier), self.config
        assert isinstance(network, Concepts)  # noqa: S101 - `build` returned it
        phi = in_batches(self.features, data, trainer.device)
        network.dvae.measure(phi)
        schedule = partial(warmup_cosine, WARMUP)
        plan = Plan(Rows((phi,)), len(data), config.epochs, config.batch_size, config.min_steps, schedule)
        trainer.fit(network, partial(self._phases, "dvae"), plan)
        with torch.no_grad():
            own = network.dvae.decode(network.dvae.encode(phi))
            information = directions(self._information_of_head(phi.to(trainer.device))).cpu()
        batch = Rows((own, information), data)
        plan = Plan(batch, len(data), config.generator_epochs, config.batch_size, config.generator_min_steps, schedule)
        trainer.fit(network, partial(self._phases, "generator"), plan, stage="generator")
        kept = torch.linspace(0, len(data) - 1, min(config.samples, len(data))).long()
        network.samples[: len(kept)] = phi[kept]
        network.sample_count.fill_(len(kept))
        return self

    def _phases(self, part: str, network: nn.Module) -> list[Phase]:
        assert isinstance(network, Concepts)  # noqa: S101 - `build` returned it
        trained = network.dvae if part == "dvae" else network.generators
        return [Phase(f"{part}_losses", Adam(trained.parameters(), lr=self.config.learning_rate, fused=True))]

    def features(self, images: Tensor) -> Tensor:
        """φ of images (N, C, H, W), at the layer that is explained: (N, d)."""
        return self.classifier.features(images, self.config.layer)

    def head(self, phi: Tensor) -> Tensor:
        """f_K: the logits (N, classes) of φ, φ' or ψ (N, d)."""
        return self.classifier.head(phi, self.config.layer)

    # -- answering -----------------------------------------------------------------------------------------------------

    def reconstruct(self, images: Tensor) -> Tensor:
        """g(φ'): what the generator makes of the query's own code."""
        return self._draw(self._encode(images))

    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """One choice of bits a query, the most influential ones first; r leaves that share of them as they were."""
        bits = self._encode(images)
        ranks = self._choose(bits, target)
        codes = [flipped(bits, ranks, r) for r in relaxations]
        classes = [self.classes_of(code) for code in codes]
        empty = images.new_empty(0, *images.shape)
        return Counterfactuals(
            torch.stack([self._draw(code) for code in codes]) if codes else empty,
            {"bits": bits, "ranks": ranks},
            {"representation_classes": torch.stack(classes) if classes else empty.flatten(2).argmax(2)},
        )

    def _encode(self, images: Tensor) -> Tensor:
        """Codes z of images (N, C, H, W): (N, n) bool."""
        return self.network.dvae.encode(self.features(images))

    def _draw(self, bits: Tensor) -> Tensor:
        """Pictures by g of what codes (N, n) stand for: (N, C, H, W)."""
        return self.network.draw(self.network.dvae.decode(bits))

    def _choose(self, bits: Tensor, target: Tensor) -> Tensor:
        """The places of the flipped bits in the order of their influence, (N, n); n where a bit is not flipped."""
        if self.config.policy == "single":
            return single(self.lead_in_representation, bits, target)
        if self.config.policy == "all":
            return everything(self.lead_in_representation, bits, target)
        ranks = greedy(self.lead_in_representation, bits, target)
        return self._go_on(bits, target, ranks) if self.config.until_picture else ranks

    def _go_on(self, bits: Tensor, target: Tensor, ranks: Tensor) -> Tensor:
        """More flips behind those of `ranks` (N, n), until the picture flips too; none where it never does."""
        longer = greedy(self.lead_in_both, bits, target, ranks)
        reached = self.lead_in_both(flipped(bits, longer, 0.0), target) > 0
        return torch.where(reached[:, None], longer, ranks)

    def classes_of(self, bits: Tensor) -> Tensor:
        """The classes that f_K sees in what codes (B, n) stand for, (B,)."""
        return self.head(self.network.dvae.decode(bits)).argmax(1)

    def lead_in_representation(self, bits: Tensor, target: Tensor) -> Tensor:
        """By how much the target leads in f_K of what codes (B, n) stand for, (B,)."""
        return lead(self.head(self.network.dvae.decode(bits)), target)

    def lead_in_both(self, bits: Tensor, target: Tensor) -> Tensor:
        """The smaller of the target's leads in f_K(ψ) and in f(g(ψ)), (B,)."""
        parts = zip(bits.split(BATCH), target.split(BATCH), strict=True)
        seen = [lead(self.classifier(self._draw(some)), wanted) for some, wanted in parts]
        return torch.minimum(self.lead_in_representation(bits, target), torch.cat(seen))

    # -- what only this method can report ------------------------------------------------------------------------------

    def _log_probabilities(self, phi: Tensor) -> Tensor:
        """The logarithm of f_K(φ), (B, classes): the positive function whose information is measured."""
        return self.head(phi).log_softmax(1)

    def _information_of_head(self, phi: Tensor) -> Tensor:
        """I_ν(f_K) around φ (N, d): (N, d)."""
        return fisher_information(self._log_probabilities, phi, *OF_HEAD[self.config.layer])

    def diagnostics(self, images: Tensor) -> dict[str, Tensor]:
        """Classes of φ and φ', and the information that each generator shares with f_K, each (N,)."""
        phi = self.features(images)
        own = self.network.dvae.decode(self.network.dvae.encode(phi))
        wanted = self._information_of_head(phi)
        found = {
            "phi_classes": self.head(phi).argmax(1),
            "phi_reconstruction_classes": self.head(own).argmax(1),
        }
        for suffix, name in (("", self.network.answering), ("_plain", "plain")):
            drawn = self._information(name, own, "probe", self.config.draws)
            found[f"shared_fisher{suffix}"] = shared_information(drawn, wanted)
            found[f"fisher_norm{suffix}"] = drawn.norm(dim=1)
        return found

    def _information(self, name: str, phi: Tensor, form: Form, draws: int) -> Tensor:
        """I_ν(g) of the generator called `name` around φ' (N, d): (N, d)."""
        return fisher_information(partial(self.network.log_pixels, name), phi, form, draws)

    def illustrations(self) -> Mapping[str, Illustration]:
        """What each bit means, shown once for all policies."""
        if self.config.policy != "greedy":
            return {}
        return {"bits": meaning_of_bits(self.network.sample_codes(), self._pictures, self._probabilities)}

    def studies(self) -> Mapping[str, Study]:
        """How many bits a flip needs, and the shared information in each of its forms; once for all policies."""
        if self.config.policy != "greedy":
            return {}
        return {"bits-needed": self._bits_needed(), "fisher": self._forms()}

    def _pictures(self, bits: Tensor) -> Tensor:
        """Pictures by g of any number of codes (N, n): (N, C, H, W)."""
        return torch.cat([self._draw(some) for some in bits.split(BATCH)])

    def _probabilities(self, bits: Tensor) -> Tensor:
        """What f_K makes of what codes (N, n) stand for: (N, classes)."""
        return self._log_probabilities(self.network.dvae.decode(bits)).exp()

    def _bits_needed(self) -> Study:
        """Training images, each asked for one other class, all classes in turn."""
        codes, others = self.network.sample_codes(), self.classifier.class_count - 1
        predicted = self.classes_of(codes)
        target = (predicted + 1 + torch.arange(len(codes)).to(predicted) % others) % (others + 1)
        representation = greedy(self.lead_in_representation, codes, target)
        both = self._go_on(codes, target, representation)
        judged = {
            "f_K(ψ)": (representation, self.lead_in_representation),
            "f_K(ψ) and f(g(ψ))": (both, self.lead_in_both),
        }
        reached = {
            until: (ranks < self.config.bits).sum(1)[judge(flipped(codes, ranks, 0.0), target) > 0]
            for until, (ranks, judge) in judged.items()
        }
        return histogram(reached, len(codes))

    def _forms(self) -> Study:
        """Table 2 by the paper's definition, beside that by joint noise and its estimate; of a long φ its estimate."""
        phi = self.network.kept()[:EXACT]
        own = self.network.dvae.decode(self.network.dvae.encode(phi))
        exact = EXACT_FORMS if self.config.layer == "fully connected" else ()
        drawn = {
            (name, form, draws): self._information(name, own, form, draws)
            for name in self.network.generators
            for form, draws in (*exact, ("probe", self.config.draws))
        }
        return forms(drawn, self._information_of_head(phi), exact=bool(exact))

    def remarks(self) -> tuple[str, ...]:
        """Which bits are flipped until when, and what the generator was trained on."""
        config = self.config
        until = "g(ψ) is of the target class too" if config.until_picture else "f_K(ψ) is of the target class"
        policy = {
            "greedy": f"flips bits one after another until {until}",
            "single": "flips the most influential bit",
            "all": "flips all bits",
        }[config.policy]
        regulariser = {
            "none": "no regulariser",
            "inverse_dot": f"regulariser 1 / (I(g) · I(f_K)), λ = {config.weight:g}, I(f_K) scaled to length 1",
            "inverse_cosine": f"regulariser 1 / cos(I(g), I(f_K)), λ = {config.weight:g}",
        }[config.regulariser]
        drawn = f"shared Fisher information of pictures estimated from {config.draws} random draws a query"
        layer = {
            "fully connected": (),
            "convolutional": (
                "φ is the flattened last convolutional block; I(f_K) is estimated from random draws too",
            ),
        }[config.layer]
        return policy, f"generator with {regulariser}", drawn, *layer


def lead(logits: Tensor, target: Tensor) -> Tensor:
    """By how much the target's logit (B, classes) exceeds the largest other one, (B,); above 0 just where it wins."""
    wanted = nn.functional.one_hot(target, logits.shape[1]).bool()
    return logits[wanted] - logits.masked_fill(wanted, -torch.inf).amax(1)
