import json
import pickle
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from typing import Literal, get_args, get_origin

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load, save

from benchmark.data import ImageData, Subset
from benchmark.jobs.settings import CLASSIFIER, method_config
from benchmark.judges.classifier import ClassifierConfig, ConvClassifier, train
from benchmark.names import PRESETS
from methods import METHODS
from methods.base import Attributes, Method
from methods.training import Devices, Trainer

CASES = {"grey": ((1, 28, 28), 3, 600), "colour": ((3, 20, 26), 2, 128)}  # (C, H, W), classes, training images
RELAXATIONS = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
QUERIES = 64


def squares(shape, classes, count, seed):
    """Bright squares of many colours, heights and backgrounds, whose place from left to right is the class.

    Three attributes are known: whether a square is in the first place, which is the label's own, bright, or low.
    """
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = random.integers(0, 60, (count, shape[0], 1, 1), dtype=np.uint8) * np.ones(shape, np.uint8)
    attributes = pd.DataFrame({"first": labels == 0, "bright": False, "low": False}).astype(np.int8)
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        left, top = 2 + 7 * label + random.integers(0, 3), random.integers(0, shape[1] - 9)
        colour = random.integers(90, 190, (shape[0], 1, 1), dtype=np.uint8)
        image[:, top : top + 9, left : left + 7] += colour
        attributes.loc[row, ["bright", "low"]] = int(colour.mean() > 140), int(top > (shape[1] - 9) / 2)
    names = tuple(f"place {label}" for label in range(classes))
    data = ImageData(
        "squares", images, labels, names, f"{shape}{seed}", attributes=attributes, attribute=attributes.columns[0]
    )
    return Subset(data, np.arange(count))


def made(name, config, attributes):
    """The method, told of `attributes` what it takes."""
    method = METHODS[name].load()(config)
    method.attributes = attributes if method.takes_attributes else None
    return method


@dataclass
class _Posting(Trainer):
    """Also sends what it is given through pickle, as processes on several devices receive it."""

    posted: list = field(default_factory=list)

    def fit(self, module, phases, plan, stage="fit"):
        self.posted.append((plan, pickle.dumps((module, phases, plan, stage))))
        return super().fit(module, phases, plan, stage)


@dataclass
class _Case:
    data: Subset
    classifier: torch.nn.Module
    images: torch.Tensor
    target: torch.Tensor

    def fitted(self, name, config=None, shared=None):
        """The method, fitted as a run fits it, and the trainer that did it."""
        method = made(name, config or method_config(name, "smoke", {}), self.data.data.known_attributes)
        trainer = _Posting(seed=3, shared=shared)
        torch.manual_seed(4)
        assert method.fit(self.data, self.classifier, trainer=trainer) is method
        return method, trainer


@dataclass
class _Fitted:
    name: str
    case: _Case
    method: Method
    trainer: _Posting
    classifier_before: dict

    def explain(self, method=None, count=None, relaxations=RELAXATIONS, seed=0):
        torch.manual_seed(seed)
        with torch.no_grad():
            return (method or self.method).explain(self.case.images[:count], self.case.target[:count], relaxations)

    def reconstruct(self, method=None, count=None, seed=0):
        torch.manual_seed(seed)
        with torch.no_grad():
            return (method or self.method).reconstruct(self.case.images[:count])

    def diagnostics(self, method=None, count=None, seed=0):
        torch.manual_seed(seed)
        with torch.no_grad():
            return (method or self.method).diagnostics(self.case.images[:count])


FAMILIES = dict.fromkeys(entry.family for entry in METHODS.values())
QUICK = (("grey",), {next(name for name in METHODS if METHODS[name].family == family) for family in FAMILIES})
"""The case and the methods, one a family, that are held in every quick run; all others are held in the whole one."""


def slow_unless(name, quick):
    """`name` as a parameter, marked slow unless it is among the `quick` ones."""
    return pytest.param(name, marks=[] if name in quick else pytest.mark.slow)


@pytest.fixture(scope="module", params=[slow_unless(name, QUICK[0]) for name in CASES])
def case(request):
    shape, classes, training = CASES[request.param]
    data = squares(shape, classes, training, seed=0)
    config = ClassifierConfig(channels=(4, 8), features=8, dropout=0, epochs=4, batch_size=16, learning_rate=0.01)
    torch.manual_seed(1)
    classifier = train(config, data, classes, Trainer(seed=2))
    classifier.zero_grad()
    images = squares(shape, classes, QUERIES, seed=1).batch(slice(None))
    return _Case(data, classifier, images, (classifier(images).argmax(1) + 1) % classes)


