"""Exact counterfactuals of a task's queries, for data that have them; only the reference `truth` receives them."""

import numpy as np
import torch
from torch import Tensor

from benchmark.data import Subset
from methods.pictures import eight_bit, unit


class ExactAnswers:
    """Recognises pictures of the data by their bytes, and returns their exact counterfactuals."""

    def __init__(self, known: Subset) -> None:
        self.data = known.data
        self.places = {known.data.images[index].tobytes(): int(index) for index in known.indices}

    def __call__(self, images: Tensor, target: Tensor) -> Tensor:
        """The exact counterfactuals of `images` (N, C, H, W) for `target` (N,), in [0, 1].

        It also recognises its own answers, so that an edit can be undone.

        Raises
        ------
        ValueError
            For an unknown picture.
        """
        if not len(images):
            return images
        pictures = eight_bit(images).cpu().numpy()
        try:
            rows = np.array([self.places[picture.tobytes()] for picture in pictures])
        except KeyError as error:
            raise ValueError("exact counterfactuals exist only for the task's own queries and their answers") from error
        answers = self.data.counterfactuals(rows, target.cpu().numpy())
        assert answers is not None  # noqa: S101 - `knows_truth` looked
        self.places |= {answer.tobytes(): int(row) for answer, row in zip(answers, rows, strict=True)}
        return unit(torch.from_numpy(answers)).to(images)
