import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from benchmark.data import ImageData
from benchmark.errors import UserError
from benchmark.jobs.handed import read_images
from benchmark.jobs.outside import targets_of
from benchmark.records.record import read
from benchmark.records.store import find
from metrics import METRICS

GREY = (1, 28, 28)
RECONSTRUCTED = {"reconstruction_flips", "mse", "fid_oracle_reconstruction", "kid_oracle_reconstruction"}
"""Metrics of reconstructions."""
OF_THE_METHOD = {"samples", "sample_oracle_features", "answer_start_l1", "null_edits"}
OF_THE_METHOD |= {"answer_undone", "answer_draws", "answer_nudged"}
"""Evidence that only the method itself can give."""
ON_THE_FIRST = ("fid", "kid", "cout", "density", "coverage", "realism")
"""Beginnings of metrics that may rest on some of the queries: the first, or those of classes with real pictures."""


def save(folder, images):
    """One grey PNG an image, (N, 1, H, W) uint8, named by its place."""
    folder.mkdir(parents=True)
    for place, image in enumerate(images):
        Image.fromarray(image[0]).save(folder / f"{place:04d}.png")


@pytest.fixture(scope="session")
def run_record(smoke):
    """A run's own record, and the pictures that it wrote."""
    record = read(smoke / "runs" / "records" / "smoke" / "mnist" / "gan-search" / "seed-0.json")
    kept, _ = find(smoke / "runs", record.artefacts["explain"])
    return record, {name: tensor.numpy() for name, tensor in kept.items()}


@pytest.fixture(scope="session")
def pictures(run_record, tmp_path_factory):
    """The same pictures as another program would hand them in: PNG files, a folder a relaxation, targets as csv."""
    record, kept = run_record
    folder = tmp_path_factory.mktemp("pictures")
    save(folder / "queries", kept["queries"])
    save(folder / "reconstructions", kept["reconstructions"])
    for r, images in zip(record.relaxations, kept["images"], strict=True):
        save(folder / "answers" / f"r={r:g}", images)
    lines = [f"{place:04d},{target}" for place, target in enumerate(kept["targets"])]
    (folder / "targets.csv").write_text("\n".join(["name,target", *lines]) + "\n")
    return folder


@pytest.fixture
def handed(pictures, tmp_path):
    """A copy of the pictures, free to break."""
    return shutil.copytree(pictures, tmp_path / "pictures")


@pytest.fixture
def score(cli, smoke):
    """The command on a folder of pictures, with the judges of the smoke run: (folder, options) -> Outcome."""

    def run(folder, *options, targets=True, queries="queries", answers="answers", results=smoke):
        given = ["--queries", folder / queries, "--counterfactuals", folder / answers, "--task", "mnist"]
        given += ["--targets", folder / "targets.csv"] if targets else []
        return cli("score", "--preset", "smoke", "--results", results, *given, *options)

    return run


def numbers(folder):
    """(metric, relaxation, subset) -> value, low, high and n of a metrics.csv; -1 where there is none."""
    found = {}
    for row in csv.DictReader((folder / "metrics.csv").read_text().splitlines()):
        r, *estimate = (float(row[column] or -1) for column in ("relaxation", "value", "low", "high", "n"))
        found[row["metric"], r, row["subset"]] = tuple(estimate)
    return found


def recorded(record):
    """The same of a record."""

    def known(value):
        return -1 if value is None else value

    return {
        (row.metric, known(row.relaxation), row.subset): (known(row.value), known(row.low), known(row.high), row.n)
        for row in record.rows
    }


# -- the law -----------------------------------------------------------------------------------------------------------