@pytest.fixture(scope="module", params=[slow_unless(name, QUICK[1]) for name in METHODS])
def fitted(request, case):
    before = {name: value.clone() for name, value in case.classifier.state_dict().items()}
    method, trainer = case.fitted(request.param)
    return _Fitted(request.param, case, method, trainer, before)


def same(first, second):
    """Whether two mappings hold equal tensors under the same names."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def in_unit_range(images):
    return bool(torch.isfinite(images).all()) and bool(((images >= 0) & (images <= 1)).all())


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [QUERIES, 1, 0])
def test_shapes_and_range(fitted, count):
    """Any number of queries, none included, gets an image in [0, 1] of its own shape at every relaxation."""
    answers = fitted.explain(count=count)
    assert answers.images.shape == (len(RELAXATIONS), count, *fitted.case.data.shape)
    assert answers.images.dtype == torch.float32
    assert in_unit_range(answers.images)
    assert all(len(value) == count for value in answers.intervention.values())
    reconstructions = fitted.reconstruct(count=count)
    assert reconstructions.shape == (count, *fitted.case.data.shape)
    assert in_unit_range(reconstructions)


@pytest.mark.parametrize("count", [QUERIES, 1, 0])
def test_diagnostics_are_one_finite_number_a_query(fitted, count):
    """Diagnostics are one finite number a query under the same names for any number of queries, none included."""
    found = fitted.diagnostics(count=count)
    assert found.keys() == fitted.diagnostics().keys()
    assert all(value.shape == (count,) and torch.isfinite(value).all() for value in found.values())


def test_no_relaxations(fitted):
    """A sweep over no relaxation is answered with no image, or refused as a bad value."""
    try:
        answers = fitted.explain(relaxations=())
    except ValueError as error:
        assert "relaxation" in str(error)  # noqa: PT017 - either outcome is lawful
    else:
        assert answers.images.shape == (0, QUERIES, *fitted.case.data.shape)


def test_determinism(fitted):
    """Under the same seed a question gets the same answer, and the queries stay as they were."""
    before = fitted.case.images.clone()
    first, second = fitted.explain(), fitted.explain()
    assert torch.equal(first.images, second.images)
    assert same(first.intervention, second.intervention)
    assert torch.equal(fitted.reconstruct(), fitted.reconstruct())
    assert same(fitted.diagnostics(), fitted.diagnostics())
    assert torch.equal(fitted.case.images, before)


@pytest.mark.parametrize("case", ["grey"], indirect=True)
def test_distance_grows_as_relaxation_falls(fitted):
    """The less of a query's own code is kept, the further the answers are from its reconstruction, on average.

    The mean over the queries is a sample mean, so one step of the grid may fall back by two of its standard errors;
    from one end of the grid to the other nothing is forgiven. Seeds are shared, so that differences are those of r
    alone. The other case has too few training images for a network to give its fine latents a meaning.
    """
    distances = (fitted.explain().images - fitted.reconstruct()).abs().flatten(2).mean(2)  # (R, N)
    for earlier, later in pairwise(distances):
        growth = later - earlier
        assert growth.mean() >= -2 * growth.std() / len(growth) ** 0.5
    assert distances[-1].mean() >= distances[0].mean()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("case", ["grey"], indirect=True)
@pytest.mark.slow
def test_one_generator_serves_all_classifiers(case, name):
    """What a method trains once for all classifiers makes it, to the bit, what it is when fitted to each alone."""
    kept = {}

    def once(trainer, key, training):
        text = json.dumps(key, sort_keys=True)
        if text not in kept:
            kept[text] = {name: value.clone() for name, value in training(trainer).items()}
        return kept[text]

    torch.manual_seed(7)
    other = type(case.classifier)(case.classifier.config, case.data.shape, case.classifier.class_count).eval()
    first, _ = case.fitted(name, shared=once)
    assert bool(kept) == first.one_generator
    if first.one_generator:
        again, trainer = replace(case, classifier=other).fitted(name, shared=once)
        assert not trainer.posted
        at_once, _ = replace(case, classifier=other).fitted(name)
        assert same(again.network.state_dict(), at_once.network.state_dict())
        # Where all parts are shared no part is made for each classifier.
        asks_nothing = first.network.state_dict().keys() <= set().union(*kept.values())
        assert same(again.network.state_dict(), first.network.state_dict()) == asks_nothing


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("case", ["grey"], indirect=True)
@pytest.mark.slow
def test_mixed_precision(case, name):
    """Every method can learn in mixed precision, and then answers in single precision as ever."""
    method = made(name, method_config(name, "smoke", {}), case.data.data.known_attributes)
    method.fit(case.data, case.classifier, trainer=Trainer(seed=3, devices=Devices(precision="bf16-mixed")))
    assert all(torch.isfinite(value).all() for value in method.network.state_dict().values())
    with torch.no_grad():
        answers = method.explain(case.images, case.target, RELAXATIONS).images
    assert answers.dtype == torch.float32
    assert in_unit_range(answers)


def test_save_and_restore(fitted):
    """What was fitted, written to disk and taken up by another object, gives equal answers."""
    state = load(save(fitted.method.network.state_dict()))
    other = made(fitted.name, fitted.method.config, fitted.method.attributes)
    assert other.restore(state, fitted.case.data.shape, fitted.case.classifier) is other
    ours, theirs = fitted.explain(), fitted.explain(other)
    assert torch.equal(ours.images, theirs.images)
    assert same(ours.intervention, theirs.intervention)
    assert torch.equal(fitted.reconstruct(), fitted.reconstruct(other))
    assert same(fitted.diagnostics(), fitted.diagnostics(other))


@pytest.mark.slow
def test_pickled_methods_answer_alike(fitted):
    """A fitted method survives the way to another process."""
    other = pickle.loads(pickle.dumps(fitted.method))
    assert torch.equal(fitted.explain().images, fitted.explain(other).images)


SIZES = [(3, 16, 16), (1, 17, 23), (3, 64, 48), (1, 20, 64)]
"""Shapes that the networks have to pad and crop, or round, somewhere."""


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.slow
def test_any_size_from_sixteen_pixels(name, shape):
    """Odd, small and oblong images are learnt from, explained and drawn by every method at their own size."""
    data = squares(shape, 2, 32, seed=0)
    classifier = ConvClassifier(ClassifierConfig(channels=(4, 8), features=8), shape, 2).eval().requires_grad_(False)
    method = made(name, method_config(name, "smoke", {}, shape[0]), data.data.known_attributes)
    method.fit(data, classifier, trainer=Trainer(seed=3))
    images = data.batch(slice(0, 4))
    with torch.no_grad():
        answers = method.explain(images, torch.tensor([0, 1, 0, 1]), (0.0, 1.0)).images
        pictures = [*answers, method.reconstruct(images), *method.samples(4).values()]
    assert all(each.shape == images.shape and in_unit_range(each) for each in pictures)


@pytest.mark.parametrize(("preset", "shape"), [("default", (3, 16, 16)), ("paper", (1, 16, 16))])
@pytest.mark.parametrize("name", METHODS)
def test_small_images_suit_every_preset(request, name, preset, shape):
    """No preset is too large for small images: its network is built for them."""
    if (name, preset) == ("attribute-search", "paper"):
        reason = "AttGAN's five convolutions cannot halve 16 pixels; it refuses them in words"
        request.applymarker(pytest.mark.xfail(raises=ValueError, strict=True, reason=reason))
    classifier = ConvClassifier(CLASSIFIER.resolved(preset, {}, shape[0]), shape, 2)
    known = squares(shape, 2, 4, seed=0).data.known_attributes
    method = made(name, method_config(name, preset, {}, shape[0]), known)
    network = method.prepare(shape, classifier)
    assert all(torch.isfinite(value).all() for value in network.parameters())


# -- fitting -----------------------------------------------------------------------------------------------------------


def test_gradients_reach_every_parameter(fitted):
    """Every trainable parameter received a gradient that is finite and not zero."""
    trainable = {name: value for name, value in fitted.method.network.named_parameters() if value.requires_grad}
    assert [name for name, value in trainable.items() if value.grad is None or not value.grad.any()] == []
    assert [name for name, value in trainable.items() if not torch.isfinite(value.grad).all()] == []


def test_classifier_stays(fitted):
    """A fit leaves the classifier as it was: its weights, frozen, in evaluation mode, without gradients."""
    classifier = fitted.case.classifier
    assert same(classifier.state_dict(), fitted.classifier_before)
    assert not any(module.training for module in classifier.modules())
    assert all(not value.requires_grad and value.grad is None for value in classifier.parameters())


def test_training_can_be_sent_to_other_processes(fitted):
    """All that a method gives the training loop survives pickling, and yields the same batches and parameters there."""
    for plan, posted in fitted.trainer.posted:
        module, phases, arrived, _ = pickle.loads(posted)
        some = plan.indices(seed=0, step=0)
        assert all(torch.equal(a, b) for a, b in zip(plan.batch(some), arrived.batch(some), strict=True))
        own = {id(value) for value in module.parameters()}
        for phase in phases(module):
            assert callable(getattr(module, phase.losses))
            assert own.issuperset(id(value) for group in phase.optimizer.param_groups for value in group["params"])


@pytest.mark.parametrize("case", ["colour"], indirect=True)
@pytest.mark.slow
def test_fit_depends_on_the_fit_part_alone(fitted):
    """The same seed and fit part give the same weights, whatever the settings that only explain say."""
    config = with_other_explanations(fitted.method.config)
    assert config.fit_part() == fitted.method.config.fit_part()
    other, _ = fitted.case.fitted(fitted.name, config)
    assert same(fitted.method.network.state_dict(), other.network.state_dict())


# -- settings ----------------------------------------------------------------------------------------------------------


def candidates(value, annotation):
    """Other values that a setting might take."""
    if get_origin(annotation) is Literal:
        return [choice for choice in get_args(annotation) if choice != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [value + 1, value - 1, value / 2]
    return []


def with_other_explanations(config):
    """`config` with each of its explain-only settings changed; a new kind of setting must be added above."""
    kind, settings = type(config), config.model_dump()
    for name in sorted(kind.explain_only):  # in one order: a set's differs from process to process
        for value in candidates(settings[name], kind.model_fields[name].annotation):
            try:
                settings = kind.model_validate({**settings, name: value}).model_dump()
            except ValidationError:
                continue
            break
        assert settings[name] != getattr(config, name), f"no other value of {name} is known here"
    return kind.model_validate(settings)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("name", "preset"), list(product(METHODS, PRESETS)))
def test_presets_resolve(name, preset, channels):
    """Every preset of every method names known settings with values in their range, for grey images and colour."""
    config = method_config(name, preset, {}, channels)
    assert isinstance(config, METHODS[name].load().Config)
    for setting, value in METHODS[name].settings.items():
        assert getattr(config, setting) == value


@pytest.mark.parametrize("name", METHODS)
def test_presets_are_known(name):
    """A method has settings for presets that can be asked for, for colour and for biases; none for the default."""
    assert set(METHODS[name].load().presets) <= {*PRESETS, "faces", "bias"} - {"default"}


@pytest.mark.parametrize("name", METHODS)
def test_settings_for_colour_fit_faces(name):
    """What the default preset takes for images in colour can be built for faces of 65 pixels,."""
    method = made(name, method_config(name, "default", {}, channels=3), Attributes(("Male", "Young")))
    classifier = ConvClassifier(CLASSIFIER.resolved("default", {}, channels=3), (3, 65, 65), 2)
    network = method.prepare((3, 65, 65), classifier)
    assert all(torch.isfinite(value).all() for value in network.parameters())


@pytest.mark.parametrize("name", METHODS)
def test_settings_are_documented(name):
    """Every setting has a default and says what it is, and the configuration can be made of defaults alone."""
    kind = METHODS[name].load().Config
    kind()
    assert kind.__doc__
    assert [field for field, facts in kind.model_fields.items() if facts.is_required()] == []
    assert [field for field, facts in kind.model_fields.items() if not facts.description] == []


@pytest.mark.parametrize("name", METHODS)
def test_settings_are_frozen_and_closed(name):
    """A configuration cannot be changed, refuses unknown settings, and survives the way through JSON."""
    kind = METHODS[name].load().Config
    config = kind()
    with pytest.raises(ValidationError, match="unheard_of"):
        kind(unheard_of=1)
    for field_name in kind.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(config, field_name, getattr(config, field_name))
    assert kind.model_validate_json(config.model_dump_json()) == config
    assert hash(kind()) == hash(config)


@pytest.mark.parametrize("name", METHODS)
def test_fit_part_leaves_out_explain_only(name):
    """The explain-only settings are settings, and all others make up the fit part."""
    kind = METHODS[name].load().Config
    assert kind.explain_only <= kind.model_fields.keys()
    assert kind().fit_part().keys() == kind.model_fields.keys() - kind.explain_only


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("preset", PRESETS)
def test_variants_share_a_fit_where_they_can(preset, channels):
    """Two variants of a method have equal fit parts just when they differ in explain-only settings alone."""
    for first, second in product(METHODS, METHODS):
        if METHODS[first].path != METHODS[second].path:
            continue
        ours, theirs = (method_config(name, preset, {}, channels) for name in (first, second))
        different = {name for name in type(ours).model_fields if getattr(ours, name) != getattr(theirs, name)}
        assert (ours.fit_part() == theirs.fit_part()) == (different <= ours.explain_only)
