"""Besserve, Mehrjou, Sun and Schölkopf, "Counterfactuals uncover the modular structure of deep generative models".

Published in 2020; its appendices count as parts of it.
"""

from functools import partial

import torch

from benchmark.names import DIGITS
from benchmark.papers import Claim, Paper, Printed, Shown
from benchmark.papers.experiments import FEW, Asked, Outcome, Row, all_of
from benchmark.papers.hybrid_began import BEGAN, TABLE_2, TWO, near_generated, near_real, two_layers
from benchmark.papers.hybrid_began import CLAIMS as BEGAN_CLAIMS
from benchmark.papers.hybrid_biggan import AGREEMENT, CLAIMS, VERDICTS, across_classes
from benchmark.papers.hybrid_parts import CLAIMS as PARTS_CLAIMS
from benchmark.papers.hybrid_parts import PARTS, influence_on_parts
from benchmark.papers.measures import Measure, Setting, at_end, study
from benchmark.papers.verdicts import at_least, more, untestable
from methods.base import Method, Study
from methods.hybrid.influence import influence
from methods.hybrid.method import Hybridization
from methods.hybrid.modules import cluster
from methods.hybrid.network import Place

NEEDS_IMAGENET = "needs a pretrained BigGAN-deep and ImageNet's classifiers: the option --pretrained takes them"
A_DRAWING = "a drawing"

METHODS = ("hybrid", "hybrid-gan", BEGAN)


PANEL = "panel"
"""The study of whether several classifiers agree on what a generator makes."""
EXAMPLES = "panel-examples"
"""The first of these pictures."""


def _settings(method: str, *fields: str | None) -> tuple[Setting | None, ...]:
    return tuple(None if field is None else Setting(method, field) for field in fields)


TABLE_1 = Printed(
    name="Table 1",
    title="settings of the β-VAE and the DCGAN",
    setting="CelebA, 64 px",
    columns=(
        "deconv. layers / channels",
        "sizes of activation maps",
        "latent space",
        "optimiser",
        "objective",
        "batch size",
        "β",
    ),
    published={
        "VAE CelebA": (
            "4/(64,64,32,16,3)",
            "(8,16,32,64)",
            "128",
            "Adam (β = 0.5)",
            "VAE loss (Gaussian posteriors)",
            "64",
            "0.0005",
        ),
        "GAN CelebA": ("4/(128,64,32,16,3)", "(4,8,16,32)", "150", "Adam (β = 0.5)", "GAN loss", "64", "NA"),
    },
    here={
        "VAE CelebA": _settings("hybrid", "generator", None, "latent", "momentum", None, "batch_size", "beta"),
        "GAN CelebA": _settings("hybrid-gan", "generator", None, "latent", "momentum", None, "batch_size", None),
    },
    notes=(
        "of ours: settings, nothing measured; behind the layers named, a last one makes the image's channels",
        "β weighs the KL beside a mean over pixels in the paper, beside a sum here",
        "the paper's Fig. 7 has a latent space of 100 instead of 128",
    ),
)


TABLE_3 = Printed(
    name="Table 3",
    title="what four classifiers see in three hybrids of a koala and a teddy bear",
    setting="ImageNet, BigGAN-deep; one picture each, Fig. 17",
    n=3,
    columns=("resnet_v2_50", "inception_v3", "nasnet_large", "inception_resnet_v2"),
    published={
        "Left Image": ("koala", "koala", "koala", "koala"),
        "Middle Image": ("koala", "koala", "teddy", "teddy"),
        "Right Image": ("koala", "teddy", "teddy", "koala"),
    },
    studies=(VERDICTS, AGREEMENT, PANEL, EXAMPLES),
    notes=(
        "the same question here: four differently built classifiers of the task look at hybrids of a conditional GAN, "
        "and the classifiers and oracles of all seeds at those of the other generators",
    ),
)


def stability(method: str, algorithm: str, k: int, column: str = "consistency") -> Measure:
    """A number of the stability of modules, as a mean over random splits."""
    spread = {"consistency": "std", "cosine": "std of cosine"}[column]
    words = f"{column}, {algorithm}, K = {k},"
    where: dict[str, str | float] = {"algorithm": algorithm, "K": k}
    return study(method, "stability", column, where, words=words, spread=spread, count="repetitions")


