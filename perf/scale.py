"""What CelebA at the papers' size takes: operations and CPU time of each part, and hours on nodes of GPUs.

`python perf/scale.py [METHOD ...]`; without names the first method of each family. Random pictures stand in
for CelebA's 202,599: neither operations nor time depend on what a picture shows. Every part is extrapolated from a few
steps on this processor, as `benchmark run --dry-run` does it. Takes minutes a method; writes nothing.

A GPU is taken to reach a share of its peak (`REACHED`). The share is an assumption; several say what hangs on it.
Each fit has a GPU of its own, so however many there are, a seed takes as long as its longest chain of parts.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.lib.stride_tricks import as_strided
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import inception_v3

from benchmark.arguments import methods_of, protocol_of
from benchmark.data import ImageData, Source, celeba
from benchmark.errors import UserError
from benchmark.jobs.estimate import parts_of
from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.settings import DATA
from methods import METHODS

TASK, SEED, SEEDS = "celeba/Male", 0, 5
SPLITS = {"train": 162_770, "validation": 19_867, "test": 19_962}
"""Pictures of CelebA's own splits (Liu et al. 2015)."""
ATTRIBUTES = 40
PEAK = 67e12
"""Operations a second in float32 of an H100 SXM, without tensor cores (NVIDIA's data sheet)."""
REACHED = (0.1, 0.3, 0.5)
"""Shares of the peak."""


class Whole(nullcontext):
    """In place of a tracker of modules."""

    parents = frozenset({"Global"})


class Operations(FlopCounterMode):
    """Counts all operations, not module by module: hooks of modules do not go with torch.autograd.grad."""

    def __init__(self) -> None:
        super().__init__(display=False)
        self.mod_tracker = Whole()


def main(names: str) -> None:
    """Print each part as it is measured, then the table, and what all parts take on GPUs."""
    jobs = [Job(TASK, name, SEED) for name in methods_of(names) if not METHODS[name].reference]
    protocol = protocol_of(tempfile.gettempdir(), "paper")
    celeba.load = pictures
    rows = []
    for row in measured(jobs, protocol):
        print(*row, sep=", ", flush=True)
        rows.append(row)
    rows += [decoding(), inception(protocol, len(jobs))]
    table = pd.DataFrame(rows, columns=["part", "PFLOP", "CPU hours here", "MiB"])
    print(table.to_markdown(index=False, floatfmt=",.1f"))
    print(f"{SEEDS} seeds: {SEEDS * table['MiB'].sum() / 2**10:,.0f} GiB")
    print(nodes(table.set_index("part")["PFLOP"], [str(job) for job in jobs]).to_markdown(floatfmt=",.1f"))


def decoding() -> tuple[str, float, float, float]:
    """Reading CelebA's JPEG files once, whatever is made of them; kept as 8-bit pixels."""
    count, few = sum(SPLITS.values()), 50
    colours = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)  # smooth, as photographs are
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "face.jpg"
        Image.fromarray(colours).resize(celeba.ALIGNED, Image.Resampling.BICUBIC).save(file, quality=95)
        started = time.process_time()
        for _ in range(few):
            celeba.decode(file)
        seconds = time.process_time() - started
    return "decoding, once for all", 0.0, seconds * count / few / 3600, 3 * celeba.SIZE**2 * count / 2**20


def inception(protocol: Protocol, methods: int) -> tuple[str, float, float, float]:
    """InceptionV3's features, which --fid inception asks for: of all answers, and of a reconstruction a query."""
    queries = DATA.resolved("paper", {}).queries
    count, few = methods * queries * (len(protocol.relaxations) + 1), 4
    network, images = inception_v3(init_weights=False).eval(), torch.zeros(few, 3, 299, 299)
    with torch.no_grad(), Operations() as counter:
        network(images)
        counted, started = counter.get_total_flops(), time.process_time()
        network(images)
        taken = np.array([counter.get_total_flops() - counted, time.process_time() - started])
    operations, seconds = taken * count / few
    return "Inception's features", operations / 1e15, seconds / 3600, 0.0


def nodes(operations: pd.Series, jobs: Sequence[str]) -> pd.DataFrame:
    """Hours of `SEEDS` seeds on one, 8 and 32 GPUs, for each share of the peak; `operations`: PFLOP of each part."""
    judges = operations[[" on " in name and ": " not in name for name in operations.index]].max()
    chain = judges + max(operations.filter(like=f"{job}: ").sum() for job in jobs)
    work = {gpus: max(SEEDS * operations.sum() / gpus, chain) for gpus in (1, 8, 32)}
    hours = {f"{share:.0%} of the peak": pd.Series(work) * 1e15 / (share * PEAK) / 3600 for share in REACHED}
    return pd.DataFrame(hours).rename_axis("GPUs")


def pictures(source: Source) -> ImageData:  # noqa: ARG001 - a loader's signature
    """As many random pictures as CelebA has; each is the one before, shifted by a byte, so they take little memory."""
    count, side, random = sum(SPLITS.values()), celeba.SIZE, np.random.default_rng(0)
    pixels = random.integers(256, size=3 * side**2 + count, dtype=np.uint8)
    names = ["Male", "Smiling", "Young", "Eyeglasses", *(f"attribute {place}" for place in range(4, ATTRIBUTES))]
    ends = np.cumsum(list(SPLITS.values()))
    return ImageData(
        name="celeba",
        images=as_strided(pixels, (count, 3, side, side), (1, side**2, side, 1), writeable=False),
        labels=None,
        class_names=(),
        digest="random",
        attributes=pd.DataFrame(random.integers(2, size=(count, ATTRIBUTES), dtype=np.int8), columns=names),
        official={name: np.arange(end - size, end) for (name, size), end in zip(SPLITS.items(), ends, strict=True)},
    )


def measured(jobs: Sequence[Job], protocol: Protocol) -> Iterator[tuple[str, float, float, float]]:
    """Of each part its name, 10^15 operations, CPU hours on this processor, and MiB on disk."""
    with Operations() as counter:
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
