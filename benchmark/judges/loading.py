"""Loads a classifier of the user's; no file executes code as it is read, unless the user says that it may."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Never

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from benchmark.data import ImageData
from benchmark.errors import STRANGE, UserError, reason_of
from benchmark.judges.adapter import OwnClassifier
from benchmark.judges.spec import EXECUTING, TORCHVISION, ClassifierSpec
from methods.base import Asks
from methods.pictures import unit

FORMS = "model.onnx, file.py:build, package.module:build or torchvision:NAME"
SAFER = "export it to ONNX, or give its code as file.py:build with --classifier-weights; or say --trust-code"


def load_classifier(spec: ClassifierSpec, data: ImageData) -> OwnClassifier:
    """The classifier of `spec` for the pictures and classes of `data`, frozen, in evaluation mode.

    Raises
    ------
    UserError
        If it cannot be loaded without executing code, fits neither the pictures nor the classes, or an extra lacks.
    """
    network, offers = _network(spec)
    if isinstance(network, nn.Module):
        network.eval().requires_grad_(False)
    classifier = OwnClassifier(network, spec, offers, data.class_names)
    return classifier.prepare(unit(torch.from_numpy(np.array(data.images[:1])))).eval()


def _network(spec: ClassifierSpec) -> tuple[Callable[[Tensor], Tensor], Asks]:
    """The network, and what it offers."""
    suffix = Path(spec.source).suffix.lower()
    if suffix == ".onnx":
        return _of_onnx(spec), "probabilities"
    network = _trusted(spec) if suffix in EXECUTING else _built(spec)
    return network, "features" if spec.features else "gradients"


# -- networks as code --------------------------------------------------------------------------------------------------


def _built(spec: ClassifierSpec) -> nn.Module:
    """What the user's own function returns, or torchvision's, with the user's weights in it."""
    where, colon, name = spec.source.rpartition(":")
    if not colon or not name:
        raise UserError(f"--classifier takes {FORMS}, not '{spec.source}'")
    state = None if spec.weights is None else read_state(spec.weights)
    if where == TORCHVISION:
        return _of_torchvision(name, state, spec)
    network = _called(_module(where), name, spec)
    if state is not None:
        network = _with(network, state, spec)
    if any(is_lazy(part) for part in (*network.parameters(), *network.buffers())):
        raise UserError(f"{spec.source} has lazy modules without weights: feed it a picture before it is returned")
    return network


def _of_torchvision(name: str, state: dict[str, Tensor] | None, spec: ClassifierSpec) -> nn.Module:
    from torchvision.models import get_model, list_models  # noqa: PLC0415 - few classifiers are torchvision's

    if name not in list_models():
        raise UserError(f"torchvision has no model '{name}'; see torchvision.models.list_models()")
    if state is None:
        raise UserError(f"{spec.source} has no weights of its own here: name a file by --classifier-weights")
    outputs = len(list(state.values())[-1])  # the last layer's bias
    return _with(get_model(name, weights=None, num_classes=outputs), state, spec)


def _module(where: str) -> Any:  # noqa: ANN401 - a module of the user's
    """The module of a file, or of a package."""
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        path = Path(where).resolve()
        spec = importlib.util.spec_from_file_location(f"classifier_{path.stem}", path)
        assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - it ends in .py
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    except STRANGE as error:
        raise UserError(f"{where} cannot be imported: {reason_of(error)}") from error
    return module


def _called(module: Any, name: str, spec: ClassifierSpec) -> nn.Module:  # noqa: ANN401 - a module of the user's
    try:
        network = getattr(module, name)()
    except STRANGE as error:
        raise UserError(f"{spec.source} cannot be built: {reason_of(error)}") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{spec.source} returns {type(network).__name__}, not a torch.nn.Module")
    return network


def _with(network: nn.Module, state: dict[str, Tensor], spec: ClassifierSpec) -> nn.Module:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise UserError(f"{spec.weights} does not fit {spec.source}: {' '.join(lines)[:300]}") from error
    return network


