"""Sec. 4.2 at the paper's size: a pretrained BigGAN-deep and classifiers of ImageNet, all from a folder of the user's.

The folder holds `config.json` and `pytorch_model.bin`, as `pytorch-pretrained-biggan` keeps them, and `classifiers/`,
in which each `NAME.pth` is the state of torchvision's network of that name.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn
from torchvision import models
from torchvision.models import get_model, get_model_weights, list_models

from benchmark.errors import UserError
from benchmark.jobs.estimate import Forecast, Part
from benchmark.papers.experiments import FEW, ROWS, Outcome, merged
from benchmark.papers.hybrid_biggan import SWAPPED, Probe, collected, measured
from benchmark.records.record import peak_memory
from benchmark.records.store import file_digest
from methods.hybrid.biggan_deep import CONFIG, WEIGHTS, load
from methods.hybrid.biggan_model import Blocks
from methods.hybrid.model import generate
from methods.hybrid.network import ModularNetwork

CLASSIFIERS = "classifiers"
ADVICE = "resnet50, inception_v3, efficientnet_b0 and convnext_tiny"
"""Of torchvision, where the paper has ResNet-v2-50, Inception-v3, NASNet-large and Inception-ResNet-v2."""
PAIRS = {"koala-teddy": (105, 850), "ostrich-cock": (9, 7)}
"""The paper's pairs of classes, as ImageNet counts them."""
BLOCKS = (4, 5, 6, 7)
"""That are intervened on (Figs. 13 to 16)."""
TRUNCATION = 0.4
"""Of z (ours)."""
INFLUENCE_PAIRS = 16
"""That an influence map is averaged over (ours)."""
CLUSTERS = 3
"""K (Fig. 13)."""
SIZE = 64
"""Pixels that influence maps are high and wide, at most (ours)."""
WINDOW = 3
"""Pixels of their moving average (ours)."""
PERCENTILE = 75
"""Of a map, above which it is 1 in S (Sec. 3.4)."""
BATCH = 8
"""Pictures that are made or looked at at once (ours)."""
TIMED = 2
"""Pictures that a forecast is measured on."""


