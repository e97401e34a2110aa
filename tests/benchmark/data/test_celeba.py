import multiprocessing
import os
import shutil
import signal
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, resize

from benchmark.data import Source, cache, celeba
from benchmark.data.celeba import load
from benchmark.data.tasks import load_task, split
from benchmark.errors import UserError
from benchmark.jobs.settings import method_config
from benchmark.judges.classifier import ClassifierConfig, ConvClassifier
from methods import METHODS
from methods.gan_search.attributes import THIRTEEN
from methods.training import Trainer

COUNT = 12
COLUMNS = ["Smiling", "Eyeglasses", "5_o_Clock_Shadow"]
NAMES = [f"{number:06d}.jpg" for number in range(1, COUNT + 1)]
VALUES = np.random.default_rng(0).integers(0, 2, (COUNT, len(COLUMNS)))
PARTITION = [0] * 7 + [1] * 2 + [2] * 3


def save_face(path, seed):
    rng = np.random.default_rng(seed)
    face = Image.effect_noise(celeba.ALIGNED, 60).convert("RGB")
    draw = ImageDraw.Draw(face)
    for _ in range(8):
        left, upper = rng.integers(0, 150, 2).tolist()
        draw.ellipse((left, upper, left + 40, upper + 60), fill=tuple(rng.integers(0, 256, 3).tolist()))
    face.save(path, quality=90)


def attribute_text(names=NAMES, values=VALUES):
    rows = [
        f"{name} " + " ".join(f"{2 * value - 1:2d}" for value in row) for name, row in zip(names, values, strict=True)
    ]
    return "\n".join([str(len(rows)), " ".join(COLUMNS) + " ", *rows]) + "\n"


def partition_text(names=NAMES, partition=PARTITION):
    return "".join(f"{name} {code}\n" for name, code in zip(names, partition, strict=True))


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces") / "celeba"
    (folder / celeba.IMAGES).mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        save_face(folder / celeba.IMAGES / name, seed)
    (folder / celeba.ATTRIBUTES).write_text(attribute_text())
    (folder / celeba.PARTITION).write_text(partition_text())
    return folder


@pytest.fixture
def root(original, tmp_path):
    """A folder with CelebA in torchvision's layout, free to break."""
    shutil.copytree(original, tmp_path / "data" / "celeba")
    return tmp_path / "data"


@pytest.fixture
def image(root):
    """The path of one of the images."""
    return root / "celeba" / celeba.IMAGES / NAMES[4]


@pytest.fixture
def cached(root, tmp_path):
    return Source(root=root, cache=tmp_path / "cache")


@pytest.fixture
def decoded(monkeypatch):
    """The names of the images that were decoded, in any order."""
    names = []
    decode = celeba.decode

    def counting(path):
        names.append(path.name)
        return decode(path)

    monkeypatch.setattr(celeba, "decode", counting)
    return names


def message(source):
    with pytest.raises(UserError) as error:
        load(source)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_pixels_are_the_resized_centre_crop(root):
    """An image is the centre 148 x 148 pixels, resized to 129 x 129 with antialiasing, as torchvision does it."""
    data = load(Source(root=root))
    assert (data.images.shape, data.images.dtype) == ((COUNT, 3, 129, 129), np.uint8)
    for index, name in enumerate(NAMES):
        face = Image.open(root / "celeba" / celeba.IMAGES / name)
        expected = resize(center_crop(face, [148, 148]), [129, 129], InterpolationMode.BILINEAR)
        np.testing.assert_array_equal(data.images[index], np.asarray(expected).transpose(2, 0, 1))


def test_attributes_and_splits(root):
    """Attributes are 0 and 1 in the file's order of rows and columns, and the splits are the partition's."""
    data = load(Source(root=root))
    assert (data.name, data.labels, data.class_names) == ("celeba", None, ())
    assert list(data.attributes.columns) == COLUMNS
    assert set(data.attributes.dtypes) == {np.dtype(np.int8)}
    np.testing.assert_array_equal(data.attributes, VALUES)
    assert {split: indices.tolist() for split, indices in data.official.items()} == {
        "train": list(range(7)),
        "validation": [7, 8],
        "test": [9, 10, 11],
    }


def test_partition_goes_by_name(root):
    """The partition's lines may come in another order: what counts is the image that they name."""
    expected = load(Source(root=root))
    (root / "celeba" / celeba.PARTITION).write_text(partition_text(NAMES[::-1], PARTITION[::-1]))
    data = load(Source(root=root))
    assert data.digest == expected.digest
    assert data.official["test"].tolist() == [9, 10, 11]


