"""Liu, Kailkhura, Loveland and Han, "Generative Counterfactual Introspection for Explainable Deep Learning", 2019.

The paper has no table: its numbers stand in the text, its results are figures.
"""

from dataclasses import replace

import torch
from torch import Tensor

from benchmark.bias.gates import CLASSIFIERS
from benchmark.names import DIGITS
from benchmark.papers import FACES, GREY, Claim, Paper, Printed, Shown
from benchmark.papers.attribute_search import DEPENDENCE, EDITS, MOVES, UNHELD, attribute_search
from benchmark.papers.experiments import Asked, Outcome, Row, estimated, under
from benchmark.papers.measures import Measure, Setting, metric, study
from benchmark.papers.verdicts import ahead, among, at_least, at_most, by_construction, discovers, shows
from benchmark.records.changes import CHANGED
from benchmark.report.frequencies import FREQUENCIES, frequencies
from methods.base import Method, Study
from methods.pictures import unit

BIAS = "Eyeglasses-on-Young"
"""The planted bias of Figs. 6 and 7: the old wear eyeglasses."""

MNIST = Printed(
    name="Sec. 4.1",
    title="the digits' classifier and generator",
    setting="MNIST, 60,000 training images",
    n=10_000,
    columns=("test accuracy %", "length of L"),
    published={"MNIST": ("99.10%", "10")},
    here={"MNIST": (metric("gan-search", "classifier_accuracy"), Setting("gan-search", "latent"))},
    tolerance=0.01,
    of=GREY,
    notes=("the embedded digits are 5,000; `mnist-full` has all",),
)


def _accuracy(data_set: str) -> Measure:
    """The classifier's accuracy on tasks of one data set."""
    own = metric("gan-search", "classifier_accuracy")
    return replace(own, find=lambda record: own.find(record) if record.task.startswith(data_set) else None)


def _moves(quantity: str, words: str = "") -> Measure:
    """What the search over attributes moves."""
    return study("attribute-search", MOVES, "value", {"quantity": quantity}, words=words or quantity, interval=True)


def _count(quantity: str) -> Measure:
    """How many attributes are searched, or told."""
    return study("attribute-search", MOVES, "value", {"quantity": quantity}, words=quantity)


CELEBA = Printed(
    name="Sec. 4.2",
    title="the faces' classifier and attributes",
    setting="CelebA, young or old",
    columns=("test accuracy %", "attributes searched", "attributes reported"),
    published={"CelebA": ("90.89%", "12", "5")},
    here={
        data_set: (_accuracy(data_set.lower()), _count("attributes searched"), _count("attributes reported"))
        for data_set in ("CelebA", "avatars")
    },
    of=FACES,
    incomparable={"avatars": "drawn faces are easier than photographs, and have other attributes"},
)

TERM = "distance-term"
"""The study of searches with and without the distance term, on the same queries."""
PROTOTYPES = "prototypes"
"""The study of walks to the middle of a query's own class."""


def _term(quantity: str, column: str = "difference") -> Measure:
    """What the distance term changes of a quantity: with it minus without."""
    difference = column == "difference"
    words = f"{quantity} with the term minus without" if difference else f"{quantity}, {column} the term,"
    return study("gan-search", TERM, column, {"quantity": quantity}, words=words, interval=difference)


def _unheld() -> Measure:
    """How often the label's own attribute changes most where a search may change it."""
    return _moves(UNHELD, "share of answers in which the label's own attribute, not held, changes most")


def _glasses() -> Measure:
    """How much more frequent eyeglasses are among the young."""
    where = {"attribute": "Eyeglasses", "classes": "Young minus not Young"}
    words = "share with eyeglasses, young minus not young, in the training images"
    return study("gan-search", FREQUENCIES, "difference", where, words=words, interval=True)


def _planted_glasses() -> Measure:
    """How much more frequent eyeglasses are among the young that the confounded classifier learns from."""
    where = {"attribute": "Eyeglasses", "classifier": "confounded"}
    words = "share with eyeglasses, young minus not young, in the confounded training images"
    return study(CLASSIFIERS, FREQUENCIES, "difference", where, words=words, interval=True)


def _surer(judge: str) -> Measure:
    """How much more of the query's class a prototype has for a judge than the query's reconstruction."""
    words = f"the {judge}'s probability, prototype minus query,"
    return study("gan-search", PROTOTYPES, "difference", {"judge": judge}, words=words, interval=True)


# -- experiments -------------------------------------------------------------------------------------------------------