class ImageNetClassifier(nn.Module):
    """A network of torchvision's, which looks at pictures in [0, 1] of any size."""

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, network: nn.Module) -> None:
        super().__init__()
        weights = get_model_weights(name)
        seen = next(iter(weights)).transforms()
        self.network, self.size = network, seen.crop_size[0]
        self.register_buffer("mean", torch.tensor(seen.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(seen.std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, 3, H, W)."""
        return torch.cat([self.network(self._prepared(part)) for part in images.split(BATCH)])

    def _prepared(self, images: Tensor) -> Tensor:
        sized = F.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=True)
        return (sized - self.mean) / self.std


@dataclass(frozen=True)
class ImageNetHybrids:
    """What the folder holds, on the device."""

    generator: Blocks
    classifiers: Mapping[str, nn.Module]
    names: list[str]
    """Of the classes."""
    digests: Mapping[str, str]
    """File -> digest of what results depend on."""

    @classmethod
    def of(cls, folder: Path, device: torch.device) -> "ImageNetHybrids":
        """Read `folder`.

        Raises
        ------
        UserError
            If something is missing or broken.
        """
        try:
            network = load(folder, TRUNCATION).to(device)
        except ValueError as error:
            raise UserError(str(error)) from error
        files = sorted((folder / CLASSIFIERS).glob("*.pth"))
        if len(files) < 2:
            raise UserError(
                f"{folder / CLASSIFIERS} holds {len(files)} file(s) NAME.pth of torchvision's classifiers; "
                f"put two or more there, as of {ADVICE}"
            )
        classifiers = {file.stem: _classifier(file).to(device) for file in files}
        names = get_model_weights("resnet50").DEFAULT.meta["categories"]
        if network.classes != len(names) or len(network.blocks) < BLOCKS[-1]:
            raise UserError(f"{folder / CONFIG} is not of a BigGAN-deep of ImageNet's {len(names)} classes")
        digests = {file.name: file_digest(file) for file in (folder / CONFIG, folder / WEIGHTS, *files)}
        return cls(Blocks(network, BLOCKS, truncation=TRUNCATION), classifiers, names, digests)

    @property
    def pairs(self) -> list[str]:
        """The paper's pairs of classes."""
        return list(PAIRS)

    @property
    def settings(self) -> dict[str, object]:
        """What results depend on beside the folder."""
        return {
            "blocks": list(BLOCKS),
            "truncation": TRUNCATION,
            "pairs": INFLUENCE_PAIRS,
            "clusters": CLUSTERS,
            "maps": SIZE,
            "window": WINDOW,
            "percentile": PERCENTILE,
            "hybrids": FEW,
        }

    @torch.no_grad()
    def outcome(self, pair: str) -> Outcome:
        """Hybrids between the classes of a pair: all that Sec. 4.2 shows of them."""
        torch.manual_seed(0)
        generator = replace(self.generator, classes=PAIRS[pair])
        network = self._modular(generator)
        network.discover(generator, INFLUENCE_PAIRS, WINDOW, PERCENTILE)
        probe = Probe(generator, network, self.classifiers, self.names, BATCH)
        return merged([measured(probe), collected(probe)])

    def _modular(self, generator: Blocks) -> ModularNetwork:
        side = min(SIZE, generator.network.block(-1).shape.size[0])
        network = ModularNetwork(
            generator.network,
            generator.layers,
            clusters=CLUSTERS,
            size=(side, side),
            latent=generator.latent,
            donors=1,
            class_count=1,
        )
        return network.to(next(generator.network.parameters()).device).eval()

    @torch.no_grad()
    def forecast(self) -> Forecast:
        """What all pairs need, from two pictures run on from each layer and shown to each classifier."""
        codes = self.generator.noise(TIMED)
        maps = sum(
            self.generator.layers[layer] * INFLUENCE_PAIRS * seconds for layer, seconds in self._downstream(codes)
        )
        images = generate(self.generator, codes)
        made = _seconds(partial(generate, self.generator, codes))
        looks = sum(_seconds(partial(classify, images)) for classify in self.classifiers.values())
        hybrids = FEW * CLUSTERS * len(BLOCKS) * (len(SWAPPED) + 1)
        disk = images[0].numel() * ROWS * (2 + CLUSTERS * len(BLOCKS)) * 2
        parts = [
            part
            for pair in PAIRS
            for part in (
                Part(f"influence maps, {pair}", maps, 0),
                Part(f"hybrids and what classifiers see, {pair}", hybrids * (made + looks), disk),
            )
        ]
        gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
        return Forecast(tuple(parts), peak_memory(), gpu)

    def _downstream(self, codes: Tensor) -> Iterator[tuple[str, float]]:
        """Each layer with the seconds that a picture takes from it on."""
        for layer in self.generator.layers:
            features = self.generator.upstream(codes, layer)
            yield layer, _seconds(partial(self.generator.downstream, features, layer, codes))


def _classifier(file: Path) -> ImageNetClassifier:
    if file.stem not in list_models(module=models):
        raise UserError(f"{file} is named after no classifier of torchvision; name it as one, such as resnet50.pth")
    network = get_model(file.stem, weights=None)
    try:
        network.load_state_dict(torch.load(file, weights_only=True, map_location="cpu"))
    except Exception as error:  # torch's reader stumbles over damage in as many ways as there are bytes
        raise UserError(f"{file} does not hold the weights of torchvision's {file.stem}") from error
    if hasattr(network, "transform_input"):
        network.transform_input = True  # as torchvision does for networks that it gives weights
    return ImageNetClassifier(file.stem, network).eval().requires_grad_(False)


def _seconds(work: Callable[[], Tensor]) -> float:
    """Seconds that `work` on the timed pictures takes for one, after a first time that warms up."""
    work()
    started = time.perf_counter()
    work().sum().item()  # waits until a GPU is done
    return (time.perf_counter() - started) / TIMED