def test_pictures_of_a_run_have_its_numbers(score, pictures, run_record, tmp_path, stamps, smoke):
    """Pictures of a run, handed in, get its own numbers to the digit, as far as pictures tell; nothing is trained."""
    before = stamps(smoke / "runs" / "artefacts")
    outcome = score(pictures, "--reconstructions", pictures / "reconstructions", "--out", tmp_path / "out")
    assert (outcome.code, outcome.err) == (0, "")
    assert stamps(smoke / "runs" / "artefacts") == before
    told = {name for name, metric in METRICS.items() if OF_THE_METHOD & set(metric.needs)} | {"classifier_calls"}
    own = {key: row for key, row in recorded(run_record[0]).items() if key[0] not in told}
    assert numbers(tmp_path / "out") == own


def test_arrays_have_the_numbers_of_pictures(score, pictures, run_record, tmp_path):
    """8-bit and float arrays, and PNG files in any order of names, say the same as each other."""
    record, kept = run_record
    folder = tmp_path / "arrays"
    (folder / "answers").mkdir(parents=True)
    np.save(folder / "queries.npy", kept["queries"])
    for r, images in zip(record.relaxations, kept["images"], strict=True):
        np.savez(folder / "answers" / f"r={r:g}.npz", (images / np.float32(255)).transpose(0, 2, 3, 1))
    lines = [f"{place},{target}" for place, target in enumerate(kept["targets"])]
    (folder / "targets.csv").write_text("\n".join(["name,target", *lines]))
    assert score(folder, "--out", tmp_path / "one", queries="queries.npy").code == 0
    assert score(pictures, "--out", tmp_path / "other").code == 0
    assert numbers(tmp_path / "one") == numbers(tmp_path / "other")
    assert not {metric for metric, _, _ in numbers(tmp_path / "one")} & RECONSTRUCTED


