"""Agreement on hybrids between all classifiers and oracles of a task's records."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from benchmark.judges.classifier import ClassifierConfig, ConvClassifier
from benchmark.judges.panel import Panel
from benchmark.papers.experiments import Row, estimated
from benchmark.records.record import Record
from benchmark.records.store import find
from methods.base import Study, in_batches
from methods.pictures import Pictures

PICTURES = 500
"""Maximal number of pictures per set."""
SHOWN = 3
"""Hybrids that are listed one by one, as many as in the paper's Table 3."""

Judges = Mapping[str, ConvClassifier | Panel]


def with_panel(records: Sequence[Record], runs: Path) -> list[Record]:
    """The records of one task; for each method the first with hybrids on disk gets the tables of `panel`."""
    judges = _judges(records, runs)
    done: set[str] = set()
    made = []
    for record in sorted(records, key=lambda record: record.seed):
        found = {} if record.method in done or len(judges) < 2 else panel(record, judges, runs)
        done |= {record.method} if found else set()
        made.append(record.model_copy(update={"studies": record.studies | found}))
    return made


def panel(record: Record, judges: Judges, runs: Path) -> dict[str, Study]:
    """Tables of how often all judges agree on generated pictures and on hybrids; empty if there are no hybrids."""
    made, _ = find(runs, record.artefacts.get("show", ""))
    sets = {name.removeprefix("sample."): made[name][:PICTURES] for name in sorted(made) if name.startswith("sample.")}
    hybrids = {name: images for name, images in sets.items() if name != "samples"}
    if not hybrids or "samples" not in sets:
        return {}
    named = {"generated": "samples", **{name: name for name in hybrids}}
    seen = {
        title: torch.stack([_seen(judge, runs, record.artefacts.get("show", ""), name) for judge in judges.values()])
        for title, name in named.items()
    }
    seen["hybrid"] = torch.cat([seen[name] for name in hybrids], dim=1)
    note = f"judges: {', '.join(judges)}"
    agreement = Study(
        title="agreement of classifiers on hybrids", rows=[_row(name, of) for name, of in seen.items()], notes=(note,)
    )
    first = torch.cat([seen[name][:, :1] for name in list(hybrids)[:SHOWN]], dim=1)
    examples: list[Row] = [
        {"picture": name} | dict(zip(judges, (record.data["classes"][c] for c in classes.tolist()), strict=True))
        for name, classes in zip(hybrids, first.T, strict=False)
    ]
    title = "classes of the first hybrid by each module"
    return {"panel": agreement, "panel-examples": Study(title=title, rows=examples)}


def _judges(records: Sequence[Record], runs: Path) -> dict[str, ConvClassifier | Panel]:
    """Every classifier and oracle that is still on disk, by its role and seed."""
    found: dict[str, ConvClassifier | Panel] = {}
    for record in records:
        for role, judge in (("classifier", record.classifier), ("oracle", record.oracle)):
            state, _ = find(runs, record.artefacts.get(role, ""))
            name = f"{role}, seed {record.seed}"
            if judge is not None and state and name not in found:
                configs = tuple(ClassifierConfig(**member.config) for member in judge.members or [judge])
                size = (*record.data["shape"], len(record.data["classes"]))
                found[name] = _network(runs, record.artefacts[role], configs, size, several=bool(judge.members))
    return dict(sorted(found.items()))


# The pages of several papers show the same hybrids, seen by the same judges: each pair is asked once.


@cache
def _network(
    runs: Path, artefact: str, configs: tuple[ClassifierConfig, ...], size: tuple[int, int, int, int], *, several: bool
) -> ConvClassifier | Panel:
    """A judge as it is kept, for pictures (C, H, W) of so many classes."""
    networks = [ConvClassifier(config, size[:3], size[3]) for config in configs]
    network = Panel(networks) if several else networks[0]
    network.load_state_dict(find(runs, artefact)[0])
    return network.eval()


@cache
def _seen(judge: ConvClassifier | Panel, runs: Path, artefact: str, name: str) -> Tensor:
    """The class that a judge sees in each of a method's pictures that are called `name`, (M,)."""
    images = find(runs, artefact)[0][f"sample.{name}"][:PICTURES]
    return in_batches(judge, Pictures(images), torch.device("cpu")).argmax(1)


def _row(name: str, seen: Tensor) -> Row:
    return {"pictures": name, "judges": len(seen), **estimated("all agree", (seen == seen[0]).all(0))}
