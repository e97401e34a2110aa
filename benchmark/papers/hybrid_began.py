"""What Besserve et al. 2020 show of a BEGAN (Sec. 4.1, App. E): two successive layers swapped together, and Table 2."""

import torch

from benchmark.papers import Claim, Printed
from benchmark.papers.experiments import FEW, Asked, Outcome, Row, estimated
from benchmark.papers.measures import Measure, study
from benchmark.papers.verdicts import at_most, every, more
from methods.base import Method, Study
from methods.hybrid.began import HybridBegan
from methods.hybrid.studies import HybridSets

BEGAN = "hybrid-began"
SWAPPED = {"hybrid": "layer 2", "hybrid-gan": "layer 2", BEGAN: "layers 5 and 6"}
"""Where each of the generators that Table 2 is made of is swapped by default."""
MODULES = (1, 2, 3)

# -- Table 2 -----------------------------------------------------------------------------------------------------------


def _set(method: str, module: int) -> str:
    """What the table of distances calls the hybrids of a module."""
    return f"hybrids of module {module}, {SWAPPED[method]}"


def _distance(method: str, of: str, to: str) -> Measure:
    return study(method, "normalised-fid-oracle", f"to {to}", {"set": of}, words=f"distance of {of} to {to} images")


def _distances(method: str) -> dict[str, tuple[Measure | None, ...]]:
    """Table 2 of one of our generators."""
    names = {"R": "real", "G": "generated", **{f"C{k - 1}": _set(method, k) for k in MODULES}}
    columns = list(names)
    return {
        f"{row} ({method})": tuple(
            _distance(method, names[row], names[column]) if columns.index(column) < columns.index(row) else None
            for column in columns
        )
        for row in columns[1:]
    }


_HERE = {method: _distances(method) for method in SWAPPED}

TABLE_2 = Printed(
    name="Table 2",
    title="Fréchet distances between real images (R), generated ones (G) and hybrids by module k (Ck), "
    "divided by that of G to R",
    setting="CelebA, a BEGAN, Inception features",
    n=10_000,
    columns=("R", "G", "C0", "C1", "C2"),
    published={
        "G": ("1", "0", "", "", ""),
        "C0": ("1.022", "0.036", "0", "", ""),
        "C1": ("1.143", "0.093", "0.096", "0", ""),
        "C2": ("1.158", "0.097", "0.099", "0.045", "0"),
    },
    here={row: cells for rows in _HERE.values() for row, cells in rows.items()},
    incomparable={
        row: "other features, other images" if method == BEGAN else "other features, another generator, other modules"
        for method, rows in _HERE.items()
        for row in rows
    },
    notes=("of ours: the oracle's penultimate features; distances are not corrected for n",),
)


def near_generated(method: str, *modules: int) -> Claim:
    """Table 2's distances of hybrids to generated images, of one of our generators."""
    return Claim(
        "Table 2",
        f"hybrids are near generated images (normalised distance up to .1; {method})",
        every(*(at_most(_distance(method, _set(method, k), "generated"), 0.1) for k in modules)),
    )


def near_real(method: str, *modules: int) -> Claim:
    """Table 2's distances of hybrids to real images, of one of our generators."""
    return Claim(
        "Sec. 4.1, Table 2",
        f"hybrids are hardly further from real images than generated ones are (up to 1.16 times; {method})",
        every(*(at_most(_distance(method, _set(method, k), "real"), 1.16) for k in modules)),
    )


# -- two successive layers ---------------------------------------------------------------------------------------------

TWO = "two-layers"
"""The study."""
FIRST, SECOND, BOTH = "the first layer", "the second layer", "both layers"


def two_layers(method: Method, asked: Asked) -> Outcome:  # noqa: ARG001 - modules ask no queries
    """How much modules of two successive layers change, and those of each one alone."""
    assert isinstance(method, HybridBegan)  # noqa: S101 - registered so
    network, layer, span = method.network, method.config.layer, method.config.span
    if span == 1:
        return Outcome({}, {})
    places = {1: network.place(layer), 2: network.place(layer + 1), 3: method.place}
    own, other = method.generator.noise(FEW), method.generator.noise(FEW)
    made = HybridSets(places, method.generator, own, other)
    rows: list[Row] = []
    for at, swapped in enumerate((FIRST, SECOND, BOTH), start=1):
        apart = [made.apart(mixed) for mixed in made.mixed if mixed.at == at]
        if apart:
            each = estimated("influence", torch.stack(apart).mean(0))
            rows.append({"swapped": swapped, "layers": places[at].name, "modules": len(apart), **each})
    note = f"influence: mean absolute change of a pixel, mean of the modules, over {FEW} pairs of samples"
    title = "influence of modules of two successive layers, and of each layer alone"
    return Outcome({}, {TWO: Study(title=title, rows=rows, notes=(note,))})


def _influence(swapped: str) -> Measure:
    return study(BEGAN, TWO, "influence", {"swapped": swapped}, words=f"influence of {swapped}", interval=True)


CLAIMS = (
    Claim(
        "Sec. 4.1",
        "in a BEGAN modules of two successive layers change more than those of either layer alone",
        every(more(_influence(BOTH), _influence(FIRST)), more(_influence(BOTH), _influence(SECOND))),
    ),
    near_generated(BEGAN, *MODULES),
    near_real(BEGAN, *MODULES),
)
