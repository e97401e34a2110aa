"""Take over what a results folder holds as what the project publishes: `publish.py FOLDER [PATTERN ...]`.

To be run after `benchmark report --results FOLDER`. Tables and figures go to `results/tables`, and two of the tables to
the README. What FOLDER does not hold stays, and is named. With patterns, as in 'bias-*' 'paper-dvae*', the rest stays
as it is: for what was made again by itself, and of which the other tables do not speak.
"""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
SHOWN = ("flip-rate-mnist", "summary")
"""The tables that stand in the README."""


def main(folder: Path, *patterns: str) -> None:
    """Take over what of `folder` has a name that fits one of `patterns`; all of it, if there are none."""
    tables = HERE / "tables"
    new = {
        path.name
        for pattern in patterns or ("*",)
        for path in (folder / "tables").glob(pattern)
        if path.suffix != ".svg"
    }
    for name in sorted(new if tables.resolve() != (folder / "tables").resolve() else ()):
        shutil.copyfile(folder / "tables" / name, tables / name)
    show(tables, HERE.parent / "README.md")
    for name in sorted({path.name for path in tables.iterdir()} - new if not patterns else ()):
        print(f"not in {folder}: {name}")


def show(tables: Path, readme: Path) -> None:
    """Write the tables called `SHOWN` into the README, between its two marks."""
    before, start, rest = readme.read_text(encoding="utf-8").partition("<!-- tables -->\n")
    _, end, after = rest.partition("<!-- end of tables -->")
    block = "\n".join((tables / f"{name}.md").read_text(encoding="utf-8") for name in SHOWN)
    readme.write_text(before + start + block.strip() + "\n" + end + after, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 2 or not (Path(sys.argv[1]) / "tables" / "metrics.csv").exists():
        print("name a folder that benchmark report has written to: python results/publish.py FOLDER", file=sys.stderr)
        sys.exit(2)
    main(Path(sys.argv[1]), *sys.argv[2:])
