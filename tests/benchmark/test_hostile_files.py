"""Files made to harm: each is refused in a line, or read for what it is; nothing outside is read or written."""

import json
import struct
import zipfile
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from benchmark.jobs import memory, protocol
from tests.benchmark.harm import CODE, CONTROL, DAMAGE, SIDE, times

pytestmark = pytest.mark.slow

FEATURES = 3 * SIDE * SIDE


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of blue and of red pictures, and beside it code that builds a network."""
    folder = tmp_path_factory.mktemp("given") / "colours"
    for place, (name, colour) in product(range(12), (("blue", (0, 0, 250)), ("red", (250, 0, 0)))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIDE, SIDE), (colour[0], place, colour[2])).save(folder / name / f"{place}.png")
    (folder.parent / "net.py").write_text(CODE)
    return folder


@pytest.fixture
def refused(cli):
    """Holds a command to its promise, (arguments) -> Outcome: an answer, or one line and exit code 2."""

    def run(*arguments):
        protocol._loaded.clear()  # or a process would read a folder once, whatever becomes of it
        outcome = cli(*arguments)
        assert outcome.code in (0, 2), outcome
        assert "Traceback" not in outcome.err + outcome.out
        assert not CONTROL.search(outcome.err + outcome.out)
        if outcome.code:
            assert len(outcome.complaints) == 1, outcome.err
        return outcome

    return run


@pytest.fixture
def planned(refused, pictures, tmp_path):
    """A run on the pictures, planned with options of one's own."""

    def run(*options, data=pictures):
        planning = ("run", "--dry-run", "--methods", "null", "--preset", "smoke", "--results", tmp_path / "results")
        return refused(*planning, "--data", data, *options)

    return run


# -- ONNX --------------------------------------------------------------------------------------------------------------


def onnx_model(weights, **external):
    """A linear classifier in ONNX, whose weights may lie in another file."""
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    tensor = onnx.numpy_helper.from_array(weights, "w")
    if external:
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {**external, "offset": 0, "length": weights.nbytes}.items():
            tensor.external_data.add(key=key, value=str(value))
    nodes = [onnx.helper.make_node("Flatten", ["x"], ["f"]), onnx.helper.make_node("MatMul", ["f", "w"], ["y"])]
    ends = [
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", *shape])]
        for name, shape in (("x", (3, SIDE, SIDE)), ("y", (2,)))
    ]
    graph = onnx.helper.make_graph(nodes, "linear", *ends, [tensor])
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


WEIGHTS = np.zeros((FEATURES, 2), np.float32)


@times(20)
@given(damage=DAMAGE)
def test_any_damage_of_an_onnx_file(planned, tmp_path, damage):
    """An ONNX file that is cut, changed or another one altogether is refused in a line, or read."""
    path = tmp_path / "model.onnx"
    path.write_bytes(damage.of(onnx_model(WEIGHTS)))
    planned("--classifier", path)


@pytest.mark.parametrize("kind", ["above", "absolute", "link"])
def test_onnx_reads_no_file_outside_its_folder(planned, tmp_path, kind):
    """Weights that an ONNX file has in a file above, in one with an absolute path, or behind a link are not read."""
    (tmp_path / "model").mkdir()
    secret = tmp_path / "secret.bin"
    secret.write_bytes(WEIGHTS.tobytes())
    (tmp_path / "model" / "link.bin").symlink_to(secret)
    location = {"above": "../secret.bin", "absolute": secret, "link": "link.bin"}[kind]
    path = tmp_path / "model" / "model.onnx"
    path.write_bytes(onnx_model(WEIGHTS, location=location))
    outcome = planned("--classifier", path)
    assert outcome.code == 2
    assert "cannot be read as ONNX" in outcome.err


# -- safetensors -------------------------------------------------------------------------------------------------------


