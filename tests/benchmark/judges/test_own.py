"""Classifiers that a user brings: the same network in every form gives the same answers, and nothing else runs."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from benchmark.data import ImageData
from benchmark.errors import UserError
from benchmark.judges.chance import doubt, no_better
from benchmark.judges.examine import examine
from benchmark.judges.loading import load_classifier
from benchmark.judges.spec import ClassifierSpec, Input, classifier_spec, parse_input
from methods.pictures import unit
from metrics.base import Estimate

CODE = """
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d({channels}, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(16, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, {classes}){last}
    ){kind}
"""


@pytest.fixture
def data():
    """Forty pictures of two classes: red ones and blue ones."""
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 100, (40, 3, 12, 10), dtype=np.uint8), np.arange(40) % 2
    images[labels == 1, 0] += 120
    images[labels == 0, 2] += 120
    return ImageData("colours", images, labels, ("blue", "red"), "digest")


@pytest.fixture
def grey(data):
    """The same without colours, in two classes."""
    return replace(data, images=data.images[:, :1].copy())


def file_of(folder, code=CODE, name="network.py", **parts):
    path = folder / name
    path.write_text(code.format(**{"channels": 1, "classes": 2, "last": "", "kind": "", **parts}))
    return f"{path}:build"


def answers(spec, data):
    with torch.no_grad():
        return load_classifier(spec, data)(unit(torch.from_numpy(data.images))).softmax(1)


# -- forms -------------------------------------------------------------------------------------------------------------


def built(source):
    """The network that the code at `source` makes."""
    names = {}
    exec(open(source.rpartition(":")[0]).read(), names)  # noqa: PTH123, SIM115 - the code above
    return names["build"]().eval()


@pytest.mark.parametrize(("module", "spatial"), [("0", (4, 12, 10)), ("2", (4, 2, 2)), ("3", None), ("4", None)])
def test_features_have_places_where_a_module_puts_them_out(tmp_path, grey, module, spatial):
    """What a convolution or a pooling puts out has places, what is behind the flattening has none."""
    assert load_classifier(classifier_spec(file_of(tmp_path), features=module), grey).spatial == spatial


def test_the_same_network_in_every_form(tmp_path, grey):
    """Code alone, with weights as safetensors or a state dict, and the ONNX file of it answer alike."""
    onnx = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed") and tmp_path / "network.onnx"
    pytest.importorskip("onnxscript", reason="torch exports to ONNX by it")
    source = file_of(tmp_path)
    network = built(source)
    shape = unit(torch.from_numpy(grey.images[:2]))
    torch.onnx.export(network, (shape,), onnx, dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    plain = answers(classifier_spec(source), grey)
    for name in ("weights.safetensors", "weights.pt"):
        assert torch.equal(answers(classifier_spec(source, weights=tmp_path / name), grey), plain)
    torch.testing.assert_close(answers(classifier_spec(str(onnx)), grey), plain, atol=1e-6, rtol=1e-5)


def onnx_of(folder, *sides, kind="FLOAT", others=()):
    """An ONNX file that takes pictures (B, *sides) and answers one thousandth of the sums of their halves."""
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - an extra

    number, count = getattr(TensorProto, kind), int(np.prod(sides))
    halves = np.float32(np.eye(2)[np.arange(count) * 2 // count] / 1000)
    nodes = [
        helper.make_node("Cast", ["pictures"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["flat"]),
        helper.make_node("MatMul", ["flat", "halves"], ["logits"]),
    ]
    taken = [helper.make_tensor_value_info(name, number, ["batch", *sides]) for name in ("pictures", *others)]
    given = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])]
    graph = helper.make_graph(nodes, "halves", taken, given, [numpy_helper.from_array(halves, "halves")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / f"{kind}.onnx")
    return str(folder / f"{kind}.onnx")


@pytest.mark.parametrize(
    ("sides", "more", "words"),
    [
        ((3, 12, 10), {}, "--input"),
        ((1, 28, 28), {}, "--input"),
        ((1, 12, 10), {"kind": "UINT8"}, "range=0..255"),
        ((1, 12, 10), {"kind": "INT64"}, "float32 or uint8"),
        ((1, 12, 10), {"others": ("more",)}, "float32 or uint8"),
    ],
)
def test_onnx_that_does_not_fit_is_one_line(tmp_path, grey, sides, more, words):
    """Other channels, other sides, other numbers and more than pictures are refused with what to say."""
    with pytest.raises(UserError, match=words):
        load_classifier(classifier_spec(onnx_of(tmp_path, *sides, **more)), grey)


@pytest.mark.parametrize("kind", ["FLOAT", "UINT8", "DOUBLE", "FLOAT16"])
def test_onnx_is_fed_the_numbers_that_it_takes(tmp_path, grey, kind):
    """Bytes as floats and as bytes are the same pictures: the answers are the sums of their halves."""
    spec = classifier_spec(onnx_of(tmp_path, 1, 12, 10, kind=kind), input="range=0..255")
    sums = torch.from_numpy(grey.images).flatten(1).double().view(40, 2, 60).sum(2) / 1000
    torch.testing.assert_close(answers(spec, grey).double(), sums.softmax(1), atol=2e-2, rtol=0)


def test_what_a_file_cannot_hear_is_refused(tmp_path):
    """Weights and modules are not said of an ONNX file, nor weights of a whole network: they would be dropped."""
    onnx, weights = onnx_of(tmp_path, 1, 12, 10), tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, weights)
    (tmp_path / "whole.pt").write_bytes(b"")
    for source, said in (
        (onnx, {"weights": weights}),
        (onnx, {"features": "4"}),
        (str(tmp_path / "whole.pt"), {"weights": weights, "trust_code": True}),
    ):
        with pytest.raises(UserError, match="leave --"):
            classifier_spec(source, **said)


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        ("net.onnx", False),
        ("torchvision:resnet18", False),
        ("net.py:build", True),
        ("net.onnx:build", True),
        ("torchvision:net.py:build", True),
        ("torchvision:net.pt", True),
        ("package.module:build", True),
        ("net.pt", True),
    ],
)
def test_what_runs_code(source, runs):
    """An ONNX file and torchvision's networks alone are loaded without Python of a stranger's."""
    assert ClassifierSpec(source=source).runs_code == runs


def test_what_is_offered(tmp_path, grey):
    """Code offers gradients, and with a named module φ: the head of φ is the classifier, and gradients reach it."""
    source = file_of(tmp_path)
    assert load_classifier(classifier_spec(source), grey).offers == "gradients"
    classifier = load_classifier(classifier_spec(source, features="4"), grey)
    assert (classifier.offers, classifier.feature_counts) == ("features", {"fully connected": 6})
    images = unit(torch.from_numpy(grey.images[:5]))
    phi = classifier.features(images).requires_grad_()
    logits = classifier.head(phi)
    torch.testing.assert_close(logits, classifier(images))
    assert torch.autograd.grad(logits[:, 0].sum(), phi)[0].abs().sum() > 0


@pytest.mark.parametrize(("view", "pictures"), [("phi", 1), ("phi.view(len(images), -1)", 3), ("phi + len(images)", 3)])
def test_what_comes_before_features_is_spared(tmp_path, grey, view, pictures):
    """The head feeds its network one picture, unless what comes after φ knows how many there were."""
    (tmp_path / "network.py").write_text(
        "import torch\n\n\nclass Network(torch.nn.Module):\n"
        "    fed = []\n\n    def __init__(self):\n        super().__init__()\n"
        "        torch.manual_seed(0)\n        self.first, self.last = torch.nn.LazyLinear(6), torch.nn.Linear(6, 2)\n"
        "        self.first(torch.zeros(1, 120))\n\n"
        "    def forward(self, images):\n        self.fed.append(len(images))\n"
        f"        phi = self.first(images.flatten(1))\n        return self.last({view})\n"
    )
    classifier = load_classifier(classifier_spec(f"{tmp_path / 'network.py'}:Network", features="first"), grey)
    images = unit(torch.from_numpy(grey.images[:3]))
    torch.testing.assert_close(classifier.head(classifier.features(images)), classifier(images))
    classifier.head(classifier.features(images))
    assert classifier.network.fed[-1] == pictures


def test_moving_a_file_moves_nothing(tmp_path):
    """The digest is of the contents; other code, weights or preprocessing are another classifier."""
    (tmp_path / "elsewhere").mkdir()
    first = classifier_spec(file_of(tmp_path))
    own = first.digest()
    assert classifier_spec(file_of(tmp_path / "elsewhere")).digest() == own
    assert classifier_spec(first.source, input="mean=.5").digest() != own
    file_of(tmp_path, last=", nn.Identity()")
    assert first.digest() != own


def test_sidecar_says_the_same(tmp_path):
    """What lies in model.toml need not be said; what is said goes above it; it cannot allow itself to run code."""
    source = file_of(tmp_path)
    (tmp_path / "model.toml").write_text('input = "mean=.5 std=.25"\nfeatures = "4"\nclasses = ["blue", "red"]\n')
    spec = classifier_spec(source)
    assert (spec.input.mean, spec.features, spec.classes) == ((0.5,), "4", ("blue", "red"))
    assert classifier_spec(source, input="mean=.1").input == Input(mean=(0.1,))
    (tmp_path / "model.toml").write_text("trust_code = true\n")
    with pytest.raises(UserError, match="--trust-code"):
        classifier_spec(source)


# -- preprocessing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("size=28 channels=1", Input(size=(28, 28), channels=1)),
        ("size=48x64 layout=nhwc order=bgr", Input(size=(64, 48), layout="nhwc", order="bgr")),
        ("range=0..255 mean=1,2,3 std=4,5,6", Input(range=(0, 255), mean=(1, 2, 3), std=(4, 5, 6))),
    ],
)
def test_input_is_read_as_it_is_written(text, wanted):
    """What the option says comes back from what it is written as."""
    assert parse_input(text) == wanted == parse_input(wanted.text())


@pytest.mark.parametrize(
    "text",
    [
        "size",
        "sise=3",
        "size=a",
        "range=1..0",
        "std=0",
        "layout=hwc",
        "channels=2",
        "mean=.5,.5 std=.5",
        "channels=1 std=1,1,1",
    ],
)
def test_wrong_input_is_one_line(text):
    """An unknown key, and a value that cannot be one, are refused by name."""
    with pytest.raises(UserError, match="--input"):
        parse_input(text)


@pytest.mark.parametrize(
    ("view", "wanted"),
    [
        ("", ""),
        (" / 255", "range=0..255"),
        (" + .5", "mean=.5"),
        (".flip(1)", "order=bgr"),
        (".permute(0, 3, 1, 2)", "layout=nhwc"),
        (".float()", "size=20x24"),
    ],
)
def test_preprocessing_is_undone(tmp_path, data, view, wanted):
    """A network that undoes what it is said to want sees the pictures as they are."""
    source = colours(tmp_path, view)
    found = answers(classifier_spec(source, input=wanted or None), data)
    assert (found.argmax(1).numpy() == data.labels).all()
    if "size" not in wanted:
        plain = answers(classifier_spec(colours(tmp_path, "", "plain.py")), data)
        torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-4)


def colours(folder, view="", name="colours.py", output="torch.cat([-lead, lead], 1)", scale=20.0):
    path = folder / name
    path.write_text(
        "import torch\n\n\nclass Red(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        f"        self.scale = torch.nn.Parameter(torch.tensor({scale}))\n\n"
        f"    def forward(self, images):\n        images = images{view}\n"
        "        lead = self.scale * (images[:, :1] - images[:, 2:]).flatten(1).mean(1, keepdim=True)\n"
        f"        return {output}\n"
    )
    return f"{path}:Red"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("torch.cat([-lead, lead], 1).softmax(1)", {"output": "probabilities"}),
        ("torch.sigmoid(2 * lead)", {"output": "probabilities"}),
        ("2 * lead", {"output": "one-logit"}),
        ("torch.cat([0 * lead - 9, lead, lead - 1, -lead], 1)", {"columns": "3,1"}),
        ("torch.cat([lead, -lead], 1)", {"classes": ("red", "blue")}),
        ("torch.cat([-lead, lead], 1).double()", {}),
    ],
)
def test_outputs_are_taken_for_what_is_said(tmp_path, data, output, said):
    """Probabilities, one logit, some columns, another order of the classes: the same answers once it is said."""
    plain = answers(classifier_spec(colours(tmp_path)), data)
    found = answers(classifier_spec(colours(tmp_path, name="other.py", output=output), **said), data)
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("output", ["lead", "torch.cat([lead] * 1000, 1)", "lead[:, 0]", "[lead, lead]"])
def test_outputs_that_are_no_classes_are_refused(tmp_path, data, output):
    """One column, a thousand, none, and no tensor are one line, which says what to say."""
    with pytest.raises(UserError):
        load_classifier(classifier_spec(colours(tmp_path, output=output)), data)


@pytest.mark.parametrize(
    ("output", "said", "words"),
    [
        ("torch.cat([-lead, lead], 1)", {"columns": "0,5"}, "no output 5"),
        ("torch.cat([-lead, lead], 1)", {"output": "one-logit"}, "single"),
        ("torch.cat([-lead, lead], 1) * float('nan')", {}, "puts out NaN"),
        ("torch.cat([-lead, lead], 1) + float('inf')", {}, "puts out infinity"),
        ("{}['answer']", {}, "cannot be fed"),
        ("exit(0)", {}, "sys.exit"),
    ],
)
def test_refusals_name_the_fault(tmp_path, data, output, said, words):
    """A column that is not there, what is no number, an error in forward and an end of the program are each named."""
    with pytest.raises(UserError, match=words):
        load_classifier(classifier_spec(colours(tmp_path, output=output), **said), data)


@pytest.mark.parametrize("code", ["raise SystemExit(0)", "import sys\n\n\ndef build():\n    sys.exit()"])
def test_code_that_ends_the_program_is_refused(tmp_path, grey, code):
    """Where a file is imported and where its function is called, an end of the program is a mistake."""
    (tmp_path / "ends.py").write_text(code)
    with pytest.raises(UserError, match=r"ends\.py.* cannot be .*sys\.exit"):
        load_classifier(classifier_spec(f"{tmp_path / 'ends.py'}:build"), grey)


def test_lazy_modules_without_weights_are_refused(tmp_path, grey):
    """They have no size yet; a picture, or weights, gives them one."""
    (tmp_path / "lazy.py").write_text(
        "from torch import nn, zeros\n\n\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.LazyLinear(2))\n\n\n"
        "def fed():\n    network = build()\n    network(zeros(1, 1, 12, 10))\n    return network\n"
    )
    with pytest.raises(UserError, match=r"lazy\.py:build has lazy modules"):
        load_classifier(classifier_spec(f"{tmp_path / 'lazy.py'}:build"), grey)
    weights = tmp_path / "weights.safetensors"
    save_file({"1.weight": torch.zeros(2, 120), "1.bias": torch.zeros(2)}, weights)
    for name, said in (("fed", {}), ("build", {"weights": weights})):
        found = load_classifier(classifier_spec(f"{tmp_path / 'lazy.py'}:{name}", **said), grey)
        assert found(torch.zeros(3, 1, 12, 10)).shape == (3, 2)


# -- looking over ------------------------------------------------------------------------------------------------------


def looked(spec, data):
    labels = torch.from_numpy(data.labels)
    return examine(load_classifier(spec, data), unit(torch.from_numpy(data.images)), labels)


def test_a_fine_classifier_is_fine(tmp_path, data):
    """Where nothing is wrong nothing is found, and the accuracy has its interval."""
    found = looked(classifier_spec(colours(tmp_path, scale=10.0)), data)
    assert found.fine, found.findings
    assert found.accuracy.value == 1


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"output": "torch.cat([-lead, lead], 1).softmax(1)"}, "outputs"),
        ({"output": "torch.nn.functional.dropout(torch.cat([-lead, lead], 1), training=True)"}, "asked twice"),
        ({"output": "torch.cat([-lead, lead + lead.mean(0)], 1)"}, "one by one"),
        ({"view": ".flip(1)"}, "accuracy"),
        ({"view": " / 255", "scale": 10.0}, "preprocessing"),
        ({"output": "torch.cat([-lead, lead], 1).detach() + 0 * lead"}, "gradient"),
    ],
)
def test_every_trap_is_found(tmp_path, data, changes, what):
    """Softmax inside, dropout or batch statistics left on, blue first, bytes, a cut gradient: each has its line."""
    found = looked(classifier_spec(colours(tmp_path, **changes)), data)
    assert what in [finding.what for finding in found.findings if not finding.fine], found.findings


def test_a_cut_gradient_is_named(tmp_path, data):
    """A network that detaches its answer is found, and offers probabilities alone, φ or not."""
    spec = classifier_spec(colours(tmp_path, output="torch.cat([-lead, lead], 1).detach()"))
    assert load_classifier(spec, data).offers == "probabilities"
    found = {finding.what: finding for finding in looked(spec, data).findings}
    assert (found["gradient"].fine, found["gradient"].words[:13]) == (False, "there is none")


@pytest.mark.parametrize(
    "output",
    [
        "torch.cat([-lead, lead / (lead > 0)], 1)",
        "torch.cat([-lead, lead], 1).view(1, -1) if len(images) > 1 else torch.cat([-lead, lead], 1)",
        "torch.cat([-lead, lead], 1) if len(images) == 1 else {}['more']",
    ],
)
def test_what_shows_with_many_pictures_is_one_line(tmp_path, data, output):
    """No number for some pictures, one row for all and an error with several are refused in words."""
    with pytest.raises(UserError):
        looked(classifier_spec(colours(tmp_path, output=output)), data)


def test_accuracy_beside_chance():
    """An interval above chance is fine, one that holds chance is doubted, one below it stops."""
    better, unsure, worse = Estimate(0.9, 0.8, 0.95, 40), Estimate(0.5, 0.4, 0.6, 40), Estimate(0.1, 0.05, 0.2, 40)
    assert [no_better(one, 2) for one in (better, unsure, worse)] == [False, False, True]
    assert doubt(better, 2) == ""
    assert doubt(unsure, 2) == "not shown to be better than chance (50.0%)"
    assert doubt(worse, 2) == "surely no better than chance (50.0%)"


def test_a_constant_classifier_is_looked_at(tmp_path, data):
    """Half of the pictures are right by guessing, and the line says that this is what is not excluded."""
    found = looked(classifier_spec(colours(tmp_path, output="torch.cat([0 * lead, 0 * lead - 1], 1)")), data)
    (line,) = (finding for finding in found.findings if finding.what == "accuracy")
    assert not line.fine
    assert "not shown to be better than chance (50.0%)" in line.words


def test_the_likeliest_preprocessing_comes_first(tmp_path, data):
    """What the network wants stands first, with the words to say."""
    best = looked(classifier_spec(colours(tmp_path, " / 255", scale=10.0)), data).fed[0]
    assert best.wanted == Input(range=(0, 255))


# -- code in files -----------------------------------------------------------------------------------------------------


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.safetensors", "w.pkl"])
@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_hostile_weights_run_nothing(tmp_path, grey, name, write):
    """A pickle in any file that is accepted as weights is refused, and what it holds is not run."""
    write({"0.weight": Hostile(tmp_path / "ran")}, tmp_path / name)
    with pytest.raises(UserError):
        load_classifier(classifier_spec(file_of(tmp_path), weights=tmp_path / name), grey)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["n.pt2", "n.pt", "n.pth", "n.pkl", "n.onnx"])
def test_hostile_networks_run_nothing(tmp_path, grey, name):
    """A whole network in a file that executes code is refused unless the user trusts it."""
    (tmp_path / name).write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    with pytest.raises(UserError):
        load_classifier(classifier_spec(str(tmp_path / name)), grey)
    assert not (tmp_path / "ran").exists()


def test_whole_network_needs_trust(tmp_path, grey):
    """A pickled module and TorchScript are read once the user says that they may run code, and answer as the code."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(120, 2)).eval()
    torch.save(network, tmp_path / "whole.pt")
    with pytest.raises(UserError, match="--trust-code"):
        load_classifier(classifier_spec(str(tmp_path / "whole.pt")), grey)
    found = answers(classifier_spec(str(tmp_path / "whole.pt"), trust_code=True), grey)
    with torch.no_grad():
        torch.testing.assert_close(found, network(unit(torch.from_numpy(grey.images))).softmax(1))
