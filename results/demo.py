"""Writes benchmark/demo/mnist.safetensors, the networks of `benchmark demo`, from what a default run leaves.

    python -m benchmark run --methods vaex,hybrid,gan-search
    python results/demo.py results/local

It trains nothing: the records say which networks their numbers rest on.
"""

import sys
from pathlib import Path

from benchmark.demo.weights import SHIPPED, Shipped, write
from benchmark.errors import UserError
from benchmark.records.store import find
from benchmark.with_records import read_records

TASK, SEED = "mnist", 0
METHODS = ("vaex", "hybrid", "gan-search")
FIRST = "members.0."
"""How the weights of the panel's first oracle begin; one is enough for a picture."""


def main(results: Path) -> None:
    """Collect the judges and the methods of one default run."""
    states, settings = {}, {}
    for record in read_records(results, "default", METHODS, TASK, SEED):
        states["classifier"], _ = find(results / "runs", record.artefacts["classifier"])
        panel, _ = find(results / "runs", record.artefacts["oracle"])
        states["oracle"] = {name.removeprefix(FIRST): part for name, part in panel.items() if name.startswith(FIRST)}
        settings |= {"classifier": record.classifier.config, "oracle": record.oracle.members[0].config}
        states[record.method], _ = find(results / "runs", record.artefacts["fit"])
        settings[record.method] = record.config
    write(SHIPPED, Shipped(states, {"task": TASK, "seed": SEED, "methods": METHODS, "settings": settings}))
    print(f"{SHIPPED}: {SHIPPED.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("name a results folder that holds a default run: python results/demo.py FOLDER", file=sys.stderr)
        sys.exit(2)
    try:
        main(Path(sys.argv[1]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
