"""Planted biases: trials, gates, discovery, their tables."""
