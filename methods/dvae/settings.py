"""The settings of `dvae` and its variants."""

from typing import Annotated, Literal

from pydantic import Field

from methods.base import Layer, MethodConfig

Positive = Annotated[int, Field(gt=0)]


class DvaeConfig(MethodConfig):
    """Settings of `dvae`."""

    explain_only = frozenset({"policy", "until_picture", "margin", "draws"})

    policy: Literal["greedy", "single", "all"] = Field(
        "greedy",
        description="bits to flip: one after another until the class flips; the most influential one; all (the paper "
        'says "a single flip" and "when the discrete representation is flipped")',
    )
    until_picture: bool = Field(
        True, description="whether `greedy` continues until g(ψ), and not only f_K(ψ), has the target class (ours)"
    )
    margin: float = Field(
        2.2,
        ge=0,
        description="logits by which the target leads in f_K(ψ) and in f(g(ψ)) before `until_picture` is content: the "
        "probability .9 that the searches ask for, where two classes compete (ours)",
    )
    draws: Positive = Field(32, description="random draws for the reported information of g (ours)")
    layer: Layer = Field(
        "fully connected",
        description="the layer of f that φ is the output of: the first fully connected one (the paper's experiments) "
        "or the last convolutional block, flattened (ours; the paper's method takes any)",
    )
    bits: Positive = Field(
        16, description="boolean latents for two classes; for C, log2(C) times as many, rounded up, are n (ours)"
    )
    hidden: tuple[Positive, ...] = Field(
        (128, 128, 64), description="widths inside the encoder, mirrored in the decoder: four linear layers each"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="between linear layers (the paper uses some, not how much)")
    temperature: float = Field(0.5, gt=0, description="τ of the Gumbel-softmax relaxation (ours)")
    kl_weight: float = Field(
        0.3, ge=0, description="weight of the KL term for two classes (Eq. 1: 1); for C it is divided by C - 1 (ours)"
    )
    epochs: Positive = Field(90, description="epochs of the DVAE (ours)")
    min_steps: int = Field(1200, ge=0, description="minimal number of steps of the DVAE (ours)")
    generator: tuple[Positive, ...] = Field((256, 256), description="hidden widths of g (ours)")
    generator_epochs: int = Field(
        16, ge=0, description="epochs of g (ours); 0 with no steps either leaves g untrained, where only f_K is asked"
    )
    generator_min_steps: int = Field(1500, ge=0, description="minimal number of steps of g (ours)")
    generator_input: Literal["decoded", "encoded", "sampled"] = Field(
        "decoded",
        description="what g learns to draw from: φ' (the paper's), φ itself, or φ' decoded from a code that is drawn "
        "from q(z | φ) anew at each step (ours)",
    )
    regulariser: Literal["inverse_dot", "inverse_cosine", "none"] = Field(
        "inverse_cosine",
        description="of the answering generator: 1 / cos(I(g), I(f_K)) (ours), 1 / (I(g) · I(f_K)) (Eq. 6), none",
    )
    weight: float = Field(5.0, ge=0, description="λ of the regulariser (Eq. 6; ours; under inverse_dot .1 is enough)")
    probes: Positive = Field(2, description="random draws for the information in the training loss (ours)")
    regularised: Positive = Field(32, description="maximal number of images per batch in the regulariser (ours)")
    batch_size: Positive = Field(128, description="images per step (ours)")
    learning_rate: float = Field(2e-3, gt=0, description="Adam's learning rate at its peak (ours)")
    samples: Positive = Field(1000, description="maximal number of training images in the figure of the bits (ours)")