SEC_4 = Printed(
    name="Sec. 4.1",
    title="stability of three modules",
    setting="CelebA, a β-VAE; 20 repetitions",
    columns=("consistency", "cosine of templates"),
    published={"NMF, K = 3": ("> 90%", ".9")},
    here={
        f"NMF, K = 3 ({method})": (stability(method, "NMF", 3), stability(method, "NMF", 3, "cosine"))
        for method in METHODS
    },
    tolerance=0.05,
    notes=("in brackets: ± 1.96 standard errors over the random splits, which share maps",),
)


_at = partial(at_end, depth="layer", method="hybrid", count="study_pairs")
"""A study's mean over the modules of the coarsest or the finest layer of the β-VAE."""
_recognition = partial(_at, name="recognition", column="recognition rate", error="standard error")
_pixels = partial(_at, name="distance", column="pixel distance", error="standard error")
_entropy = partial(_at, name="entropy", column="entropy", spread="std")


def _agreement(what: str) -> Measure:
    """The share of the β-VAE's pictures that all classifiers give the same class."""
    return study(
        "hybrid",
        PANEL,
        "all agree",
        {"pictures": what},
        words=f"share of {what} pictures that all judges agree on",
        interval=True,
    )


# -- experiments -------------------------------------------------------------------------------------------------------

COUNTS = range(2, 9)
"""K that the influence of modules is told for."""


def influence_of_modules(method: Method, asked: Asked) -> Outcome:  # noqa: ARG001 - modules ask no queries
    """Influence of the modules of each layer against their number K, grouped anew for each (Fig. 8, top right)."""
    assert isinstance(method, Hybridization)  # noqa: S101 - registered so
    network, generator, config = method.network, method.generator, method.config
    own, other = generator.noise(FEW), generator.noise(FEW)
    height, width = network.maps.shape[1:]
    rows: list[Row] = []
    for fitted in network.single_places:
        patterns = network.patterns(fitted, config.window, config.percentile)
        for count in COUNTS:
            place = Place(fitted.layers, fitted.channels, count, (height, width)).to(network.maps.device)
            place.group(cluster(patterns, count))
            modules = [place.swapped(single) for single in place.singles if not place.is_empty(single)]
            effects = [influence(generator, place.layers, own, other, one).mean() for one in modules]
            each = torch.stack(effects or [torch.zeros(())])
            spread = float(each.std(correction=0))
            rows.append({"layers": place.name, "K": count, "influence": float(each.mean()), "std": spread})
    note = (
        f"mean ± std over the modules that have channels; mean absolute change of a pixel over {FEW} pairs of samples"
    )
    study = Study(
        title="influence of modules against their number K",
        rows=rows,
        notes=(note,),
        axes=("K", "influence", "layers"),
        spread="std",
    )
    return Outcome({}, {"module-count": study})


# -- the paper ---------------------------------------------------------------------------------------------------------