def safetensors(header, data=b""):
    """A safetensors file with any header."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape, start, end, kind="F32"):
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


HEADERS = {
    "a header of 2 ** 63 bytes": struct.pack("<Q", 2**63) + b"{}",
    "a header longer than the file": struct.pack("<Q", 1000) + b"{}",
    "numbers beyond the end": safetensors({"1.weight": entry([2, FEATURES], 0, 8 * FEATURES)}),
    "10 ** 18 numbers": safetensors({"1.weight": entry([10**9, 10**9], 0, 4)}, bytes(4)),
    "a product above 2 ** 64": safetensors({"1.weight": entry([2**32, 2**32], 0, 0)}),
    "overlapping tensors": safetensors({"1.weight": entry([2], 0, 8), "1.bias": entry([2], 0, 8)}, bytes(8)),
    "an end before its start": safetensors({"1.weight": entry([1], 8, 4)}, bytes(8)),
    "an unknown type": safetensors({"1.weight": entry([1], 0, 4, "PICKLE")}, bytes(4)),
    "no tensor": safetensors({}),
    "deep nesting": struct.pack("<Q", 10**5) + b"[" * 10**5,
    "10 ** 5 tensors": safetensors({f"t{place}": entry([0], 0, 0) for place in range(10**5)}),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_safetensors_with_a_wrong_header(planned, pictures, tmp_path, kind):
    """A header that says what is not there is refused in a line."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(HEADERS[kind])
    outcome = planned("--classifier", f"{pictures.parent / 'net.py'}:build", "--classifier-weights", path)
    assert outcome.code == 2


# -- archives and pictures ---------------------------------------------------------------------------------------------


def scored(refused, tmp_path, answers):
    """`score` with one query and the given answers."""
    queries = tmp_path / "queries"
    queries.mkdir(exist_ok=True)
    Image.new("L", (28, 28)).save(queries / "0.png")
    (tmp_path / "targets.csv").write_text("name,target\n0,3\n")
    given = ("--queries", queries, "--counterfactuals", answers, "--targets", tmp_path / "targets.csv")
    return refused("score", *given, "--task", "mnist", "--preset", "smoke", "--results", tmp_path / "results")


def array_header(shape, kind="|u1"):
    """The beginning of an npy file that promises an array of this shape."""
    text = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize("shape", [(10**7, 28, 28), (2**62,), (2**40, 2**40)])
def test_arrays_that_promise_more_than_they_hold(refused, tmp_path, shape):
    """An npy file of a hundred bytes that says it holds terabytes is refused by name."""
    path = tmp_path / "answers.npy"
    path.write_bytes(array_header(shape, "<f8"))
    outcome = scored(refused, tmp_path, path)
    assert outcome.code == 2
    assert "answers.npy" in outcome.err


def test_archives_that_would_fill_the_memory(refused, tmp_path, monkeypatch):
    """An npz file of kilobytes that swells to more than half of the memory is refused before it is read."""
    path = tmp_path / "answers.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.npy", array_header((2**25,)) + bytes(2**25))
    assert path.stat().st_size < 2**16
    monkeypatch.setattr(memory, "machine_memory", lambda: 32.0)
    outcome = scored(refused, tmp_path, path)
    assert outcome.code == 2
    assert "answers.npz" in outcome.err
    assert "0.03 GiB" in outcome.err


def test_archives_that_lie_about_their_size(refused, tmp_path):
    """An npz file that says it holds 4 GiB, and an array in it that says it holds a TiB, is refused by name."""
    path = tmp_path / "answers.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.npy", array_header((2**40,)) + bytes(2**20))
    content = bytearray(path.read_bytes())
    swollen = struct.pack("<L", 2**32 - 2)  # what the archive says that it holds, at both places
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = content.index(signature) + offset
        content[place : place + 4] = swollen
    path.write_bytes(content)
    outcome = scored(refused, tmp_path, path)
    assert outcome.code == 2
    assert "answers.npz" in outcome.err


