"""Lines of the registry that come in families: distances to real images, and to exact counterfactuals."""

from dataclasses import replace
from typing import Literal, NamedTuple

from metrics.metric import ANY, FRACTION, PLAIN, POSITIVE, RATE, Format, Metric

DISTANCE = Format(interval=True)
"""Format of a distance between sets."""

SETS = {
    "": ("answer", "counterfactuals to real images"),
    "_reconstruction": ("reconstruction", "reconstructions to real images"),
    "_samples": ("sample", "generated samples to real images"),
    "_real": ("query", "queries to as many other real images"),
}
"""Sets compared with real images: suffix of the metric's name -> (prefix of the evidence's name, meaning)."""

OF_SETS = {
    "fid": "FID ({}) x'",
    "sfid": "split FID ({}) x'",
    "fid_reconstruction": "FID ({}) x̃",
    "fid_real": "FID ({}) real",
    "kid": "KID ({}) x'",
    "kid_real": "KID ({}) real",
}
"""Distances that have a column, from the left: the metric's name without its network -> heading."""


def to_reals(network: str, features: str, place: int) -> dict[str, Metric]:
    """Fréchet and kernel distances of sets by one network's features; columns from `place` on.

    The distance of real images to other real images is a yardstick.
    """
    found = {}
    for family, function, limits, words in (
        ("fid", "metrics.frechet:frechet_distance", POSITIVE, "Fréchet distance"),
        ("kid", "metrics.kernel:kernel_distance", ANY, "kernel distance, unbiased at small n,"),
    ):
        for suffix, (images, meaning) in SETS.items():
            needs = (f"{images}_{network}_features", f"real_{network}_features")
            better: Literal["lower", ""] = "" if images == "query" else "lower"
            text = f"{words} of {meaning}, {features} features"
            found[f"{family}_{network}{suffix}"] = Metric(function, needs, "", better, limits, text, shown=DISTANCE)
    needs = (f"answers_{network}_features", f"queries_{network}_features")
    text = f"split FID: Fréchet distance of answers to one half of the queries to the other half, {features} features"
    found[f"sfid_{network}"] = Metric(
        "metrics.frechet:split_distance", needs, "", "lower", POSITIVE, text, shown=DISTANCE
    )
    for at, (name, heading) in enumerate(OF_SETS.items(), place):
        family, _, suffix = name.partition("_")
        full = "_".join(filter(None, (family, network, suffix)))
        found[full] = replace(found[full], table="plausibility", heading=heading.format(network), place=at)
    samples = f"fid_{network}_samples"
    found[samples] = replace(found[samples], table="models", heading=f"FID ({network}) samples", place=place)
    return found


def realism() -> dict[str, Metric]:
    """How far answers lie from real pictures of their target class, one by one, in the oracle's features."""
    answers = ("answers_oracle_features", "targets")
    real = ("real_oracle_features", "real_classes")
    among = (*answers, "train_oracle_features", "train_classes", *real)
    words = "by distance to training pictures of the target class, the oracle's features"
    lines: dict[str, tuple[tuple[str, ...], Literal["higher", "lower"], tuple[float, float], str]] = {
        "realism_quantile": (among, "lower", FRACTION, f"mean share of real pictures that lie nearer, {words}"),
        "realism_beyond": (among, "lower", FRACTION, f"share of answers farther than 95 % of real pictures, {words}"),
        "density": ((*answers, *real), "higher", POSITIVE, "mean number of neighbourhoods of real pictures, over k"),
        "coverage": (
            ("answer_oracle_features", "targets", *real),
            "higher",
            FRACTION,
            "share of real pictures that have an answer in their neighbourhood",
        ),
    }
    headings = ("quantile among real", "beyond real", "density", "coverage")
    found = {}
    for (name, (needs, better, limits, meaning)), heading in zip(lines.items(), headings, strict=True):
        shown = RATE if name == "realism_beyond" else PLAIN
        function = f"metrics.realism:{name}"
        found[name] = Metric(
            function, needs, "", better, limits, meaning, table="plausibility", heading=heading, place=5, shown=shown
        )
    return found


ANCHORS = {
    "": ("answers", "of the answers"),
    "_query": ("queries", "of the queries as they are, an anchor"),
    "_reconstruction": ("reconstructions", "of the reconstructions as they are, an anchor"),
}
"""Images compared with the exact counterfactuals: suffix of the metric's name -> (evidence, meaning)."""


