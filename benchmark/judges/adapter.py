"""A network of the user's as the investigated classifier: pictures in [0, 1] in, logits out, all else inside."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from benchmark.errors import UserError, reason_of
from benchmark.judges.preprocessings import Preprocessing
from benchmark.judges.spec import ClassifierSpec
from methods.base import Asks, Layer

SMALLEST = 1e-7
"""Least probability whose logarithm is taken."""


class OwnClassifier(nn.Module):
    """The network of a `ClassifierSpec` behind the contract of `methods.base.Classifier`.

    Parameters
    ----------
    network
        What was loaded: a tensor of pictures, as `spec.input` wants them, -> outputs (B, columns).
    offers
        "probabilities" of a function without gradient, "gradients", or "features" where `spec.features` names φ; what
        turns out to have no gradient offers probabilities alone.
    class_names
        The data's, in whose order the logits come.

    Raises
    ------
    UserError
        If its outputs cannot be these classes.
    """

    def __init__(
        self, network: Callable[[Tensor], Tensor], spec: ClassifierSpec, offers: Asks, class_names: Sequence[str]
    ) -> None:
        super().__init__()
        self.network, self.spec, self.offers = network, spec, offers
        self.cut = False
        """Whether it is code, but its forward lets no gradient through."""
        self.class_count = len(class_names)
        self.feature_counts: Mapping[Layer, int] = {}
        self.spatial: tuple[int, int, int] | None = None
        self.preprocessing = Preprocessing(spec.input)
        self.places = _places(spec, class_names)
        self.dtype = next((p.dtype for p in self.parameters() if p.is_floating_point()), torch.float32)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W) in [0, 1]."""
        return self._logits(self.outputs(images))

    def outputs(self, images: Tensor) -> Tensor:
        """What the network itself answers to images (B, C, H, W) in [0, 1]."""
        try:
            return self.network(self.preprocessing(images).to(self.dtype))
        except SystemExit as error:
            raise UserError(f"{self.spec.name} cannot be asked: {reason_of(error)}") from error

    def features(self, images: Tensor, layer: Layer = "fully connected") -> Tensor:  # noqa: ARG002 - one is named
        """φ(x), (B, F): what the module `spec.features` puts out."""
        seen: list[Tensor] = []
        with _Watched(self._module(), seen.append):
            self.outputs(images)
        return seen[-1].flatten(1).float()

    def head(self, features: Tensor, layer: Layer = "fully connected") -> Tensor:  # noqa: ARG002 - one is named
        """Logits (B, classes) of φ (B, F): the network on any picture, with φ in place of what its module puts out."""
        return self._from(features, 1 if self._one_will_do else len(features))

    def _from(self, features: Tensor, pictures: int) -> Tensor:
        """Logits of φ, for which the network is fed so many blank pictures; what it makes of them up to φ is lost."""
        blank = self._blank.to(features.device).expand(pictures, *self._blank.shape[1:])
        with _Watched(self._module(), lambda _: features.view(-1, *self._phi_shape).to(self.dtype)):
            return self.forward(blank)

    @torch.no_grad()
    def _spared(self) -> bool:
        """Whether φ of several pictures can replace that of one, which spares all layers before it the others."""
        shape = (2, self.feature_counts["fully connected"])
        some = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(self._blank)
        try:
            alone, full = self._from(some, 1), self._from(some, 2)
        except RuntimeError:  # the network remembers how many pictures it was fed
            return False
        return alone.shape == full.shape and torch.allclose(alone, full, rtol=1e-4, atol=1e-5)

    def prepare(self, images: Tensor) -> "OwnClassifier":
        """See on a picture (1, C, H, W) that the outputs are classes, and how long φ is.

        Raises
        ------
        UserError
            If the network cannot be fed the picture, or its outputs are not one for each class, each a number.
        """
        with torch.no_grad():
            self.checked(images)
        if self.offers != "probabilities" and not self._has_gradient(images):
            self.offers, self.cut = "probabilities", True
        if self.offers == "features":
            self._blank = torch.zeros_like(images)
            seen: list[Tensor] = []
            with torch.no_grad(), _Watched(self._module(), seen.append):
                self.outputs(images)
            self._phi_shape = seen[-1].shape[1:]
            self.feature_counts = {"fully connected": seen[-1][0].numel()}
            self._one_will_do = self._spared()
            if len(self._phi_shape) == 3:
                self.spatial = (self._phi_shape[0], self._phi_shape[1], self._phi_shape[2])
        return self

    def fed(self, images: Tensor) -> Tensor:
        """As `outputs`; a UserError where the network cannot be fed images (B, C, H, W)."""
        try:
            return self.outputs(images)
        except UserError:
            raise
        except Exception as error:  # a stranger's network
            raise UserError(
                f"{self.spec.name} cannot be fed {len(images)} picture(s) of {tuple(images.shape[1:])}: "
                f"{_first(error)}; say what it wants with --input, as in 'size=224 channels=3 layout=nchw'"
            ) from error

    def checked(self, images: Tensor) -> Tensor:
        """As `forward`; a UserError where images (B, C, H, W) cannot be fed, or what is put out is no logits."""
        outputs = self.fed(images)
        self._check(outputs, len(images))
        logits = self._logits(outputs)
        if not logits.isfinite().all():
            what = "NaN" if logits.isnan().any() else "infinity"
            raise UserError(f"{self.spec.name} puts out {what}: wrong weights or preprocessing?")
        return logits

    def _has_gradient(self, images: Tensor) -> bool:
        """Whether its outputs know how they come from the images (1, C, H, W)."""
        try:
            with torch.enable_grad():
                return self.outputs(images.clone().requires_grad_()).requires_grad
        except RuntimeError:  # as of .numpy() in its forward
            return False

    def _check(self, outputs: Tensor, count: int) -> None:
        """Refuse outputs that cannot be the classes of `count` pictures."""
        if not isinstance(outputs, Tensor) or outputs.ndim != 2 or len(outputs) != count:
            shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise UserError(f"{self.spec.name} puts out {shape} for {count} picture(s), not (pictures, classes)")
        columns, single = outputs.shape[1], outputs.shape[1] == 1
        if self.spec.output == "one-logit" and not single:
            raise UserError(f"{self.spec.name} has {columns} outputs, and --output one-logit is said of a single one")
        there = 2 if single and self.spec.output != "logits" else columns
        if lacking := [str(column) for column in self.spec.columns or () if column >= there]:
            raise UserError(
                f"{self.spec.name} has no output {', '.join(lacking)}: --output-columns takes 0 to {there - 1}"
            )
        wanted = 1 if single and self.class_count == 2 else max(self.places, default=0) + 1
        exact = self.spec.columns is None and self.spec.classes is None
        if (
            (single and self.spec.output == "logits")
            or columns < wanted
            or (exact and columns != wanted and not single)
        ):
            raise UserError(
                f"{self.spec.name} has {columns} output(s) for {self.class_count} classes; "
                "say which with --output-columns, or --output one-logit for the second of two classes"
            )

    def _logits(self, outputs: Tensor) -> Tensor:
        """The network's outputs as logits of the data's classes, (B, classes) float32."""
        outputs = outputs.float()
        if self.spec.output == "probabilities":
            if outputs.shape[1] == 1:
                outputs = torch.cat([1 - outputs, outputs], dim=1)
            outputs = outputs.clamp_min(SMALLEST).log()
        elif self.spec.output == "one-logit":
            outputs = torch.cat([torch.zeros_like(outputs), outputs], dim=1)
        return outputs[:, self.places]

    def _module(self) -> nn.Module:
        assert isinstance(self.network, nn.Module)  # noqa: S101 - only modules offer features
        try:
            return self.network.get_submodule(self.spec.features)
        except AttributeError as error:
            names = [name for name, _ in self.network.named_modules() if name][-12:]
            raise UserError(
                f"{self.spec.name} has no module '{self.spec.features}'; --features takes one of {', '.join(names)}"
            ) from error


class _Watched:
    """While it lasts, `module`'s output goes through `change`; None leaves it as it is."""

    def __init__(self, module: nn.Module, change: Callable[[Tensor], Tensor | None]) -> None:
        self.module, self.change = module, change

    def __enter__(self) -> None:
        self.handle = self.module.register_forward_hook(lambda _module, _inputs, output: self.change(output))

    def __exit__(self, *_: object) -> None:
        self.handle.remove()


def _places(spec: ClassifierSpec, class_names: Sequence[str]) -> list[int]:
    """The output column of each class of the data."""
    columns = spec.columns or tuple(range(len(spec.classes or class_names)))
    if spec.classes is None:
        if len(columns) != len(class_names):
            raise UserError(f"--output-columns names {len(columns)} columns for {len(class_names)} classes")
        return list(columns)
    if lacking := [name for name in class_names if name not in spec.classes]:
        raise UserError(f"--classes lacks {', '.join(lacking)}, which the pictures show")
    if len(columns) != len(spec.classes):
        raise UserError(f"--output-columns names {len(columns)} columns, --classes {len(spec.classes)} classes")
    return [columns[spec.classes.index(name)] for name in class_names]


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
