"""Cells of the classifier's features swapped for a distractor's (Goyal et al. 2019)."""