def distance_term(method: Method, asked: Asked) -> Outcome:
    """The same searches with and without the distance term (Fig. 4), and walks to prototypes (Fig. 3)."""
    without = under(method, distance="none").explain(asked.queries, asked.targets, [0.0]).intervention["path"]
    found = [_of_paths(unit(paths), asked) for paths in (asked.intervention["path"], without)]
    rows: list[Row] = []
    for name, first in found[0].items():
        second = found[1][name]
        means = {"with": float(first.mean()), "without": float(second.mean())}
        rows.append({"quantity": name, **means, **estimated("difference", first - second)})
    notes = (
        "difference: with the distance term minus without, on the same real queries; paths as they are kept, in "
        f"{without.shape[1]} pictures",
        "L1: mean absolute difference of the answer to the query; path length: sum of those from picture to picture; "
        "over distance: divided by that from the first to the last, 1 where the path is straight",
        "third class: neither the query's nor the target, as the classifier sees it",
    )
    study = Study(title="searches with and without the distance term", rows=rows, notes=notes)
    studies = {"distance-term": study, "prototypes": _prototypes(method, asked)}
    return Outcome({}, studies if asked.known is None else studies | {FREQUENCIES: frequencies(asked.known)})


def _of_paths(paths: Tensor, asked: Asked) -> dict[str, Tensor]:
    """What is measured of paths (N, T, C, H, W), each (N,)."""
    length = (paths[:, 1:] - paths[:, :-1]).abs().flatten(2).mean(2).sum(1)
    ends = (paths[:, -1] - paths[:, 0]).abs().flatten(1).mean(1)
    classes = torch.stack([asked.classifier(frame).argmax(1) for frame in paths.unbind(1)], dim=1)
    third = (classes != asked.targets[:, None]) & (classes != asked.predicted[:, None])
    final = asked.classifier(paths[:, -1]).argmax(1)
    return {
        "L1 to the query": (paths[:, -1] - asked.queries).abs().flatten(1).mean(1),
        "path length": length,
        "length over distance": torch.where(ends > 0, length / ends, 1.0),
        "share of paths through a third class": third.any(1).double(),
        "share of answers that flip": (final == asked.targets).double(),
    }


def _prototypes(method: Method, asked: Asked) -> Study:
    """How much surer the classifier and the oracle are of a prototype than of its query, reconstructed."""
    path = unit(under(method, mode="prototype").explain(asked.queries, asked.targets, [0.0]).intervention["path"])
    rows: list[Row] = []
    for name, judge in (("classifier", asked.classifier), ("oracle", asked.oracle)):
        own = asked.predicted[:, None]
        before, after = (judge(path[:, end]).softmax(1).gather(1, own)[:, 0] for end in (0, -1))
        means = {"query": float(before.mean()), "prototype": float(after.mean())}
        rows.append({"judge": name, **means, **estimated("difference", after - before)})
    note = "probability of the query's class: of the query as the generator reconstructs it, and of the walk's end"
    return Study(title="walks to prototypes of the query's own class", rows=rows, notes=(note,))


# -- the paper ---------------------------------------------------------------------------------------------------------

