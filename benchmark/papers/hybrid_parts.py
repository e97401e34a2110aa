"""Modules against the known parts of drawn faces (Besserve et al. 2020, Sec. 4.1, Fig. 8): what each one changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from torch import Tensor

from benchmark.papers import Claim
from benchmark.papers.experiments import FEW, Asked, Outcome, Redrawn, Row, estimated
from benchmark.papers.measures import Found, Measure
from benchmark.papers.verdicts import at_least, at_most
from benchmark.records.record import Record
from methods.base import Method, Study
from methods.hybrid.method import Hybridization
from methods.hybrid.studies import HybridSets
from metrics.metric import Format

PARTS = "parts"
"""The study."""
STANDS_FOR = ("background", "face", "hair")
"""What the paper's three modules stand for."""
DETAILS = {"glasses": "Eyeglasses", "mouth": "Smiling", "wrinkles": "Young", "cheeks": "Rosy_Cheeks"}
"""Smaller parts, and the attribute that draws each."""
SKIN, HAIR, BEARD = "Pale_Skin", "Black_Hair", "No_Beard"


@dataclass(frozen=True)
class Regions:
    """Where the parts of faces are, as shares of faces in which a pixel belongs to a part."""

    coarse: Mapping[str, Tensor]
    """Beard, hair, face and background, (H, W) each: every pixel belongs to one of them, so they add up to one."""
    details: Mapping[str, Tensor]
    """The parts in `DETAILS`, which lie upon these, (H, W) each."""

    @classmethod
    def of(cls, redrawn: Redrawn) -> "Regions":
        """The regions of faces that can be drawn with and without an attribute: where the two pictures differ."""
        found = {name: differing(*redrawn(attribute)) for name, attribute in DETAILS.items()}
        beard = differing(*redrawn(BEARD))
        hair = differing(*redrawn(HAIR)) & ~beard  # the beard has the colour of the hair
        skin = differing(*redrawn(SKIN)) | found["mouth"] | found["cheeks"]
        face = skin & ~hair & ~beard
        coarse = {"beard": beard, "hair": hair, "face": face, "background": ~(beard | hair | face)}
        shares = ({name: mask.float().mean(0) for name, mask in masks.items()} for masks in (coarse, found))
        return cls(*shares)


def differing(without: Tensor, with_it: Tensor) -> Tensor:
    """Where two pictures (N, C, H, W) differ by a level of intensity or more, in any colour: (N, H, W) bool."""
    return ((without - with_it).abs() > 0.5 / 255).any(1)


def share(effects: Tensor, region: Tensor) -> Tensor:
    """The share of each of the effects (N, H, W) that lies in `region` (H, W), (N,); an effect of nothing is left out.

    Where an effect is the same everywhere it is the share of the picture that the region takes.
    """
    total = effects.flatten(1).sum(1)
    some = total > 0
    return (effects[some] * region).flatten(1).sum(1) / total[some]


def influence_on_parts(method: Method, asked: Asked) -> Outcome:
    """How much of each module's influence lies in each part; nothing where faces are not drawn."""
    assert isinstance(method, Hybridization)  # noqa: S101 - registered so
    if asked.redrawn is None:
        return Outcome({}, {})
    regions = Regions.of(asked.redrawn)
    own, other = method.generator.noise(FEW), method.generator.noise(FEW)
    made = HybridSets({method.config.layer: method.place}, method.generator, own, other)
    rows: list[Row] = []
    for mixed in made.mixed:
        effects = (mixed.hybrids - made.originals).abs().mean(1).cpu()  # (M, H, W)
        for name, region in {**regions.coarse, **regions.details}.items():
            inside, area = estimated("share of influence", share(effects, region)), float(region.mean())
            found = {"share of area": area, "concentration": float(inside["share of influence"]) / max(area, 1e-12)}
            rows.append({"module": mixed.module, "part": name, **inside, **found})
    notes = (
        f"{method.place.name}; influence: mean absolute change of a pixel when the module is swapped, over {FEW} pairs "
        "of samples; [low, high]: 95 % interval over pairs",
        "beard, hair, face and background are the whole picture; background: all that no attribute asked here draws, "
        "clothes and eyes too; the other parts lie upon these",
        f"a part: where the first {FEW} training faces change when drawn with and without it; concentration: share of "
        "influence by share of area, 1 if the module does not care for the part",
    )
    return Outcome({}, {PARTS: Study(title="influence of modules on the parts of drawn faces", rows=rows, notes=notes)})


def _likely(rows: Sequence[Row]) -> list[object]:
    """The modules that may favour a part most: first the one that does, then those whose interval reaches its own."""
    most = max(rows, key=lambda row: float(row["concentration"]))
    others = [row["module"] for row in rows if row is not most and float(row["high"]) >= float(most["low"])]
    return [most["module"], *others]


def favoured(method: str) -> Measure:
    """By how many different modules background, face and hair are most favoured: by three, if each has its own.

    The interval is from the fewest to the most that the intervals of the shares allow.
    """

    def find(record: Record) -> Found | None:
        rows = record.studies[PARTS].rows if PARTS in record.studies else []
        if not rows:
            return None
        best = [_likely([row for row in rows if row["part"] == part]) for part in STANDS_FOR]
        counts = [len(set(modules)) for modules in product(*best)]
        return Found(float(len({modules[0] for modules in best})), min(counts), max(counts), n=FEW)

    return Measure(method, "modules that background, face and hair are most favoured by", find, Format(0))


CLAIMS = (
    Claim(
        "Sec. 4.1, Fig. 8",
        "three modules of a β-VAE stand for background, face and hair (drawn faces: each has a module of its own)",
        at_least(favoured("hybrid"), 3),
    ),
    Claim(
        "App. E",
        "modules of a DCGAN are less aligned with these parts (drawn faces: two modules at most)",
        at_most(favoured("hybrid-gan"), 2),
    ),
)