@pytest.mark.parametrize(
    "name", ["/tmp/evil", "../../evil", "..\\evil", "a/../../evil", "", ".", "a\nb", "\x1b[31mred"]
)
def test_names_in_archives_are_no_paths(refused, tmp_path, name):
    """A name in an npz file matches a query or is refused in a line; no file is made of it."""
    path = tmp_path / "answers.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for key in (name, "0"):
            archive.writestr(f"{key}.npy", array_header((28, 28)) + bytes(28 * 28))
    before = set(tmp_path.parent.iterdir())
    assert scored(refused, tmp_path, path).code == 2
    assert set(tmp_path.parent.iterdir()) == before
    assert not list(tmp_path.rglob("*evil*"))


def test_a_picture_that_swells_is_refused_by_score(refused, tmp_path):
    """A PNG file of some kilobytes with a thousand million pixels is refused by name."""
    folder = tmp_path / "answers"
    folder.mkdir()
    Image.MAX_IMAGE_PIXELS, before = None, Image.MAX_IMAGE_PIXELS
    try:
        Image.new("1", (30000, 30000)).save(folder / "0.png")
    finally:
        Image.MAX_IMAGE_PIXELS = before
    outcome = scored(refused, tmp_path, folder)
    assert outcome.code == 2
    assert "0.png" in outcome.err


# -- folders -----------------------------------------------------------------------------------------------------------


def test_links_are_no_way_out(planned, pictures, tmp_path):
    """A link to a text file is a broken picture, one to its own folder is no loop, and nothing of them is shown."""
    for name in ("blue", "red"):
        (tmp_path / "linked" / name).mkdir(parents=True)
        for file in (pictures / name).iterdir():
            (tmp_path / "linked" / name / file.name).write_bytes(file.read_bytes())
    (tmp_path / "linked" / "red" / "again").symlink_to(tmp_path / "linked" / "red")
    assert planned(data=tmp_path / "linked").code == 0
    (tmp_path / "secret.txt").write_text("the secret")
    (tmp_path / "linked" / "red" / "secret.png").symlink_to(tmp_path / "secret.txt")
    outcome = planned(data=tmp_path / "linked")
    assert outcome.code == 2
    assert "the secret" not in outcome.err
    assert "secret.png" in outcome.err


@times(12)
@given(name=st.sampled_from(["\x1b[31mred", "a\nb", "\u202etxt", "a|b", "<b>", "--x", "'$(id)'", " ", "\x9b1m"]))
def test_any_name_of_a_class(planned, tmp_path, name):
    """A class of any name is planned or refused in a line; nothing in it steers the terminal."""
    folder = tmp_path / f"named {name.encode().hex()}"
    for label in (name, "other"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for place in range(12):
            Image.new("RGB", (SIDE, SIDE), (place, 0, len(label))).save(folder / label / f"{place}.png")
    planned(data=folder)


def test_a_classifier_of_a_hundred_thousand_classes(planned, tmp_path):
    """A network may know 10 ** 5 classes of which the pictures show two; one that is not among them is named."""
    count, names, code = 10**5, tmp_path / "names.txt", tmp_path / "wide.py"
    code.write_text(CODE.replace(", 2)", f", {count})"))
    for found, ending in ((0, ["red"]), (2, ["rad"])):
        names.write_text("\n".join(["blue", *(f"class {place}" for place in range(count - 2)), *ending]) + "\n")
        outcome = planned("--classifier", f"{code}:build", "--classes", names)
        assert outcome.code == found, outcome.err
    assert "red" in outcome.err
    assert len(outcome.err) < 1000


def test_weights_for_another_network_are_one_line(planned, pictures, tmp_path):
    """Weights of 10 ** 4 names that the network does not have are refused in a line that can be read."""
    save_file({f"layer.{place}": torch.zeros(1) for place in range(10**4)}, tmp_path / "other.safetensors")
    source = f"{pictures.parent / 'net.py'}:build"
    outcome = planned("--classifier", source, "--classifier-weights", tmp_path / "other.safetensors")
    assert outcome.code == 2
    assert len(outcome.err) < 1000
