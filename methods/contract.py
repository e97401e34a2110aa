"""What every method obeys: laws that a fitted one is held to, by our tests and by `benchmark check-method`.

A law is a function whose docstring says it in a line. It raises a `BrokenLawError` that says what the method did
instead.
"""

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from methods.base import Counterfactuals, Method, MethodConfig
from methods.training import Phase, Plan, Trainer

RELAXATIONS = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
ROUNDING = 1e-5
"""What a picture may exceed [0, 1] by; blending two pictures can round above 1."""


NOISE = 0.8
"""Of the distance between answers to different queries, what noise may put between two answers to the same one."""


class BrokenLawError(ValueError):
    """A law that a method breaks; the message says in words what it did."""


def hold(condition: object, words: str) -> None:
    """Raise `words` unless the condition holds."""
    if not condition:
        raise BrokenLawError(words)


# -- answers, as a run takes them --------------------------------------------------------------------------------------


def check_pictures(pictures: object, shape: Sequence[int], what: str) -> None:
    """See that `what` a method answered are pictures of this shape in [0, 1]."""
    hold(isinstance(pictures, Tensor), f"{what} is no tensor, but {type(pictures).__name__}")
    assert isinstance(pictures, Tensor)  # noqa: S101 - held above
    hold(pictures.shape == tuple(shape), f"{what} has the shape {tuple(pictures.shape)}, not {tuple(shape)}")
    hold(pictures.is_floating_point(), f"{what} is {pictures.dtype}, not floating point in [0, 1]")
    hold(torch.isfinite(pictures).all(), f"{what} holds NaN or infinity")
    inside = ((pictures >= -ROUNDING) & (pictures <= 1 + ROUNDING)).all()
    hold(inside, f"{what} leaves [0, 1]: from {_end(pictures.min)} to {_end(pictures.max)}" if pictures.numel() else "")


def _end(extreme: Callable[[], Tensor]) -> str:
    return f"{float(extreme()):g}"


def check_answers(answers: object, images: Tensor, count: int) -> None:
    """See that `explain` answered `images` (N, C, H, W) at `count` relaxations."""
    hold(isinstance(answers, Counterfactuals), f"explain returns {type(answers).__name__}, not Counterfactuals")
    assert isinstance(answers, Counterfactuals)  # noqa: S101 - held above
    check_pictures(answers.images, (count, *images.shape), "explain's answer (R, N, C, H, W)")
    for name, value in answers.intervention.items():
        hold(len(value) == len(images), f"the intervention {name} is of {len(value)} queries, not {len(images)}")
    for name, value in answers.evidence.items():
        there = tuple(value.shape[:2])
        hold(there == (count, len(images)), f"the evidence {name} begins with {there}, not {(count, len(images))}")


def check_diagnostics(found: Mapping[str, Tensor], count: int) -> None:
    """See that diagnostics are a number a query, of `count` queries."""
    for name, value in found.items():
        hold(value.shape == (count,), f"the diagnostic {name} has the shape {tuple(value.shape)}, not ({count},)")
        hold(torch.isfinite(value).all(), f"the diagnostic {name} holds NaN or infinity")


def check_unchanged(images: Tensor, before: Tensor, what: str) -> None:
    """See that `what` was called left its `images` as they were `before`."""
    hold(torch.equal(images, before), f"{what} changes the queries in place; let it work on a copy (images.clone())")


def check_settings(kind: type[MethodConfig]) -> None:
    """See that each setting has a default and says what it is, and that those that only explain are settings."""
    for name, facts in kind.model_fields.items():
        hold(not facts.is_required(), f"the setting {name} has no default")
        hold(facts.description, f"the setting {name} has no description: unit and source")
    strange = sorted(kind.explain_only - kind.model_fields.keys())
    hold(not strange, f"explain_only names what is no setting: {', '.join(strange)}")


# -- who is held to the laws -------------------------------------------------------------------------------------------


@dataclass
class Posting(Trainer):
    """A trainer that also sends what it is given through pickle, as processes on several devices receive it."""

    posted: list[tuple[Plan, bytes]] = field(default_factory=list)
    unsent: str = ""
    """Why something could not be sent."""

    def fit(
        self, module: nn.Module, phases: Callable[[nn.Module], Sequence[Phase]], plan: Plan, stage: str = "fit"
    ) -> nn.Module:
        """Train, once what arrives elsewhere was noted."""
        try:
            self.posted.append((plan, pickle.dumps((module, phases, plan, stage))))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            self.unsent = str(error)
        return super().fit(module, phases, plan, stage)