def test_only_printed_where_no_folder_is_named(score, pictures, smoke, tmp_path, monkeypatch):
    """Without --out the tables are printed, under the name that was given, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    before = {str(path) for path in smoke.rglob("*") if ".lease" not in path.name}
    outcome = score(pictures, "--name", "theirs")
    assert "| theirs " in outcome.out
    assert "All methods at r = 0; 95 % intervals: over the queries of one training only" in outcome.out
    assert list(tmp_path.iterdir()) == []
    assert {str(path) for path in smoke.rglob("*") if ".lease" not in path.name} == before


def test_written_is_what_is_printed(score, pictures, tmp_path):
    """What is written to --out are the tables that are printed, as Markdown, the tidy file, and a page, named last."""
    out = score(pictures, "--out", tmp_path / "out").out
    assert {path.name for path in (tmp_path / "out" / "tables").iterdir()} >= {"summary.md", "flip-rate-mnist.md"}
    assert {"metrics.csv", "report.html"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert (tmp_path / "out" / "tables" / "summary.md").read_text() in out
    assert out.splitlines()[-1] == str(tmp_path / "out" / "report.html")


def test_a_single_set_stands_at_r_0(score, pictures, tmp_path):
    """Answers in no subfolder are one set, and a note says where they stand."""
    outcome = score(pictures, "--out", tmp_path / "out", answers="answers/r=0.2")
    several = score(pictures, "--out", tmp_path / "several")
    assert (outcome.code, several.code) == (0, 0)
    one, all_of_them = numbers(tmp_path / "out"), numbers(tmp_path / "several")
    assert one["l1", 0.0, "all"] == all_of_them["l1", 0.2, "all"]
    assert "count as r = 0" in outcome.out


def test_names_are_what_matches(score, handed, tmp_path):
    """Files renamed to another order have the same numbers, but for what rests on the first ones."""
    assert score(handed, "--out", tmp_path / "before").code == 0
    count = len(list((handed / "queries").iterdir()))
    for path in sorted(handed.rglob("*.png")):
        path.rename(path.with_name(f"picture-{count - int(path.stem):04d}.png"))
    lines = (handed / "targets.csv").read_text().split()[1:]
    renamed = [f"picture-{count - int(line[:4]):04d}.png{line[4:]}" for line in lines]
    (handed / "targets.csv").write_text("\n".join(["name,target", *renamed]))
    assert score(handed, "--out", tmp_path / "after").code == 0
    before, after = numbers(tmp_path / "before"), numbers(tmp_path / "after")
    assert before.keys() == after.keys()
    for key in before:
        if not key[0].startswith(ON_THE_FIRST):
            # An autoencoder's float32 rounding depends on which images are beside it in the batch.
            assert after[key] == pytest.approx(before[key], rel=1e-6 if key[0] in {"im1", "im2"} else 1e-12)


def test_queries_that_are_already_there_are_told(score, handed, run_record):
    """Queries that the classifier sees as their target before anything is changed are counted in a note."""
    predicted = run_record[1]["predicted"]
    lines = [f"{place:04d},{seen}" for place, seen in enumerate(predicted)]
    (handed / "targets.csv").write_text("\n".join(["name,target", *lines]))
    assert f"{len(predicted)} of {len(predicted)} queries have their target class" in score(handed).out


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stack(rng):
    """Five grey images, (N, H, W)."""
    return rng.integers(0, 256, (5, 28, 28)).astype(np.uint8)


def test_every_way_to_hand_in_is_the_same(tmp_path, stack):
    """A folder of PNG files, arrays by name, and stacks of any layout and depth are the same images."""
    save(tmp_path / "png", stack[:, None])
    np.savez(tmp_path / "named.npz", **{f"{place:04d}": image for place, image in enumerate(stack)})
    np.save(tmp_path / "plain.npy", stack)
    np.save(tmp_path / "channels-last.npy", stack[..., None] / 255)
    np.savez(tmp_path / "one.npz", images=stack[:, None])
    for name in ("png", "named.npz", "plain.npy", "channels-last.npy", "one.npz"):
        images = read_images(tmp_path / name, GREY)
        assert [int(key) for key in images] == [0, 1, 2, 3, 4]
        assert np.array_equal(np.stack(list(images.values()))[:, 0], stack)


def test_colours_keep_their_channels(tmp_path, rng):
    """Colour pictures come with their channels first."""
    pixels = rng.integers(0, 256, (28, 28, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_images(tmp_path, (3, 28, 28))["a"], pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("ending", ["jpg", "JPEG", "tif", "bmp", "webp"])
def test_other_kinds_of_pictures_are_read(tmp_path, stack, ending):
    """Pictures of every kind that is read are found, also beside each other; what keeps pixels keeps them."""
    Image.fromarray(stack[0]).save(tmp_path / f"a.{ending}", lossless=True)
    Image.fromarray(stack[1]).save(tmp_path / "b.png")
    images = read_images(tmp_path, GREY)
    assert sorted(images) == ["a", "b"]
    if ending in {"tif", "bmp"}:
        assert np.array_equal(images["a"][0], stack[0])


def test_grey_saved_as_colour_is_grey(tmp_path, stack):
    """A colour picture with three equal channels is the grey picture; with others it is refused."""
    Image.fromarray(stack[0]).convert("RGB").save(tmp_path / "a.png")
    assert np.array_equal(read_images(tmp_path, GREY)["a"][0], stack[0])
    Image.fromarray(np.stack([stack[0], stack[1], stack[0]], axis=2)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="1 channel"):
        read_images(tmp_path, GREY)


@pytest.mark.parametrize("excess", [1e-7, 1e-5, -1e-6])
def test_rounding_above_1_is_no_mistake(tmp_path, stack, excess):
    """Floats that leave [0, 1] by what a method may are clipped; more is refused."""
    ends = np.where(stack > 127, 1.0 + excess, 0.0 - abs(excess))
    np.save(tmp_path / "a.npy", ends)
    assert np.array_equal(np.stack(list(read_images(tmp_path / "a.npy", GREY).values()))[:, 0], 255 * (stack > 127))
    np.save(tmp_path / "a.npy", ends * 1.001)
    with pytest.raises(UserError, match=r"in \[0, 1\]: float64 from -.* to 1\.00"):
        read_images(tmp_path / "a.npy", GREY)


def test_names_are_the_same_however_they_are_composed(tmp_path, stack):
    """A letter with an accent, written as one sign or as two, is the same name."""
    for name in ("composed", "decomposed"):
        (tmp_path / name).mkdir()
    Image.fromarray(stack[0]).save(tmp_path / "composed" / "caf\u00e9.png")
    Image.fromarray(stack[0]).save(tmp_path / "decomposed" / "cafe\u0301.png")
    assert read_images(tmp_path / "composed", GREY).keys() == read_images(tmp_path / "decomposed", GREY).keys()


def test_targets_as_programs_write_them(tmp_path):
    """Blanks, endings of names, decomposed letters, and classes that a table program made numbers are understood."""
    data = ImageData("digits", np.zeros((3, *GREY), np.uint8), np.arange(3), ("0", "1", "2"), "d")
    text = "name, target\ncafe\u0301.png, 2.0\n b ,1\nc.tif,0"
    (tmp_path / "targets.csv").write_text(text, encoding="utf-8")
    assert targets_of(tmp_path / "targets.csv", ("caf\u00e9", "b", "c"), data) == {"caf\u00e9": 2, "b": 1, "c": 0}


# -- mistakes ----------------------------------------------------------------------------------------------------------


def spoil(kind):
    """Breaks a folder of pictures in one way."""

    def picture(mode, size=(28, 28)):
        return lambda folder: Image.new(mode, size).save(folder / "queries" / "0003.png")

    def write(name, content):
        return lambda folder: (folder / name).write_bytes(content)

    return {
        "no answer": lambda folder: (folder / "answers" / "r=0" / "0003.png").unlink(),
        "no query": lambda folder: (folder / "queries" / "0003.png").unlink(),
        "other size": picture("L", (28, 30)),
        "other channels": lambda folder: Image.new("RGB", (28, 28), "red").save(folder / "queries" / "0003.png"),
        "palette": picture("P"),
        "16 bit": picture("I;16"),
        "no picture": write("queries/0003.png", b"no picture"),
        "empty file": write("answers/r=0/0003.png", b""),
        "empty folder": lambda folder: [path.unlink() for path in (folder / "queries").iterdir()],
        "no folder": lambda folder: shutil.rmtree(folder / "queries"),
        "no relaxation": lambda folder: (folder / "answers" / "r=0").rename(folder / "answers" / "r=much"),
        "no targets": lambda folder: (folder / "targets.csv").unlink(),
        "no target": write("targets.csv", b"name,target\n0000,3\n"),
        "other header": write("targets.csv", b"0000,3\n0001,4\n"),
        "unknown class": lambda folder: (folder / "targets.csv").write_text(
            (folder / "targets.csv").read_text().replace("0003,", "0003,x")
        ),
        "targets are no text": write("targets.csv", b"\xff\xfe\x00"),
        "two targets": lambda folder: (folder / "targets.csv").open("a").write("0003,0\n0003,1\n"),
        "subfolder": lambda folder: (folder / "queries" / "more").mkdir(),
        "no picture's name": write("queries/0003.gif", b""),
        "same name": lambda folder: shutil.copy(folder / "queries" / "0003.png", folder / "queries" / "0003.bmp"),
        "subfolder beside r": lambda folder: (folder / "answers" / "more").mkdir(),
        "both kinds": lambda folder: shutil.copy(folder / "queries" / "0003.png", folder / "answers"),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no answer", ("'0003'", "queries", "r=0", "by name")),
        ("no query", ("'0003'", "queries", "r=0", "by name")),
        ("other size", ("0003.png", "28 × 28")),
        ("other channels", ("0003.png", "1 channel")),
        ("palette", ("0003.png", "mode is P")),
        ("16 bit", ("0003.png", "mode is I;16")),
        ("no picture", ("0003.png", "cannot read")),
        ("empty file", ("0003.png", "cannot read")),
        ("empty folder", ("queries", "PNG")),
        ("no folder", ("queries", "PNG")),
        ("no relaxation", ("r=much", "r=0.2")),
        ("no targets", ("targets.csv", "name,target")),
        ("no target", ("'0001'", "name,target")),
        ("other header", ("'0000'", "name,target")),
        ("unknown class", ("class of mnist", "known")),
        ("targets are no text", ("targets.csv", "name,target")),
        ("two targets", ("targets.csv", "two targets for '0003'")),
        ("subfolder", ("more", "no picture")),
        ("no picture's name", ("0003.gif", "no picture")),
        ("same name", ("0003.png", "0003.bmp", "same name")),
        ("subfolder beside r", ("more", "not both")),
        ("both kinds", ("0003.png", "not both")),
    ],
)
def test_mistake_is_one_line_and_writes_nothing(score, handed, tmp_path, kind, words):
    """What cannot be scored is one line with the file's name, found before any training, and nothing is written."""
    spoil(kind)(handed)
    outcome = score(handed, "--out", tmp_path / "out", results=tmp_path / "results")
    assert (outcome.code, outcome.out, len(outcome.complaints)) == (2, "", 1), outcome
    assert all(word in outcome.err for word in words), outcome.err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", ["", " ", "a|b", "a\nb"])
