"""Bit flips in a discrete latent of the classifier's own layer (Gat et al. 2022)."""