PAPER = Paper(
    title="Liu et al. 2019, Generative Counterfactual Introspection for Explainable Deep Learning",
    methods=("gan-search", "attribute-search", "pixel-search"),
    tables=(MNIST, CELEBA),
    figures=(
        Shown("Fig. 1", "the search as a diagram", missing="a drawing; methods/gan_search/search.py is the search"),
        Shown(
            "Fig. 2", "criticisms of one digit: paths to every other class", ("criticism-{task}-gan-search",), of=GREY
        ),
        Shown(
            "Fig. 3", "prototypes of different digits: paths", ("prototype-{task}-gan-search",), (PROTOTYPES,), of=GREY
        ),
        Shown(
            "Fig. 4",
            "paths without and with the distance term",
            ("criticism-without-distance-{task}-gan-search", "criticism-{task}-gan-search"),
            studies=(TERM,),
        ),
        Shown(
            "Fig. 5",
            "a face edited by age, and by all attributes but age",
            ("edit-{task}-attribute-search",),
            (EDITS,),
            of=FACES,
        ),
        Shown(
            "Fig. 6",
            "what makes faces young or old for the classifier: most changed attributes",
            ("bias-attributes-{task}", "bias-{task}-attribute-search"),
            (CHANGED, "bias"),
            of=(BIAS,),
        ),
        Shown(
            "Fig. 7",
            "frequency of eyeglasses among young and old",
            studies=(FREQUENCIES, "bias-gates"),
            of=(*FACES, BIAS),
        ),
        Shown(
            "Fig. 8",
            "prototypes and criticisms of faces, young and old",
            ("prototype-{task}-attribute-search", "paths-{task}-attribute-search"),
            (CHANGED, DEPENDENCE, MOVES, PROTOTYPES),
            of=FACES,
        ),
    ),
    claims=(
        Claim(
            "Sec. 4.1",
            "the classifier reaches 99.10 %",
            among(GREY, at_least(metric("gan-search", "classifier_accuracy"), 0.991)),
        ),
        Claim(
            "Sec. 4.1, Fig. 2",
            "a search from the query's own latent reaches any target class (at least 95 % of them, our bound)",
            at_least(metric("gan-search", "flip_rate", 0.0), 0.95),
        ),
        Claim(
            "Sec. 4.1",
            "what a search in a GAN's latents finds is not adversarial (at most 5 % of answers, our bound)",
            at_most(metric("gan-search", "adversarial_flips", 0.0), 0.05),
        ),
        Claim(
            "Sec. 4.1",
            "its answers are less often adversarial than those of the same search over pixels",
            ahead("gan-search", "pixel-search", "adversarial_flips", (0.0,), sign=-1),
        ),
        Claim(
            "Sec. 4.1, Fig. 2",
            "some paths go through a third class (at least one in a thousand, our bound)",
            at_least(_term("share of paths through a third class", "with"), 0.001),
        ),
        Claim(
            "Sec. 4.1, Fig. 3",
            "a walk to a prototype makes the classifier surer of the query's class",
            at_least(_surer("classifier"), 0),
        ),
        Claim(
            "Sec. 4.1, Fig. 3",
            "prototypes are easier to recognise (by the oracle, who stands for a reader)",
            at_least(_surer("oracle"), 0),
        ),
        Claim("Sec. 4.1, Fig. 4", "the distance term keeps changes small", at_most(_term("L1 to the query"), 0)),
        Claim("Sec. 4.1, Fig. 4", "the distance term makes paths shorter", at_most(_term("path length"), 0)),
        Claim(
            "Sec. 4.1, Fig. 4",
            "the distance term makes paths smoother (length over the distance of the ends)",
            at_most(_term("length over distance"), 0),
        ),
        Claim(
            "Sec. 4.2",
            "a search that may change the label's own attribute changes it most (in half of the answers, our bound)",
            among(FACES, at_least(_unheld(), 0.5)),
        ),
        Claim(
            "Sec. 4.2, Fig. 6",
            "a search over the other attributes alone flips the class too (at least 90 % of queries, our bound)",
            at_least(metric("attribute-search", "flip_rate", 0.0), 0.9),
        ),
        Claim("Sec. 4.2, Fig. 6", "eyeglasses make faces old for the classifier", discovers(BIAS, "attribute-search")),
        Claim(
            "Sec. 4.2, Fig. 6",
            "a search over latents shows that too, without attributes",
            discovers(BIAS, "gan-search"),
        ),
        Claim("Sec. 4.2, Fig. 7", "eyeglasses are less frequent among the young", at_most(_glasses(), 0)),
        Claim(
            "Sec. 4.2, Fig. 7",
            "where eyeglasses make faces old for the classifier, the young it learns from wear fewer",
            by_construction(shows(BIAS, _planted_glasses(), "the bias is planted so", sign=-1)),
        ),
        Claim(
            "Sec. 4.2, Fig. 8",
            "hair decides most about age: an attribute of hair changes most (in half of the answers, our bound)",
            among(FACES, at_least(_moves("hair changes most", "share of answers in which hair changes most"), 0.5)),
        ),
        Claim(
            "Sec. 4.2, Fig. 8",
            "a face that is near its prototype is far from the other class, and the other way round",
            among(FACES, at_most(_moves("rank correlation of the changes to prototype and to criticism"), 0)),
        ),
    ),
    experiments={"gan-search": distance_term, "attribute-search": attribute_search},
    notes=(
        "the paper's queries are sampled from its generator; those of the claims here are real ones, inverted, and the "
        "figures' are sampled",
        "adversarial: flips the classifier and not the oracle",
        "as many young avatars wear eyeglasses as old ones; of those that teach a classifier the planted bias, mostly "
        "the old do",
    ),
    tasks=(*DIGITS, "avatars/Young"),
    planted=(BIAS,),
    task="celeba/Young",
)
