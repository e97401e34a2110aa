"""Publish what a results folder holds: `publish.py FOLDER [PATTERN ...]`.

After `benchmark report --format md,png --results FOLDER`, which writes the figures, too.

A table, page or picture is published if README.md, docs/ or results/README.md links it, or a published page does. Its
folder is its task's, or `bias`, or `papers`. Pictures get a palette. Numbers of tasks that FOLDER has not made stay.
With patterns, as in 'bias-*', only the names that fit are taken over, and the rest stays as it is.
"""

import csv
import os
import re
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from statistics import mean

import pandas as pd
from PIL import Image

from benchmark.errors import UserError
from benchmark.report.numbers import read_numbers
from methods.files import write_whole

HERE = Path(__file__).parent
ROOT = HERE.parent
KEPT = {"README.md", "publish.py", "baseline.py", "metrics.csv"}
"""What lies in results/ itself and no page has to link."""
LEFT_OUT = [
    "*-avatars_Eyeglasses-hybrid*.png",
    "*-avatars_Young-hybrid*.png",
    "*-avatars_Smiling-hybrid-biggan.png",
    "*-mnist_3-8-hybrid*.png",
    "*-mnist_3-8-gan-search.png",
]
"""Pictures that show on other tasks what those of mnist and of Smiling show; pages name them."""
LARGE = 200_000
"""Bytes of a picture."""
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
LINK = re.compile(r"(?<=\]\()[^)#\s]+")
ROWS = {
    "vaex": "**vaex** (a VAE redraws the picture as the target class)",
    "leap": "**leap** (leaps between classes along a flow of a VAE's latents)",
    "gan-search": "**gan-search** (steps through a GAN's latent space)",
    "dvae": "**dvae** (flips bits that encode the classifier's features)",
    "hybrid": "**hybrid** (features of a VAE, some swapped for another picture's)",
    "fastdime": "**fastdime** (noise, then denoising that the classifier guides)",
    "patch-swap": "**patch-swap** (pastes cells of a picture of the target class)",
    "nearest-unlike": "*nearest-unlike* (the nearest training picture of the target class)",
    "pixel-search": "*pixel-search* (changes pixels directly, no generator)",
}
"""The rows of the README's table."""
COLUMNS = ("flip_rate", "oracle_agreement", "l1")
"""The metrics of its columns."""
PRESET = "default"
"""What is published."""
MADE_WITH = re.compile(r"^- preset `(\w+)`", re.MULTILINE)
"""What the notes under a table say of it."""

PART = re.compile(r"(?<=, )validation split$|(?<=\*\*partial run\*\*: )--limit \d+", re.MULTILINE)
"""What they say of queries that are not those of the test split."""


def main(source: Path, *patterns: str) -> None:
    """Take over the linked files of `source`, and say which links have no file there."""
    metrics, readme = HERE / "metrics.csv", ROOT / "README.md"
    check(source)
    if any(fnmatch("metrics.csv", pattern) for pattern in patterns or ("*",)):
        read_numbers(source / "metrics.csv")
        numbers = merged(source / "metrics.csv", metrics)
        page = shown_in(readme.read_text(encoding="utf-8"), numbers)
        write_whole(metrics, numbers.to_csv(index=False, lineterminator="\n").encode())
        write_whole(readme, page.encode())
    with metrics.open(encoding="utf-8") as file:
        tasks = {row["task"].replace("/", "_") for row in csv.DictReader(file)}
    published, idle = set(), set(patterns) - {"metrics.csv"}
    waiting = {Path(link).name for page in pages() for link in links_of(page) if is_result(page, link)}
    while waiting:
        name = waiting.pop()
        target = HERE / folder_of(name, tasks) / name
        published.add(target)
        idle -= {pattern for pattern in idle if fnmatch(name, pattern)}
        if any(fnmatch(name, pattern) for pattern in patterns or ("*",)):
            path = source / ("tables" if name.endswith(".md") else "figures") / name
            if path.exists():
                take_over(path, target, tasks)
            else:
                print(f"there is no {path}", file=sys.stderr)
        if name.endswith(".md") and target.exists():
            waiting |= {Path(link).name for link in links_of(target)} - {path.name for path in published}
    for path in set(results()) - published if not patterns else ():
        path.unlink()
    if idle:
        print(f"no page links a file that fits {', '.join(sorted(idle))}", file=sys.stderr)


def check(source: Path) -> None:
    """Refuse what was made with another preset than is published, or is a part of a run, as far as `source` says so.

    Raises
    ------
    UserError
        For another preset or split, and for a run with --limit.
    """
    summary = source / "tables" / "summary.md"
    if summary.exists():
        notes = summary.read_text(encoding="utf-8")
        presets = set(MADE_WITH.findall(notes))
        if part := PART.search(notes):
            raise UserError(f"{source} is a part of a run ({part[0]}): publish a whole one, of the test split")
    else:
        presets = {folder.name for folder in (source / "runs" / "records").glob("*")}
    if presets - {PRESET}:
        raise UserError(f"{source} was made with the preset {', '.join(sorted(presets))}: publish one of {PRESET}")


