"""Who judges: the investigated classifier, the oracle, attribute oracles, autoencoders, features."""
