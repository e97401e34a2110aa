"""`audit`: a classifier and pictures of the user's own, from the real command line to a page."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import benchmark

pytestmark = pytest.mark.slow

CODE = """
import torch


class Red(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor({scale}))

    def forward(self, images):
        lead = self.scale * (images[:, :1] - images[:, 2:]).flatten(1).mean(1, keepdim=True)
        return torch.cat([-lead, lead], 1)
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder of blue and of red pictures, and a network that tells them apart, as code and weights."""
    folder = tmp_path_factory.mktemp("world")
    random = np.random.default_rng(0)
    for name, channel in (("blue", 2), ("red", 0)):
        (folder / "colours" / name).mkdir(parents=True)
        for place in range(60):
            pixels = random.integers(0, 90, (20, 16, 3), dtype=np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(folder / "colours" / name / f"{place}.png")
    (folder / "red.py").write_text(CODE.format(scale=8.0))
    (folder / "chance.py").write_text(CODE.format(scale=-8.0))
    save_file({"scale": torch.tensor(8.0)}, folder / "red.safetensors")
    return folder


@pytest.fixture
def audit(cli, world, tmp_path):
    """The command on that folder: options -> outcome; results go to the test's own folder."""

    def run(*options, classifier="red.py:Red", methods="nearest-unlike,pixel-search", data="colours"):
        source = (
            f"{world / classifier.partition(':')[0]}:{classifier.partition(':')[2]}"
            if ":" in classifier
            else classifier
        )
        given = ("--data", world / data, "--classifier", source, "--preset", "smoke", "--methods", methods)
        return cli("audit", *given, "--results", tmp_path, "--jobs", "1", *options)

    return run


def records(folder, kind="records"):
    return [json.loads(path.read_text()) for path in sorted(Path(folder).glob(f"runs/{kind}/**/seed-0.json"))]


def test_audit_ends_in_a_page(audit, tmp_path):
    """The classifier is looked over, pictures are counted, methods are run; the last line is the page's path."""
    outcome = audit()
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert any(line.startswith("ok   accuracy: 100.0%") for line in lines)
    assert any(line.startswith("training pictures: blue ") for line in lines)
    assert lines[-1] == str(tmp_path / "report.html")
    assert "far too few" in outcome.out
    assert {record["classifier"]["trained_on"] for record in records(tmp_path)} == {"brought by the user"}


def test_what_cannot_be_asked_is_named(audit, tmp_path):
    """Of many methods those are run whose capability the classifier has; the others are records, and in the page."""
    outcome = audit("--limit", "4", methods="families")
    assert outcome.code == 0, outcome.err
    unasked = {record["method"]: record["reason"] for record in records(tmp_path) if record["status"] == "unasked"}
    assert {"dvae", "patch-swap"} <= unasked.keys()
    assert "features" in unasked["dvae"]
    assert "asks the classifier for features" in (tmp_path / "report.html").read_text()
    assert not [record for record in records(tmp_path) if record["status"] == "failed"]


def test_chance_stops_an_audit(audit, tmp_path):
    """A classifier that is no better than chance is refused in one line before anything is trained for it."""
    outcome = audit(classifier="chance.py:Red")
    assert outcome.code == 2
    assert "surely no better than chance (50.0%)" in outcome.err
    assert not list(tmp_path.glob("runs/artefacts/fit-*"))


def test_one_picture_and_one_target(audit, world, tmp_path):
    """One picture gets the answers of all methods as files, a picture of all of them, and a page."""
    outcome = audit("--query", world / "colours" / "red" / "0.png", "--target", "blue")
    assert outcome.code == 0, outcome.err
    folder = tmp_path / "asked" / "0"
    assert (folder / "report.html").exists()
    assert (folder / "0 by all methods.png").exists()
    answer = np.asarray(Image.open(folder / "0 nearest-unlike r=0.png"))
    assert answer.shape == (20, 16, 3)
    assert answer[..., 2].mean() > answer[..., 0].mean()
    assert records(tmp_path) == []
    assert audit("--query", world / "colours" / "red" / "0.png", "--target", "red").code == 2


