"""What is fitted: a generator's model, the modules of its layers, and the donors."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from methods.base import Classifier, ImageSet
from methods.hybrid.influence import elementary_influence
from methods.hybrid.model import ModularGenerator
from methods.hybrid.modules import Array, Clusters, binarise, cluster, smooth


class Place(nn.Module):
    """One layer, or several successive ones, and the modules into which their channels were grouped together."""

    labels: Tensor
    """The module of each channel, layer after layer, (channels,); −1: of none."""
    templates: Tensor
    """The pattern of each module, (K, H, W)."""

    def __init__(self, layers: Sequence[str], channels: Sequence[int], clusters: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.layers, self.channels = tuple(layers), tuple(channels)
        self.register_buffer("labels", torch.zeros(sum(channels), dtype=torch.long))
        self.register_buffer("templates", torch.zeros(clusters, *size))

    @property
    def modules_by_layer(self) -> tuple[Tensor, ...]:
        """The labels of each layer, (channels,) each."""
        return self.labels.split(self.channels)

    @property
    def name(self) -> str:
        """The layers' names."""
        return " + ".join(self.layers)

    @property
    def singles(self) -> Tensor:
        """The sets of one module each, (K, K) bool."""
        return torch.eye(len(self.templates), dtype=torch.bool, device=self.labels.device)

    def group(self, found: Clusters) -> None:
        """Take up the modules that were found."""
        self.labels.copy_(torch.from_numpy(found.labels))
        self.templates.copy_(torch.from_numpy(found.templates).view_as(self.templates))

    def swapped(self, sets: Tensor) -> list[Tensor]:
        """The channels of each layer in sets of modules (..., K) bool: (..., channels) bool each."""
        return [(labels >= 0) & sets[..., labels.clamp(min=0)] for labels in self.modules_by_layer]

    def is_empty(self, sets: Tensor) -> Tensor:
        """Whether a set of modules (..., K) has no channel at all, so that a hybrid is its first original."""
        return torch.stack([~mask.any(-1) for mask in self.swapped(sets)]).all(0)

    def is_whole(self, sets: Tensor) -> Tensor:
        """Whether a set of modules (..., K) has all channels of a layer, so that a hybrid is the second original.

        Channels without influence do not count.
        """
        layers = zip(self.swapped(sets), self.modules_by_layer, strict=True)
        return torch.stack([(mask | (labels < 0)).all(-1) for mask, labels in layers]).any(0)

    def remark(self, modules: Tensor) -> str:
        """Why a set of modules (K,) makes no hybrid; empty if it makes one."""
        if self.is_empty(modules):
            return "empty"
        return "all channels of a layer" if self.is_whole(modules) else ""

    def sets(self) -> Tensor:
        """All sets of modules that make a hybrid and differ in their channels, (S, K) bool; S may be 0."""
        count = len(self.templates)
        every = torch.tensor(list(product((False, True), repeat=count)), device=self.labels.device)
        used = torch.stack([(self.labels == k).any() for k in range(count)])
        return every[~self.is_empty(every) & ~self.is_whole(every) & ~(every & ~used).any(1)]


