"""Posterior relaxation in a hierarchical conditional VAE (Vercheval and Pižurica 2021)."""
