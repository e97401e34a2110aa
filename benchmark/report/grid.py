"""Pictures in rows and columns, each with a caption below it."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmark.report.drawing import height_of, wrapped

CHARACTERS = 17
"""Characters of a grid's title per column of pictures."""
NARROW = 22
"""Characters per line of a caption below a picture."""
SIZE = 6
"""Font size of a caption in points."""


def grid(
    queries: Tensor, answers: Tensor, captions: Sequence[Sequence[str]], headings: Sequence[str], title: str
) -> Figure:
    """Queries (Q, C, H, W) in the first column, then answers (R, Q, C, H, W), uint8, one column per relaxation.

    `captions`: Q rows of 1 + R texts, below the pictures; `headings`: 1 + R texts above the first row.
    """
    pictures = torch.cat([queries[None], answers]).permute(1, 0, 3, 4, 2).numpy()  # (Q, 1 + R, H, W, C)
    rows, columns, height, width, channels = pictures.shape
    captions = [["\n".join(wrapped(text, NARROW)) for text in row] for row in captions]
    under = max(1 + text.count("\n") if text else 0 for row in captions for text in row)  # lines
    gap = round(0.08 * width)
    across = columns * (width + gap) - gap
    inch = across / (0.98 * columns)  # pixels
    margin, strip = 0.03 * inch, max(gap, round((height_of(under, SIZE) + 0.09) * inch)) if under else gap
    canvas = np.full((rows * (height + strip), across, channels), 255, dtype=np.uint8)
    title = "\n".join(wrapped(title, CHARACTERS * columns))
    lines = 2 + title.count("\n") + max(heading.count("\n") for heading in headings)
    above = max(0.55, 0.2 + 0.14 * lines)  # inches, independent of the figure's height
    figure = Figure(figsize=(columns, canvas.shape[0] / inch + above))
    axes = figure.add_axes((0.01, 0.0, 0.98, 1 - above / figure.get_figheight()))
    axes.set_axis_off()
    for row, column in np.ndindex(rows, columns):
        top, left = row * (height + strip), column * (width + gap)
        canvas[top : top + height, left : left + width] = pictures[row, column]
        centre = left + width / 2
        axes.text(centre, top + height + margin, captions[row][column], ha="center", va="top", fontsize=SIZE)
        if row == 0:
            axes.text(centre, -0.05 * inch, headings[column], ha="center", va="bottom", fontsize=8)
    axes.imshow(canvas.repeat(3 // channels, axis=2), interpolation="nearest")
    figure.suptitle(title, fontsize=8, y=1 - 0.06 / figure.get_figheight())
    return figure