def test_seeds_have_files_of_their_own(audit, world, tmp_path):
    """Under several seeds each has its answers and its picture of all methods."""
    outcome = audit("--query", world / "colours" / "red" / "0.png", "--target", "blue", "--seeds", "0,1")
    assert outcome.code == 0, outcome.err
    names = {path.name for path in (tmp_path / "asked" / "0").glob("*.png")}
    assert {f"0 nearest-unlike seed={seed} r=0.png" for seed in (0, 1)} <= names
    assert {f"0 by all methods seed={seed}.png" for seed in (0, 1)} <= names


def test_a_target_that_is_seen_already_is_refused(cli, world, tmp_path):
    """A classifier that is trained here is asked too, before any method is fitted."""
    own = ("--data", world / "colours", "--preset", "smoke", "--results", tmp_path, "--jobs", "1")
    asked = ("--query", world / "colours" / "red" / "0.png", "--target")
    outcome = cli("run", "--methods", "vaex,nearest-unlike", *own, *asked, "red")
    assert (outcome.code, len(outcome.complaints)) == (2, 1), outcome
    assert "sees red" in outcome.err
    assert not list(tmp_path.glob("runs/artefacts/fit-*"))


def test_the_page_names_its_command(audit, world, tmp_path):
    """The command on the page names pictures and classifier, so that it can be pasted."""
    assert audit("--limit", "4", methods="nearest-unlike,vaex").code == 0
    page = (tmp_path / "report.html").read_text()
    assert f"--data {world / 'colours'}" in page
    assert f"--classifier {world / 'red.py'}:Red" in page
    assert "paper vaex" not in page


@pytest.mark.parametrize(
    "options",
    [("--query", "photo.png"), ("--target", "red"), ("--query", "none.png", "--target", "red"), ("--input", "size=a")],
)
def test_mistakes_are_one_line(audit, options):
    """What does not go together, is not there, or cannot be is one line and exit code 2."""
    outcome = audit(*options)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)


COMMANDS = {
    "check": ("classifier", "check"),
    "audit": ("audit", "--methods", "nearest-unlike", "--classifier"),
    "dry run": ("run", "--dry-run", "--methods", "nearest-unlike", "--classifier"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("return torch", "return float('nan') * torch"), "puts out NaN"),
        (("return torch", "raise SystemExit(0)\n        return torch"), "sys.exit"),
        (("import torch\n", "import torch\nexit(0)\n"), "sys.exit"),
        (("images[:, 2:]", "{}['blue']"), "cannot be fed"),
    ],
)
def test_code_that_fails_is_one_line(cli, world, tmp_path, command, change, words):
    """No number, an end of the program and an error in forward are one line of every command; nothing is written."""
    (tmp_path / "theirs.py").write_text(CODE.format(scale=8.0).replace(*change))
    own = (f"{tmp_path / 'theirs.py'}:Red", "--data", world / "colours", "--preset", "smoke")
    where = () if command == "check" else ("--results", tmp_path / "results", "--jobs", "1")
    outcome = cli(*COMMANDS[command], *own, *where)
    assert (outcome.code, len(outcome.complaints)) == (2, 1), outcome
    assert words in outcome.err
    assert not list(tmp_path.glob("results/runs/artefacts/*"))


@pytest.mark.parametrize("command", COMMANDS)
def test_onnx_that_does_not_fit_is_one_line(cli, world, tmp_path, command):
    """A file that takes other pictures than the folder holds is refused in one line by every command."""
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    info, number = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    sides = [info(name, number, ["batch", 1, 28, 28]) for name in ("pictures", "same")]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["pictures"], ["same"])], "g", sides[:1], sides[1:]
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "grey.onnx")
    where = () if command == "check" else ("--results", tmp_path / "results")
    outcome = cli(*COMMANDS[command], tmp_path / "grey.onnx", "--data", world / "colours", "--preset", "smoke", *where)
    assert (outcome.code, len(outcome.complaints)) == (2, 1), outcome
    assert "say what it wants with --input" in outcome.err


