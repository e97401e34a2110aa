"""What Besserve et al. do with a class-conditional generator (Sec. 4.2): classifiers look at hybrids across classes."""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmark.papers.experiments import FEW, ROWS, Asked, Network, Outcome, Row, estimated
from methods.base import Illustration, Method, Study
from methods.hybrid.biggan import HybridBiggan
from methods.hybrid.biggan_model import INTERVENED, Blocks
from methods.hybrid.model import Pairs, generate
from methods.hybrid.network import ModularNetwork, Place
from methods.hybrid.pictures import collection
from methods.hybrid.studies import Faithfulness, HybridSets, recognised

ONE, TWO, BLOCK = "one convolution", "two convolutions", "block"
"""What is swapped: the second 3 × 3 convolution inside a block, both together, or what leaves the block."""
SWAPPED = {ONE: (1, 1), TWO: (0, 2), BLOCK: (len(INTERVENED) - 1, 1)}
"""The first layer of a block that is swapped, and how many successive ones."""
SHOWN = 3
"""Hybrids that classifiers are asked about one by one, as many as in Table 3."""
SECOND = 3
"""The last class of the second pair that is shown."""


@dataclass(frozen=True)
class Probe:
    """A class-conditional generator with its modules, and the classifiers that look at its hybrids."""

    generator: Blocks
    network: ModularNetwork
    classifiers: Mapping[str, Network]
    """The first one's entropy is told."""
    names: Sequence[str]
    """Of the classes."""
    batch: int = FEW
    """Pairs whose hybrids are made at once."""

    def places(self, swapped: str) -> dict[int, Place]:
        """Block -> where channels are swapped in it."""
        offset, span = SWAPPED[swapped]
        blocks = self.generator.numbers
        return {block: self.network.place(i * len(INTERVENED) + offset + 1, span) for i, block in enumerate(blocks)}

    def hybrids(self, own: Tensor, other: Tensor) -> dict[str, HybridSets]:
        """What is swapped -> hybrids of the pairs at every block."""
        words = "pairs of generated images of two classes"
        return {
            swapped: HybridSets(
                self.places(swapped), self.generator, own, other, depth="block", pairs=words, batch=self.batch
            )
            for swapped in SWAPPED
        }

    def of_classes(self, *classes: int) -> "Probe":
        """The same, of two classes alone."""
        return replace(self, generator=replace(self.generator, classes=classes))

    def classes(self, codes: Tensor) -> Tensor:
        """The classes that codes (B, latent + classes) were made with, (B,)."""
        return codes[:, self.generator.network.latent :].argmax(1)


def across_classes(method: Method, asked: Asked) -> Outcome:
    """Hybrids of any two classes; collections of the first two and of the next two classes (Figs. 13 and 15)."""
    assert isinstance(method, HybridBiggan)  # noqa: S101 - registered so
    probe = Probe(method.blocks, method.network, asked.panel(), asked.names)
    outcomes = [measured(probe), collected(probe.of_classes(0, 1))]
    if len(asked.names) > SECOND:
        outcomes.append(collected(probe.of_classes(SECOND - 1, SECOND), "second-"))
    return merged(outcomes)


def merged(outcomes: Sequence[Outcome]) -> Outcome:
    """All of `outcomes` in one."""
    pictures, numbers = zip(*outcomes, strict=True)
    return Outcome(dict(ChainMap(*reversed(pictures))), dict(ChainMap(*reversed(numbers))))


# -- numbers -----------------------------------------------------------------------------------------------------------


def measured(probe: Probe) -> Outcome:
    """Recognition and distance against depth (Fig. 6), agreement of the classifiers, three verdicts (Table 3)."""
    own, other = probe.generator.unlike(FEW)
    made = probe.hybrids(own, other)
    seen = {
        name: {swapped: [classify(mixed.hybrids).argmax(1) for mixed in sets.mixed] for swapped, sets in made.items()}
        for name, classify in probe.classifiers.items()
    }
    studies = {
        "block-recognition": _recognition(probe, made, seen, own, other),
        "block-distance": _distance(made),
        "block-agreement": _agreement(probe, made[TWO].originals, seen),
    }
    pictures, verdicts = _verdicts(probe, own[:SHOWN], other[:SHOWN])
    return Outcome({"verdicts": pictures}, studies | {"verdicts": verdicts})


Seen = Mapping[str, Mapping[str, Sequence[Tensor]]]
"""Classifier -> what is swapped -> the classes of the hybrids of each module of each block, (M,) each."""


