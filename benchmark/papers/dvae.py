"""Gat, Lorberbom, Schwartz and Hazan, "Latent Space Explanation by Intervention", 2022: Tables 1 and 2."""

from benchmark.papers import Paper, Published

CHANGE = "98.86 / 97.08 / 92.13"

PAPER = Paper(
    title="Gat et al. 2022, Tables 1 and 2",
    setting="CelebA, smiling / attractive / big lips, a binary classifier each",
    numbers=(
        *(Published("1", method, "change", CHANGE, 0.0) for method in ("dvae", "dvae-single", "dvae-all")),
        Published("1", "dvae", "flip_rate_representation", CHANGE, 0.0),
        Published("1", "dvae", "accuracy_phi", "92.10 / 79.08 / 85.20"),
        Published("1", "dvae", "accuracy_phi_reconstruction", "91.80 / 78.66 / 80.33"),
        Published("1", "dvae", "agreement", "98.08 / 95.98 / 89.70"),
        Published("2", "dvae", "shared_fisher_plain", "0.43 / 0.37 / 0.51"),
        Published("2", "dvae", "shared_fisher", "0.84 / 0.80 / 0.85"),
    ),
    notes=(
        'the paper says both "a single flip" and "when the discrete representation is flipped": a row each policy',
        "change: to any other class; flip_rate_representation: to the class asked for; of two classes, the same",
        "a flip here is of f_K(ψ); the flip rate on the picture, f(g(ψ)), is in the other tables",
        "1 / dot (Eq. 6) can be won by a larger I(g) as well as by its direction: see fisher_norm",
    ),
)
