"""Take over what a results folder holds as what the project publishes: `python results/publish.py FOLDER`.

To be run after `benchmark report --results FOLDER`. Tables and figures go to `results/tables`, their numbers to the
baseline that `benchmark check` holds others against, and two of the tables to the README. What FOLDER does not hold
stays, and is named.
"""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
SHOWN = ("flip-rate-mnist", "summary")
"""The tables that stand in the README."""


def main(folder: Path) -> None:
    """Take over `folder`."""
    tables = HERE / "tables"
    new = {path.name for path in (folder / "tables").iterdir() if path.suffix != ".svg"}
    for name in sorted(new if tables.resolve() != (folder / "tables").resolve() else ()):
        shutil.copyfile(folder / "tables" / name, tables / name)
    shutil.copyfile(tables / "metrics.csv", HERE / "baselines" / "default.csv")
    show(tables, HERE.parent / "README.md")
    for name in sorted({path.name for path in tables.iterdir()} - new):
        print(f"not in {folder}: {name}")


def show(tables: Path, readme: Path) -> None:
    """Write the tables called `SHOWN` into the README, between its two marks."""
    before, start, rest = readme.read_text(encoding="utf-8").partition("<!-- tables -->\n")
    _, end, after = rest.partition("<!-- end of tables -->")
    block = "\n".join((tables / f"{name}.md").read_text(encoding="utf-8") for name in SHOWN)
    readme.write_text(before + start + block.strip() + "\n" + end + after, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "tables" / "metrics.csv").exists():
        print("name a folder that benchmark report has written to: python results/publish.py FOLDER", file=sys.stderr)
        sys.exit(2)
    main(Path(sys.argv[1]))
