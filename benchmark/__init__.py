"""Visual counterfactual explanations of image classifiers, compared under one roof."""

__version__ = "0.1.0"
