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


def templates(network: ModularNetwork) -> Illustration:
    """The template of each module of each layer, and the maps of its most influential channels (Figs. 4, 8)."""
    rows, captions = [], []
    for layer, place in enumerate(network.single_places, start=1):
        maps = network.maps_of(place)
        for k, template in enumerate(place.templates):
            mine = (place.labels == k).nonzero()[:, 0]
            shown = mine[maps[mine].mean((1, 2)).argsort(descending=True)][:EXAMPLES]
            blank = maps.new_ones(EXAMPLES - len(shown), *maps.shape[1:])
            rows.append(torch.cat([_brightest(template[None]), _brightest(maps[shown]), blank]))
            texts = [f"channel {channel + 1}" for channel in shown.tolist()]
            captions.append([f"layer {layer}, module {k + 1}:\n{len(mine)} channels", *texts, *[""] * len(blank)])
    headings = ["template", *[f"map {i}" for i in range(1, EXAMPLES + 1)]]
    title = "modules, and the influence maps of their most influential channels"
    return Illustration(title, torch.stack(rows)[:, :, None], captions, headings)


def _brightest(maps: Tensor) -> Tensor:
    """Each of `maps` (B, H, W) brought to a greatest value of one."""
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12)


def hybrids(network: ModularNetwork, generator: ModularGenerator, classifier: Classifier) -> Illustration:
    """Rows of original 1, original 2 and the hybrid of each module of each layer (Figs. 4, 8 and 10 to 12)."""
    own, other = network.unlike_pairs(ROWS)
    places = {f"layer {layer}": place for layer, place in enumerate(network.single_places, start=1)}
    title = "hybrids of two training images; below each what the classifier sees"
    return collection(title, places, generator, classifier, own, other)


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


def _seen(columns: Sequence[Tensor], classifier: Callable[[Tensor], Tensor]) -> list[list[str]]:
    """The class that is seen in each picture, a row a pair."""
    classes = torch.stack([classifier(images).argmax(1) for images in columns], dim=1)
    return [[f"{{{c}}}" for c in row] for row in classes.tolist()]
