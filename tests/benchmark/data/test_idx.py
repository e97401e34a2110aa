import gzip
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import FashionMNIST

from benchmark.data import Source, idx
from benchmark.data.idx import FILES, load_fashion_mnist, load_mnist, read_idx
from benchmark.errors import UserError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
REAL = idx.FASHION_MNIST
LOADERS = {"mnist-full": load_mnist, "fashion-mnist": load_fashion_mnist}
TORCHVISION = {"mnist-full": "MNIST", "fashion-mnist": "FashionMNIST"}
every_edition = pytest.mark.parametrize("name", LOADERS)
gzipped_or_not = pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzipped"])


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write(path, content, zipped=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    if zipped:
        path = path.with_name(f"{path.name}.gz")
        content = gzip.compress(content)
    path.write_bytes(content)
    return path


def random_arrays(train=12, test=7):
    rng = np.random.default_rng(0)
    sizes = (train, train, test, test)
    images = [rng.integers(0, 256, (size, 28, 28)) for size in sizes]
    labels = [rng.integers(0, 10, size) for size in sizes]
    return {name: (images if "images" in name else labels)[index] for index, name in enumerate(FILES)}


def write_all(folder, arrays=None, zipped=False):
    arrays = random_arrays() if arrays is None else arrays
    for name, array in arrays.items():
        write(folder / name, idx_bytes(array), zipped)
    return arrays


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch):
    """Tests see only the folders that they make."""
    monkeypatch.setattr(idx, "FASHION_MNIST", replace(REAL, installed=()))


@every_edition
@gzipped_or_not
def test_round_trip(tmp_path, name, zipped):
    """What was written as IDX files comes back, training files first, with the t10k files as the test split."""
    arrays = write_all(tmp_path, zipped=zipped)
    train, train_labels, test, test_labels = arrays.values()
    data = LOADERS[name](Source(root=tmp_path))
    assert data.name == name
    assert (data.images.shape, data.images.dtype) == ((19, 1, 28, 28), np.uint8)
    assert data.labels.dtype == np.int64
    assert data.official.keys() == {"train", "test"}
    for split, images, labels in [("train", train, train_labels), ("test", test, test_labels)]:
        np.testing.assert_array_equal(data.images[data.official[split], 0], images)
        np.testing.assert_array_equal(data.labels[data.official[split]], labels)


@pytest.mark.parametrize("shape", [(3,), (2, 28, 28), (5, 2, 3)])
@gzipped_or_not
def test_read_idx_inverts_writing(tmp_path, shape, zipped):
    """Reading an IDX file gives the array that was written."""
    array = np.random.default_rng(1).integers(0, 256, shape)
    path = write(tmp_path / "array", idx_bytes(array), zipped)
    np.testing.assert_array_equal(read_idx(path, dimensions=len(shape)), array)


@every_edition
@pytest.mark.parametrize("layout", ["{name}", "{torchvision}/raw", "."])
def test_layouts(tmp_path, name, layout):
    """The files are found in the root, in the data set's own folder, and where torchvision puts them."""
    write_all(tmp_path / layout.format(name=name, torchvision=TORCHVISION[name]))
    assert len(LOADERS[name](Source(root=tmp_path))) == 19


def test_own_folder_before_root(tmp_path):
    """A folder of the data set's name is believed before nameless files in the root."""
    write_all(tmp_path, random_arrays(train=3))
    write_all(tmp_path / "fashion-mnist", random_arrays(train=4))
    assert len(load_fashion_mnist(Source(root=tmp_path)).official["train"]) == 4
    assert len(load_mnist(Source(root=tmp_path)).official["train"]) == 3


def test_installed_folder_needs_no_root(tmp_path, monkeypatch):
    """Without a root the installed folder is used, and a root that has the files goes before it."""
    write_all(tmp_path / "system", random_arrays(train=3), zipped=True)
    write_all(tmp_path / "own", random_arrays(train=4))
    monkeypatch.setattr(idx, "FASHION_MNIST", replace(REAL, installed=(tmp_path / "system",)))
    assert len(load_fashion_mnist(Source()).official["train"]) == 3
    assert len(load_fashion_mnist(Source(root=tmp_path / "empty")).official["train"]) == 3
    assert len(load_fashion_mnist(Source(root=tmp_path / "own")).official["train"]) == 4


def test_class_names():
    """Classes are called as the digits are, and as torchvision calls clothing."""
    assert idx.MNIST.class_names == tuple("0123456789")
    assert idx.FASHION_MNIST.class_names == tuple(FashionMNIST.classes)


