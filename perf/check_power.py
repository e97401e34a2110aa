"""What `benchmark check` finds: false alarms and injected regressions, `python perf/check_power.py [FOLDER ...]`.

Each training of the published baseline is left out in turn and held against the others, as it is and with a regression
put in. So the baseline of this table has one training less than the published one, which sees a little more. A results
folder that is named is one more training, made by perf/retrain.py or on another processor, for the false alarms.
"""

import argparse
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from benchmark.errors import UserError
from benchmark.records.record import read
from benchmark.report.baseline import KEY, read_baseline, values_of, with_weights
from benchmark.report.check import findings_of

BASELINE = Path(__file__).parents[1] / "results" / "baselines" / "default.csv"


def left_out(baseline, column):
    """The baseline without one of its trainings, and this training as a run."""
    columns = values_of(baseline)
    kept = [name for name in columns if name != column]
    rest = baseline.drop(columns=columns).assign(value=baseline[kept[0]])
    rest = rest.assign(**{f"retrained_{place}": baseline[name] for place, name in enumerate(kept[1:], start=1)})
    run = baseline[[*KEY, "n"]].assign(value=baseline[column], weights="", subset="all")
    return rest, run


def regressions(run):
    """(name, goal, runs with that regression each): of one number, of one method, and of all."""
    value, flips = run["value"], run["metric"] == "flip_rate"
    middle, high = flips & value.between(0.05, 0.95), flips & (value > 0.95)

    def each(where, change):
        for place in run.index[where]:
            yield run.assign(value=value.mask(run.index == place, change(value)))

    def whole(where):
        for method in run["method"].unique():
            yield run.assign(value=value.mask(where & (run["method"] == method), 1.3 * value))

    yield "a flip rate between 5 and 95 %, 8 points lower", ">= 80 %", each(middle, lambda v: (v - 0.08).clip(0))
    yield "a flip rate above 95 %, 2 points lower", ">= 80 %", each(high, lambda v: v - 0.02)
    yield "all flip rates 3 points lower", "all", [run.assign(value=value.mask(flips, (value - 0.03).clip(0)))]
    for name, metric in (("MSE", "mse"), ("FID", "fid_oracle")):
        if (run["metric"] == metric).any():
            yield f"the {name} of a method x 1.3", "all", whole(run["metric"] == metric)


def trained_anew(folder, baseline):
    """The numbers of a results folder, and the part of the baseline that it has made anew."""
    records = [read(path) for path in (folder / "runs" / "records" / "default").glob("*/*/seed-*.json")]
    records = [record for record in records if record is not None and record.status == "ok"]
    if not records:
        raise UserError(f"{folder} holds no records of the default preset; name a folder that perf/retrain.py made")
    numbers = with_weights(records)
    ran, held = (pd.MultiIndex.from_frame(table[["task", "method", "seed"]]) for table in (numbers, baseline))
    return numbers.assign(weights=""), baseline[held.isin(ran)]


def main(folders):
    """Print both tables."""
    baseline = read_baseline(BASELINE)
    others = [(folder.name, trained_anew(folder, baseline)) for folder in folders]
    columns = values_of(baseline)
    alarms, seen = [], {}
    for column in columns:
        rest, run = left_out(baseline, column)
        found = findings_of(run, rest)
        alarms.append((column, int((~found.numbers["holds"]).sum()), int((~found.together["holds"]).sum())))
        for name, goal, changed in regressions(run):
            verdicts = [not findings_of(other, rest).holds for other in changed]
            seen.setdefault((name, goal), []).extend(verdicts)
    for name, (numbers, held) in others:
        found = findings_of(numbers, held)
        alarms.append((name, int((~found.numbers["holds"]).sum()), int((~found.together["holds"]).sum())))
    print(f"{len(baseline)} held numbers, {len(columns)} trainings\n")
    table = pd.DataFrame(alarms, columns=["trained anew, nothing changed", "numbers moved", "kinds shifted together"])
    print(tabulate(table.to_dict("list"), headers="keys", tablefmt="github"))
    false = int((table.iloc[:, 1:].sum(axis=1) > 0).sum())
    print(f"\nfalse alarms: {false} of {len(table)}\n")
    rows = [(name, len(found), f"{100 * sum(found) / len(found):.0f} %", goal) for (name, goal), found in seen.items()]
    print(tabulate(rows, headers=["regression put in", "times", "seen", "goal"], tablefmt="github"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="results of one more training each")
    try:
        main(parser.parse_args().folders)
    except UserError as error:
        parser.error(str(error))
