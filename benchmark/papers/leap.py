"""Cao et al., "LeapFactual: Reliable Visual Counterfactual Explanation Using Conditional Flow Matching", 2025.

Its numbers are those that the authors' published notebook on Morpho-MNIST prints.
"""

from collections.abc import Mapping
from dataclasses import replace

from sklearn.metrics import roc_auc_score
from torch import Tensor, isfinite, stack

from benchmark.papers import GREY, Claim, Paper, Printed, Shown
from benchmark.papers.experiments import ROWS, Asked, Outcome, Row, estimated, under
from benchmark.papers.measures import Measure, Setting, metric, study
from benchmark.papers.verdicts import ahead, at_least, at_most, more
from methods.base import Illustration, Method, Study
from metrics.metric import RATE
from metrics.morphometry import Shape, morphometry, relative_change

MORPHOMETRICS = "morphometrics"
"""The study of what answers change of a digit's shape."""
SEPARATED = "separated"
"""The study of how well the classifier's probabilities separate answers of different targets."""
APART = "morphometric-differences"
"""The study of how much more than the leaps other ways change, on the same queries."""
OWN, LANDED, WHOLE = "as asked", "leaps and 5 landings", "one whole leap"
"""Whose answers a row of it is about."""
FLIPS, AUC = "share that flips", "AUC"
COLUMNS = ("ACC", AUC, *Shape._fields)
NOTEBOOK = "Authors' notebook"


def _measured(method: str, quantity: str, answers: str = OWN) -> Measure:
    """How often answers flip, or how far they move a measure of the digit, as a share of what it was."""
    of = answers if answers != OWN else "the answers"
    words = f"{FLIPS} in {of}" if quantity == FLIPS else f"relative change of {quantity} in {of}"
    where = {"answers": answers, "quantity": quantity}
    found = study(method, MORPHOMETRICS, "value", where, words=words, interval=True)
    return replace(found, shown=RATE) if quantity == FLIPS else found


def _more(answers: str, quantity: str) -> Measure:
    """The same of other answers on the same queries, minus that of the leaps."""
    words = f"{FLIPS if quantity == FLIPS else f'relative change of {quantity}'}, {answers} minus leaps,"
    return study("leap", APART, "difference", {"answers": answers, "quantity": quantity}, words=words, interval=True)


def _here(method: str, answers: str = OWN) -> tuple[Measure, ...]:
    """What measures each column for one row."""
    flips = metric(method, "flip_rate", 0.0) if answers == OWN else _measured(method, FLIPS, answers)
    auc = study(method, SEPARATED, AUC, {"answers": answers})
    return (flips, auc, *(_measured(method, measure, answers) for measure in Shape._fields))


TABLE = Printed(
    name="Morpho-MNIST",
    title="answers of the target class, and what they change of the digit's shape",
    setting="Morpho-MNIST, test images",
    n=10_000,
    columns=COLUMNS,
    published={
        "Opt-based": ("0.8784", "0.9152", "0.2359", "0.2499", "0.1773", "3.6284", "0.2745", "0.0613"),
        "CGM-based": ("0.9397", "0.9978", "0.2479", "0.2965", "0.0867", "2.8908", "0.3039", "0.0275"),
        "LeapFactual": ("0.9877", "0.9993", "0.1658", "0.2049", "0.0819", "1.955", "0.1966", "0.0278"),
        "LeapFactual_R": ("0.9906", "1.0000", "0.2159", "0.262", "0.0895", "2.1273", "0.2664", "0.0315"),
    },
    here={
        "Opt-based": _here("latent-search"),
        "CGM-based": _here("leap", WHOLE),
        "LeapFactual": _here("leap"),
        "LeapFactual_R": _here("leap-robust"),
    },
    incomparable={
        "Opt-based": "ours searches the smallest change that flips as surely as asked; theirs takes 1,000 steps",
        "CGM-based": "ours is one whole leap of the same flow; theirs is a conditional VAE",
    },
    of=GREY,
    notes=(
        "ACC: share of answers that the classifier gives the target class; AUC: of its probabilities, a class against "
        "all others, mean over classes; the others: |answer − reconstruction| / reconstruction",
        "they draw targets among all ten classes, the query's own included; here a target is always another class",
        "standard errors of their means are at most .005, but .18 to .54 of slant, which is near 0 in many digits",
        "their classifier is right in 97.07 % of test images; the digits here are plain ones",
    ),
)

