"""Figures of templates with their influence maps, and of hybrids beside their originals."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from methods.base import Classifier, Illustration
from methods.hybrid.model import ModularGenerator, Pairs, generate
from methods.hybrid.network import ModularNetwork, Place

EXAMPLES = 5
"""Elementary influence maps beside a template."""
ROWS = 6
"""Pairs of originals."""
MANY = 8
"""Units that have modules of one donor."""


def templates(network: ModularNetwork, places: Mapping[str, Place]) -> Illustration:
    """The template of each module of `places`, and the maps of its most influential channels (Figs. 4, 8)."""
    rows, captions = [], []
    for name, place in places.items():
        maps = network.maps_of(place)
        for k, template in enumerate(place.templates):
            mine = (place.labels == k).nonzero()[:, 0]
            shown = mine[maps[mine].mean((1, 2)).argsort(descending=True)][:EXAMPLES]
            blank = maps.new_ones(EXAMPLES - len(shown), *maps.shape[1:])
            rows.append(torch.cat([_brightest(template[None]), _brightest(maps[shown]), blank]))
            texts = [f"channel {channel + 1}" for channel in shown.tolist()]
            captions.append([f"{name}, module {k + 1}:\n{len(mine)} channels", *texts, *[""] * len(blank)])
    headings = ["template", *[f"map {i}" for i in range(1, EXAMPLES + 1)]]
    title = "modules, and the influence maps of their most influential channels"
    return Illustration(title, torch.stack(rows)[:, :, None], captions, headings)


def _brightest(maps: Tensor) -> Tensor:
    """Each of `maps` (B, H, W) brought to a greatest value of one."""
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12)


def hybrids(
    network: ModularNetwork, places: Mapping[str, Place], generator: ModularGenerator, classifier: Classifier
) -> Illustration:
    """Rows of original 1, original 2 and the hybrid of each module of `places` (Figs. 4, 8, 10 and 11)."""
    own, other = network.unlike_pairs(ROWS)
    title = "hybrids of two training images; below each what the classifier sees"
    return collection(title, places, generator, classifier, own, other)


def of_one_donor(
    network: ModularNetwork, place: Place, generator: ModularGenerator, classifier: Classifier
) -> Illustration:
    """One original 2 and many originals 1, and below these their hybrids by each module of `place` (Fig. 12)."""
    own, other = network.many_and_one(MANY)
    pairs = Pairs.of(generator, place.layers, own, other.expand_as(own))
    rows = [pairs.originals(), *(pairs.hybrids(place.swapped(single)) for single in place.singles)]
    donor = generate(generator, other)
    corner = [donor, *[torch.ones_like(donor)] * len(place.singles)]
    captions = _seen(rows, classifier, dim=0)
    beside = [*_seen([donor], classifier)[0], *(f"module {k + 1}" for k in range(len(place.singles)))]
    return Illustration(
        f"modules of one training image in others, {place.name}; below each what the classifier sees",
        torch.stack([torch.cat([first, row]) for first, row in zip(corner, rows, strict=True)]),
        [[first, *row] for first, row in zip(beside, captions, strict=True)],
        ["original 2", *["original 1"] * len(own)],
    )


def collection(
    title: str,
    places: Mapping[str, Place],
    generator: ModularGenerator,
    classifier: Callable[[Tensor], Tensor],
    own: Tensor,
    other: Tensor,
) -> Illustration:
    """Rows of original 1, original 2 and the hybrid of each module of `places`, of codes `own` and `other` (K, ...)."""
    columns, headings = [generate(generator, latents) for latents in (own, other)], ["original 1", "original 2"]
    for name, place in places.items():
        pairs = Pairs.of(generator, place.layers, own, other)
        for k, single in enumerate(place.singles):
            columns.append(pairs.hybrids(place.swapped(single)))
            headings.append(f"{name}\nmodule {k + 1}")
    return Illustration(title, torch.stack(columns, dim=1), _seen(columns, classifier), headings)


def _seen(images: Sequence[Tensor], classifier: Callable[[Tensor], Tensor], dim: int = 1) -> list[list[str]]:
    """The class that is seen in each picture: `images` are columns, or rows if `dim` is 0."""
    classes = torch.stack([classifier(each).argmax(1) for each in images], dim)
    return [[f"{{{c}}}" for c in row] for row in classes.tolist()]
