"""Leaps of a conditional flow in the latent space of a VAE (Cao et al. 2025)."""