def test_split_without_images_is_left_out(root):
    """A partition that has no test images brings no test split."""
    (root / "celeba" / celeba.PARTITION).write_text(partition_text(partition=[0] * 10 + [1] * 2))
    assert load(Source(root=root)).official.keys() == {"train", "validation"}


def test_root_itself(root):
    """The folder with the images may be the root, or lie in it as ``celeba``."""
    assert load(Source(root=root / "celeba")).digest == load(Source(root=root)).digest


def test_grey_image_has_three_channels(root, image):
    """A JPEG without colour becomes RGB with equal channels."""
    Image.open(image).convert("L").save(image)
    pixels = load(Source(root=root)).images[4]
    np.testing.assert_array_equal(pixels[0], pixels[2])


def test_memory_and_cache_agree(root, cached):
    """With a cache and without, pixels and digest are the same."""
    memory, disk = load(Source(root=root)), load(cached)
    assert isinstance(disk.images, np.memmap)
    assert not isinstance(memory.images, np.memmap)
    np.testing.assert_array_equal(memory.images, disk.images)
    assert memory.digest == disk.digest == load(cached).digest


def test_decoded_once(cached, decoded):
    """The second load decodes nothing and cannot write to what it shares."""
    first = load(cached)
    assert sorted(decoded) == NAMES
    again = load(cached)
    assert len(decoded) == COUNT
    assert not again.images.flags.writeable
    assert again.digest == first.digest
    np.testing.assert_array_equal(again.images, first.images)
    again.batch(np.array([3, 1]))


def test_stored_digest_is_used(cached, monkeypatch):
    """A cached digest is read, not computed again over ten gigabytes."""
    digest = load(cached).digest
    monkeypatch.setattr(cache, "CHECKED", 0)
    monkeypatch.setattr(celeba, "_digest", lambda *_: pytest.fail("hashed again"))
    assert load(cached).digest == digest


def test_progress_counts_up_to_all(cached, monkeypatch):
    """Progress grows to the number of images, and a load from the cache has none to tell."""
    monkeypatch.setattr(cache, "CHUNK", 5)
    steps = []
    source = Source(cached.root, cached.cache, lambda done, total: steps.append((done, total)))
    load(source)
    load(source)
    assert steps == [(5, COUNT), (10, COUNT), (12, COUNT)]


def test_changed_image_is_decoded_again(cached, image):
    """Another image under a known name is another data set, with a cache and without."""
    before = load(cached)
    save_face(image, seed=99)
    after = load(cached)
    assert after.digest != before.digest
    assert after.digest == load(Source(root=cached.root)).digest
    changed = [not np.array_equal(old, new) for old, new in zip(before.images, after.images, strict=True)]
    assert np.flatnonzero(changed).tolist() == [4]


def test_changed_time_is_noticed(cached, image, decoded):
    """A file of the same size but a later time is decoded again, to the same digest if it holds the same pixels."""
    digest = load(cached).digest
    os.utime(image, ns=(0, image.stat().st_mtime_ns + 1))
    assert load(cached).digest == digest
    assert len(decoded) == 2 * COUNT


@pytest.mark.parametrize("changed", ["attribute", "column", "partition"])
def test_changed_lists_change_the_digest(cached, changed):
    """Another attribute, attribute name or partition is another data set."""
    before = load(cached).digest
    folder = cached.root / "celeba"
    match changed:
        case "attribute":
            (folder / celeba.ATTRIBUTES).write_text(attribute_text(values=1 - VALUES))
        case "column":
            (folder / celeba.ATTRIBUTES).write_text(attribute_text().replace("Smiling", "Frowning"))
        case "partition":
            (folder / celeba.PARTITION).write_text(partition_text(partition=PARTITION[::-1]))
    assert load(cached).digest != before


def test_removed_image_is_noticed_despite_the_cache(cached, image):
    """What is cached does not hide that an image has gone."""
    load(cached)
    image.unlink()
    assert NAMES[4] in message(cached)


@pytest.mark.parametrize("suffix", [".npy", ".sha256"])
@pytest.mark.parametrize("damage", ["gone", "empty", "header only", "cut short"])
def test_damaged_cache_is_filled_again(cached, suffix, damage):
    """A cache that lost a file or part of its images is not taken for done."""
    expected = load(cached)
    digest, pixels = expected.digest, expected.images.copy()
    [path] = cached.cache.glob(f"*{suffix}")
    if damage == "gone":
        path.unlink()
    else:
        kept = {"empty": 0, "header only": 50, "cut short": -1}[damage]
        path.write_bytes(path.read_bytes()[:kept])
    after = load(cached)
    assert after.digest == digest
    np.testing.assert_array_equal(after.images, pixels)


