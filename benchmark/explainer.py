"""A fitted method that answers about pictures of yours."""

from collections.abc import Sequence
from typing import Self

import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmark.arguments import Given, relaxations_of
from benchmark.errors import UserError, unknown
from benchmark.jobs.explain import CHUNK
from benchmark.jobs.fit import fit, fitted
from benchmark.jobs.progress import Board
from benchmark.jobs.protocol import Job, Protocol, images_of
from benchmark.jobs.runner import limited
from benchmark.jobs.work import Work
from benchmark.report.drawing import styled
from benchmark.report.grid import grid
from methods.base import Method
from methods.pictures import eight_bit

Target = int | str | Tensor | Sequence[int | str]
"""A class for all images, or one for each, by number or name."""


class Explainer:
    """A method and the classifier that it explains, both as in a run.

    Attributes
    ----------
    classes : tuple of str
        Names of the classes, in the order of the classifier's logits.
    shape : tuple of int
        (C, H, W) of one image.

    """

    def __init__(self, work: Work, method: Method) -> None:
        self._work, self._method = work, method
        self.classes = tuple(work.question.data.class_names)
        self.shape = work.question.data.shape

    @classmethod
    def fitted(cls, job: Job, protocol: Protocol, board: Board) -> Self:
        """The method of `job`, fitted now or taken from the results folder."""
        images_of(job.task, protocol, board.channel(job.task))
        work = Work(job, protocol, board.channel(str(job)))
        work.check()
        with limited(protocol.threads):
            return cls(work, fitted(work, fit(work)))

    def queries(self, count: int) -> Tensor:
        """The first `count` queries of the run, (N, C, H, W) in [0, 1]: pictures that nothing was trained on."""
        return self._work.question.queries.batch(slice(0, count))

    @torch.no_grad()
    def classify(self, images: Tensor) -> Tensor:
        """The classifier's probabilities (N, classes) of `images` (N, C, H, W) in [0, 1]."""
        return self._method.classifier(self._checked(images).to(self._work.workshop.device)).softmax(1).cpu()

    @torch.no_grad()
    def explain(self, images: Tensor, target: Target, relaxations: Given = 0) -> Tensor:
        """Counterfactuals of `images`: the same answers whenever they are asked.

        Parameters
        ----------
        images
            (N, C, H, W), float in [0, 1].
        target
            The class to be seen: one for all images, or (N,); by number or name.
        relaxations
            One or several r in [0, 1], answered in ascending order: 0 lets the intervention act fully, 1 not at all.

        Returns
        -------
        Tensor
            (R, N, C, H, W) in [0, 1].

        Raises
        ------
        UserError
            For images of another shape or range, an unknown class and a relaxation outside [0, 1].
        """
        images, targets, wanted = self._checked(images), self._targets(target, len(images)), relaxations_of(relaxations)
        chunks = range(0, max(1, len(images)), CHUNK)
        with torch.random.fork_rng(), limited(self._work.protocol.threads):
            return torch.cat([self._answers(images, targets, wanted, start) for start in chunks], dim=1)

    def show(self, images: Tensor, target: Target, relaxations: Given = "0,0.5,1") -> Figure:
        """Images and their counterfactuals, a row an image, each with the class that the classifier sees; as `explain`.

        Raises
        ------
        UserError
            As `explain`.
        """
        wanted, answers = relaxations_of(relaxations), self.explain(images, target, relaxations)
        seen = torch.stack([self.classify(pictures) for pictures in (images, *answers)], dim=1)  # (N, 1 + R, classes)
        captions = [[f"{self.classes[int(p.argmax())]} ({p.max():.0%})" for p in row] for row in seen]
        headings = ["query", *(f"r = {r:g}" for r in wanted)]
        with styled():
            return grid(eight_bit(images), eight_bit(answers), captions, headings, str(self._work.job))

    def _answers(self, images: Tensor, targets: Tensor, relaxations: Sequence[float], start: int) -> Tensor:
        """Those of one chunk, drawn as a run draws them."""
        chunk = slice(start, start + CHUNK)
        torch.manual_seed(self._work.question.seed_for("explain", start))
        device = self._work.workshop.device
        return self._method.explain(images[chunk].to(device), targets[chunk].to(device), relaxations).images.cpu()

    def _checked(self, images: Tensor) -> Tensor:
        if tuple(images.shape[1:]) != self.shape:
            expected = f"(N, {', '.join(map(str, self.shape))})"
            raise UserError(
                f"images of shape {tuple(images.shape)} do not fit {self._work.question.data.name}: give {expected}"
            )
        if not images.is_floating_point() or not ((images >= 0) & (images <= 1)).all():  # NaN fails both
            raise UserError(f"images are neither uint8 / 255 nor any other float in [0, 1]: {images.dtype}")
        return images.float()

    def _targets(self, target: Target, count: int) -> Tensor:
        """(N,) int64."""
        given = target.tolist() if isinstance(target, Tensor) else target
        each = [given] * count if isinstance(given, int | str) else list(given)
        if len(each) != count:
            raise UserError(f"{len(each)} targets for {count} images: give one class, or one for each")
        return torch.tensor([self._class(name) for name in each], dtype=torch.int64)

    def _class(self, name: int | str) -> int:
        if isinstance(name, int) and 0 <= name < len(self.classes):
            return name
        if str(name) not in self.classes:
            raise unknown(f"class of {self._work.question.data.name}", str(name), self.classes)
        return self.classes.index(str(name))
