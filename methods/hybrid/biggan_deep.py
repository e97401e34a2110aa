"""A pretrained BigGAN-deep, read from a folder in the layout of the package `pytorch-pretrained-biggan`.

The folder holds `config.json` and `pytorch_model.bin`. Spectral norms are divided out and the statistics of batch norm
are taken for one truncation, so that the plain network of `methods.hybrid.biggan_model` results.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt
from torch import Tensor

from methods.hybrid.biggan_model import CONVOLUTIONS, BlockShape, ResidualGenerator

CONFIG, WEIGHTS = "config.json", "pytorch_model.bin"
START = 4
"""Pixels that the first features are high and wide."""
REDUCTION = 4
"""A block's channels are divided by it inside."""
COLOURS = 3

State = dict[str, Tensor]


class DeepShape(BaseModel):
    """What `config.json` says; a layer is (whether it doubles the size, widths in and out, in `channel_width`s)."""

    model_config = ConfigDict(frozen=True)

    z_dim: PositiveInt
    channel_width: PositiveInt
    num_classes: PositiveInt
    layers: tuple[tuple[bool, PositiveInt, PositiveInt], ...]
    attention_layer_position: int
    eps: float
    n_stats: PositiveInt

    def blocks(self) -> Iterator[BlockShape]:
        """The blocks, coarse to fine."""
        side = START
        for place, (doubles, entering, leaving) in enumerate(self.layers):
            side *= 2 if doubles else 1
            attends = place == self.attention_layer_position
            wide = self.channel_width
            yield BlockShape(entering * wide, leaving * wide, (side, side), doubles, attends)

    def untrained(self) -> ResidualGenerator:
        """The network of this shape."""
        return ResidualGenerator(
            list(self.blocks()),
            colours=COLOURS,
            latent=self.z_dim,
            classes=self.num_classes,
            embedded=self.z_dim,
            start=(START, START),
            reduction=REDUCTION,
            eps=self.eps,
            ends_in="tanh",
        )


def load(folder: Path, truncation: float) -> ResidualGenerator:
    """The generator in `folder`, for latents under this `truncation`, in evaluation mode.

    Raises
    ------
    ValueError
        If a file is missing, or is not what the package writes.
    """
    shape = _shape(folder / CONFIG)
    path = _there(folder / WEIGHTS)
    network = shape.untrained()
    try:
        weights = torch.load(path, weights_only=True, map_location="cpu")
        network.load_state_dict(converted(weights, shape, truncation))
    except Exception as error:  # torch's reader stumbles over damage in as many ways as there are bytes
        raise ValueError(f"{path} does not hold the weights of the BigGAN-deep that {CONFIG} describes") from error
    return network.eval().requires_grad_(False)


def _shape(path: Path) -> DeepShape:
    try:
        return DeepShape.model_validate_json(_there(path).read_bytes())
    except ValueError as error:
        if not path.is_file():
            raise
        raise ValueError(f"{path} does not describe a BigGAN-deep as pytorch-pretrained-biggan does") from error


def _there(path: Path) -> Path:
    """`path`, if it is a file."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}; the folder of a BigGAN-deep holds {CONFIG} and {WEIGHTS}")
    return path


# -- the package's names and forms -> ours -----------------------------------------------------------------------------


def converted(weights: Mapping[str, Tensor], shape: DeepShape, truncation: float) -> State:
    """The package's state as that of our network."""
    place = _Place(weights, truncation)
    state = {"embedding.weight": weights["embeddings.weight"], **_first(place.at("generator.gen_z"), shape)}
    for ours in range(len(shape.layers)):
        behind = shape.attention_layer_position <= ours
        theirs = ours + (behind and shape.attention_layer_position >= 0)
        state |= _under(f"blocks.{ours}", _block(place.at(f"generator.layers.{theirs}")))
        if ours == shape.attention_layer_position:
            state |= _under(f"blocks.{ours}.attention", _attention(place.at(f"generator.layers.{theirs - 1}")))
    return state | _last(place)


class _Place:
    """A module of the package's, by the names of its tensors."""

    def __init__(self, weights: Mapping[str, Tensor], truncation: float, name: str = "") -> None:
        self.weights, self.truncation, self.name = weights, truncation, name

    def at(self, name: str) -> "_Place":
        """A module inside it."""
        return _Place(self.weights, self.truncation, f"{self.name}{name}.")

    def __getitem__(self, name: str) -> Tensor:
        return self.weights[f"{self.name}{name}"]

    def plain(self) -> Tensor:
        """The weight, divided by its spectral norm."""
        weight, left, right = self["weight_orig"], self["weight_u"], self["weight_v"]
        return weight / (left @ (weight.flatten(1) @ right))

    def layer(self) -> State:
        """Weight and bias of a convolution or linear layer."""
        return {"weight": self.plain(), "bias": self["bias"]}

    def statistics(self) -> State:
        """Mean and variance of a batch norm under the truncation: between those of its neighbours in the table."""
        means, variances = self["running_means"], self["running_vars"]
        share, place = math.modf(self.truncation / (1.0 / (len(means) - 1)))
        before = int(place)
        behind = min(before + 1, len(means) - 1)
        # The package gives the share to the neighbour before; equal outputs need the same.
        mean, variance = (
            table[before] if share == 0 else table[before] * share + table[behind] * (1 - share)
            for table in (means, variances)
        )
        return {"running_mean": mean, "running_var": variance, "num_batches_tracked": torch.tensor(0)}


def _under(name: str, state: State) -> State:
    return {f"{name}.{key}": value for key, value in state.items()}


def _first(place: _Place, shape: DeepShape) -> State:
    """The first layer, whose features the package lays out as (height, width, channels)."""
    channels = shape.layers[0][1] * shape.channel_width

    def in_order(rows: Tensor) -> Tensor:
        return rows.unflatten(0, (START * START, channels)).transpose(0, 1).flatten(0, 1)

    return {f"first.0.{name}": in_order(value) for name, value in place.layer().items()}


def _block(place: _Place) -> State:
    state: State = {}
    for i in range(CONVOLUTIONS):
        norm = place.at(f"bn_{i}")
        state |= _under(f"convolutions.{i}", place.at(f"conv_{i}").layer())
        state |= _under(f"norms.{i}.norm", norm.statistics())
        state[f"norms.{i}.scale.weight"] = norm.at("scale").plain()
        state[f"norms.{i}.shift.weight"] = norm.at("offset").plain()
    return state


def _attention(place: _Place) -> State:
    names = {"query": "theta", "key": "phi", "value": "g", "out": "o_conv"}
    state = {f"{ours}.weight": place.at(f"snconv1x1_{theirs}").plain() for ours, theirs in names.items()}
    return state | {"weight": place["gamma"].reshape(())}


def _last(place: _Place) -> State:
    """The last norm and convolution, of whose outputs the package uses three."""
    norm = place.at("generator.bn")
    state = _under("last.0", norm.statistics() | {"weight": norm["weight"], "bias": norm["bias"]})
    return state | _under(
        "last.2", {name: value[:COLOURS] for name, value in place.at("generator.conv_to_rgb").layer().items()}
    )
