"""`dvae` and its variants: flip bits of a discrete latent of φ, and draw the representation that results.

Gat, Lorberbom, Schwartz and Hazan, "Latent Space Explanation by Intervention", 2022.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import torch
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
    Study,
    in_batches,
)
from methods.dvae.collapse import LEAST_KAPPA, PARTS, Part, kappa, restart, told
from methods.dvae.flips import everything, flipped, greedy, single
from methods.dvae.model import Concepts, DiscreteVAE, Sizes
from methods.dvae.settings import DvaeConfig
from methods.dvae.showing import forms, histogram, meaning_of_bits
from methods.nn import stacked
from methods.ranks import lead
from methods.training import Phase, Plan, Trainer, warmup_cosine
from metrics.fisher import Form, directions, fisher_information, inverse_cosine, inverse_dot, shared_information

log = logging.getLogger(__name__)

WARMUP = 100
"""Warm-up steps of the learning rate; without them the latents may die at once."""
EXACT = 50
"""Images on which all forms of the Fisher information are compared."""
EXACT_FORMS: tuple[tuple[Form, int], ...] = (("coordinate", 3), ("joint", 4))
"""The exact forms of the Fisher information, with their draws."""
OF_HEAD: Mapping[Layer, tuple[Form, int]] = {"fully connected": ("coordinate", 3), "convolutional": ("probe", 32)}
"""Layer -> form and draws of the Fisher information of f_K; where φ is long only the estimate is affordable."""
REGULARISERS = {"none": None, "inverse_dot": inverse_dot, "inverse_cosine": inverse_cosine}


@dataclass(frozen=True)
class Rows:
    """Training batches: rows of precomputed tensors and, if `data` is given, images."""

    tensors: tuple[Tensor, ...]
    data: ImageSet | None = None

    def __call__(self, indices: Tensor) -> tuple[Tensor, ...]:
        """The rows at `indices`, then the images (B, C, H, W)."""
        images = () if self.data is None else (self.data.batch(indices),)
        return (*(tensor[indices] for tensor in self.tensors), *images)


class Dvae(Method):
    """Learns boolean concepts of the classifier's own layer, flips some, and draws the representation that results."""

    Config = DvaeConfig
    asks = "features"
    version = 3
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            "epochs": 4,
            "min_steps": 200,
            "generator": (32,),
            "generator_epochs": 2,
            "generator_min_steps": 60,
            "samples": 30,
        },
        "paper": {
            "bits": 32,
            "hidden": (256, 128, 64),
            "dropout": 0.1,
            "generator": (512, 1024),
            "kl_weight": 1.0,
            "regulariser": "inverse_dot",
            "weight": 0.1,
            "margin": 0.0,
        },
        "faces": {"generator_epochs": 12, "generator_min_steps": 600},
        "bias": {"generator_epochs": 10, "generator_min_steps": 300},
    }
    config: DvaeConfig
    network: Concepts

    def build(self, shape: tuple[int, int, int], class_count: int) -> nn.Module:
        """The untrained DVAE and generators."""
        config, counts = self.config, self.classifier.feature_counts
        if config.layer not in counts:
            raise ValueError(f"this classifier has no {config.layer} layer that can be asked for")
        sizes = Sizes(
            shape,
            counts[config.layer],
            math.ceil(config.bits * math.log2(class_count)),
            config.hidden,
            config.generator,
            config.dropout,
            config.samples,
        )
        dvae = DiscreteVAE(sizes, temperature=config.temperature, kl_weight=config.kl_weight / (class_count - 1))
        return Concepts(
            sizes,
            dvae,
            regulariser=REGULARISERS[config.regulariser],
            weight=config.weight,
            probes=config.probes,
            regularised=config.regularised,
            sampled=config.generator_input == "sampled",
        )

    def fit(self, data: ImageSet, classifier: Classifier, *, trainer: Trainer) -> Self:
        """Train the DVAE on φ, freeze it, then train the generators on φ'; labels are not used.

        Each of the two trainings that collapses is made once more (`methods/dvae/collapse.py`).
        """
        network, config = self.prepare(data.shape, classifier), self.config
        assert isinstance(network, Concepts)  # noqa: S101 - `build` returned it
        phi = in_batches(self.features, data, trainer.device)
        network.dvae.measure(phi)
        network.keep(phi)
        plan = partial(Plan, count=len(data), batch_size=config.batch_size, schedule=partial(warmup_cosine, WARMUP))
        dvae = plan(Rows((phi,)), epochs=config.epochs, min_steps=config.min_steps)
        self._train("dvae", dvae, trainer)
        with torch.no_grad():
            own = network.dvae.decode(network.dvae.encode(phi)) if config.generator_input == "decoded" else phi
            information = directions(self._information_of_head(phi.to(trainer.device))).cpu()
        batch = Rows((own, information), data)
        drawing = plan(batch, epochs=config.generator_epochs, min_steps=config.generator_min_steps)
        self._train("generator", drawing, trainer)
        return self

    def _train(self, part: Part, plan: Plan, trainer: Trainer) -> None:
        """Train one part of the network; from new weights and another seed stream once more, if it collapsed."""
        if not plan.steps:
            return
        attempts = [self._attempt(part, plan, trainer)]
        another = trainer.another() if attempts[0] < LEAST_KAPPA else None
        if another is not None:
            log.info("%s collapsed (kappa = %.2f): it is trained once more", part, attempts[0])
            restart(self.network.part(part), another.seed)
            attempts.append(self._attempt(part, plan, another, "-again"))
        self.network.note(part, attempts)

    def _attempt(self, part: Part, plan: Plan, trainer: Trainer, suffix: str = "") -> float:
        """Train one part, and return the κ between the classes of training images and what it makes of them."""
        trainer.fit(self.network, partial(self._phases, part), plan, stage=part + suffix)
        return kappa(*self._classes_kept(part, trainer.device))

    @torch.no_grad()
    def _classes_kept(self, part: Part, device: torch.device) -> tuple[Tensor, Tensor]:
        """The classes of kept φ by f_K, and of φ' by f_K or of g(φ') by f, depending on the part, (M,) each."""
        codes = self.network.sample_codes()
        seen = self.head(self.network.kept().to(device))
        if part == "dvae":
            found = self.head(self.network.dvae.decode(codes).to(device))
        else:
            found = torch.cat([self.classifier(some.to(device)) for some in self._pictures(codes).split(BATCH)])
        return seen.argmax(1), found.argmax(1)

    def _phases(self, part: Part, network: nn.Module) -> list[Phase]:
        assert isinstance(network, Concepts)  # noqa: S101 - `build` returned it
        return [
            Phase(f"{part}_losses", Adam(network.part(part).parameters(), lr=self.config.learning_rate, fused=True))
        ]

    def features(self, images: Tensor) -> Tensor:
        """φ of images (N, C, H, W), at the layer that is explained: (N, d)."""
        return self.classifier.features(images, self.config.layer)

    def head(self, phi: Tensor) -> Tensor:
        """f_K: the logits (N, classes) of φ, φ' or ψ (N, d)."""
        return self.classifier.head(phi, self.config.layer)

    # -- answering -----------------------------------------------------------------------------------------------------

    def reconstruct(self, images: Tensor) -> Tensor:
        """g(φ'): the picture drawn from the query's own code."""
        return self._draw(self._encode(images))

    def explain(self, images: Tensor, target: Tensor, relaxations: Sequence[float]) -> Counterfactuals:
        """Flip chosen bits of each query, the most influential first; the share r of them is left unflipped."""
        bits = self._encode(images)
        ranks = self._choose(bits, target)
        codes = [flipped(bits, ranks, r) for r in relaxations]
        classes = [self.classes_of(code) for code in codes]
        return Counterfactuals(
            stacked([self._draw(code) for code in codes], images),
            {"bits": bits, "ranks": ranks},
            {"representation_classes": stacked(classes, target)},
        )

    def _encode(self, images: Tensor) -> Tensor:
        """Codes z of images (N, C, H, W): (N, n) bool."""
        return self.network.dvae.encode(self.features(images))

    def _draw(self, bits: Tensor) -> Tensor:
        """Pictures by g of the representations decoded from codes (N, n): (N, C, H, W)."""
        return self.network.draw(self.network.dvae.decode(bits))

    def _choose(self, bits: Tensor, target: Tensor) -> Tensor:
        """Rank of each flipped bit by influence, (N, n); n for a bit that is not flipped."""
        if self.config.policy == "single":
            return single(self.lead_in_representation, bits, target)
        if self.config.policy == "all":
            return everything(self.lead_in_representation, bits, target)
        ranks = greedy(self.lead_in_representation, bits, target)
        return self._go_on(bits, target, ranks) if self.config.until_picture else ranks

    def _go_on(self, bits: Tensor, target: Tensor, ranks: Tensor) -> Tensor:
        """Further flips after `ranks` (N, n), until both leads reach the margin; none if the picture never flips."""
        longer = greedy(self.lead_in_both, bits, target, ranks, margin=self.config.margin)
        reached = self.lead_in_both(flipped(bits, longer, 0.0), target) > 0
        return torch.where(reached[:, None], longer, ranks)

    def classes_of(self, bits: Tensor) -> Tensor:
        """The classes of f_K for the representations decoded from codes (B, n): (B,)."""
        return self.head(self.network.dvae.decode(bits)).argmax(1)

    def lead_in_representation(self, bits: Tensor, target: Tensor) -> Tensor:
        """The target's lead in f_K(ψ), ψ decoded from codes (B, n): (B,), in logits."""
        return lead(self.head(self.network.dvae.decode(bits)), target)

    def lead_in_both(self, bits: Tensor, target: Tensor) -> Tensor:
        """The smaller of the target's leads in f_K(ψ) and f(g(ψ)): (B,), in logits."""
        parts = zip(bits.split(BATCH), target.split(BATCH), strict=True)
        seen = [lead(self.classifier(self._draw(some)), wanted) for some, wanted in parts]
        return torch.minimum(self.lead_in_representation(bits, target), torch.cat(seen))

    # -- what only this method can report ------------------------------------------------------------------------------

    def _log_probabilities(self, phi: Tensor) -> Tensor:
        """Log-probabilities log f_K(φ), (B, classes), for the Fisher information of f_K."""
        return self.head(phi).log_softmax(1)

    def _information_of_head(self, phi: Tensor) -> Tensor:
        """I_ν(f_K) around φ (N, d): (N, d)."""
        return fisher_information(self._log_probabilities, phi, *OF_HEAD[self.config.layer])

    def diagnostics(self, images: Tensor) -> dict[str, Tensor]:
        """Classes of φ and φ', and the Fisher information that each generator shares with f_K, each (N,)."""
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
        """The figure of the bits' meaning, the same for all policies, so drawn by one."""
        if self.config.policy != "greedy":
            return {}
        return {"bits": meaning_of_bits(self.network.sample_codes(), self._pictures, self._probabilities)}

    def studies(self) -> Mapping[str, Study]:
        """Tables of the bits that a flip needs, of shared information and of the trainings; made by one policy."""
        if self.config.policy != "greedy":
            return {}
        trainings = told({part: self.network.noted(part) for part in PARTS})
        return {"bits-needed": self._bits_needed(), "fisher": self._forms(), "trainings": trainings}

    def _pictures(self, bits: Tensor) -> Tensor:
        """Pictures by g of any number of codes (N, n): (N, C, H, W)."""
        return torch.cat([self._draw(some) for some in bits.split(BATCH)])

    def _probabilities(self, bits: Tensor) -> Tensor:
        """Class probabilities by f_K of the representations decoded from codes (N, n): (N, classes)."""
        return self._log_probabilities(self.network.dvae.decode(bits)).exp()

    def _bits_needed(self) -> Study:
        """The number of flipped bits that training images need to reach a target, all classes in turn."""
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
            until: (ranks < self.network.sizes.bits).sum(1)[judge(flipped(codes, ranks, 0.0), target) > 0]
            for until, (ranks, judge) in judged.items()
        }
        return histogram(reached, len(codes))

    def _forms(self) -> Study:
        """The paper's Table 2 with three forms of information; where φ is long, with the estimate alone."""
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
        """Notes on the choice of bits, the generator's regulariser and the estimate of shared information."""
        config = self.config
        by = f"the target leads by {config.margin:g} logits in f_K(ψ) and in f(g(ψ))"
        until = by if config.until_picture else "f_K(ψ) has the target class"
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
        drawn = f"shared Fisher information of pictures estimated from {config.draws} random draws per query"
        layer = "φ is the output of the last convolutional block; the information of f_K is estimated too"
        return policy, f"generator with {regulariser}", drawn, *([layer] * (config.layer == "convolutional"))