PAPER = Paper(
    title="Besserve et al. 2020, Counterfactuals uncover the modular structure of deep generative models",
    methods=("hybrid", "hybrid-gan", BEGAN, "hybrid-biggan"),
    tasks=(*DIGITS, "avatars/Smiling"),
    tables=(TABLE_1, TABLE_2, TABLE_3, SEC_4),
    figures=(
        Shown("Fig. 1", "hybrids of a BigGAN", ("collection-{task}-hybrid-biggan",)),
        Shown("Fig. 2", "definitions", missing=A_DRAWING),
        Shown("Fig. 3", "how hybrids are made; influence maps", ("influence-{task}-hybrid",)),
        Shown(
            "Fig. 4",
            "modules, influence maps and hybrids of a BEGAN, two successive layers swapped together",
            ("influence-{task}-hybrid-began", "hybrids-{task}-hybrid-began"),
            (TWO, "convergence"),
        ),
        Shown(
            "Fig. 5",
            "hybrids of a BigGAN across classes",
            ("collection-{task}-hybrid-biggan", "second-collection-{task}-hybrid-biggan"),
        ),
        Shown(
            "Fig. 6",
            "recognition of hybrids by a classifier, and pixel distance, against depth",
            (
                "block-recognition-{task}-hybrid-biggan",
                "block-distance-{task}-hybrid-biggan",
                "recognition-{task}-hybrid",
                "distance-{task}-hybrid",
            ),
            ("block-recognition", "block-distance", "recognition", "distance"),
        ),
        Shown("Fig. 7", "the β-VAE", missing=f"{A_DRAWING}; methods/hybrid/vae.py is the network"),
        Shown(
            "Fig. 8",
            "modules and hybrids of a β-VAE; right: influence against the number of modules and against their size",
            ("influence-{task}-hybrid", "hybrids-{task}-hybrid", "module-count-{task}-hybrid", "modules-{task}-hybrid"),
            ("module-count", "modules", PARTS),
        ),
        Shown("Fig. 9", "consistency of NMF and k-means against K", ("stability-{task}-hybrid",), ("stability",)),
        Shown("Fig. 10", "modules and hybrids of a β-VAE", ("hybrids-{task}-hybrid",)),
        Shown(
            "Fig. 11",
            "modules and hybrids of a DCGAN",
            ("influence-{task}-hybrid-gan", "hybrids-{task}-hybrid-gan", "stability-{task}-hybrid-gan"),
        ),
        Shown("Fig. 12", "more hybrids of a BEGAN: one original 2, many originals 1", ("donor-{task}-hybrid-began",)),
        Shown(
            "Fig. 13",
            "more hybrids of a BigGAN",
            ("collection-{task}-hybrid-biggan", "block-collection-{task}-hybrid-biggan"),
        ),
        Shown(
            "Fig. 14",
            "entropy of a classifier on hybrids, by layer and module",
            ("pair-entropy-{task}-hybrid-biggan", "entropy-{task}-hybrid"),
            ("pair-entropy", "entropy"),
        ),
        Shown(
            "Fig. 15",
            "more hybrids of a BigGAN, of another pair of classes",
            ("second-collection-{task}-hybrid-biggan", "second-block-collection-{task}-hybrid-biggan"),
        ),
        Shown("Fig. 16", "entropy on these", ("second-pair-entropy-{task}-hybrid-biggan",), ("second-pair-entropy",)),
        Shown("Fig. 17", "the hybrids of Table 3", ("verdicts-{task}-hybrid-biggan",)),
    ),
    claims=(
        Claim(
            "Sec. 4.1, Fig. 9",
            "three modules are consistent to more than 90 %",
            at_least(stability("hybrid", "NMF", 3), 0.9),
        ),
        Claim(
            "Sec. 4.1, Fig. 9",
            "templates of three modules have a cosine of .9",
            at_least(stability("hybrid", "NMF", 3, "cosine"), 0.9),
        ),
        Claim(
            "Sec. 4.1, Fig. 9",
            "four modules are less consistent than three",
            more(stability("hybrid", "NMF", 3), stability("hybrid", "NMF", 4)),
        ),
        Claim(
            "Sec. 4.1, Fig. 9",
            "NMF is more consistent than k-means (at K = 3)",
            more(stability("hybrid", "NMF", 3), stability("hybrid", "k-means", 3)),
        ),
        Claim(
            "App. E",
            "the same of a DCGAN: three modules are consistent to more than 90 %",
            at_least(stability("hybrid-gan", "NMF", 3), 0.9),
        ),
        near_generated("hybrid", 1, 2),
        near_real("hybrid", 1, 2),
        *BEGAN_CLAIMS,
        Claim(
            "Sec. 4.2, Fig. 6",
            "hybrids made at a finer layer are recognised more often",
            more(_recognition("finest"), _recognition("coarsest")),
        ),
        Claim(
            "Sec. 4.2, Fig. 6",
            "hybrids made at a finer layer are nearer to their original",
            more(_pixels("coarsest"), _pixels("finest")),
        ),
        Claim(
            "Fig. 14",
            "a classifier is surer of hybrids made at a coarser layer",
            more(_entropy("finest"), _entropy("coarsest")),
        ),
        Claim(
            "Sec. 4.2, Table 3",
            "classifiers agree less on hybrids than on what the generator makes by itself",
            more(_agreement("generated"), _agreement("hybrid")),
        ),
        *CLAIMS,
        *PARTS_CLAIMS,
        Claim(
            "Sec. 4.2, Table 3",
            "of four classifiers of ImageNet, nasnet_large is the least led by context",
            untestable(NEEDS_IMAGENET),
        ),
    ),
    experiments={
        "hybrid": all_of(influence_of_modules, influence_on_parts),
        "hybrid-gan": influence_on_parts,
        BEGAN: all_of(two_layers, influence_on_parts),
        "hybrid-biggan": across_classes,
    },
    pretrained=("hybrid-biggan", "benchmark.papers.hybrid_imagenet:ImageNetHybrids"),
)
