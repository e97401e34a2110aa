"""The user's own classifier as the investigated one of a question: nothing is trained, its accuracy is taken."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchmark.errors import UserError
from benchmark.judges import corruptions
from benchmark.judges.adapter import OwnClassifier
from benchmark.judges.chance import doubt, no_better
from benchmark.judges.classifier import accuracies
from benchmark.judges.loading import load_classifier
from benchmark.judges.spec import ClassifierSpec
from benchmark.judges.workshop import Workshop
from benchmark.records.record import Judge
from benchmark.records.store import Artefact, code_of
from metrics.intervals import proportion


@dataclass(frozen=True)
class GivenClassifier:
    """A classifier that the user brings, in the place of a `TrainedClassifier`."""

    spec: ClassifierSpec
    workshop: Workshop
    role: ClassVar[str] = "classifier"

    def made(self) -> tuple[Artefact, Judge]:
        """Its accuracy, taken once, and what a record says of it.

        Raises
        ------
        UserError
            If it is surely no better than chance: then it was fed what it was not trained on.
        """
        artefact = self.workshop.artefact(self.role, own=self.spec.digest(), code=code_of(corruptions.__name__))
        judge = Judge.model_validate(artefact.make(self._judge))
        question = self.workshop.question
        right = torch.arange(judge.test_n) < round(judge.test_accuracy * judge.test_n)
        found = proportion(right)
        if no_better(found, question.class_count):
            raise UserError(
                f"{self.spec.name} names {found.value:.1%} [{found.low:.1%}, {found.high:.1%}] of {found.n} test "
                f"pictures: {doubt(found, question.class_count)}; "
                "its preprocessing or the order of its classes is the likeliest cause: see benchmark classifier check"
            )
        return artefact, judge

    def network(self) -> OwnClassifier:
        """The classifier, frozen, on the device if it is a module."""
        return load_classifier(self.spec, self.workshop.question.data).to(self.workshop.device)

    untrained = network

    def settings(self) -> dict[str, Any]:
        """What determines it: the contents of its files, not where they lie."""
        return {"own": self.spec.digest()}

    def _judge(self, _: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
        question, device = self.workshop.question, self.workshop.device
        return {}, {
            "config": self.spec.model_dump(mode="json"),
            "digest": self.spec.digest(),
            **accuracies(self.network().checked, question.splits, device),
            "trained_on": "brought by the user",
            "fit_seconds": 0.0,
        }
