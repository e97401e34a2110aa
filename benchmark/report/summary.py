"""The summaries: a row a task and method, at the strongest intervention, and marks at what stands out."""

from collections.abc import Sequence

import pandas as pd

from benchmark.records.record import Record
from benchmark.report.cells import Table, arrow, as_table, cell, count, tidy
from benchmark.report.compare import BEST, Marks
from metrics import METRICS

SUMMARY = {
    "flip_rate": "flip rate %",
    "oracle_agreement": "oracle agreement %",
    "adversarial_flips": "adversarial flips %",
    "oracle_aware_flips": "oracle-aware flips %",
    "reconstruction_flips": "reconstruction flips %",
    "l1": "L1",
    "l2": "L2",
    "l0": "L0",
    "hoyer_sparsity": "Hoyer sparsity",
    "mse": "MSE",
}
"""Metric -> heading: whether it flips, whom it convinces, and what changes."""

PLAUSIBILITY = {
    "cout": "COUT",
    "im1": "IM1",
    "im2": "IM2",
    "composition": "composition",
    "reversibility": "reversibility",
    "diversity": "diversity",
}
"""Whether the answers look like their class, and edits behave like edits."""

DISTANCES = {
    "fid_{}": "FID ({}) x'",
    "sfid_{}": "split FID ({}) x'",
    "fid_{}_reconstruction": "FID ({}) x̃",
    "fid_{}_real": "FID ({}) real",
    "kid_{}": "KID ({}) x'",
    "kid_{}_real": "KID ({}) real",
}
"""The same for each extractor of features."""

MODELS = {
    "nll": "NLL",
    "kl": "KL",
    "bits_per_dim": "bits/dim",
    "flip_rate_representation": "flip rate on φ %",
    "shared_fisher": "shared Fisher",
}
"""What only some methods can tell; the distance of generated images follows."""

TRUTH = {
    "mnac": "other attributes changed",
    "mnac_reconstruction": "in x̃",
    "truth_l1": "L1 to truth",
    "truth_l1_query": "of x",
    "truth_l1_reconstruction": "of x̃",
    "truth_l1_drawn": "L1 to truth, drawn pixels",
    "truth_l1_drawn_query": "of x, drawn",
    "truth_l1_drawn_reconstruction": "of x̃, drawn",
    "truth_ssim": "SSIM to truth",
    "truth_ssim_query": "SSIM of x",
    "truth_ssim_reconstruction": "SSIM of x̃",
}
"""What only drawn faces allow: beside each number what the query and the reconstruction, unchanged, would get."""

HEADINGS = SUMMARY | PLAUSIBILITY | MODELS | TRUTH
"""Metric -> what the tables call it."""

UNBEATEN = "†"
"""At a reference's number that no method's is better than."""
UNBEATEN_NOTE = f"{UNBEATEN}: no method is better than this reference: the number alone does not tell an explanation"


def summaries(records: Sequence[Record], notes: tuple[str, ...], marks: Marks) -> list[Table]:
    """Four tables, a row a task and method, at the smallest relaxation; marks at what stands out."""
    numbers = tidy(records)
    strongest = numbers["relaxation"].min()
    here = numbers["relaxation"].isna() | (numbers["relaxation"] == strongest)
    numbers = numbers[here & (numbers["subset"] == "all")]
    references = {record.method for record in records if record.reference}
    unbeaten = _unbeaten(numbers, references)
    plausibility, models = dict(PLAUSIBILITY), dict(MODELS)
    for yardstick in filter(is_yardstick, numbers["metric"].unique()):
        extractor = yardstick.removeprefix("fid_").removesuffix("_real")
        plausibility |= {name.format(extractor): heading.format(extractor) for name, heading in DISTANCES.items()}
        models[f"fid_{extractor}_samples"] = f"FID ({extractor}) samples"
    made = []
    for table, title, headings in (
        ("summary", "All methods", SUMMARY),
        ("plausibility", "Whether answers look real, and edits behave like edits,", plausibility),
        ("models", "What only some methods tell of their models", models),
        ("truth", "Against the exact counterfactual", TRUTH),
    ):
        rows = [
            {"task": str(task), "method": str(method), "n": count(group)}
            | {
                arrow(heading, metric): cell(group[group["metric"] == metric], metric)
                + (f" {BEST}" if (task, method, metric) in marks.best else "")
                + (f" {UNBEATEN}" if (task, method, metric) in unbeaten else "")
                for metric, heading in headings.items()
            }
            for (task, method), group in numbers.groupby(["task", "method"], sort=False)
            if group["metric"].isin(headings).any()
        ]
        daggers = (UNBEATEN_NOTE,) if any(metric in headings for _, _, metric in unbeaten) else ()
        if rows:
            said = (*notes, *marks.notes, *daggers)
            made.append(as_table(table, f"{title} at r = {strongest:g}", rows, records, said))
    return made


def _unbeaten(numbers: pd.DataFrame, references: set[str]) -> set[tuple[str, str, str]]:
    """(task, reference, metric) wherever no method's number is better than the reference's."""
    found: set[tuple[str, str, str]] = set()
    for (task, name), group in numbers.groupby(["task", "metric"]):
        metric = METRICS.get(str(name))
        if metric is None or not metric.better:
            continue
        means = group.groupby("method")["value"].mean().dropna() * (1 if metric.better == "higher" else -1)
        own = means.index.isin(references)
        best = means[~own].max()  # NaN if no method has the number
        found |= {(str(task), str(method), str(name)) for method in means[own & (means >= best)].index}
    return found


def is_yardstick(metric: str) -> bool:
    """Whether it is a Fréchet distance of real images to others, of which there is one an extractor."""
    return metric.startswith("fid") and metric.endswith("_real")