def merged(new: Path, metrics: Path) -> pd.DataFrame:
    """The numbers of the tasks in `new`, and those of other tasks that are published; tasks keep their places.

    Raises
    ------
    UserError
        If `new` has fewer trainings of a method than are published.
    """
    made, kept = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in (new, metrics))
    trainings = [set(table[["task", "method", "seed"]].itertuples(index=False, name=None)) for table in (made, kept)]
    both = {job[:2] for job in trainings[0]}
    if lost := sorted(job for job in trainings[1] - trainings[0] if job[:2] in both):
        task, method, seed = lost[0]
        raise UserError(
            f"seed {seed} of {method} on {task} is published, and {new} has none: make all its seeds, or take its rows "
            f"out of {metrics} first"
        )
    places = {task: place for place, task in enumerate(dict.fromkeys([*kept["task"], *made["task"]]))}
    whole = pd.concat([made, kept[~kept["task"].isin(made["task"])]])
    return whole.sort_values("task", key=lambda tasks: tasks.map(places), kind="stable")


def pages() -> list[Path]:
    """The pages that people write, and that say by their links what is published."""
    return [ROOT / "README.md", HERE / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def results() -> list[Path]:
    """The published files: all of results/ but `KEPT`, the baselines and what git ignores."""
    folders = [path for path in HERE.iterdir() if path.is_dir() and path.name not in ("baselines", "local", "runs")]
    inner = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [*inner, *(path for path in HERE.glob("*.md") if path.name not in KEPT)]


def links_of(page: Path) -> list[str]:
    """The relative links and pictures of a Markdown page."""
    return [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]


def is_result(page: Path, link: str) -> bool:
    """Whether `link` on `page` leads to a published file."""
    target = (page.parent / link).resolve()
    below = target.is_relative_to(HERE) and not target.is_relative_to(HERE / "baselines")
    return below and bool(target.suffix) and target.name not in KEPT


def folder_of(name: str, tasks: set[str]) -> str:
    """The folder of a file, by its name: papers, bias, a task, or results/ itself."""
    if name.startswith("paper-"):
        return "papers"
    if "-on-" in name:
        return "bias"
    return next((task for task in tasks if f"-{task}-" in name or f"-{task}." in name), ".")


def take_over(path: Path, target: Path, tasks: set[str]) -> None:
    """Copy one file: a picture with a palette (fewer colours if it is large), a page with links to the new folders."""
    target.parent.mkdir(exist_ok=True)
    if path.suffix == ".png":
        picture = Image.open(path).convert("RGB")
        for colours in (256, 96):
            picture.quantize(colours, dither=Image.Dither.NONE).save(target, optimize=True)
            if target.stat().st_size < LARGE:
                return
        return

    def named(image: re.Match[str]) -> str:
        name = Path(image[2]).name
        left_out = any(fnmatch(name, pattern) for pattern in LEFT_OUT)
        return (
            f"*{image[1]} (not published; benchmark report --format png draws it as {name})*" if left_out else image[0]
        )

    def moved(link: re.Match[str]) -> str:
        if "://" in link[0]:
            return link[0]
        name = Path(link[0]).name
        return Path(os.path.relpath(HERE / folder_of(name, tasks) / name, target.parent)).as_posix()

    text = IMAGE.sub(named, path.read_text(encoding="utf-8"))
    target.write_text(LINK.sub(moved, text), encoding="utf-8")


def shown_in(page: str, numbers: pd.DataFrame) -> str:
    """The text of the README with the table of mnist at r = 0 between its two marks.

    Raises
    ------
    UserError
        If a number of the table is not there, or a mark.
    """
    before, start, rest = page.partition("<!-- numbers -->\n")
    _, end, after = rest.partition("<!-- end of numbers -->")
    if not end:
        raise UserError("README.md has lost the marks <!-- numbers --> and <!-- end of numbers -->: put them back")
    here = numbers[
        (numbers["task"] == "mnist") & (numbers["subset"] == "all") & numbers["relaxation"].isin(["0", "0.0"])
    ]
    values = here[here["value"] != ""].groupby(["method", "metric"])["value"].agg(lambda some: [*map(float, some)])
    wanted = [(method, metric) for method in ROWS for metric in COLUMNS]
    if lacking := [f"{metric} of {method}" for method, metric in wanted if (method, metric) not in values]:
        raise UserError(
            f"README.md shows {lacking[0]} on mnist at r = 0, and these numbers have none ({len(lacking)} such): "
            f"run {', '.join(ROWS)} into one folder, and publish that"
        )
    lines = ["| | flips the classifier ↑ | convinces the oracle ↑ | change (L1) ↓ |", "|---|---:|---:|---:|"]
    for method, label in ROWS.items():
        rates = (values[method, metric] for metric in ("flip_rate", "oracle_agreement"))
        flips, convinces = (shown([100 * rate for rate in some], 0, " %") for some in rates)
        lines.append(f"| {label} | {flips} | {convinces} | {shown(values[method, 'l1'], 3)} |")
    return before + start + "\n".join(lines) + "\n" + end + after


def shown(values: Sequence[float], decimals: int, unit: str = "") -> str:
    """The mean over trainings and, where they differ in the decimals shown, the lowest and the highest of them."""
    least, most = (f"{value:.{decimals}f}" for value in (min(values), max(values)))
    return f"{mean(values):.{decimals}f}{unit}" + ("" if least == most else f" ({least} to {most})")


if __name__ == "__main__":
    if len(sys.argv) < 2 or not (Path(sys.argv[1]) / "metrics.csv").exists():
        print("name a folder that benchmark report has written to: python results/publish.py FOLDER", file=sys.stderr)
        sys.exit(2)
    try:
        main(Path(sys.argv[1]), *sys.argv[2:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