CODE = Printed(
    name="Settings",
    title="the settings behind them",
    setting="the same",
    columns=("length of z", "N_b", "N_i", "γ", "learning rate of the flow", "units of the flow"),
    published={"LeapFactual_R": ("32", "15", "5", "0.1", "0.005", "64, 64, 64")},
    here={
        "LeapFactual_R": tuple(
            Setting("leap-robust", name)
            for name in ("latent", "blending", "injections", "step_size", "flow_rate", "flow_widths")
        )
    },
    of=GREY,
)

# -- experiment --------------------------------------------------------------------------------------------------------


def shapes(method: Method, asked: Asked) -> Outcome:
    """What answers change of a digit's shape, against its reconstruction."""
    if asked.queries.shape[1] != 1:  # only digits have the measures
        return Outcome({}, {})
    return Outcome({}, _studies({OWN: _answers(method, asked)}, method.reconstruct(asked.queries), asked))


def leaps(method: Method, asked: Asked) -> Outcome:
    """The same, beside one leap along the whole flow, which is conditional generation; and pictures."""
    if asked.queries.shape[1] != 1:
        return Outcome({}, {})
    whole = under(method, step_size=1.0, blending=1, injections=0, integration_steps=32)
    ways = {OWN: method, LANDED: under(method, injections=5), WHOLE: whole}
    sets = {name: _answers(way, asked) for name, way in ways.items()}
    restored = method.reconstruct(asked.queries)
    columns = {"query": asked.queries, "reconstruction": restored, **sets}
    pictures = stack([images[:ROWS] for images in columns.values()], dim=1)
    pairs = zip(asked.predicted[:ROWS].tolist(), asked.targets[:ROWS].tolist(), strict=True)
    captions = [[f"{{{before}}} → {{{after}}}", *[""] * (len(columns) - 1)] for before, after in pairs]
    headings = ("query", "reconstruction", "leaps", "leaps and\n5 landings", "one\nwhole leap")
    shown = Illustration("leaps, landings and one whole leap", pictures, captions, headings)
    return Outcome({"examples": shown}, _studies(sets, restored, asked))


def _answers(method: Method, asked: Asked) -> Tensor:
    return method.explain(asked.queries, asked.targets, [0.0]).images[0]


def _studies(sets: Mapping[str, Tensor], restored: Tensor, asked: Asked) -> dict[str, Study]:
    """Sets of answers (N, 1, H, W), their shapes compared with those of the reconstructions `restored`."""
    seen = {name: asked.classifier(images).softmax(1) for name, images in sets.items()}
    before = morphometry(restored)
    found = {name: _values(seen[name], images, before, asked) for name, images in sets.items()}
    rows = [_row(name, quantity, "value", values) for name in sets for quantity, values in found[name].items()]
    apart = [
        _row(name, quantity, "difference", values.double() - found[OWN][quantity].double())
        for name in sets
        for quantity, values in found[name].items()
        if name != OWN
    ]
    areas: list[Row] = [
        {"answers": name, AUC: one_against_all(each, asked.targets), "n": len(each)} for name, each in seen.items()
    ]
    change = (
        "of a measure: |answer − reconstruction| / reconstruction, as Morpho-MNIST defines measures, mean over queries "
        "in which it is not 0"
    )
    area = "AUC: of the classifier's probabilities, each target class against all others, mean over classes"
    studies = {
        MORPHOMETRICS: Study(title="what answers change of a digit's shape", rows=rows, notes=(change,)),
        SEPARATED: Study(title="how well the classifier separates answers", rows=areas, notes=(area,)),
    }
    more = Study(title="how much more than the leaps other ways change", rows=apart, notes=(change,))
    return studies | ({APART: more} if apart else {})


