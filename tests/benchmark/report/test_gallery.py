from io import BytesIO
from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.report.answers import Answers
from benchmark.report.drawing import drawn, small
from benchmark.report.gallery import BOTH, FRAMES, NEITHER, ONE, Column, all_methods, gallery


def shades(count, channels, height, width, first=40):
    """Pictures of one value each, so that they can be found in a figure."""
    values = torch.arange(first, first + count, dtype=torch.uint8)
    return values[:, None, None, None].expand(count, channels, height, width).contiguous()


def answers(queries, images, reached, agreed, relaxations=(1.0, 0.0)):
    """Answers to `queries`, the same at every relaxation."""
    count = len(queries)
    return Answers(
        queries=queries,
        images=torch.stack([images] * len(relaxations)),
        relaxations=list(relaxations),
        predicted=["4"] * count,
        targets=["2"] * count,
        seen=[["4"] * len(relaxations)] * count,
        reached=torch.tensor([reached] * len(relaxations)),
        agreed=torch.tensor([agreed] * len(relaxations)),
        probability=torch.zeros(len(relaxations), count),
        paths=None,
        arrived=[],
        changes=[],
    )


def headings_of(figure):
    """The texts above the columns, from left to right."""
    texts = [text for text in figure.axes[0].texts if text.get_va() == "bottom"]
    return [text.get_text() for text in sorted(texts, key=lambda text: text.get_position()[0])]


def frame_at(canvas, value):
    """The colours around the place where the picture of one `value` stands."""
    downs, acrosses = np.nonzero((canvas == value).all(axis=2))
    edge = canvas[downs.min() - 5, acrosses.min() : acrosses.max()]
    return {tuple(colour) for colour in edge.tolist()} - {(255, 255, 255)}


def canvas_of(figure):
    """All pixels, before any text is drawn."""
    return np.asarray(figure.axes[0].get_images()[0].get_array())


def test_a_frame_says_who_sees_the_target(make_record):
    """Both, the classifier alone, or nobody: each has a colour of its own; what only the oracle sees is no flip."""
    queries, images = shades(4, 1, 28, 28), shades(4, 1, 28, 28, first=80)
    seen = answers(queries, images, [True, True, False, False], [True, False, False, True])
    canvas = canvas_of(all_methods([(make_record("vaex"), seen)]))
    assert [frame_at(canvas, 80 + i) for i in range(2)] == [{BOTH.colour}, {ONE.colour}]
    thin = canvas[canvas.shape[0] // 3 :]
    assert (thin == NEITHER.colour).all(axis=2).any()
    assert frame_at(canvas, 82) == frame_at(canvas, 83) == {NEITHER.colour}
    assert frame_at(canvas, 40) == set()


def test_frames_differ_without_their_colours():
    """Who sees no colours tells frames by dashes and width, or by what is written below."""
    assert len({(frame.dashed, frame.width) for frame in FRAMES}) == len({frame.words for frame in FRAMES}) == 3


def test_order_of_columns(make_record):
    """The query, exact answers, methods, references; without a reference that answers with the query."""
    queries, images = shades(2, 1, 28, 28), shades(2, 1, 28, 28, first=80)
    yes = [True, True]
    records = [make_record(name) for name in ("null", "nearest-unlike", "vaex")] + [
        make_record("truth", reference=True)
    ]
    pairs = [(record, answers(queries, queries if record.method == "null" else images, yes, yes)) for record in records]
    figure = all_methods(pairs)
    names = [heading.replace("\n", "") for heading in headings_of(figure)]
    assert names == ["query", "truth(reference)", "vaex", "nearest-unlike(reference)"]
    assert "r = 0 " in " ".join(text.get_text().replace("\n", " ") for text in figure.axes[0].texts)


def test_other_questions_are_left_out(make_record):
    """A method that was asked other queries, or not at the smallest relaxation, has no column."""
    queries, images = shades(2, 1, 28, 28), shades(2, 1, 28, 28, first=80)
    yes = [True, True]
    figure = all_methods(
        [
            (make_record("vaex"), answers(queries, images, yes, yes)),
            (make_record("dvae"), answers(images, images, yes, yes)),
            (make_record("hybrid"), answers(queries, images, yes, yes, relaxations=(1.0,))),
        ]
    )
    assert headings_of(figure) == ["query", "vaex"]
    assert all_methods([]) is None


@pytest.mark.parametrize(
    ("methods", "shape"),
    [(1, (1, 28, 28)), (20, (1, 28, 28)), (2, (3, 65, 65)), (5, (3, 12, 60)), (5, (3, 60, 12)), (2, (3, 300, 200))],
)
@pytest.mark.slow
def test_texts_keep_to_their_place(methods, shape):
    """No text meets another or leaves the figure, none is on a picture, and all pictures are there, for any shape."""
    names = ["gan-search-bank", "nearest-unlike\n(reference)", "name_without_end_and_onwards", "averylongname" * 2]
    columns = [Column("query", shades(2, *shape), [None, None])]
    columns += [
        Column(names[place % 4], shades(2, *shape, first=60 + 2 * place), [FRAMES[place % 3]] * 2)
        for place in range(methods)
    ]
    figure = gallery(columns, ["not Eyeglasses → Eyeglasses"] * 2, "celeba/Smiling: " + "a long title " * 12)
    canvas = canvas_of(figure)
    assert drawn(figure).shape == canvas.shape
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)
    for box in boxes:
        under = canvas[int(len(canvas) - box.y1) : int(len(canvas) - box.y0), int(box.x0) : int(box.x1)]
        assert (under == 255).all()
    sizes = {(canvas == value).all(axis=2).sum() for value in [40, 41, *range(60, 60 + 2 * methods)]}
    assert len(sizes) == 1
    assert sizes.pop() > 0


def test_a_palette_where_nobody_sees_it(rng):
    """Digits become a palette, whose colours are close; a picture of many colours keeps them all."""
    grey = np.repeat(rng.integers(0, 256, (60, 60, 1), dtype=np.uint8), 3, axis=2)
    reduced = Image.open(BytesIO(small(grey)))
    assert reduced.mode == "P"
    assert np.abs(np.asarray(reduced.convert("RGB")).astype(int) - grey).max() <= 8
    colours = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(BytesIO(small(colours)))), colours)
