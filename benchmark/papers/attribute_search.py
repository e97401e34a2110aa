"""What Sec. 4.2 of Liu et al. does with attributes: edits, prototypes, and what the classifier truly depends on."""

import math
from collections.abc import Mapping, Sequence

import torch
from scipy.stats import spearmanr
from torch import Tensor

from benchmark.papers.experiments import ROWS, Asked, Outcome, Row, estimated, under
from benchmark.records.changes import MOST, Changes
from methods.base import Attributes, Illustration, Method, Study
from methods.gan_search.attributes import AttributeSearch
from methods.pictures import unit
from metrics.intervals import Z

COLOURS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
"""These exclude each other: an edit that gives hair one of them takes the others away."""
HAIR = ("Bald", "Bangs", *COLOURS)
DEPENDS = 0.05
"""Share of exact edits that flip the class, from which on a classifier is said to depend on an attribute (ours)."""
EDITS, MOVES, DEPENDENCE = "edits", "attribute-moves", "dependence"
"""The studies of single edits, of what searches move, and of what the classifier depends on."""
UNHELD = "the label's own changes most where it is not held"


def attribute_search(method: Method, asked: Asked) -> Outcome:
    """Figs. 5 and 8 on the first queries, and the numbers behind what Sec. 4.2 says."""
    assert isinstance(method, AttributeSearch)  # noqa: S101 - registered so
    changes = _changes(asked.intervention)
    walks = under(method, mode="prototype").explain(asked.queries, asked.targets, [0.0]).intervention
    studies = {MOVES: _moves(method, asked, changes, walks)}
    if asked.attributes is not None:
        studies[EDITS] = _edits(method, asked)
    if asked.exact is not None:
        studies[DEPENDENCE] = _dependence(asked, changes)
    return Outcome({"edit": _edited(method, asked), "prototype": _walks(asked, walks)}, studies)


def _changes(intervention: Mapping[str, Tensor]) -> Changes:
    changes = Changes.of([intervention], kind="")
    assert changes is not None  # noqa: S101 - the method tells them
    return changes


# -- pictures ----------------------------------------------------------------------------------------------------------


def _edited(method: AttributeSearch, asked: Asked) -> Illustration:
    """Fig. 5: queries, what was found without the label's own attribute, and an edit of that attribute alone."""
    queries, label = asked.queries[:ROWS], method.label
    found = unit(asked.intervention["path"][:ROWS, -1])
    columns = [queries, method.reconstruct(queries), found]
    if label in method.names:
        columns.append(_with(method, queries, label))
    captions = [["", "", words, ""][: len(columns)] for words in _changes(asked.intervention).words()[:ROWS]]
    headings = ("original", "reconstructed", "optimised", f"{label} edited")[: len(columns)]
    title = f"the first queries, optimised with {label} held, and {label} alone edited"
    return Illustration(title, torch.stack(columns, dim=1), captions, headings)


def _walks(asked: Asked, walks: Mapping[str, Tensor]) -> Illustration:
    """Fig. 8: the ways to prototypes, with the most changed attributes."""
    frames = torch.cat([asked.queries[:ROWS, None], unit(walks["path"][:ROWS])], dim=1)
    blank = [""] * (frames.shape[1] - 2)
    told = zip(asked.predicted.tolist(), _changes(walks).words()[:ROWS], strict=False)
    captions = [[f"{{{own}}}", *blank, words] for own, words in told]
    return Illustration(
        "prototypes of the first queries", frames, captions, ("query", "start", *blank[1:], "prototype")
    )


def _with(method: AttributeSearch, images: Tensor, name: str) -> Tensor:
    """`images` (N, C, H, W) with one attribute on its other side, and one colour of hair at most."""
    attributes = method.network.read(images)
    place = method.names.index(name)
    attributes[:, place] *= -1
    for other in COLOURS:
        if name in COLOURS and other in method.names and other != name:
            attributes[attributes[:, place] > 0, method.names.index(other)] = -0.5
    return method.network.decode(method.network.encode(images), attributes)


# -- numbers -----------------------------------------------------------------------------------------------------------