def _values(seen: Tensor, images: Tensor, before: Mapping[str, Tensor], asked: Asked) -> dict[str, Tensor]:
    """Whether answers `images` flip, `seen` as probabilities (N, classes), and each measure's change, (N,) each."""
    changes = {name: relative_change(before[name], after) for name, after in morphometry(images).items()}
    return {FLIPS: (seen.argmax(1) == asked.targets).cpu(), **changes}


def _row(answers: str, quantity: str, column: str, values: Tensor) -> Row:
    """The mean of what is defined of `values` (N,)."""
    return {"answers": answers, "quantity": quantity, **estimated(column, values[isfinite(values)])}


def one_against_all(probabilities: Tensor, targets: Tensor) -> float:
    """Area under the ROC curve of each class's probability (N, classes) for being the target (N,), mean over classes.

    Classes that are every target, or none, have no such area and are left out.
    """
    is_target = [(targets == c).cpu().numpy() for c in range(probabilities.shape[1])]
    scores = [
        roc_auc_score(truth, probabilities[:, c].cpu().numpy())
        for c, truth in enumerate(is_target)
        if 0 < truth.sum() < len(truth)
    ]
    return float(sum(scores) / len(scores)) if scores else float("nan")


# -- the paper ---------------------------------------------------------------------------------------------------------


def _changes_less(measure: str, words: str) -> tuple[Claim, Claim]:
    """That leaps change a measure less than gradient search in the latents, and than conditional generation."""
    searched = more(_measured("latent-search", measure), _measured("leap", measure))
    return (
        Claim(NOTEBOOK, f"leaps change {words} less than gradient search in the latents", searched),
        Claim(NOTEBOOK, f"leaps change {words} less than conditional generation", at_least(_more(WHOLE, measure), 0)),
    )


PAPER = Paper(
    title="Cao et al. 2025, LeapFactual: Reliable Visual Counterfactual Explanation Using Conditional Flow Matching",
    methods=("latent-search", "leap", "leap-robust"),
    tables=(TABLE, CODE),
    figures=(
        Shown(
            "Morpho-MNIST examples",
            "digits, their reconstructions, and the answers of each way",
            ("examples-{task}-leap",),
            (MORPHOMETRICS, APART, SEPARATED),
            of=GREY,
        ),
        Shown("Galaxy10", "galaxies, and a classifier that learns from them", missing="there are no galaxies here"),
        Shown("FFHQ", "photographs of faces in the latents of a StyleGAN", missing="there is no StyleGAN here"),
    ),
    claims=(
        Claim(
            NOTEBOOK,
            "leaps reach the target class (at least 95 % of them, our bound)",
            at_least(metric("leap", "flip_rate", 0.0), 0.95),
        ),
        Claim(
            NOTEBOOK,
            "leaps reach the target class more often than gradient search in the latents",
            ahead("leap", "latent-search", "flip_rate", (0.0,)),
        ),
        Claim(
            NOTEBOOK,
            "leaps reach the target class more often than conditional generation (here one whole leap)",
            at_most(_more(WHOLE, FLIPS), 0),
        ),
        Claim(
            NOTEBOOK,
            "landings after the leaps reach the target class more often still",
            ahead("leap-robust", "leap", "flip_rate", (0.0,)),
        ),
        Claim(
            "Abstract",
            "where the learnt boundary is not the true one, landings take answers across both (the oracle agrees more)",
            ahead("leap-robust", "leap", "oracle_agreement", (0.0,)),
        ),
        *_changes_less("area", "a digit's area"),
        *_changes_less("length", "the length of its strokes"),
        *_changes_less("thickness", "the thickness of its strokes"),
        *_changes_less("width", "its width"),
        Claim(
            NOTEBOOK,
            "landings change the area more than leaps alone: what they cost",
            at_least(_more(LANDED, "area"), 0),
        ),
    ),
    experiments={"leap": leaps, "leap-robust": shapes, "latent-search": shapes},
    notes=(
        "the numbers are those of the authors' notebook on Morpho-MNIST",
        "the classifier is only evaluated: a test fits both methods to one that lets no gradient through",
        "shapes are measured on the first 100 queries",
    ),
    task="celeba/Smiling",
)