@pytest.mark.parametrize("damage", ["a pixel", "zeros", "another's"])
def test_other_pixels_in_the_cache_are_noticed(cached, caplog, damage):
    """A cache of the right size with other pixels is named and filled again."""
    expected = load(cached)
    digest, pixels = expected.digest, expected.images.copy()
    [path] = cached.cache.glob("*.npy")
    images = np.load(path)
    if damage == "a pixel":
        images[3, 1, 2, 2] ^= 1
    np.save(path, {"a pixel": images, "zeros": np.zeros_like(images), "another's": images[::-1]}[damage])
    after = load(cached)
    assert after.digest == digest
    np.testing.assert_array_equal(after.images, pixels)
    assert f"{path} is damaged" in caplog.text


def test_a_full_disk_is_said_before_pixels_are_written(cached, monkeypatch):
    """A full disk is an error that says so, and leaves no file; under a memory map it would kill the process."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        load(cached)
    assert not list(cached.cache.iterdir())


def test_interrupted_decode_leaves_nothing(cached, monkeypatch, decoded):
    """After Ctrl-C nothing in the cache is taken for images, not even half of them under another name."""
    monkeypatch.setattr(cache, "CHUNK", 4)

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(Source(cached.root, cached.cache, interrupt))
    assert not [path for path in cached.cache.iterdir() if path.suffix != ".lease"]
    decoded.clear()
    assert load(cached).digest == load(Source(root=cached.root)).digest
    assert len(decoded) == 2 * COUNT


@pytest.mark.skipif(sys.platform == "win32", reason="kills a forked process")
def test_killed_decode_is_not_taken_for_done(cached, decoded):
    """After a kill half-way the next load decodes everything, and what was left behind is gone."""
    killed = Source(cached.root, cached.cache, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    process = multiprocessing.get_context("fork").Process(target=load, args=(killed,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert list(cached.cache.glob("*.partial"))
    assert load(cached).digest == load(Source(root=cached.root)).digest
    assert len(decoded) == 2 * COUNT
    assert not list(cached.cache.glob("*.partial"))


def test_full_disk_is_told_before(cached, monkeypatch):
    """A cache that does not fit is refused before an image is decoded."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    assert "GB" in message(cached)


def test_no_root():
    """Without a folder the error says how to name one and what has to be in it."""
    text = message(Source())
    for part in ["--data-root", celeba.IMAGES, celeba.ATTRIBUTES, celeba.PARTITION, "https://"]:
        assert part in text


@pytest.mark.parametrize("lost", [celeba.IMAGES, celeba.ATTRIBUTES, celeba.PARTITION])
@pytest.mark.parametrize("named", ["parent", "itself"])
def test_missing_part(root, lost, named):
    """If a part is missing the error names it, its folder, the layout and the source, and no part that is there."""
    folder = root / "celeba"
    (folder / lost).rename(root / "elsewhere")
    text = message(Source(root=root if named == "parent" else folder))
    assert f"lacks {lost}" in text.replace(f"{lost}/ in", f"{lost} in")
    assert f"in {folder};" in text
    assert "--data-root" in text
    assert "https://" in text


def test_attribute_is_refused_before_images_are_decoded(cached, decoded):
    """A misspelt attribute does not cost the decoding of two hundred thousand faces."""
    with pytest.raises(UserError, match="unknown attribute of celeba 'Smilling'"):
        load_task("celeba/Smilling", cached)
    assert not decoded


def test_missing_images_are_counted(root):
    """Of the images that are listed but not there the first is named and the others are counted."""
    for name in (NAMES[2], NAMES[5], NAMES[7]):
        (root / "celeba" / celeba.IMAGES / name).unlink()
    text = message(Source(root=root))
    assert f"{NAMES[2]} and 2 more" in text
    assert NAMES[5] not in text


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BROKEN = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a picture"),
    "cut short": truncated,
    "header only": lambda path: path.write_bytes(path.read_bytes()[:30]),
    "a png": lambda path: Image.new("RGB", celeba.ALIGNED).save(path, "PNG"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "other size": lambda path: Image.new("RGB", (128, 128)).save(path),
    "other way round": lambda path: Image.new("RGB", celeba.ALIGNED[::-1]).save(path),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN.keys())
def test_broken_image_is_named(cached, image, damage):
    """An image that cannot be decoded, or is not an aligned face, is named, and no cache is left."""
    damage(image)
    assert str(image) in message(cached)
    assert not list(cached.cache.glob("*.npy*"))


def with_line(text, number, line):
    lines = text.splitlines()
    lines[number - 1] = line
    return "\n".join(lines) + "\n"