class _ToTruth(NamedTuple):
    """A similarity to the exact counterfactuals."""

    more: tuple[str, ...]
    """Further evidence, beside the images and the exact counterfactuals."""
    better: Literal["higher", "lower"]
    range: tuple[float, float]
    meaning: str
    headings: tuple[str, str, str]
    """Headings for the answers, the queries and the reconstructions."""


TO_TRUTH = {
    "truth_l1": _ToTruth(
        (),
        "lower",
        FRACTION,
        "mean absolute difference to the exact counterfactuals",
        ("L1 to truth", "of x", "of x̃"),
    ),
    "truth_l1_drawn": _ToTruth(
        ("queries",),
        "lower",
        FRACTION,
        "mean absolute difference to the exact counterfactuals, in the pixels that the attribute draws,",
        ("L1 to truth, drawn pixels", "of x, drawn", "of x̃, drawn"),
    ),
    "truth_ssim": _ToTruth(
        (),
        "higher",
        (-1.0, 1.0),
        "structural similarity to the exact counterfactuals",
        ("SSIM to truth", "SSIM of x", "SSIM of x̃"),
    ),
}


def to_truth() -> dict[str, Metric]:
    """Similarities to the exact counterfactuals, for data that have them; and what happens to attributes."""
    found = {}
    for name, (more, better, limits, words, headings) in TO_TRUTH.items():
        # Nearer to truth in the drawn pixels is a reconstruction that lost the attribute: neither is better.
        undirected = {"_query", "_reconstruction"} if name == "truth_l1_drawn" else {"_query"}
        for (suffix, (images, meaning)), heading in zip(ANCHORS.items(), headings, strict=True):
            found[name + suffix] = Metric(
                f"metrics.truth:{name}",
                (images, "exact", *more),
                "",
                "" if suffix in undirected else better,
                limits,
                f"{words} {meaning}",
                table="truth",
                heading=heading,
                place=1,
                shown=Format(4),
            )
    return found | of_attributes()


def of_attributes() -> dict[str, Metric]:
    """How many attributes change, how far oracles' outputs move, and whether attributes change together.

    For answers, and most for reconstructions too, which lose attributes by themselves.
    """
    found = {}
    for suffix, seen, words, headings in (
        ("", "answer", "answers", ("other attributes changed", "attributes changed (DiVE)", "LVS others")),
        ("_reconstruction", "reconstruction", "reconstructions", ("in x̃", "(DiVE) in x̃", "LVS in x̃")),
    ):
        mnac = Metric(
            "metrics.truth:mnac",
            (f"{seen}_other_attributes", "other_attributes"),
            "attributes/face",
            "lower",
            POSITIVE,
            f"mean number of attributes, other than the task's, that oracles see change from queries to {words}",
            table="truth",
            heading=headings[0],
        )
        found[f"mnac{suffix}"] = mnac
        found[f"mnac_published{suffix}"] = replace(
            mnac,
            needs=(f"{seen}_counted_attributes", "counted_attributes"),
            better="",
            meaning=f"mean number of attributes, the task's included, that oracles see change from queries to {words}",
            heading=headings[1],
            place=2,
        )
        found[f"lvs{suffix}"] = Metric(
            "metrics.attributes:label_variation",
            (f"{seen}_other_probabilities", "other_probabilities"),
            "",
            "lower",
            FRACTION,
            f"mean divergence of the oracles' outputs between queries and {words}, attributes other than the task's",
            table="truth",
            heading=headings[2],
            place=2,
            shown=Format(3),
        )
    found["lvs_asked"] = replace(
        found["lvs"],
        needs=("answer_asked_probability", "asked_probability"),
        better="higher",
        meaning="mean divergence of the oracle's output between queries and answers, the task's attribute",
        heading="LVS asked",
    )
    found["correlation_difference"] = Metric(
        "metrics.attributes:correlation_difference",
        (
            "answer_other_attributes",
            "other_attributes",
            "answer_asked_attribute",
            "asked_attribute",
            "label_correlations",
        ),
        "",
        "lower",
        (0.0, 2.0),
        "mean difference between how attributes change with the task's and how they go with it in the data",
        table="truth",
        heading="CD",
        place=2,
        shown=Format(3, interval=True),
    )
    return found