# -- weights -----------------------------------------------------------------------------------------------------------


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict in a file, read without executing code: safetensors, or torch's with `weights_only`.

    Raises
    ------
    UserError
        If it holds anything else.
    """
    try:
        found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # torch's reader stumbles over damage in as many ways as there are bytes
        _refuse(path, error)
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not found or not all(isinstance(part, Tensor) for part in found.values()):
        raise UserError(f"{path} holds no state dict: save model.state_dict(), better as safetensors")
    return found


def _refuse(path: Path, error: Exception) -> Never:
    raise UserError(
        f"{path} cannot be read without executing code that it may hold ({type(error).__name__}): "
        "save model.state_dict(), better as safetensors"
    ) from error


def _trusted(spec: ClassifierSpec) -> nn.Module:
    """A whole network from a file that may execute code as it is read: only for who trusts it."""
    path = Path(spec.source)
    if not spec.trust_code:
        raise UserError(f"{path} executes code as it is read: {SAFER}")
    try:
        if path.suffix == ".pt2":
            return torch.export.load(path).module()
        try:
            return torch.jit.load(path, "cpu")
        except RuntimeError:
            found = torch.load(path, "cpu", weights_only=False)
    except STRANGE as error:
        raise UserError(f"cannot read {path}: {reason_of(error):.200}") from error
    if not isinstance(found, nn.Module):
        raise UserError(f"{path} holds {type(found).__name__}, not a torch.nn.Module")
    return found


# -- ONNX --------------------------------------------------------------------------------------------------------------


NUMBERS: Mapping[str, type[np.number[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
"""What an ONNX file may want to be fed -> numpy's word for it."""
BYTES = (0.0, 255.0)


def _of_onnx(spec: ClassifierSpec) -> "OnnxNetwork":
    network = OnnxNetwork(Path(spec.source))
    if network.dtype is np.uint8 and spec.input.range != BYTES:
        raise UserError(f"{spec.name} takes whole numbers from 0 to 255: say --input 'range=0..255'")
    return network


class OnnxNetwork:
    """A network in an ONNX file, run by onnxruntime on the CPU: no Python of the file's is executed, no gradient."""

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - an optional extra
        except ImportError as error:
            raise UserError(f"{path} needs onnxruntime: python -m pip install onnxruntime") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise UserError(f"{path} cannot be read as ONNX: {error!s:.200}") from error
        first, *others = self.session.get_inputs() or [None]
        if first is None or others or not first.shape or first.type not in NUMBERS:
            wanted = ", ".join(f"{one.name} {one.type}" for one in self.session.get_inputs()) or "nothing"
            raise UserError(f"{path} takes {wanted}; export a network that takes pictures alone, as float32 or uint8")
        self.name, self.fixed = first.name, first.shape[0] if isinstance(first.shape[0], int) else None
        self.dtype = NUMBERS[first.type]

    def __call__(self, images: Tensor) -> Tensor:
        """Outputs of pictures as the file wants them; one by one where its batch is fixed."""
        array = images.detach().cpu().numpy()
        array = (array.round().clip(*BYTES) if self.dtype is np.uint8 else array).astype(self.dtype)
        each = self.fixed or len(array)
        short = -len(array) % each
        filled = np.concatenate([array, np.repeat(array[-1:], short, axis=0)])
        parts = [filled[start : start + each] for start in range(0, len(filled), each)]
        outputs = np.concatenate([self._run(part) for part in parts])
        return torch.from_numpy(outputs[: len(array)]).to(images.device)

    def _run(self, part: np.ndarray) -> np.ndarray:
        """The first output; a ValueError for whatever onnxruntime says of pictures that do not fit."""
        try:
            return np.asarray(self.session.run(None, {self.name: part})[0])
        except Exception as error:  # its errors are of no common kind
            raise ValueError(" ".join(str(error).split())[:200]) from error
