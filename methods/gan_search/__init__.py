"""Gradient search in the latent space of a GAN (Liu et al. 2019)."""