def test_a_network_without_gradient_is_named(cli, world, tmp_path):
    """The look says that there is none, and a method that needs one is refused in a line before anything is trained."""
    (tmp_path / "theirs.py").write_text(CODE.format(scale=8.0).replace("lead], 1)", "lead], 1).detach()"))
    own = ("--classifier", f"{tmp_path / 'theirs.py'}:Red", "--data", world / "colours", "--preset", "smoke")
    outcome = cli("audit", "--methods", "gan-search", *own, "--results", tmp_path / "results")
    assert (outcome.code, len(outcome.complaints)) == (2, 1), outcome
    assert "LOOK gradient: there is none (detach or no_grad in forward?)" in outcome.out
    assert "its forward cuts them off" in outcome.err


# -- a stranger's weights ----------------------------------------------------------------------------------------------


@pytest.fixture
def stranger():
    """How the digit classifier of a package on PyPI is named, without what it wants to be fed."""
    package = pytest.importorskip("digit_recognizer", reason="digit-recognizer-py is not installed")
    weights = Path(package.__file__).parent / "models" / "handwriting_model.pth"
    return "digit_recognizer.model:CNN", "--classifier-weights", weights


def test_a_strangers_weights_are_audited(cli, stranger, tmp_path):
    """Real weights that nobody here trained are explained as they are, by methods of every capability.

    Of their ten outputs two are asked for.
    """
    said = ("--input", "mean=.1307 std=.3081", "--features", "fc_layers.0")
    said += ("--task", "mnist/3-8", "--output-columns", "3,8")
    asked = ("--methods", "nearest-unlike,pixel-search,dvae", "--limit", "8", "--preset", "smoke", "--jobs", "1")
    outcome = cli("audit", "--classifier", *stranger, *said, *asked, "--results", tmp_path)
    assert outcome.code == 0, outcome.err
    assert not [line for line in outcome.out.splitlines() if line.startswith("LOOK")]
    found = {record["method"]: record for record in records(tmp_path)}
    assert {record["status"] for record in found.values()} == {"ok"}
    assert found["dvae"]["classifier"]["test_accuracy"] > 0.99


def test_silent_preprocessing_is_heard(cli, stranger):
    """Fed [0, 1], these weights name as many digits as before; the likelihood says what they were trained on."""
    outcome = cli("classifier", "check", *stranger, "--task", "mnist")
    assert outcome.code == 1
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("LOOK")]
    assert "--input 'mean=0.1307 std=0.3081'" in line


# -- the user's own outputs --------------------------------------------------------------------------------------------


def reference(world, path, view=lambda images: images, count=10):
    """A csv of the logits that a network which sees `view` of the pictures gives of the first red ones."""
    rows = []
    for place in range(count):
        pixels = np.asarray(Image.open(world / "colours" / "red" / f"{place}.png")).transpose(2, 0, 1) / 255
        images = view(pixels)
        lead = 8 * (images[0] - images[2]).mean()
        rows.append(f"red/{place}.png,{-lead:.5f},{lead:.5f}\n")
    path.write_text("file,blue,red\n" + "".join(rows))
    return path


@pytest.fixture
def check(shell, world):
    """`classifier check` of that network in a process of its own: options -> outcome."""
    return lambda *options: shell(
        "classifier", "check", f"{world / 'red.py'}:Red", "--data", world / "colours", *options
    )


def test_own_outputs_are_the_sure_test(check, world, tmp_path):
    """Outputs that the specification gives are reproduced; of another preprocessing its words are said, exit code 1."""
    same = check("--reference", reference(world, tmp_path / "same.csv"))
    assert same.code == 0, same
    (line,) = [line for line in same.out.splitlines() if " reference " in line]
    assert line.startswith("ok ")
    assert "10 pictures" in line
    other = check("--reference", reference(world, tmp_path / "other.csv", lambda pixels: 2 * pixels - 1))
    assert other.code == 1
    assert "--input 'range=-1..1'" in next(line for line in other.out.splitlines() if " reference " in line)
    strange = check("--reference", reference(world, tmp_path / "strange.csv", lambda pixels: pixels**7))
    assert "no usual preprocessing" in strange.out


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (None, "cannot read"),
        ("", "names no picture"),
        ("red/none.png,1,2\n", "none.png"),
        ("red/0.png,1,2,3\n", "3 column(s)"),
        ("red/0.png,1,2\nred/1.png,1\n", "red/1.png"),
        ("red/0.png,1,2\nred/1.png,1,x\n", "red/1.png"),
    ],
)
def test_wrong_references_are_one_line(cli, world, tmp_path, text, word):
    """A file that is not there, a picture that is not, and rows of other lengths are one line, exit code 2."""
    if text is not None:
        (tmp_path / "outputs.csv").write_text(text)
    own = (f"{world / 'red.py'}:Red", "--data", world / "colours")
    outcome = cli("classifier", "check", *own, "--reference", tmp_path / "outputs.csv")
    assert (outcome.code, len(outcome.complaints)) == (2, 1), outcome
    assert word in outcome.err


