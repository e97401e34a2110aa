"""What the screens of attributes are called in a record."""

SCREEN = "attribute-screen"
"""The study of attributes that change with flips, beside how often they go with the label in the data."""