def test_deterministic_and_digest_covers_everything(tmp_path):
    """The digest is the same for equal files, zipped or not, and another one for any other pixel, label or split."""
    arrays = random_arrays()

    def digest(folder, changed, zipped=False):
        write_all(tmp_path / folder, changed, zipped)
        return load_mnist(Source(root=tmp_path / folder)).digest

    first = digest("a", arrays)
    assert load_mnist(Source(root=tmp_path / "a")).digest == first == digest("b", arrays, zipped=True)
    for name, array in arrays.items():
        other = array.copy()
        other.flat[-1] = (other.flat[-1] + 1) % 10
        assert digest(f"c-{name}", {**arrays, name: other}) != first
    train, train_labels, test, test_labels = arrays.values()
    moved = [
        train[:-1],
        train_labels[:-1],
        np.concatenate([train[-1:], test]),
        np.append(train_labels[-1:], test_labels),
    ]
    assert digest("d", dict(zip(FILES, moved, strict=True))) != first


@every_edition
def test_nothing_there(tmp_path, name):
    """Without any of the files the error names them all, every folder looked in, and where they come from."""
    with pytest.raises(UserError) as error:
        LOADERS[name](Source(root=tmp_path))
    folders = [tmp_path / name, tmp_path / TORCHVISION[name] / "raw", tmp_path]
    assert "\n" not in str(error.value)
    for part in [name, *FILES, *map(str, folders), "https://", "--data-root"]:
        assert part in str(error.value)


def test_sources_named():
    """The error says which Debian package or site has the files, also when no root was given."""
    with pytest.raises(UserError, match=r"dataset-fashion-mnist.*--data-root"):
        load_fashion_mnist(Source())
    with pytest.raises(UserError, match=r"no folder was named.*yann\.lecun\.com.*--data-root"):
        load_mnist(Source())


@pytest.mark.parametrize("lost", FILES)
def test_incomplete_folder(tmp_path, lost):
    """If one file is missing the error names it, not the others, and its folder."""
    write_all(tmp_path / "MNIST" / "raw", zipped=True)
    (tmp_path / "MNIST" / "raw" / f"{lost}.gz").unlink()
    with pytest.raises(UserError) as error:
        load_mnist(Source(root=tmp_path))
    assert f"lacks {lost} (" in str(error.value)
    assert str(tmp_path / "MNIST" / "raw") in str(error.value)


def test_half_a_folder_is_not_passed_over(tmp_path):
    """An incomplete folder is an error even if a complete one would come after it."""
    write(tmp_path / "mnist-full" / FILES[0], idx_bytes(random_arrays()[FILES[0]]))
    write_all(tmp_path)
    with pytest.raises(UserError, match="lacks train-labels-idx1-ubyte, t10k-images"):
        load_mnist(Source(root=tmp_path))


IMAGES = idx_bytes(np.zeros((12, 28, 28)))
LABELS = idx_bytes(np.zeros(12))
BROKEN = {
    "empty": (FILES[0], b""),
    "header cut short": (FILES[0], IMAGES[:11]),
    "bad magic": (FILES[0], b"\1" + IMAGES[1:]),
    "a web page": (FILES[0], b"<html>404 Not Found</html>"),
    "labels for images": (FILES[0], LABELS),
    "images for labels": (FILES[1], IMAGES),
    "floats": (FILES[0], IMAGES[:2] + b"\x0d" + IMAGES[3:]),
    "cut short": (FILES[0], IMAGES[:-1]),
    "too long": (FILES[1], LABELS + b"\0"),
    "bad gzip": (FILES[0], b"\x1f\x8b" + IMAGES),
    "gzip cut short": (FILES[0], gzip.compress(IMAGES)[:-9]),
    "gzip with another checksum": (FILES[0], gzip.compress(IMAGES)[:-8] + bytes(8)),
    "gzip with broken data": (FILES[0], gzip.compress(IMAGES)[:10] + b"\xff" * 40),
    "other size": (FILES[0], idx_bytes(np.zeros((12, 32, 32)))),
    "no images": (FILES[0], idx_bytes(np.zeros((0, 28, 28)))),
    "fewer labels": (FILES[1], idx_bytes(np.zeros(11))),
    "more labels": (FILES[1], idx_bytes(np.zeros(13))),
    "label beyond 9": (FILES[1], idx_bytes(np.full(12, 10))),
}


@pytest.mark.parametrize(("name", "content"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_file_is_named(tmp_path, name, content):
    """A file that is corrupt, cut short or does not fit its neighbour is an error of one line that names it."""
    write_all(tmp_path)
    path = write(tmp_path / name, content)
    with pytest.raises(UserError) as error:
        load_mnist(Source(root=tmp_path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_debian_package(monkeypatch):
    """Debian's package gives the whole of Fashion-MNIST: 70,000 images, 7,000 a class, 1,000 of them for the test."""
    monkeypatch.setattr(idx, "FASHION_MNIST", REAL)
    data = load_fashion_mnist(Source())
    assert data.images.shape == (70_000, 1, 28, 28)
    assert np.bincount(data.labels).tolist() == [7000] * 10
    assert np.bincount(data.labels[data.official["test"]]).tolist() == [1000] * 10
    assert (data.images.min(), data.images.max()) == (0, 255)