@dataclass
class Candidate:
    """A fitted method, what it was fitted by, and what it is asked; the same seed for each question."""

    method: Method
    trainer: Posting
    classifier: nn.Module
    classifier_before: Mapping[str, Tensor]
    """Its state before the fit."""
    images: Tensor
    """(N, C, H, W)."""
    target: Tensor
    """(N,)."""

    def explain(
        self, method: Method | None = None, count: int | None = None, relaxations: Sequence[float] = RELAXATIONS
    ) -> Counterfactuals:
        """The answers to the first `count` queries, by `method` or by its own."""
        return cast(
            Counterfactuals, self._ask((method or self.method).explain, count, self.target[:count], relaxations)
        )

    def reconstruct(self, method: Method | None = None, count: int | None = None) -> Tensor:
        """The answers to "change nothing"."""
        return cast(Tensor, self._ask((method or self.method).reconstruct, count))

    def diagnostics(self, method: Method | None = None, count: int | None = None) -> Mapping[str, Tensor]:
        """What only the method can report."""
        return cast(Mapping[str, Tensor], self._ask((method or self.method).diagnostics, count))

    def _ask(self, question: Callable[..., object], count: int | None, *rest: object) -> object:
        torch.manual_seed(0)
        with torch.no_grad():
            return question(self.images[:count].clone(), *rest)

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many queries are asked at once: all, one, none."""
        return len(self.images), 1, 0


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether two mappings hold equal tensors under the same names."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# -- laws --------------------------------------------------------------------------------------------------------------


def shapes_and_range(candidate: Candidate) -> None:
    """Any number of queries, none included, gets a picture in [0, 1] of its own shape at every relaxation."""
    for count in candidate.counts:
        images = candidate.images[:count]
        check_answers(candidate.explain(count=count), images, len(RELAXATIONS))
        check_pictures(candidate.reconstruct(count=count), images.shape, "reconstruct's answer (N, C, H, W)")


def single_precision(candidate: Candidate) -> None:
    """Answers are float32."""
    kind = candidate.explain().images.dtype
    hold(kind == torch.float32, f"explain answers in {kind}, not torch.float32")


def diagnostics_are_numbers(candidate: Candidate) -> None:
    """Diagnostics are a finite number a query under the same names for any number of queries, none included."""
    names = candidate.diagnostics().keys()
    for count in candidate.counts:
        found = candidate.diagnostics(count=count)
        hold(found.keys() == names, f"of {count} queries there are the diagnostics {[*found]}, not {[*names]}")
        check_diagnostics(found, count)


def no_relaxation(candidate: Candidate) -> None:
    """A sweep over no relaxation is answered with no picture, or refused as a bad value."""
    try:
        answers = candidate.explain(relaxations=())
    except ValueError as error:
        hold("relaxation" in str(error), f"the refusal of an empty sweep does not say relaxation: {error}")
    else:
        check_answers(answers, candidate.images, 0)


def queries_stay(candidate: Candidate) -> None:
    """The queries stay as they were."""
    method = candidate.method
    questions: dict[str, Callable[[Tensor], object]] = {
        "explain": lambda images: method.explain(images, candidate.target, RELAXATIONS),
        "reconstruct": method.reconstruct,
        "diagnostics": method.diagnostics,
    }
    for name, ask in questions.items():
        asked = candidate.images.clone()
        with torch.no_grad():
            ask(asked)
        check_unchanged(asked, candidate.images, name)


def determinism(candidate: Candidate) -> None:
    """Under the same seed a question gets the same answer."""
    first, second = candidate.explain(), candidate.explain()
    hold(
        torch.equal(first.images, second.images), "explain answers otherwise when it is asked again (torch.manual_seed)"
    )
    hold(same(first.intervention, second.intervention), "the intervention is another when explain is asked again")
    again = torch.equal(candidate.reconstruct(), candidate.reconstruct())
    hold(again, "reconstruct answers otherwise when it is asked again (torch.manual_seed)")
    hold(same(candidate.diagnostics(), candidate.diagnostics()), "diagnostics are others when asked again")


def order(candidate: Candidate) -> None:
    """Answers stand in the order of their queries: asked in another order, a query keeps its answer at r = 1."""
    places = torch.randperm(len(candidate.images), generator=torch.Generator().manual_seed(0))
    mixed = replace(candidate, images=candidate.images[places], target=candidate.target[places])
    first, second = (asked.explain(relaxations=(1.0,)).images[0] for asked in (candidate, mixed))
    own, other = ((first[places].roll(shift, 0) - second).abs().mean() for shift in (0, 1))
    words = (
        f"asked in another order, queries get answers as far from their own ({own:.3g}) as from others' ({other:.3g})"
    )
    hold(own <= NOISE * other + ROUNDING, words)


def nearer_as_r_grows(candidate: Candidate) -> None:
    """At r = 1 the answers are no further from "change nothing" than at r = 0, on average."""
    images, unchanged = candidate.explain().images, candidate.reconstruct()
    kept, free = ((images[place] - unchanged).abs().mean() for place in (0, -1))
    hold(kept <= free, f"the mean L1 distance to reconstruct's answer is {kept:.3g} at r = 1, and {free:.3g} at r = 0")


def save_and_restore(candidate: Candidate) -> None:
    """What was fitted, written to disk and taken up by another object, gives equal answers."""
    state = load(save({name: value.contiguous() for name, value in candidate.method.network.state_dict().items()}))
    shape = cast(tuple[int, int, int], tuple(candidate.images.shape[1:]))
    empty = type(candidate.method)(candidate.method.config)
    empty.attributes = candidate.method.attributes
    other = empty.restore(state, shape, cast(Any, candidate.classifier))
    words = "a method that is loaded from its network's state_dict answers otherwise: what is fitted has to be in it"
    ours, theirs = candidate.explain(), candidate.explain(other)
    hold(torch.equal(ours.images, theirs.images) and same(ours.intervention, theirs.intervention), words)
    hold(torch.equal(candidate.reconstruct(), candidate.reconstruct(other)), words)
    hold(same(candidate.diagnostics(), candidate.diagnostics(other)), words)


def gradients_reach_every_parameter(candidate: Candidate) -> None:
    """Every trainable parameter received a gradient that is finite and not zero."""
    trainable = {name: value for name, value in candidate.method.network.named_parameters() if value.requires_grad}
    idle = [name for name, value in trainable.items() if value.grad is None or not value.grad.any()]
    hold(not idle, f"no gradient reached {', '.join(idle)}: leave them out, or let them not require one")
    wild = [name for name, value in trainable.items() if not torch.isfinite(cast(Tensor, value.grad)).all()]
    hold(not wild, f"the last gradient is not finite of {', '.join(wild)}")


def classifier_stays(candidate: Candidate) -> None:
    """A fit leaves the classifier as it was: its weights, frozen, in evaluation mode, without gradients."""
    network = candidate.classifier
    hold(same(network.state_dict(), candidate.classifier_before), "the fit changes the classifier's weights")
    hold(not any(module.training for module in network.modules()), "the fit leaves the classifier in training mode")
    left = [name for name, value in network.named_parameters() if value.requires_grad or value.grad is not None]
    hold(not left, f"the fit leaves gradients of the classifier, or turns them on: {', '.join(left)}")


def training_can_be_sent(candidate: Candidate) -> None:
    """All that a method gives the training loop survives pickling, and yields the same batches and parameters there."""
    words = f"what is given to trainer.fit cannot be pickled for other processes: {candidate.trainer.unsent}"
    hold(not candidate.trainer.unsent, words)
    for plan, posted in candidate.trainer.posted:
        module, phases, arrived, _ = pickle.loads(posted)  # noqa: S301 - pickled by this very process
        some = plan.indices(seed=0, step=0)
        equal = all(torch.equal(a, b) for a, b in zip(plan.batch(some), arrived.batch(some), strict=True))
        hold(equal, "another process is given other batches")
        own = {id(value) for value in module.parameters()}
        for phase in phases(module):
            hold(callable(getattr(module, phase.losses, None)), f"the module has no method {phase.losses}")
            groups = phase.optimizer.param_groups
            there = own.issuperset(id(value) for group in groups for value in group["params"])
            hold(there, f"the optimiser of {phase.losses} holds parameters that are not the module's")


def settings_are_whole(candidate: Candidate) -> None:
    """Every setting has a default and says what it is."""
    check_settings(type(candidate.method.config))


LAWS: tuple[Callable[[Candidate], None], ...] = (
    shapes_and_range,
    single_precision,
    diagnostics_are_numbers,
    no_relaxation,
    queries_stay,
    determinism,
    order,
    nearer_as_r_grows,
    save_and_restore,
    gradients_reach_every_parameter,
    classifier_stays,
    training_can_be_sent,
    settings_are_whole,
)
