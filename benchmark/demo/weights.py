"""Trained networks as they come with the package: one file, large tensors in 8 bits."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from methods.files import write_whole

SHIPPED = Path(__file__).with_name("mnist.safetensors")
"""Written by results/demo.py."""
LARGE = 1024
"""Numbers in a tensor from which on it is kept in 8 bits, with a scale for each of its first dimension."""


class Shipped(NamedTuple):
    """Networks by name, and what is known of them."""

    states: Mapping[str, Mapping[str, Tensor]]
    """Name of a method or a judge -> the state of its network."""
    facts: Mapping[str, Any]
    """Task and seed; and, by the same names, the settings that they were trained with."""


def write(path: Path, shipped: Shipped) -> None:
    """Write networks to `path`; large tensors are rounded to 8 bits."""
    packed: dict[str, Tensor] = {}
    for name, state in shipped.states.items():
        for part, value in state.items():
            packed |= _packed(f"{name}/{part}", value)
    write_whole(path, save(packed, {"facts": json.dumps(shipped.facts)}))


def read(path: Path = SHIPPED) -> Shipped:
    """The networks in `path`, as floats again; reading executes nothing."""
    with safe_open(str(path), "pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["facts"])
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a file is no mapping
    states: dict[str, dict[str, Tensor]] = {}
    for full, value in kept.items():
        name, _, part = full.partition("/")
        if not part.endswith(SCALE):
            scale = kept.get(full + SCALE)
            states.setdefault(name, {})[part] = value if scale is None else value.float() * scale
    return Shipped(states, facts)


SCALE = "@scale"


def _packed(name: str, value: Tensor) -> dict[str, Tensor]:
    if not value.is_floating_point() or value.numel() < LARGE or value.ndim < 2:
        return {name: value.contiguous()}
    scale = value.abs().amax(tuple(range(1, value.ndim)), keepdim=True).clamp_min(1e-12) / 127
    return {name: (value / scale).round().to(torch.int8).contiguous(), name + SCALE: scale.contiguous()}
