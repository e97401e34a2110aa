import math
import struct
import xml.etree.ElementTree as ET
import zlib
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch

from benchmark.records.record import write
from benchmark.records.store import Artefact
from benchmark.report.curves import flip_rates, lines
from benchmark.report.figures import write_figures
from benchmark.report.grid import grid
from methods.base import Study

SIDE = 12
RELAXATIONS = (0.0, 1.0)
BOTH = ("png", "svg")


def pictures(rng, *shape):
    return torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8))


def keep(runs, method, channels=1, count=3):
    """The artefacts of a job with random pictures; returns their names by stage."""
    rng = np.random.default_rng(1)
    answered = {
        "queries": pictures(rng, count, channels, SIDE, SIDE),
        "images": pictures(rng, len(RELAXATIONS), count, channels, SIDE, SIDE),
        "predicted": torch.zeros(count, dtype=torch.int64),
        "targets": torch.ones(count, dtype=torch.int64),
    }
    scored = {
        "answer_classes": torch.zeros(len(RELAXATIONS), count, dtype=torch.int64),
        "answer_oracle_classes": torch.zeros(len(RELAXATIONS), count, dtype=torch.int64),
        "target_probability": torch.full((len(RELAXATIONS), count), 0.25),
    }
    path = {"intervention.path": pictures(rng, count, 4, channels, SIDE, SIDE)}
    path["intervention.flipped"] = torch.tensor([True, False, True])[:count]
    words = {"title": "how it works", "captions": [["{1} in {0}", ""]], "headings": ["before", "after"]}
    made = {
        "explain": (answered | (path if method == "searches" else {}), {}),
        "show": (
            {"illustration.workings": pictures(rng, 1, 2, channels, SIDE, SIDE)},
            {"illustrations": {"workings": words}},
        ),
        "score": (scored, {}),
    }
    if method != "searches":
        del made["show"]
    artefacts = {stage: Artefact(runs, stage, method) for stage in made}
    for stage, artefact in artefacts.items():
        artefact.make(lambda _, stage=stage: made[stage])
    return {stage: artefact.name for stage, artefact in artefacts.items()}


@pytest.fixture
def records(make_record, tmp_path):
    """Records of a method and a reference, with their pictures."""
    return [make_record(name, artefacts=keep(tmp_path / "runs", name)) for name in ("vaex", "null")]


def whole_png(content):
    """Whether every chunk of a PNG is whole, up to the last one."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return False
    place, kind = 8, b""
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        kind, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack(">I", content[place + 8 + length : place + 12 + length])
        if zlib.crc32(kind + data) != checksum:
            return False
        place += 12 + length
    return kind == b"IEND"


def test_files_are_valid(records, tmp_path):
    """Each figure is a whole PNG and a well-formed SVG of the same name, and all that were written are returned."""
    written = write_figures(records, tmp_path / "runs", tmp_path / "figures", formats=BOTH)
    assert sorted(written) == sorted((tmp_path / "figures").iterdir())
    assert {path.suffix for path in written} == {".png", ".svg"}
    assert len({path.stem for path in written}) == len(written) / 2
    for path in written:
        if path.suffix == ".png":
            assert whole_png(path.read_bytes())
        else:
            assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_names_with_dots_have_figures_of_their_own(make_record, tmp_path):
    """Methods and tasks whose names differ after a dot share no file."""
    records = [
        make_record(name, task=task, artefacts=keep(tmp_path / "runs", name))
        for task in ("shapes.v1", "shapes.v2")
        for name in ("mine-v1.0", "mine-v1.1")
    ]
    written = write_figures(records, tmp_path / "runs", tmp_path / "figures", formats=BOTH)
    assert len(set(written)) == len(written) == 2 * 2 * (2 + 2)  # formats, tasks; of a task two, of a method one
    assert tmp_path / "figures" / "counterfactuals-shapes.v2-mine-v1.1.png" in written


def test_lost_pictures_are_no_unknown_figure(cli, make_record, tmp_path):
    """Where a method's pictures are gone the line says so, and that the figure is not unknown."""
    record = make_record("vaex", preset="smoke", artefacts={"explain": "explain-gone"})
    write(record, tmp_path / "runs" / "records" / "smoke" / "mnist" / "vaex" / "seed-0.json")
    asked = ("--methods", "vaex", "--preset", "smoke", "--results", tmp_path, "--out", tmp_path / "a.png")
    outcome = cli("figure", "counterfactuals", *asked)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "not on disk any more" in outcome.err


def test_nothing_but_pngs_unless_asked(records, tmp_path):
    """No svg stands beside a PNG by default."""
    written = write_figures(records, tmp_path / "runs", tmp_path / "figures")
    assert {path.suffix for path in written} == {".png"}


