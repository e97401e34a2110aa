"""Cao et al., "LeapFactual: Reliable Visual Counterfactual Explanation Using Conditional Flow Matching", 2025.

Its numbers are those that the authors' published notebook on Morpho-MNIST prints.
"""

from collections.abc import Mapping

from sklearn.metrics import roc_auc_score
from torch import Tensor, isfinite, stack

from benchmark.papers import GREY, Claim, Paper, Printed, Shown
from benchmark.papers.experiments import ROWS, Asked, Outcome, Row, estimated, under
from benchmark.papers.measures import Measure, Setting, metric, study
from benchmark.papers.verdicts import Test, ahead, at_least, every, more
from methods.base import Illustration, Method, Study
from metrics.morphometry import Shape, morphometry, relative_change

MORPHOMETRICS = "morphometrics"
"""The study of what answers change of a digit's shape."""
SEPARATED = "separated"
"""The study of how well the classifier's probabilities separate answers of different targets."""
OWN, WHOLE = "as asked", "one whole leap"
"""Whose answers a row of it is about."""
FLIPS, AUC = "share that flips", "AUC"
COLUMNS = ("ACC", AUC, *Shape._fields)
NOTEBOOK = "Authors' notebook"


def _change(method: str, measure: str, answers: str = OWN) -> Measure:
    """How far answers move a measure of the digit, as a share of what it is in the reconstruction."""
    words = f"relative change of {measure} in {answers if answers != OWN else 'the answers'}"
    where = {"answers": answers, "quantity": measure}
    return study(method, MORPHOMETRICS, "value", where, words=words, interval=True)


def _here(method: str, answers: str = OWN) -> tuple[Measure, ...]:
    """What measures each column for one row."""
    flips = metric(method, "flip_rate", 0.0) if answers == OWN else _change(method, FLIPS, answers)
    auc = study(method, SEPARATED, AUC, {"answers": answers})
    return (flips, auc, *(_change(method, measure, answers) for measure in Shape._fields))


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
        "Opt-based": "ours searches the smallest change that flips with probability .9; theirs takes 1,000 steps",
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
    sets = {OWN: _answers(method, asked), WHOLE: _answers(whole, asked)}
    restored = method.reconstruct(asked.queries)
    columns = {
        "query": asked.queries,
        "reconstruction": restored,
        "leaps": sets[OWN],
        "and 5 landings": _answers(under(method, injections=5), asked),
        WHOLE: sets[WHOLE],
    }
    pictures = stack([images[:ROWS] for images in columns.values()], dim=1)
    pairs = zip(asked.predicted[:ROWS].tolist(), asked.targets[:ROWS].tolist(), strict=True)
    captions = [[f"{{{before}}} → {{{after}}}", *[""] * (len(columns) - 1)] for before, after in pairs]
    shown = Illustration("leaps, landings and one whole leap", pictures, captions, tuple(columns))
    return Outcome({"examples": shown}, _studies(sets, restored, asked))


def _answers(method: Method, asked: Asked) -> Tensor:
    return method.explain(asked.queries, asked.targets, [0.0]).images[0]


def _studies(sets: Mapping[str, Tensor], restored: Tensor, asked: Asked) -> dict[str, Study]:
    """Sets of answers (N, 1, H, W), their shapes compared with those of the reconstructions `restored`."""
    seen = {name: asked.classifier(images).softmax(1) for name, images in sets.items()}
    before = morphometry(restored)
    rows = [
        {"answers": name, **row} for name, images in sets.items() for row in _rows(seen[name], images, before, asked)
    ]
    areas: list[Row] = [
        {"answers": name, AUC: one_against_all(found, asked.targets), "n": len(found)} for name, found in seen.items()
    ]
    change = (
        "of a measure: |answer − reconstruction| / reconstruction, as Morpho-MNIST defines measures, mean over queries "
        "in which it is not 0"
    )
    area = "AUC: of the classifier's probabilities, each target class against all others, mean over classes"
    return {
        MORPHOMETRICS: Study(title="what answers change of a digit's shape", rows=rows, notes=(change,)),
        SEPARATED: Study(title="how well the classifier separates answers", rows=areas, notes=(area,)),
    }


def _rows(seen: Tensor, images: Tensor, before: Mapping[str, Tensor], asked: Asked) -> list[Row]:
    """The share of answers `images` that flip, `seen` as probabilities (N, classes), and each measure's change."""
    rows: list[Row] = [{"quantity": FLIPS, **estimated("value", seen.argmax(1) == asked.targets)}]
    for measure, after in morphometry(images).items():
        change = relative_change(before[measure], after)
        rows.append({"quantity": measure, **estimated("value", change[isfinite(change)])})
    return rows


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


def _less(measure: str) -> Test:
    """Whether leaps change a measure less than latent search and one whole leap."""
    ours = _change("leap", measure)
    return every(more(_change("latent-search", measure), ours), more(_change("leap", measure, WHOLE), ours))


PAPER = Paper(
    title="Cao et al. 2025, LeapFactual: Reliable Visual Counterfactual Explanation Using Conditional Flow Matching",
    methods=("leap", "leap-robust", "latent-search"),
    tables=(TABLE, CODE),
    figures=(
        Shown(
            "Morpho-MNIST examples",
            "digits, their reconstructions, and the answers of each way",
            ("examples-{task}-leap",),
            (MORPHOMETRICS, SEPARATED),
            of=GREY,
        ),
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
            more(_change("leap", FLIPS), _change("leap", FLIPS, WHOLE)),
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
        Claim(NOTEBOOK, "leaps change a digit's area less than either other way", _less("area")),
        Claim(NOTEBOOK, "leaps change the length of its strokes less than either", _less("length")),
        Claim(NOTEBOOK, "leaps change the thickness of its strokes less than either", _less("thickness")),
        Claim(NOTEBOOK, "leaps change its width less than either", _less("width")),
        Claim(
            NOTEBOOK,
            "landings change the area more than leaps alone: what they cost",
            more(_change("leap-robust", "area"), _change("leap", "area")),
        ),
    ),
    experiments={"leap": leaps, "leap-robust": shapes, "latent-search": shapes},
    notes=(
        "the numbers are those of the authors' notebook on Morpho-MNIST; their galaxies and faces are not asked here",
        "the classifier is only evaluated: a test fits both methods to one that lets no gradient through",
        "shapes are measured on the first 100 queries",
    ),
    task="celeba/Smiling",
)
