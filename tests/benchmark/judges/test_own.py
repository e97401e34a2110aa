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
from benchmark.judges.examine import examine
from benchmark.judges.loading import load_classifier
from benchmark.judges.spec import Input, classifier_spec, parse_input
from methods.pictures import unit

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


@pytest.mark.parametrize("text", ["size", "sise=3", "size=a", "range=1..0", "std=0", "layout=hwc", "channels=2"])
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
