"""One job, resolved: its question, the judges of its answers, and its method's settings."""

from dataclasses import replace

import torch

from benchmark.data import ImageData
from benchmark.data.question import Question
from benchmark.data.wanted import Wanted
from benchmark.errors import UserError
from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.settings import ATTRIBUTE_ORACLES, AUTOENCODERS, CLASSIFIER, DATA, ORACLES, method_config
from benchmark.judges.attributes import TrainedAttributeOracles
from benchmark.judges.autoencoders import TrainedAutoencoders
from benchmark.judges.classifier import RETRAINED, TrainedClassifier
from benchmark.judges.own import GivenClassifier
from benchmark.judges.panel import TrainedPanel
from benchmark.judges.workshop import Workshop
from benchmark.records.store import code_of
from methods import METHODS, OUTSIDE, Entry
from methods.base import ASKS, Method
from methods.training import Advance, silent


class Work:
    """The objects that the stages of a job share; networks are trained on first use.

    `data` replaces the images of the task, `classifier` the classifier trained on them.
    """

    def __init__(
        self,
        job: Job,
        protocol: Protocol,
        advance: Advance | None = None,
        *,
        data: ImageData | None = None,
        classifier: TrainedClassifier | None = None,
    ) -> None:
        self.job, self.protocol, self.advance = job, protocol, advance or silent
        data = images_of(job.task, protocol) if data is None else data
        setting = (protocol.preset, protocol.overrides or {}, data.shape[0])
        self.settings = DATA.resolved(*setting)
        self.question = Question.of(
            data,
            job.seed,
            protocol.split,
            train_images=self.settings.train_images,
            queries=min(self.settings.queries, protocol.limit or self.settings.queries),
            wanted=protocol.wanted,
        )
        self.workshop = Workshop(self.question, protocol.runs, protocol.devices, self.advance)
        self.classifier: TrainedClassifier | GivenClassifier
        self.retrained: tuple[TrainedClassifier, ...] = ()
        if protocol.classifier is not None:
            self.classifier = GivenClassifier(protocol.classifier, self.workshop)
        else:
            own = TrainedClassifier("classifier", CLASSIFIER.resolved(*setting), self.workshop)
            self.classifier = classifier or own
            self.retrained = tuple(replace(own, role=role) for role in RETRAINED)
        members = {role: section.resolved(*setting) for role, section in ORACLES.items()}
        self.oracle = TrainedPanel.of(members, self.workshop)
        self.autoencoders = TrainedAutoencoders(AUTOENCODERS.resolved(*setting), self.workshop)
        oracles = TrainedAttributeOracles(ATTRIBUTE_ORACLES.resolved(*setting), self.workshop)
        self.attributes = oracles if data.attributes is not None else None

    @property
    def judges(self) -> dict[str, TrainedClassifier | GivenClassifier | TrainedPanel]:
        """The classifier and the panel of oracles, by their roles."""
        return {"classifier": self.classifier, "oracle": self.oracle}

    @property
    def plugin(self) -> dict[str, str]:
        """The hash of the code of another's method; nothing for ours, whose `version` says when answers change."""
        return {"plugin": code_of(self.entry.path.split(":")[0])} if self.job.method in OUTSIDE else {}

    @property
    def entry(self) -> Entry:
        """The method's entry in the registry."""
        return METHODS[self.job.method]

    def method(self) -> Method:
        """The unfitted method under its resolved settings."""
        protocol, data = self.protocol, self.question.data
        config = method_config(self.job.method, protocol.preset, protocol.overrides or {}, data.shape[0])
        method = self.entry.load()(config)
        if method.takes_attributes:
            method.attributes = data.known_attributes
        return method

    def check(self) -> None:
        """Check that the job can succeed, before any computation.

        Raises
        ------
        UserError
            If the method's settings do not fit these images, Inception features are wanted of grey images, or the
            method needs exact counterfactuals or attributes that the data do not have.
        """
        data, method = self.question.data, self.method()
        if method.takes_attributes and data.attributes is None:
            raise UserError(
                f"nobody knows attributes of {data.name}; {self.job.method} is for avatars/Smiling, celeba/Male and "
                "the like"
            )
        self._check_asked(method)
        try:
            method.prepare(data.shape, self.classifier.untrained())
        except ValueError as error:
            raise UserError(f"{self.job.method} on {self.job.task}: {error}") from error
        self.check_extractors()
        if self.protocol.wanted is not None and (self.protocol.writes or self.classifier_digest):
            self._check_wanted(self.protocol.wanted)
        if method.takes_truth and self.question.queries.data.exact is None:
            raise UserError(
                f"{data.name} has no exact counterfactuals; {self.job.method} is for tasks such as avatars/Smiling"
            )

    def _check_asked(self, method: Method) -> None:
        """Refuse a method that asks more of the classifier than it offers."""
        classifier = self.classifier.untrained()
        offers = getattr(classifier, "offers", ASKS[-1])
        if ASKS.index(method.asks) > ASKS.index(offers):
            without = "its forward cuts them off" if getattr(classifier, "cut", False) else "ONNX has none, code has"
            how = "name the module of φ by --features" if offers == "gradients" else without
            raise UserError(
                f"{self.job.method} asks the classifier for {method.asks}, and this one offers {offers} ({how})"
            )

    @property
    def classifier_digest(self) -> str | None:
        """The hash of the classifier that is there, the user's own or one trained before; None before its training."""
        if isinstance(self.classifier, GivenClassifier):
            return self.classifier.spec.digest()
        facts = self.classifier.artefact.facts()
        return None if facts is None else str(facts["digest"])

    def _check_wanted(self, wanted: Wanted) -> None:
        """Refuse a target that the classifier, which is trained for it where it is ours, sees already."""
        network, pictures = self.classifier.network(), self.question.queries.batch(slice(None))
        with torch.no_grad():
            seen = network(pictures.to(self.workshop.device)).argmax(1).tolist()
        for path, target, own in zip(wanted.files, wanted.classes(self.question.data), seen, strict=True):
            if target == own:
                raise UserError(f"the classifier sees {self.question.data.class_names[own]} in {path}: ask for another")

    def check_extractors(self) -> None:
        """Raise UserError for Inception features of grey images."""
        data = self.question.data
        if "inception" in self.protocol.extractors and data.shape[0] != 3:
            raise UserError(f"{data.name} has no colours, which Inception needs; use --fid oracle")