BAD_ATTRIBUTES = {
    "count is no number": (1, "many"),
    "count is another": (1, str(COUNT + 1)),
    "an attribute twice": (2, "Smiling Smiling Eyeglasses"),
    "no attributes": (2, ""),
    "a value too few": (5, "000003.jpg 1 -1"),
    "a value too many": (5, "000003.jpg 1 -1 1 1"),
    "value 0": (5, "000003.jpg 1 -1 0"),
    "value is a word": (14, "000012.jpg 1 yes -1"),
    "no file name": (5, "1 -1 1"),
    "empty line": (5, ""),
    "path for a name": (5, "../003.jpg 1 -1 1"),
    "an image twice": (6, "000003.jpg 1 -1 1"),
    "another encoding": (5, "\xe9000003.jpg 1 -1 1"),
}


@pytest.mark.parametrize(("number", "line"), BAD_ATTRIBUTES.values(), ids=BAD_ATTRIBUTES.keys())
def test_malformed_attributes(root, number, line):
    """A line of the attribute file that cannot be read is named by file and number."""
    path = root / "celeba" / celeba.ATTRIBUTES
    path.write_text(with_line(attribute_text(), number, line), encoding="latin-1")
    assert f"{path}, line {number}: " in message(Source(root=root))


BAD_PARTITION = {
    "no value": "000003.jpg",
    "two values": "000003.jpg 0 1",
    "unknown split": "000003.jpg 3",
    "no file name": "0 000003.jpg",
    "an image twice": "000002.jpg 0",
}


@pytest.mark.parametrize("line", BAD_PARTITION.values(), ids=BAD_PARTITION.keys())
def test_malformed_partition(root, line):
    """A line of the partition file that cannot be read is named by file and number."""
    path = root / "celeba" / celeba.PARTITION
    path.write_text(with_line(partition_text(), 3, line))
    assert f"{path}, line 3: " in message(Source(root=root))


@pytest.mark.parametrize("name", [celeba.ATTRIBUTES, celeba.PARTITION])
@pytest.mark.parametrize("text", ["", "\n\n"], ids=["empty", "blank"])
def test_empty_list(root, name, text):
    """A list without lines is an error that names it."""
    (root / "celeba" / name).write_text(text)
    assert name in message(Source(root=root))


def test_lists_of_different_images(root):
    """Lists that do not name the same images are refused, with the first difference and their number."""
    path = root / "celeba" / celeba.PARTITION
    path.write_text(partition_text(NAMES[:-1], PARTITION[:-1]))
    assert f"{NAMES[-1]} is in only one" in message(Source(root=root))
    path.write_text(partition_text([*NAMES[:-2], "000021.jpg", "000022.jpg"]))
    assert f"{NAMES[-2]} and 3 more are in only one" in message(Source(root=root))


def test_attribute_search_learns_the_papers_thirteen(original, tmp_path):
    """Under the preset `paper` the AttGAN learns the thirteen attributes of a CelebA folder, and holds the label's."""
    columns = ["Smiling", *THIRTEEN]
    values = np.random.default_rng(1).integers(0, 2, (COUNT, len(columns)))
    values[:, -1] = np.arange(COUNT) % 2  # Young
    shutil.copytree(original, tmp_path / "celeba")
    rows = [f"{name} " + " ".join(str(2 * v - 1) for v in row) for name, row in zip(NAMES, values, strict=True)]
    text = "\n".join([str(COUNT), " ".join(columns), *rows]) + "\n"
    (tmp_path / "celeba" / celeba.ATTRIBUTES).write_text(text)
    data = load_task("celeba/Young", Source(root=tmp_path))
    small = {"widths": [4, 4, 4], "critic": [4, 4, 4], "hidden": 4, "epochs": 1, "batch_size": 4, "steps": 3}
    config = method_config("attribute-search", "paper", {"attribute-search": small}, channels=3)
    method = METHODS["attribute-search"].load()(config)
    method.attributes = data.known_attributes
    train = split(data, 0).train
    assert torch.equal(train.described(THIRTEEN), torch.tensor(values[train.indices][:, 1:]).float())
    classifier = ConvClassifier(ClassifierConfig(channels=(4, 4), features=4), data.shape, 2).eval()
    method.fit(train, classifier, trainer=Trainer(0))
    assert method.names == THIRTEEN
    images = train.batch(slice(0, 2))
    changed = method.explain(images, 1 - classifier(images).argmax(1), [0.0]).intervention
    assert not changed["change_Young"].any()
    assert {name for name in changed if name.startswith("change_")} == {f"change_{name}" for name in THIRTEEN}
