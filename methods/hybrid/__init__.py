"""Hybridization of a trained generator's internal channels (Besserve et al. 2020)."""