def _moves(method: AttributeSearch, asked: Asked, changes: Changes, walks: Mapping[str, Tensor]) -> Study:
    """What is searched, how often hair comes first, and how far prototypes and criticisms of the same query are."""
    rows: list[Row] = [
        {"quantity": "attributes searched", "value": sum(name != method.label for name in method.names)},
        {"quantity": "attributes reported", "value": MOST},
        {"quantity": "hair changes most", **_first(changes, HAIR)},
        {"quantity": UNHELD, **_unheld(method, asked)},
        {"quantity": "rank correlation of the changes to prototype and to criticism", **_related(asked, walks)},
    ]
    notes = (
        f"hair: {', '.join(name for name in method.names if name in HAIR)}; shares of the answers that flip",
        "changes: L1 from the reconstruction to the end of the search",
    )
    return Study(title="what the search over attributes moves", rows=rows, notes=notes)


def _first(changes: Changes, names: Sequence[str]) -> Row:
    """How often, among the answers that flip, one of `names` changes most; n alone where none flips."""
    places = torch.tensor([place for place, name in enumerate(changes.names) if name in names])
    greatest = changes.greatest[changes.flipped]
    return estimated("value", torch.isin(greatest.cpu(), places)) if len(greatest) else {"n": 0}


def _unheld(method: AttributeSearch, asked: Asked) -> Row:
    """The same of the label's own attribute, in searches that may change it."""
    free = under(method)
    free.attributes = Attributes(method.attributes.names if method.attributes else ())
    return _first(_changes(free.explain(asked.queries, asked.targets, [0.0]).intervention), (method.label,))


def _related(asked: Asked, walks: Mapping[str, Tensor]) -> Row:
    """Spearman's correlation over queries, with Fisher's interval."""
    ends = [unit(paths[:, [0, -1]]) for paths in (walks["path"], asked.intervention["path"])]
    first, second = ((pair[:, 1] - pair[:, 0]).abs().flatten(1).mean(1).cpu().numpy() for pair in ends)
    n, value = len(first), float(spearmanr(first, second).statistic)
    half = Z / math.sqrt(max(n - 3, 1))
    low, high = (math.tanh(math.atanh(value) + side * half) for side in (-1, 1))
    return {"value": value, "low": low, "high": high, "n": n}


def _edits(method: AttributeSearch, asked: Asked) -> Study:
    """How often an edit of one attribute is seen by the attribute oracles, attribute by attribute."""
    judges = asked.attributes
    assert judges is not None  # noqa: S101 - the caller looked
    known, rows, seen = list(judges.accuracies), [], []
    for name in (name for name in method.names if name in judges.kept):
        wanted = method.network.read(asked.queries)[:, method.names.index(name)] < 0
        found = judges.network(_with(method, asked.queries, name))[:, known.index(name)] > 0
        seen.append(found == wanted)
        rows.append({"attribute": name, **estimated("seen", seen[-1])})
    rows.append({"attribute": "all", **estimated("seen", torch.cat(seen))})
    note = "each query is decoded with one attribute on its other side; seen: the oracle of that attribute says so"
    return Study(title="edits of one attribute", rows=rows, notes=(note,))


def _dependence(asked: Asked, changes: Changes) -> Study:
    """How often the exact edit of each attribute flips the class, and how often answers change it most."""
    assert asked.exact is not None  # noqa: S101 - the caller looked
    rows: list[Row] = []
    for name in changes.names:
        flips = asked.classifier(asked.exact(name)).argmax(1) != asked.predicted
        rows.append({"attribute": name, **estimated("exact edit flips", flips), "depends": str(_sure(flips))})
    causes = [str(row["attribute"]) for row in rows if row["depends"] == str(True)]
    rows.append({"attribute": "changed most and depended on", **_renamed(_first(changes, causes))})
    notes = (
        f"depends: the exact edit of it alone flips {100 * DEPENDS:g} % of the queries or more",
        "last row: share of the answers that flip in which such an attribute changes most",
    )
    return Study(title="what the classifier truly depends on", rows=rows, notes=notes)


def _sure(flips: Tensor) -> bool:
    return float(flips.double().mean()) >= DEPENDS


def _renamed(row: Row) -> Row:
    """The same estimate in a column of its own."""
    return {"changed most" if name == "value" else name: cell for name, cell in row.items()}
