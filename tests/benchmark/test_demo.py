import pytest
import torch
from PIL import Image

from benchmark.demo.picture import Demo
from benchmark.demo.weights import SHIPPED, Shipped, read, write
from benchmark.errors import UserError
from benchmark.jobs.settings import CLASSIFIER, ORACLES, method_config
from benchmark.judges.classifier import ConvClassifier
from methods import METHODS

SHAPE, CLASSES = (1, 28, 28), 10
NAMES = ("null", "vaex")


@pytest.fixture(scope="module")
def made_up():
    """Networks that nobody trained."""
    torch.manual_seed(0)
    judges = {role.name: role.resolved("smoke", {}) for role in (CLASSIFIER, ORACLES["oracle"])}
    networks = {name: ConvClassifier(config, SHAPE, CLASSES) for name, config in judges.items()}
    settings = {name: config.model_dump(mode="json") for name, config in judges.items()}
    for name in NAMES:
        config = method_config(name, "smoke", {})
        networks[name] = METHODS[name].load()(config).prepare(SHAPE, networks["classifier"])
        settings[name] = config.model_dump(mode="json")
    states = {name: network.state_dict() for name, network in networks.items()}
    return Shipped(states, {"task": "mnist", "seed": 0, "methods": NAMES, "settings": settings})


@pytest.fixture(scope="module")
def demo(made_up):
    return Demo.of(made_up)


def test_weights_survive_the_file(made_up, tmp_path):
    """Of what is written, small tensors come back as they were, large ones within half a level of 8 bits."""
    write(tmp_path / "networks.safetensors", made_up)
    again = read(tmp_path / "networks.safetensors")
    assert again.facts == {**made_up.facts, "methods": list(NAMES)}
    for name, state in made_up.states.items():
        assert again.states.get(name, {}).keys() == state.keys()
        for part, value in state.items():
            error = (again.states[name][part].float() - value.float()).abs()
            rows = value.float().abs().reshape(len(value), -1).amax(1) if value.ndim > 1 else torch.zeros(1)
            allowed = (rows / 254 * 1.0001).reshape(-1, *[1] * (value.ndim - 1)) if value.ndim > 1 else 0
            assert (error <= allowed).all()
    full = sum(value.nbytes for state in made_up.states.values() for value in state.values())
    assert (tmp_path / "networks.safetensors").stat().st_size < full / 2


def test_the_picture_has_a_row_a_digit_and_a_column_a_method(demo):
    """A query a row, a method a column, and the queries that were asked for."""
    own = demo.classifier(demo.question.queries.batch(torch.tensor([0, 5]))).argmax(1).tolist()
    target = next(name for place, name in enumerate(demo.question.data.class_names) if place not in own)
    figure = demo.drawn([0, 5], target)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert [f"{label} → {target}" for label in own] == [text for text in texts if "→" in text]
    assert {"query", "null"} <= set(texts)


def test_what_cannot_be_drawn_is_refused(demo):
    """A digit that there is none of, a number past the last, and a target that is there already are refused."""
    own = str(int(demo.classifier(demo.question.queries.batch(torch.tensor([0]))).argmax()))
    for places, target, words in (([0], "x", "digit"), ([10**6], "3", "counted from 0"), ([0], own, "--target")):
        with pytest.raises(UserError, match=words):
            demo.drawn(places, target)
    with pytest.raises(UserError, match="digit"):
        demo.places(["x"])


# -- what comes with the package ---------------------------------------------------------------------------------------


def test_the_package_holds_good_networks():
    """What is shipped has at most 4 MB, and its classifier and oracle read digits that they were not trained on."""
    assert SHIPPED.stat().st_size <= 4e6
    demo = Demo.of(read())
    queries = demo.question.queries
    for network in (demo.classifier, demo.oracle):
        with torch.no_grad():
            assert (network(queries.batch(slice(0, 500))).argmax(1) == queries.labels[:500]).float().mean() > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(("digits", "target"), [(["3", "8", "0", "9"], "5"), (["3", "3"], "8")])
def test_demo_draws_what_is_picked(digits, target):
    """Digits are found by their class, each another picture, and shown in the order that was asked for."""
    demo = Demo.of(read())
    places = demo.places(digits)
    assert len(set(places)) == len(digits)
    texts = [text.get_text() for text in demo.drawn(places, target).axes[0].texts]
    assert [text for text in texts if "→" in text] == [f"{digit} → {target}" for digit in digits]


@pytest.mark.slow
def test_demo_from_the_command_line(shell, tmp_path):
    """The command writes a picture; a mistake is a line that says what to do, and writes nothing."""
    done = shell("demo", "--digits", "3,8", "--target", "5", "--no-open", "--out", tmp_path / "a.png")
    assert (done.code, done.err) == (0, "")
    assert Image.open(tmp_path / "a.png").width > 400
    wrong = shell("demo", "--digits", "3", "--target", "3", "--no-open", "--out", tmp_path / "b.png")
    assert (wrong.code, len(wrong.complaints)) == (2, 1)
    assert "--target" in wrong.err
    assert not (tmp_path / "b.png").exists()
