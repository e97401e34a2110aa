"""Write the baseline that `benchmark check` holds runs against: `baseline.py RUN RETRAINED RETRAINED RETRAINED ...`.

Each argument is a results folder of the same jobs, each trained anew with other rounding: perf/retrain.py makes them.
What is held stands in baselines/held.toml. The values of the first folder are the ones that the same trained networks
have to repeat; the others say what retraining does.
"""

import json
import sys
import tomllib
from pathlib import Path

from benchmark.records.record import read
from benchmark.report.baseline import baseline_of, with_weights
from methods.files import write_whole

HERE = Path(__file__).parent / "baselines"
TASKS, SEEDS = ("mnist",), (0,)
"""What was trained anew."""


def main(folders: list[Path], preset: str = "default") -> None:
    """Write baselines/PRESET.csv."""
    held = tomllib.loads((HERE / "held.toml").read_text(encoding="utf-8"))
    runs, says = [], [f"# What `benchmark check` holds, preset {preset}; written by results/baseline.py."]
    for place, folder in enumerate(folders):
        found = (read(path) for path in sorted((folder / "runs" / "records" / preset).glob("*/*/seed-*.json")))
        records = [
            r for r in found if r and r.status == "ok" and r.task in TASKS and r.seed in SEEDS and r.method in held
        ]
        runs.append(with_weights(records))
        rounding = folder / "rounding.json"
        how = json.loads(rounding.read_text(encoding="utf-8")) if rounding.exists() else {}
        machine = records[0].environment
        name = "value" if place == 0 else f"retrained_{place}"
        said = " ".join(f"{key}={value}" for key, value in how.items()) or "as it comes"
        says.append(
            f"# {name}: {said}; {machine['cpu']}; torch {machine['packages']['torch']}; {machine['commit'][:12]}"
        )
    table = baseline_of(runs, held)
    text = "\n".join(says) + "\n" + table.to_csv(index=False)
    write_whole(HERE / f"{preset}.csv", text.encode())


if __name__ == "__main__":
    if len(sys.argv) < 5:
        print("name a run and three or more retrainings of it, as perf/retrain.py makes them", file=sys.stderr)
        sys.exit(2)
    main([Path(argument) for argument in sys.argv[1:]])