# -- other programs ----------------------------------------------------------------------------------------------------


def test_another_program_answers_for_an_own_classifier(cli, world, tmp_path):
    """The questions of an own classifier on own pictures are exported, and answers to them scored by it alone."""
    own = ("--data", world / "colours", "--classifier", f"{world / 'red.py'}:Red")
    shared = ("--results", tmp_path / "results", *own)
    outcome = cli("export", "--out", tmp_path / "questions", "--preset", "smoke", "--limit", "4", *shared)
    assert outcome.code == 0, outcome.err
    assert "red.py:Red" in (tmp_path / "questions" / "README.md").read_text()
    assert len(list((tmp_path / "questions" / "queries").iterdir())) == 4
    scored = cli("score", tmp_path / "questions", tmp_path / "questions" / "queries", "--name", "none", *shared)
    assert scored.code == 0, scored.err
    (record,) = records(tmp_path / "results")
    assert record["classifier"]["trained_on"] == "brought by the user"
    assert {row["value"] for row in record["rows"] if row["metric"] == "flip_rate"} == {0}
    other = cli("score", tmp_path / "questions", tmp_path / "questions" / "queries", *shared[:4])
    assert (other.code, len(other.complaints)) == (2, 1)
    assert "--classifier" in other.err


def test_an_own_classifier_is_explained_in_python(world, tmp_path):
    """`fit` takes it as `run` does, and its probabilities are the network's own."""
    own = benchmark.classifier(f"{world / 'red.py'}:Red")
    explainer = benchmark.fit(
        "nearest-unlike", data=world / "colours", classifier=own, preset="smoke", results=tmp_path
    )
    queries = explainer.queries(3)
    lead = 16 * (queries[:, 0] - queries[:, 2]).flatten(1).mean(1)
    assert torch.allclose(explainer.classify(queries)[:, 1], torch.sigmoid(lead), atol=1e-5)


# -- forms -------------------------------------------------------------------------------------------------------------


def test_onnx_is_answered_as_its_code(cli, world, tmp_path):
    """The same network as code with weights and as ONNX gives the same answers of a method, to rounding."""
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="torch exports to ONNX by it")
    names = {}
    exec((world / "red.py").read_text(), names)
    images = (torch.rand(2, 3, 20, 16),)
    batch = ({0: torch.export.Dim("batch")},)
    torch.onnx.export(names["Red"]().eval(), images, tmp_path / "red.onnx", dynamic_shapes=batch, verbose=False)
    answers = {}
    for name, options in {
        "code": ("--classifier", f"{world / 'red.py'}:Red", "--classifier-weights", world / "red.safetensors"),
        "onnx": ("--classifier", tmp_path / "red.onnx"),
    }.items():
        common = ("--data", world / "colours", "--preset", "smoke", "--methods", "vaex", "--limit", "4", "--jobs", "1")
        outcome = cli("run", *common, *options, "--results", tmp_path / name, "--quiet")
        assert outcome.code == 0, outcome.err
        (record,) = records(tmp_path / name)
        kept = load_file(
            tmp_path / name / "runs" / "artefacts" / record["artefacts"]["explain"] / "tensors.safetensors"
        )
        answers[name] = kept["images"].int()
    assert (answers["code"] - answers["onnx"]).abs().max() <= 2