class ModularNetwork(nn.Module):
    """A generator's model, influence maps and modules of its layers, and donors from the training set."""

    maps: Tensor
    """Elementary influence maps, layer after layer, (channels, h, w): of the images' size, or averaged to a smaller."""
    donor_latents: Tensor
    """(M, latent): z_2 of training images."""
    donor_probabilities: Tensor
    """(M, classes): what the classifier sees in the images generated of them; −1 where a row is not used."""
    donor_images: Tensor
    """(M,): which training images they are."""

    def __init__(
        self,
        model: nn.Module,
        layers: Mapping[str, int],
        *,
        clusters: int,
        size: tuple[int, int],
        latent: int,
        donors: int,
        class_count: int,
    ) -> None:
        super().__init__()
        self.model = model
        self.layers = dict(layers)
        names, channels = list(self.layers), list(self.layers.values())
        spans = [slice(i, i + span) for span in (1, 2) for i in range(len(names) - span + 1)]
        self.places = nn.ModuleList([Place(names[span], channels[span], clusters, size) for span in spans])
        self.register_buffer("maps", torch.zeros(sum(channels), *size))
        self.register_buffer("donor_latents", torch.zeros(donors, latent))
        self.register_buffer("donor_probabilities", torch.full((donors, class_count), -1.0))
        self.register_buffer("donor_images", torch.full((donors,), -1))

    @property
    def every_place(self) -> list[Place]:
        """Each layer, then each two successive ones."""
        return [place for place in self.places if isinstance(place, Place)]

    @property
    def single_places(self) -> list[Place]:
        """Each layer, from the coarsest to the finest."""
        return self.every_place[: len(self.layers)]

    def place(self, layer: int, span: int = 1) -> Place:
        """The `span` successive layers from the `layer`-th (1: the coarsest) on, and their modules."""
        return self.every_place[(span - 1) * len(self.layers) + layer - 1]

    def maps_of(self, place: Place) -> Tensor:
        """The elementary influence maps of the channels of `place`, (channels, H, W)."""
        by_layer = dict(zip(self.layers, self.maps.split(list(self.layers.values())), strict=True))
        return torch.cat([by_layer[layer] for layer in place.layers])

    def patterns(self, place: Place, window: int, percentile: float) -> Array:
        """S of the channels of `place`, (channels, pixels): their maps, smoothed and binarised."""
        return binarise(smooth(self.maps_of(place).cpu().numpy(), window), percentile)

    def discover(self, generator: ModularGenerator, pairs: int, window: int, percentile: float) -> None:
        """Map the influence of every channel on so many random `pairs`, and group the channels of every place."""
        own, other = generator.noise(pairs), generator.noise(pairs)
        shrink = partial(F.adaptive_avg_pool2d, output_size=(self.maps.shape[1], self.maps.shape[2]))
        self.maps.copy_(
            torch.cat([shrink(elementary_influence(generator, layer, own, other)) for layer in self.layers])
        )
        for place in self.every_place:
            place.group(cluster(self.patterns(place, window, percentile), len(place.templates)))

    @torch.no_grad()
    def fill(
        self,
        data: ImageSet,
        encode: Callable[[Tensor], Tensor],
        generate: Callable[[Tensor], Tensor],
        classifier: Classifier,
    ) -> None:
        """Take donors from the training images, evenly spread over the training set."""
        count = min(len(self.donor_images), len(data))
        self.donor_images[:count] = torch.linspace(0, len(data) - 1, count).long()
        for rows in torch.arange(count).split(256):
            latents = encode(data.batch(self.donor_images[rows].cpu()).to(self.maps.device))
            self.donor_latents[rows] = latents
            self.donor_probabilities[rows] = classifier(generate(latents)).softmax(1)

    def nearest_donors(self, latents: Tensor, target: Tensor, count: int, confidence: float) -> Tensor:
        """For each of `latents` (N, latent) the nearest donors that generate the class `target` (N,): rows (N, D).

        Where there are too few that do so with the `confidence`, those that come nearest to it follow.
        """
        used = int((self.donor_images >= 0).sum())
        wanted = self.donor_probabilities[:used, target].T  # (N, M)
        good = (wanted >= confidence) & (self.donor_probabilities[:used].argmax(1) == target[:, None])
        apart = torch.cdist(latents, self.donor_latents[:used], compute_mode="donot_use_mm_for_euclid_dist")
        later = apart.amax(1, keepdim=True) + 1
        return torch.where(good, apart, later + 1 - wanted).topk(min(count, used), largest=False).indices

    def unlike_pairs(self, count: int) -> tuple[Tensor, Tensor]:
        """z_1 and z_2 of random donors, of two classes where there are two: (count, latent) each."""
        used = int((self.donor_images >= 0).sum())
        classes = self.donor_probabilities[:used].argmax(1)
        rows = torch.randint(used, (count,), device=classes.device)
        unlike = (classes[rows][:, None] != classes).float()
        unlike[~unlike.any(1)] = 1.0
        return self.donor_latents[rows], self.donor_latents[unlike.multinomial(1)[:, 0]]

    def many_and_one(self, count: int) -> tuple[Tensor, Tensor]:
        """z_1 of the first donors, `count` at most, and z_2 of the first one of all, (1, latent).

        They are of other classes than that one, where there are such.
        """
        used = int((self.donor_images >= 0).sum())
        classes = self.donor_probabilities[:used].argmax(1)
        unlike = (classes != classes[0]).nonzero()[:, 0]
        rows = unlike if len(unlike) else torch.arange(used, device=classes.device)
        return self.donor_latents[rows[:count]], self.donor_latents[:1]