def test_what_is_there_is_drawn_anew(records, tmp_path):
    """Without a format a figure that was asked for before is drawn again, and no other."""
    first, *_ = write_figures(records, tmp_path / "runs", tmp_path / "figures", formats=["svg"])
    for path in (tmp_path / "figures").iterdir():
        if path != first:
            path.unlink()
    first.write_text("an older one")
    assert write_figures(records, tmp_path / "runs", tmp_path / "figures", formats=()) == [first]
    assert first.read_text() != "an older one"


@pytest.mark.slow
def test_written_twice_is_the_same(records, tmp_path):
    """The same records and pictures give the same bytes, in every format."""
    one, two = (
        {
            path.name: path.read_bytes()
            for path in write_figures(records, tmp_path / "runs", tmp_path / folder, formats=("png", "svg", "pdf"))
        }
        for folder in ("one", "two")
    )
    assert one == two


def test_a_figure_a_task_and_a_grid_a_method(make_record, tmp_path):
    """Flip rates and all methods are one figure a task; grids are one a method and task, of the smallest seed only."""
    records = [
        make_record("vaex", task=task, seed=seed, artefacts=keep(tmp_path / "runs", "vaex"))
        for task in ("mnist", "mnist/3-8")
        for seed in (2, 5)
    ]
    stems = {path.stem for path in write_figures(records, tmp_path / "runs", tmp_path / "figures")}
    assert sum("flip-rate" in stem for stem in stems) == 2
    assert {stem for stem in stems if "all-methods" in stem} == {"all-methods-mnist", "all-methods-mnist_3-8"}
    assert sum("counterfactuals" in stem for stem in stems) == 2


def test_every_line_has_a_look_of_its_own(make_record):
    """No two methods share both colour and marker, and a reference's colour is a grey, however many there are."""
    records = [make_record(method=f"method-{i}", reference=i % 2 == 0) for i in range(30)]
    drawn = [line for panel in flip_rates(records).axes for line in panel.get_lines() if line.get_linestyle() == "-"]
    looks = {line.get_label(): (line.get_color(), line.get_marker()) for line in drawn if len(line.get_xdata())}
    assert len(set(looks.values())) == len(looks) == len(records)
    assert all((len(set(looks[record.method][0])) == 1) == record.reference for record in records)


def test_a_panel_a_family(make_record):
    """Curves of one family share a panel, references stand in the last, and the title says task, preset and n."""
    figure = flip_rates([make_record(name) for name in ("null", "vaex", "dvae", "vaex-cat", "nearest-unlike")])
    panels = {
        panel.get_title(): [line.get_label() for line in panel.get_lines() if line.get_linestyle() == "-"]
        for panel in figure.axes
    }
    assert [*panels] == ["vaex", "dvae", "references"]
    named = [[label for label in labels if not label.startswith("_")] for labels in panels.values()]
    assert named == [["vaex", "vaex-cat"], ["dvae"], ["null", "nearest-unlike"]]
    title = figure.get_suptitle()
    assert all(word in title for word in ("mnist", "preset default", "n = 100", "seed 0"))


def test_titles_name_task_preset_and_n(make_record, tmp_path):
    """What a figure of a record is about is in its title."""
    record = make_record("vaex", artefacts=keep(tmp_path / "runs", "searches"))
    for path in write_figures([record], tmp_path / "runs", tmp_path / "figures", formats=["svg"]):
        words = " ".join(words_of(path))
        assert all(word in words for word in ("mnist", "preset default", "seed 0", "100")), path


def test_failed_jobs_have_no_figure(make_record, tmp_path):
    """Where all jobs failed nothing is drawn."""
    assert write_figures([make_record(status="failed", rows=[])], tmp_path / "runs", tmp_path / "figures") == []


def test_lost_pictures_are_no_error(make_record, tmp_path):
    """A record whose pictures are not on disk any more still gets its curve."""
    record = make_record(artefacts={"explain": "explain-gone", "score": "score-gone"})
    stems = {path.stem for path in write_figures([record], tmp_path / "runs", tmp_path / "figures")}
    assert stems == {"flip-rate-mnist"}


def canvas_of(figure):
    """All pictures of a grid in one array."""
    (axes,) = figure.axes
    (image,) = axes.get_images()
    return np.asarray(image.get_array()), axes


def find(canvas, picture):
    """(top, left) of the one place where `picture` (C, H, W) stands in `canvas`."""
    wanted = picture.permute(1, 2, 0).numpy()
    if wanted.shape[2] == 1:
        wanted = wanted.repeat(3, axis=2)
    windows = np.lib.stride_tricks.sliding_window_view(canvas, wanted.shape)
    places = np.argwhere((windows == wanted).all(axis=(-3, -2, -1)))
    assert len(places) == 1
    return int(places[0][0]), int(places[0][1])


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_puts_the_query_first(rng, channels):
    """A row is a query, its picture first and then its answers in the given order, unscaled and uncoloured."""
    queries, answers = pictures(rng, 3, channels, SIDE, SIDE), pictures(rng, 2, 3, channels, SIDE, SIDE)
    canvas, _ = canvas_of(grid(queries, answers, [["a", "b", "c"]] * 3, ["query", "r = 1", "r = 0"], "title"))
    rows = [[find(canvas, picture) for picture in (query, *answers[:, i])] for i, query in enumerate(queries)]
    for row in rows:
        tops, lefts = zip(*row, strict=True)
        assert len(set(tops)) == 1
        assert list(lefts) == sorted(lefts)
    assert [row[0][0] for row in rows] == sorted(row[0][0] for row in rows)
    assert len({tuple(left for _, left in row) for row in rows}) == 1


