"""What CelebA at the papers' size takes: operations and CPU time of each part, and hours on GPUs.

`python perf/scale.py [METHOD ...]`; without names the first method of each family. One random picture stands in for
all of CelebA's 202,599: neither operations nor time depend on what a picture shows. Every part is extrapolated from a
few steps on this processor, as `benchmark run --dry-run` does it. Takes minutes a method; writes nothing.

A GPU is taken to reach a share of its peak (`REACHED`). The share is an assumption; several say what hangs on it.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from torch.utils.flop_counter import FlopCounterMode

from benchmark.arguments import methods_of, protocol_of
from benchmark.data import ImageData, Source, celeba
from benchmark.errors import UserError
from benchmark.jobs.estimate import parts_of
from benchmark.jobs.protocol import Job, Protocol
from methods import METHODS

TASK, SEED = "celeba/Male", 0
SPLITS = {"train": 162_770, "validation": 19_867, "test": 19_962}
"""Pictures of CelebA's own splits (Liu et al. 2015)."""
ATTRIBUTES = 40
PEAK = 67e12
"""Operations a second in float32 of an H100 SXM, without tensor cores (NVIDIA's data sheet)."""
REACHED = (0.1, 0.3, 0.5)
"""Shares of the peak."""


def main(names: str) -> None:
    """Print each part as it is measured, then the table, and what all parts take on GPUs."""
    jobs = [Job(TASK, name, SEED) for name in methods_of(names) if not METHODS[name].reference]
    protocol = protocol_of(tempfile.gettempdir(), "paper")
    celeba.load = pictures
    rows = []
    for row in measured(jobs, protocol):
        print(*row, sep=", ", flush=True)
        rows.append(row)
    table = pd.DataFrame(rows, columns=["part", "PFLOP", "CPU hours here", "MiB"])
    print(table.to_markdown(index=False, floatfmt=",.1f"))
    operations = table["PFLOP"].sum() * 1e15
    for share in REACHED:
        print(f"one GPU at {share:.0%} of its peak: {operations / (share * PEAK) / 3600:,.1f} h")


def pictures(source: Source) -> ImageData:  # noqa: ARG001 - a loader's signature
    """As many pictures as CelebA has, all the same, in the memory of one."""
    count, random = sum(SPLITS.values()), np.random.default_rng(0)
    one = random.integers(256, size=(1, 3, celeba.SIZE, celeba.SIZE), dtype=np.uint8)
    names = ["Male", "Smiling", "Young", "Eyeglasses", *(f"attribute {place}" for place in range(4, ATTRIBUTES))]
    ends = np.cumsum(list(SPLITS.values()))
    return ImageData(
        name="celeba",
        images=np.broadcast_to(one, (count, *one.shape[1:])),
        labels=None,
        class_names=(),
        digest="random",
        attributes=pd.DataFrame(random.integers(2, size=(count, ATTRIBUTES), dtype=np.int8), columns=names),
        official={name: np.arange(end - size, end) for (name, size), end in zip(SPLITS.items(), ends, strict=True)},
    )


def measured(jobs: Sequence[Job], protocol: Protocol) -> Iterator[tuple[str, float, float, float]]:
    """Of each part its name, 10^15 operations, CPU hours on this processor, and MiB on disk."""
    with FlopCounterMode(display=False) as counter:
        for part in parts_of(jobs, protocol, lambda: np.array([counter.get_total_flops(), time.process_time()])):
            operations, seconds = np.broadcast_to(part.seconds, 2)  # of what trains nothing it is one 0
            yield part.name, operations / 1e15, seconds / 3600, part.bytes / 2**20


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("methods", nargs="*", metavar="METHOD", help="by default the first of each family")
    try:
        main(",".join(parser.parse_args().methods) or "families")
    except UserError as error:
        parser.error(str(error))
