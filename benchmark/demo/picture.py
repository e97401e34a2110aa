"""Digits that the user picks, answered by the networks that come with the package: the picture that compares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from benchmark.data.question import Question
from benchmark.demo.weights import Shipped
from benchmark.errors import UserError, unknown
from benchmark.jobs.protocol import Protocol, images_of
from benchmark.judges.classifier import ClassifierConfig, ConvClassifier
from benchmark.report.gallery import BOTH, NEITHER, ONE, Column, gallery
from methods import METHODS
from methods.base import Method
from methods.pictures import eight_bit, unit


@dataclass(frozen=True)
class Demo:
    """The networks that come with the package, and the digits that none of them was trained on."""

    question: Question
    classifier: ConvClassifier
    oracle: ConvClassifier
    methods: Mapping[str, Method]

    @classmethod
    def of(cls, shipped: Shipped) -> "Demo":
        """The networks of `shipped`, and the test images of its task and seed."""
        facts = shipped.facts
        data = images_of(facts["task"], Protocol(Path()))
        question = Question.of(data, facts["seed"], "test", train_images=None, queries=len(data))
        classifier, oracle = (_judge(shipped, role, question) for role in ("classifier", "oracle"))
        methods = {name: _method(shipped, name, question, classifier) for name in facts["methods"]}
        return cls(question, classifier, oracle, methods)

    @torch.no_grad()
    def places(self, digits: Sequence[str]) -> list[int]:
        """For each of the `digits` the first test image of it that has not been taken and that the classifier reads."""
        names = self.question.data.class_names
        queries = self.question.queries
        seen = self.classifier(queries.batch(slice(None))).argmax(1)
        found: list[int] = []
        for digit in digits:
            if digit not in names:
                raise unknown("digit", digit, names)
            wanted = names.index(digit)
            own = ((queries.labels == wanted) & (seen == wanted)).nonzero()[:, 0].tolist()
            found.append(next(place for place in own if place not in found))
        return found

    def drawn(self, places: Sequence[int], target: str) -> Figure:
        """The test images at `places`, and what each method makes of them at r = 0 for the class `target`.

        Raises
        ------
        UserError
            If there is no such image or class, or the classifier sees the target in an image already.
        """
        names, count = self.question.data.class_names, len(self.question.queries)
        if target not in names:
            raise unknown("digit", target, names)
        if wrong := [place for place in places if place >= count]:
            raise UserError(f"there is no test image {wrong[0]}; they are counted from 0 to {count - 1}")
        images = self.question.queries.batch(torch.tensor(places))
        with torch.no_grad():
            own = [names[label] for label in self.classifier(images).argmax(1).tolist()]
        if target in own:
            raise UserError(
                f"the classifier sees a {target} in picture {own.index(target)} already; choose another --target"
            )
        wanted = torch.full((len(places),), names.index(target))
        columns = [Column("query", eight_bit(images), [None] * len(places))]
        columns += [self._column(name, images, wanted) for name in self.methods]
        return gallery(
            columns, [f"{label} → {target}" for label in own], "What would make the classifier see another digit?"
        )

    def _column(self, name: str, images: Tensor, wanted: Tensor) -> Column:
        torch.manual_seed(self.question.seed_for("explain", 0))
        with torch.no_grad():
            pictures = eight_bit(self.methods[name].explain(images, wanted, [0.0]).images[0])
            seen, judged = (network(unit(pictures)).argmax(1) for network in (self.classifier, self.oracle))
        both = zip((seen == wanted).tolist(), (judged == wanted).tolist(), strict=True)
        return Column(name, pictures, [(BOTH if agreed else ONE) if flipped else NEITHER for flipped, agreed in both])


def _judge(shipped: Shipped, role: str, question: Question) -> ConvClassifier:
    config = ClassifierConfig.model_validate(shipped.facts["settings"][role])
    network = ConvClassifier(config, question.data.shape, question.class_count)
    return _loaded(network, shipped.states[role])


def _loaded(network: ConvClassifier, state: Mapping[str, Tensor]) -> ConvClassifier:
    network.load_state_dict(state)
    network.eval().requires_grad_(False)
    return network


def _method(shipped: Shipped, name: str, question: Question, classifier: nn.Module) -> Method:
    kind = METHODS[name].load()
    method = kind(kind.Config.model_validate(shipped.facts["settings"][name]))
    return method.restore(shipped.states[name], question.data.shape, classifier)  # type: ignore[arg-type] # ours
