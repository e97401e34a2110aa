"""Training images, kept to be looked up by the class that the classifier gives them."""

from functools import partial

import torch
from torch import Tensor, nn

from methods.base import Classifier, ImageSet, in_batches
from methods.pictures import eight_bit, unit


class Bank(nn.Module):
    """Training images and the classes that the classifier gives them; −1 for an unused row."""

    images: Tensor
    classes: Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape, dtype=torch.uint8))
        self.register_buffer("classes", torch.full((size,), -1))

    def fill(self, data: ImageSet, classifier: Classifier, device: torch.device) -> None:
        """Keep training images, evenly spread over the training set, as many as there is room for."""
        used = torch.linspace(0, len(data) - 1, min(len(self.classes), len(data))).long()
        classes = in_batches(lambda images: classifier(images).argmax(1), data, device)
        self.classes[: len(used)] = classes[used]
        for rows in torch.arange(len(used)).split(256):
            self.images[rows] = eight_bit(data.batch(used[rows]))

    def nearest(self, images: Tensor, target: Tensor, count: int = 1) -> Tensor:
        """The rows of the images of the class `target` (B,) that are nearest to `images` (B, C, H, W): (B, count).

        By the Euclidean distance of pixels, the nearest first; −1 where there are no more.
        """
        rows = target.new_full((len(target), count), -1)
        # By differences, not products: exact, and independent of the batch.
        measure = partial(torch.cdist, compute_mode="donot_use_mm_for_euclid_dist")
        for wanted in target.unique():
            asking, held = target == wanted, (self.classes == wanted).nonzero()[:, 0]
            if len(held):
                parts = (unit(self.images[part]).flatten(1).to(images) for part in held.split(256))
                distances = torch.cat([measure(images[asking].flatten(1), part) for part in parts], dim=1)
                order = distances.argsort(dim=1, stable=True)[:, :count]
                rows[asking, : order.shape[1]] = held[order]
        return rows

    def pictures(self, rows: Tensor) -> Tensor:
        """The images at `rows` (...), (..., C, H, W) in [0, 1]."""
        return unit(self.images[rows])
