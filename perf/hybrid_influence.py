"""What streaming influence maps saves over running the whole generator for each of them, and whether both agree.

Prints ratios measured in one process: `python perf/hybrid_influence.py` (a minute). All maps of all layers are made of
the same pairs three times: streamed, as `hybrid` does; by one run of the whole generator for each channel and pair,
with the channel replaced on the way; and by the same runs, all pairs of a channel in one batch. The generator is not
trained: what a run costs does not depend on how good it is.
"""

import argparse

import torch
from timing import timed
from torch import Tensor

from methods.hybrid.influence import elementary_influence
from methods.hybrid.model import Layered, generate
from methods.hybrid.vae import Hybrid, HybridVaeConfig

PAIRS = 64


@torch.no_grad()
def main() -> None:
    """Time the three, and compare their maps."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    method = Hybrid(HybridVaeConfig())
    generator = method.generator_of(method.untrained((1, 28, 28), 10).eval())
    own, other = generator.noise(PAIRS), generator.noise(PAIRS)
    elementary_influence(generator, "layer 1 (4 × 4)", own, other)  # warm up
    streamed, fast = timed(lambda: [elementary_influence(generator, layer, own, other) for layer in generator.layers])
    for name, size in (("a channel and pair", 1), ("a channel, all pairs in one batch", PAIRS)):
        whole, slow = timed(
            lambda size=size: [by_whole_runs(generator, layer, own, other, size) for layer in generator.layers]
        )
        apart = max(float((one - two).abs().max()) for one, two in zip(streamed, whole, strict=True))
        goal = " (goal: at least 4)" if size == 1 else ""
        print(
            f"one whole run {name} / streamed = {slow:.2f} s / {fast:.2f} s = {slow / fast:.2f}{goal} "
            f"on {PAIRS} pairs, {sum(generator.layers.values())} channels; maps differ by at most {apart:.1g}"
        )


def by_whole_runs(generator: Layered, layer: str, own: Tensor, other: Tensor, size: int) -> Tensor:
    """The maps of the channels of `layer`, by whole runs on batches of `size` pairs: (channels, H, W)."""
    donors, originals = generator.upstream(other, layer), generate(generator, own)
    maps = torch.zeros(generator.layers[layer], *originals.shape[2:])
    for channel in range(len(maps)):
        for rows in torch.arange(len(own)).split(size):
            features = generator.upstream(own[rows], layer)
            features[:, channel] = donors[rows, channel]
            hybrids = generator.downstream(features, layer, own[rows])
            maps[channel] += (hybrids - originals[rows]).abs().mean(1).sum(0)
    return maps / len(own)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