def test_captions_stand_under_their_pictures(rng):
    """Each caption is centred below its own picture, above the next row, and headings are above the first row."""
    queries, answers = pictures(rng, 2, 1, SIDE, SIDE), pictures(rng, 2, 2, 1, SIDE, SIDE)
    captions = [[f"{row}{column}" for column in range(3)] for row in range(2)]
    canvas, axes = canvas_of(grid(queries, answers, captions, ["query", "one", "two"], "title"))
    texts = {text.get_text(): text.get_position() for text in axes.texts}
    for row in range(2):
        for column, picture in enumerate((queries[row], *answers[:, row])):
            top, left = find(canvas, picture)
            across, down = texts[captions[row][column]]
            assert math.isclose(across, left + SIDE / 2)
            assert top + SIDE <= down < top + SIDE + canvas.shape[0] / 4
    assert all(texts[heading][1] < 0 for heading in ("query", "one", "two"))


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (8, 40), (40, 8)])
def test_long_captions_keep_to_their_place(rng, shape):
    """Captions of long class names meet neither one another, nor the next row's pictures, nor the figure's edge."""
    queries, answers = pictures(rng, 2, 3, *shape), pictures(rng, 2, 2, 3, *shape)
    own, answer = "not Eyeglasses → Eyeglasses", "not Eyeglasses\np(not Eyeglasses) = 1.00"
    figure = grid(queries, answers, [[own, answer, answer]] * 2, ["query", "one", "two"], "title")
    canvas, axes = canvas_of(figure)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts if "Eyeglasses" in text.get_text()]
    assert len(boxes) == 6
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(box.x0 >= figure.bbox.x0 and box.x1 <= figure.bbox.x1 and box.y0 >= figure.bbox.y0 for box in boxes)
    next_row, _ = find(canvas, queries[1])
    assert all(box.y0 >= axes.transData.transform((0, next_row))[1] for box in boxes[:3])


def words_of(path):
    """The texts of an SVG, in their order."""
    return [comment.partition("-->")[0].strip() for comment in path.read_text().split("<!--")[1:]]


def test_paths_and_illustrations(make_record, tmp_path):
    """Paths say where they did not arrive; an illustration names classes in its captions; each is a figure."""
    record = make_record("vaex", artefacts=keep(tmp_path / "runs", "searches"))
    own, target = (record.data["classes"][label] for label in (0, 1))
    written = write_figures([record], tmp_path / "runs", tmp_path / "figures", formats=BOTH)
    files = {path.name: path for path in written}
    words = words_of(files["paths-mnist-vaex.svg"])
    assert [word for word in words if "→" in word] == [f"{own} → {target}{end}" for end in ("", ": not reached", "")]
    assert [word for word in words if word in ("query", "start", "answer")] == ["query", "start", "answer"]
    words = words_of(files["workings-mnist-vaex.svg"])
    assert {f"{target} in {own}", "before", "after"} <= set(words)


def test_study_is_drawn_to_scale(tmp_path, make_record):
    """A study's line goes through its numbers, and a study without axes is not drawn."""
    cells = pd.DataFrame({"K": [2, 3, 2, 3], "share": [0.5, 0.25, 1.0, 0.75], "by": ["a", "a", "b", "b"]})
    (axes,) = lines(cells, ("K", "share", "by"), None, "title").axes
    drawn = {line.get_label(): line for line in axes.containers}
    for name, group in cells.groupby("by"):
        xy = drawn[name].lines[0].get_xydata()
        assert np.array_equal(xy, group[["K", "share"]].to_numpy())
    study = Study(title="shares", rows=cells.to_dict("records"))
    record = make_record("vaex", studies={"a": study, "b": study.model_copy(update={"axes": ("K", "share", "by")})})
    written = write_figures([record], tmp_path / "runs", tmp_path / "figures")
    assert {path.stem for path in written} == {"flip-rate-mnist", "b-mnist-vaex"}


def test_pictures_from_the_query_on(records, tmp_path):
    """A written grid names the query first and then r from 1, which is closest to it, down to 0."""
    written = write_figures(records, tmp_path / "runs", tmp_path / "figures", formats=BOTH)
    (path,) = [path for path in written if path.name == "counterfactuals-mnist-vaex.svg"]
    words = words_of(path)
    headings = [word for word in words if word == "query" or word.startswith("r = ")]
    assert headings == ["query", "r = 1", "r = 0"]
