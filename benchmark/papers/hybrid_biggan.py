"""What Besserve et al. do with a class-conditional generator (Sec. 4.2): classifiers look at hybrids across classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from benchmark.papers import Claim
from benchmark.papers.experiments import FEW, ROWS, Asked, Network, Outcome, Row, estimated, merged
from benchmark.papers.measures import Measure, at_end, study
from benchmark.papers.verdicts import more
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
LAST = 3
"""The last class of the second pair that is shown."""
RECOGNITION, DISTANCE, AGREEMENT, VERDICTS = "block-recognition", "block-distance", "block-agreement", "verdicts"
"""The studies."""


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

    def hybrids(self, swapped: str, own: Tensor, other: Tensor) -> HybridSets:
        """Hybrids of the pairs at every block."""
        words = "pairs of generated images of two classes"
        places = self.places(swapped)
        return HybridSets(places, self.generator, own, other, depth="block", pairs=words, batch=self.batch)

    def of_classes(self, *classes: int) -> "Probe":
        """The same, of two classes alone."""
        return replace(self, generator=replace(self.generator, classes=classes))

    def classes(self, codes: Tensor) -> Tensor:
        """The classes that codes (B, latent + classes) were made with, (B,)."""
        return codes[:, self.generator.network.latent :].argmax(1)


def across_classes(method: Method, asked: Asked) -> Outcome:
    """Hybrids of any two classes; collections of the first two and of the next two classes (Figs. 13 and 15).

    Where there are not so many classes, the second collection is of other pictures of the first two.
    """
    assert isinstance(method, HybridBiggan)  # noqa: S101 - registered so
    probe = Probe(method.blocks, method.network, asked.panel(), asked.names)
    pairs = [(0, 1), (2, 3) if len(asked.names) > LAST else (0, 1)]
    first, second = (probe.of_classes(*pair) for pair in pairs)
    return merged([measured(probe), collected(first), collected(second, "second-")])


# -- numbers -----------------------------------------------------------------------------------------------------------


def measured(probe: Probe) -> Outcome:
    """Recognition and distance against depth (Fig. 6), agreement of the classifiers, three verdicts (Table 3)."""
    own, other = probe.generator.unlike(FEW)
    made = {swapped: probe.hybrids(swapped, own, other) for swapped in SWAPPED}
    seen = {
        name: {swapped: [classify(mixed.hybrids).argmax(1) for mixed in sets.mixed] for swapped, sets in made.items()}
        for name, classify in probe.classifiers.items()
    }
    studies = {
        RECOGNITION: _recognition(probe, made, seen, own, other),
        DISTANCE: _distance(made),
        AGREEMENT: _agreement(probe, made[TWO].originals, seen),
    }
    pictures, verdicts = _verdicts(probe, own[:SHOWN], other[:SHOWN])
    return Outcome({VERDICTS: pictures}, studies | {VERDICTS: verdicts})


Seen = Mapping[str, Mapping[str, Sequence[Tensor]]]
"""Classifier -> what is swapped -> the classes of the hybrids of each module of each block, (M,) each."""


def _recognition(probe: Probe, made: Mapping[str, HybridSets], seen: Seen, own: Tensor, other: Tensor) -> Study:
    first, second = probe.classes(own), probe.classes(other)
    rows: list[Row] = []
    for name, by_place in seen.items():
        for swapped in (TWO, BLOCK):
            for block, classes in _by_block(made[swapped], by_place[swapped]).items():
                row: Row = {"block": block, "swapped": swapped, "classifier": name, "of": f"{name}, {swapped}"}
                rows.append(row | recognised(classes, first, second) | {"n": len(own)})
    note = "recognition rate: share of hybrids seen as the class of original 1, or of original 2, the larger of both"
    title = "recognition of hybrids across classes by several classifiers"
    return _against_depth(title, rows, ("block", "recognition rate", "of"), note, made)


def _distance(made: Mapping[str, HybridSets]) -> Study:
    """How far hybrids are from their first original."""
    rows: list[Row] = []
    for swapped, sets in made.items():
        for block, values in _by_block(sets, [sets.apart(mixed) for mixed in sets.mixed]).items():
            apart = values.mean(0)
            cells = {"pixel distance": float(apart.mean()), "standard error": float(apart.std()) / len(apart) ** 0.5}
            rows.append({"block": block, "swapped": swapped, **cells, "n": len(apart)})
    note = "pixel distance: mean absolute difference to original 1, of the intensity range"
    title = "distance of hybrids across classes to original 1"
    return _against_depth(title, rows, ("block", "pixel distance", "swapped"), note, made)


def _by_block(sets: HybridSets, values: Sequence[Tensor]) -> dict[int, Tensor]:
    """Block -> the values (M,) of each of its modules, (modules, M)."""
    found: dict[int, list[Tensor]] = {}
    for mixed, each in zip(sets.mixed, values, strict=True):
        found.setdefault(mixed.at, []).append(each)
    return {block: torch.stack(each) for block, each in found.items()}


def _against_depth(
    title: str, rows: list[Row], axes: tuple[str, str, str], note: str, made: Mapping[str, HybridSets]
) -> Study:
    sets = made[TWO]
    notes = (note, f"mean of all modules, over {sets.count} {sets.pairs}", "block 1 is the coarsest")
    return Study(title=title, rows=rows, notes=notes, axes=axes, spread="standard error")


def _agreement(probe: Probe, originals: Tensor, seen: Seen) -> Study:
    """The share of pictures that all classifiers give the same class; of hybrids first of each pair, then of all."""
    generated = _agree([classify(originals).argmax(1) for classify in probe.classifiers.values()])
    rows = [{"pictures": "generated", **estimated("all agree", generated)}]
    for swapped in SWAPPED:
        every = zip(*(by_place[swapped] for by_place in seen.values()), strict=True)  # a tuple a module of a block
        of_pairs = torch.stack([_agree(classes) for classes in every]).double().mean(0)
        rows.append({"pictures": f"hybrid, {swapped}", **estimated("all agree", of_pairs)})
    notes = (f"classifiers: {', '.join(probe.classifiers)}", "of hybrids: mean of all blocks and modules; n: pairs")
    return Study(title="do differently built classifiers agree on hybrids across classes?", rows=rows, notes=notes)


def _agree(classes: Sequence[Tensor]) -> Tensor:
    """Whether all classifiers see the same, (M,) bool, in what each gives as `classes` (M,)."""
    return (torch.stack([*classes]) == classes[0]).all(0)


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
        title = f"hybrids of {first} and {second}, {swapped}; below each the class seen by {who}"
        pictures[f"{name}{file}"] = collection(title, places, probe.generator, classify, own[:ROWS], other[:ROWS])
    entropy = Faithfulness(probe.hybrids(TWO, own, other), classify).entropy()
    title = f"entropy of {who} on hybrids of {first} and {second}, {TWO}"
    rows = [row | {"n": len(own)} for row in entropy.rows]
    return Outcome(pictures, {f"{name}pair-entropy": entropy.model_copy(update={"title": title, "rows": rows})})


# -- claims ------------------------------------------------------------------------------------------------------------

_at = partial(at_end, depth="block", method="hybrid-biggan")
_recognised = partial(
    _at,
    name=RECOGNITION,
    column="recognition rate",
    where={"swapped": TWO, "classifier": "classifier"},
    error="standard error",
)
_apart = partial(_at, name=DISTANCE, column="pixel distance", where={"swapped": TWO}, error="standard error")
_uncertain = partial(_at, name="pair-entropy", column="entropy", spread="std")


def _change(swapped: str) -> Measure:
    """How far hybrids of all blocks are from their first original."""
    return study(
        "hybrid-biggan",
        DISTANCE,
        "pixel distance",
        {"swapped": swapped},
        words=f"pixel distance, {swapped},",
        error="standard error",
    )


def _agreed(pictures: str) -> Measure:
    """The share of pictures that all classifiers give the same class."""
    words = f"share of {pictures} pictures that all classifiers agree on"
    return study("hybrid-biggan", AGREEMENT, "all agree", {"pictures": pictures}, words=words, interval=True)


CLAIMS = (
    Claim(
        "Sec. 4.2, Fig. 6",
        "a conditional generator's hybrids are recognised more often if made at a finer block",
        more(_recognised("finest"), _recognised("coarsest")),
    ),
    Claim(
        "Sec. 4.2, Fig. 6",
        "a conditional generator's hybrids are nearer to their original if made at a finer block",
        more(_apart("coarsest"), _apart("finest")),
    ),
    Claim(
        "Sec. 4.2",
        "swapping two successive convolutions of a block does more than swapping one",
        more(_change(TWO), _change(ONE)),
    ),
    Claim(
        "Fig. 14",
        "a classifier is surer of hybrids made at a coarser block of a conditional generator",
        more(_uncertain("finest"), _uncertain("coarsest")),
    ),
    Claim(
        "Sec. 4.2, Table 3",
        "differently built classifiers agree less on hybrids than on what the conditional generator makes by itself",
        more(_agreed("generated"), _agreed(f"hybrid, {TWO}")),
    ),
)
