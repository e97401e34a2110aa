"""Vercheval and Pižurica, "Hierarchical Variational Autoencoders for Visual Counterfactuals", 2021: Tables I to III."""

from benchmark.papers import Paper, Published

_RELAXATIONS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def _flip_rates(method: str, *per_cent: str) -> tuple[Published, ...]:
    """Table III, one row."""
    return tuple(
        Published("III", method, "flip_rate", value, relaxation)
        for relaxation, value in zip(_RELAXATIONS, per_cent, strict=True)
    )


PAPER = Paper(
    title="Vercheval and Pižurica 2021, Tables I-III",
    setting="CelebA, sex, 129 px; classifier 98.5 %",
    numbers=(
        Published("I", "vaex", "nll", "-103610"),
        Published("I", "vaex", "kl", "732.5"),
        Published("I", "vaex", "mse", "0.0010"),
        Published("I", "vaex", "bits_per_dim", "5.03"),
        Published("I", "vaex-cat", "nll", "-104155"),
        Published("I", "vaex-cat", "kl", "746.9"),
        Published("I", "vaex-cat", "mse", "0.0010"),
        Published("I", "vaex-cat", "bits_per_dim", "5.01"),
        Published("II", "vaex", "fid_inception_reconstruction", "48.1"),
        Published("II", "vaex", "fid_inception", "66.0", 0.0),
        Published("II", "vaex-cat", "fid_inception_reconstruction", "49.6"),
        Published("II", "vaex-cat", "fid_inception", "66.4", 0.0),
        *_flip_rates("vaex", "100.0", "99.8", "99.4", "96.1", "71.4", "13.9"),
        *_flip_rates("vaex-cat", "99.6", "99.0", "96.9", "87.7", "54.4", "9.8"),
    ),
    notes=(
        "the paper's NLL of VAEX is printed without its minus sign, which its bits/dim needs",
        "NLL, KL and bits/dim depend on image size and on the variance floor: compare them within a column only",
        "FID: 2048 test images against 2048 others, Inception features; here with --fid inception on colour images",
    ),
)
