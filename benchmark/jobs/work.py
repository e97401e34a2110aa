"""One job, resolved: the question that it asks, the judges of the answers, and its method's settings."""

from benchmark.data import ImageData
from benchmark.data.question import Question
from benchmark.errors import UserError
from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.settings import ATTRIBUTE_ORACLES, AUTOENCODERS, CLASSIFIER, DATA, ORACLE, method_config
from benchmark.judges.attributes import TrainedAttributeOracles
from benchmark.judges.autoencoders import TrainedAutoencoders
from benchmark.judges.classifier import TrainedClassifier
from benchmark.judges.workshop import Workshop
from benchmark.records.store import code_of
from methods import METHODS, OUTSIDE, Entry
from methods.base import Method
from methods.training import Advance, silent


class Work:
    """What the stages of a job work with; nothing is trained until it is asked for.

    `data` stand in for the images that the task names, and `classifier` for one that is trained on this job's images.
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
        )
        self.workshop = Workshop(self.question, protocol.runs, protocol.devices, self.advance)
        own = TrainedClassifier("classifier", CLASSIFIER.resolved(*setting), self.workshop)
        self.classifier = classifier or own
        self.oracle = TrainedClassifier("oracle", ORACLE.resolved(*setting), self.workshop)
        self.autoencoders = TrainedAutoencoders(AUTOENCODERS.resolved(*setting), self.workshop)
        oracles = TrainedAttributeOracles(ATTRIBUTE_ORACLES.resolved(*setting), self.workshop)
        self.attributes = oracles if data.independent else None

    @property
    def judges(self) -> dict[str, TrainedClassifier]:
        """The classifier and the oracle, by their roles."""
        return {"classifier": self.classifier, "oracle": self.oracle}

    @property
    def plugin(self) -> dict[str, str]:
        """The hash of the code of another's method; nothing for ours, whose `version` says when answers change."""
        return {"plugin": code_of(self.entry.path.split(":")[0])} if self.job.method in OUTSIDE else {}

    @property
    def entry(self) -> Entry:
        """The method as it is registered."""
        return METHODS[self.job.method]

    def method(self) -> Method:
        """The method under its resolved settings, not fitted."""
        protocol = self.protocol
        channels = self.question.data.shape[0]
        return self.entry.load()(method_config(self.job.method, protocol.preset, protocol.overrides or {}, channels))

    def check(self) -> None:
        """Refuse what cannot end well, before it costs anything.

        Raises
        ------
        UserError
            If the method's settings do not fit these images, Inception is to look at grey ones, or the method takes
            exact counterfactuals that the data do not have.
        """
        data, method = self.question.data, self.method()
        try:
            method.prepare(data.shape, self.classifier.untrained())
        except ValueError as error:
            raise UserError(f"{self.job.method} on {self.job.task}: {error}") from error
        self.check_extractors()
        if method.takes_truth and data.exact is None:
            raise UserError(
                f"nobody knows the exact counterfactuals of {data.name}; {self.job.method} is for avatars/Smiling and "
                "the like"
            )

    def check_extractors(self) -> None:
        """Refuse to let Inception look at grey images."""
        data = self.question.data
        if "inception" in self.protocol.extractors and data.shape[0] != 3:
            raise UserError(f"{data.name} has no colours, which Inception needs; use --fid oracle")
