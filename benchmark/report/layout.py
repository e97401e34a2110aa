"""Where things lie in a results folder, beside the page and the numbers."""

TABLES, FIGURES = "tables", "figures"
"""Folders: what is read, and what is drawn where it is asked for."""
DRAWN = ("png", "svg", "pdf")
"""What a figure can be written as."""
