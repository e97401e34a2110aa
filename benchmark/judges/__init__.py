"""Judges: the investigated classifier, the oracle, attribute oracles, autoencoders, feature extractors."""
