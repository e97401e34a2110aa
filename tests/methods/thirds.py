"""A toy task that methods can learn in a second: in which third of a picture it is brightest."""

from types import MappingProxyType

import torch
from torch import nn

CLASSES = 3


class Places(nn.Module):
    """The classifier: sees in which third of a picture it is brightest; φ is a logit for each."""

    class_count = CLASSES
    feature_counts = MappingProxyType({"fully connected": CLASSES})

    def __init__(self, sharpness=10.0):
        super().__init__()
        self.sharpness = sharpness

    def forward(self, images):
        return self.head(self.features(images))

    def features(self, images, layer="fully connected"):  # noqa: ARG002 - a classifier's signature
        return self.sharpness * thirds(images).mean(2)

    def head(self, features, layer="fully connected"):  # noqa: ARG002 - the same
        return features


class Pictures:
    """The training images: noise with one bright third."""

    def __init__(self, count, shape):
        self.shape = shape
        self.images = 0.3 * torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
        parts = thirds(self.images)
        for row in range(count):
            parts[row, row % CLASSES] += 0.6

    def __len__(self):
        return len(self.images)

    def batch(self, indices):
        return self.images[indices]


def thirds(images):
    """Views of the thirds of grey images (B, 1, H, W), without a rest of one or two pixels: (B, 3, H·W // 3)."""
    pixels = images.flatten(1)
    return pixels[:, : pixels.shape[1] // CLASSES * CLASSES].unflatten(1, (CLASSES, -1))