def test_name_that_is_no_cell_is_refused(score, handed, tmp_path, name):
    """A name that would break a table is refused before anything is written."""
    outcome = score(handed, "--name", name, "--out", tmp_path / "out", results=tmp_path / "results")
    assert (outcome.code, outcome.out, len(outcome.complaints)) == (2, "", 1), outcome
    assert "--name" in outcome.err
    assert not (tmp_path / "out").exists()


def test_many_classes_need_targets(score, pictures):
    """Where there are more than two classes the error says how to give targets."""
    outcome = score(pictures, targets=False)
    assert outcome.code == 2
    assert len(outcome.complaints) == 1
    assert "--targets" in outcome.err
    assert "10 classes" in outcome.err


@pytest.mark.parametrize(
    "array",
    [
        np.full((2, 28, 28), 2.0),
        np.full((2, 28, 28), np.nan),
        np.zeros((2, 28, 28), int),
        np.zeros((2, 5)),
        np.zeros(0),
        np.array(3.0),
        np.array([{}]),
    ],
    ids=["above 1", "NaN", "integers", "no images", "empty", "a number", "objects"],
)
def test_arrays_that_are_no_images(score, pictures, tmp_path, array):
    """Arrays that are no images are refused by the file's name."""
    shutil.copy(pictures / "targets.csv", tmp_path)
    np.save(tmp_path / "queries.npy", array)
    outcome = score(tmp_path, queries="queries.npy")
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "queries.npy" in outcome.err
    assert "pickle" not in outcome.err  # numpy would have the user trust the file


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04nothing"])
@pytest.mark.parametrize("name", ["queries.npy", "queries.npz"])
def test_broken_array_files(score, tmp_path, name, content):
    """Array files that are broken are refused by name."""
    (tmp_path / name).write_bytes(content)
    outcome = score(tmp_path, queries=name, targets=False)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert name in outcome.err
    assert "pickle" not in outcome.err


@pytest.mark.slow
def test_two_classes_need_no_targets(cli, run_record, tmp_path):
    """Where there are two classes, the target is the one that the classifier does not see in the query."""
    images = run_record[1]["queries"][:6]
    save(tmp_path / "images", images)
    options = ("--task", "mnist/3-8", "--preset", "smoke", "--results", tmp_path / "results", "--out", tmp_path / "out")
    same = ("--queries", tmp_path / "images", "--counterfactuals", tmp_path / "images")
    assert cli("score", *same, *options).code == 0
    found = numbers(tmp_path / "out")
    assert found["flip_rate", 0.0, "all"][0] == 0
    assert found["l1", 0.0, "all"][0] == 0
