"""Write the baseline that `benchmark check` holds runs against: `baseline.py RUN RETRAINED RETRAINED RETRAINED ...`.

RUN is a results folder, whose networks have to repeat their numbers. Each RETRAINED is one of the same jobs, trained
anew with other rounding, as perf/retrain.py makes them; or the metrics.csv of such a run on another processor. They say
what retraining does. What is held stands in baselines/held.toml.
"""

import json
import sys
import tomllib
from pathlib import Path

import pandas as pd

from benchmark.errors import UserError
from benchmark.records.record import Record, read
from benchmark.report.baseline import baseline_of, with_weights
from benchmark.report.numbers import read_numbers
from methods.files import write_whole

HERE = Path(__file__).parent / "baselines"
PRESET, TASK, SEED = "default", "mnist", 0
"""What was trained anew."""


def main(places: list[Path]) -> None:
    """Write baselines/default.csv, whose first lines say how each column was made."""
    held = tomllib.loads((HERE / "held.toml").read_text(encoding="utf-8"))
    runs, said = zip(*(numbers_of(place, set(held)) for place in places), strict=True)
    names = ["value", *(f"retrained_{place}" for place in range(1, len(runs)))]
    head = "".join(f"# {name}: {how}\n" for name, how in zip(names, said, strict=True))
    table = baseline_of(runs, held).to_csv(index=False)
    write_whole(
        HERE / f"{PRESET}.csv",
        f"# What `benchmark check` holds; written by results/baseline.py\n{head}{table}".encode(),
    )


def numbers_of(place: Path, methods: set[str]) -> tuple[pd.DataFrame, str]:
    """The numbers of a run, with the hashes of its networks, and how it was made."""
    if place.is_file():
        table = read_numbers(place).numbers
        here = (table["task"] == TASK) & (table["seed"] == SEED)
        if not here.any():
            raise UserError(f"{place} holds no number of {TASK}, seed {SEED}: name the metrics.csv of a run of these")
        return table[here].assign(weights=str(place)), "another processor, published before"
    found = (read(path) for path in sorted((place / "runs" / "records" / PRESET / TASK).glob(f"*/seed-{SEED}.json")))
    records = [record for record in found if record and record.status == "ok" and record.method in methods]
    if not records:
        raise UserError(f"{place} holds no records of the preset {PRESET}, {TASK}, seed {SEED}: name a run of these")
    return with_weights(records), how_made(place, records[0])


def how_made(place: Path, record: Record) -> str:
    """Rounding, processor, version of torch and commit of a run."""
    rounding, made = place / "rounding.json", record.environment
    settings = json.loads(rounding.read_text(encoding="utf-8")) if rounding.exists() else {}
    how = " ".join(f"{name}={value}" for name, value in settings.items()) or "as it comes"
    return f"{how}; {made['cpu']}; torch {made['packages']['torch']}; commit {made['commit'][:12]}"


if __name__ == "__main__":
    if len(sys.argv) < 5:
        print("name a run and three or more retrainings of it, as perf/retrain.py makes them", file=sys.stderr)
        sys.exit(2)
    try:
        main([Path(argument) for argument in sys.argv[1:]])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