def _recognition(probe: Probe, made: Mapping[str, HybridSets], seen: Seen, own: Tensor, other: Tensor) -> Study:
    first, second = probe.classes(own), probe.classes(other)
    rows: list[Row] = []
    for name, by_place in seen.items():
        for swapped, sets in made.items():
            for block in dict.fromkeys(mixed.at for mixed in sets.mixed):
                found = zip(sets.mixed, by_place[swapped], strict=True)
                classes = torch.stack([each for mixed, each in found if mixed.at == block])  # (modules, M)
                cells = recognised(classes.flatten(), first.repeat(len(classes)), second.repeat(len(classes)))
                row: Row = {"block": block, "swapped": swapped, "classifier": name, "of": f"{name}, {swapped}"}
                rows.append(row | cells | {"n": classes.numel()})
    notes = (
        "recognition rate: share of hybrids, of all modules, seen as the class of original 1, or of original 2, the "
        "larger of both",
        f"{len(own)} {made[TWO].pairs}; block 1 is the coarsest",
    )
    title = "recognition of hybrids across classes by several classifiers"
    axes = ("block", "recognition rate", "of")
    return Study(title=title, rows=rows, notes=notes, axes=axes, spread="standard error")


def _distance(made: Mapping[str, HybridSets]) -> Study:
    rows: list[Row] = [
        {"swapped": swapped, **row, "of": f"module {row['module']}, {swapped}"}
        for swapped, sets in made.items()
        for row in sets.distance().rows
    ]
    found = made[TWO].distance()
    title = "distance of hybrids across classes to original 1"
    return found.model_copy(update={"title": title, "rows": rows, "axes": ("block", "pixel distance", "of")})


def _agreement(probe: Probe, originals: Tensor, seen: Seen) -> Study:
    generated = torch.stack([classify(originals).argmax(1) for classify in probe.classifiers.values()])
    sets = {"generated": generated} | {
        f"hybrid, {swapped}": torch.stack([torch.cat([*of[swapped]]) for of in seen.values()]) for swapped in SWAPPED
    }
    rows = [
        {"pictures": name, **estimated("all agree", (classes == classes[0]).all(0))} for name, classes in sets.items()
    ]
    note = f"classifiers: {', '.join(probe.classifiers)}; of all blocks and modules"
    return Study(title="do differently built classifiers agree on hybrids across classes?", rows=rows, notes=(note,))


def _verdicts(probe: Probe, own: Tensor, other: Tensor) -> tuple[Illustration, Study]:
    """Three hybrids with their originals, and the class that each classifier sees in them."""
    places = probe.places(TWO)
    block = list(places)[len(places) // 2]
    place = places[block]
    pairs = Pairs.of(probe.generator, place.layers, own, other)
    hybrids = pairs.hybrids(place.swapped(place.singles[0]))
    seen = {name: classify(hybrids).argmax(1).tolist() for name, classify in probe.classifiers.items()}
    codes = zip(probe.classes(own).tolist(), probe.classes(other).tolist(), strict=True)
    of = [f"{probe.names[one]} + {probe.names[two]}" for one, two in codes]
    rows: list[Row] = [
        {"hybrid": f"{i + 1}: {of[i]}"} | {name: probe.names[classes[i]] for name, classes in seen.items()}
        for i in range(len(own))
    ]
    where = f"module 1, {TWO} of block {block}"
    captions = [
        ["", "", "\n".join(f"{name}: {{{classes[i]}}}" for name, classes in seen.items())] for i in range(len(own))
    ]
    images = torch.stack([pairs.originals(), generate(probe.generator, other), hybrids], dim=1)
    title = f"what several classifiers see in three hybrids ({where})"
    shown = Illustration(title, images, captions, ("original 1", "original 2", "hybrid"))
    return shown, Study(title=title, rows=rows)


# -- pictures ----------------------------------------------------------------------------------------------------------


def collected(probe: Probe, name: str = "") -> Outcome:
    """Hybrids between two classes at every block (Figs. 13, 15), and the entropy of a classifier (Figs. 14, 16)."""
    own, other = probe.generator.unlike(FEW)
    who, classify = next(iter(probe.classifiers.items()))
    first, second = (probe.names[c] for c in probe.generator.classes or ())
    pictures = {}
    for swapped, file in ((TWO, "collection"), (BLOCK, "block-collection")):
        places = {f"block {block}": place for block, place in probe.places(swapped).items()}
        title = f"hybrids of {first} and {second}, {swapped}; below each what {who} sees"
        pictures[f"{name}{file}"] = collection(title, places, probe.generator, classify, own[:ROWS], other[:ROWS])
    entropy = Faithfulness(probe.hybrids(own, other)[TWO], classify).entropy()
    title = f"entropy of {who} on hybrids of {first} and {second}, {TWO}"
    return Outcome(pictures, {f"{name}pair-entropy": entropy.model_copy(update={"title": title})})
