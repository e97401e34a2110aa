"""Further answers to the first queries: repeated reconstructions, edits undone, repeated draws, nudged queries."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.jobs.fit import fitted
from benchmark.jobs.work import Work
from benchmark.records.record import peak_memory
from benchmark.records.store import Artefact, code_of, key_of
from methods.base import Method
from methods.pictures import eight_bit, unit

NULL_EDITS = 5
"""Reconstructions in a row, each of the one before."""
DRAWS = 2
"""Answers per query under different sampling seeds; the expected distance of a pair is the same for any number."""


def probe(work: Work, fit: Artefact, first: Artefact) -> Artefact:
    """Null edits, undone edits and repeated draws of the first queries, whose answers are in the chunk `first`."""
    numbers = {"null_edits": NULL_EDITS, "draws": DRAWS, "code": code_of(__name__)}
    key = key_of(answers=first.name, count=work.settings.probes, seed=work.job.seed, **numbers)
    artefact = Artefact(work.protocol.runs, "probe", key)
    artefact.make(partial(_probe, work, fit, first))
    return artefact


def _probe(work: Work, fit: Artefact, first: Artefact, _: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
    relaxations = work.protocol.relaxations
    least = int(np.argmin(relaxations))
    chunk = {name: part.to(work.workshop.device) for name, part in first.tensors().items()}
    few = {name: chunk[name][: work.settings.probes] for name in ("queries", "targets", "predicted")}
    with torch.no_grad():
        made = probed(
            fitted(work, fit),
            {**few, "queries": unit(few["queries"])},
            relaxations[least],
            unit(chunk["images"][least, : work.settings.probes]),
            partial(work.question.seed_for, "probe"),
        )
    return {name: eight_bit(images).cpu() for name, images in made.items()}, {"peak_memory": peak_memory()}


def probed(
    method: Method, answered: Mapping[str, Tensor], at: float, edited: Tensor, seed: Callable[[int], int]
) -> dict[str, Tensor]:
    """The images from which composition, reversibility, diversity and stability are computed.

    The seeds of a run have different queries, so diversity compares answers of one fitted method under different
    sampling seeds.

    Parameters
    ----------
    method
        The fitted method.
    answered
        "queries" (n, C, H, W) in [0, 1], "targets" and "predicted" (n,).
    at
        The relaxation of the edits.
    edited
        (n, C, H, W) in [0, 1]: the answers at that relaxation.
    seed
        Number -> sampling seed.

    Returns
    -------
    dict
        "null_edits", "undone" and "nudged", (n, C, H, W), and "draws", (n, DRAWS, C, H, W), in [0, 1]. The nudged
        queries are asked under the seed of the last draw, so that chance does not part the two. A method that takes the
        exact answers has no "nudged".
    """
    queries = answered["queries"]

    def ask(images: Tensor, target: Tensor, number: int) -> Tensor:
        torch.manual_seed(seed(number))
        return method.explain(images, target, [at]).images[0].clamp(0, 1)

    draws = [edited, *(ask(queries, answered["targets"], number) for number in range(1, DRAWS))]
    undone = ask(edited, answered["predicted"], DRAWS)
    images = queries
    for _ in range(NULL_EDITS):
        images = method.reconstruct(images).clamp(0, 1)
    made = {"null_edits": images, "undone": undone, "draws": torch.stack(draws, dim=1)}
    if not method.takes_truth:  # the exact answer to a picture that the data never drew is not known
        made["nudged"] = ask(_nudged(queries, seed(DRAWS + 1)), answered["targets"], DRAWS - 1)
    return made


def _nudged(images: Tensor, seed: int) -> Tensor:
    """Images (n, C, H, W) in [0, 1] with every number one grey level higher or lower at random, where there is room."""
    signs = 2 * torch.randint(2, images.shape, generator=torch.Generator().manual_seed(seed)) - 1
    return (images + signs.to(images) / 255).clamp(0, 1)
