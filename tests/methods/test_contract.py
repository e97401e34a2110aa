import json
import pickle
from dataclasses import replace
from inspect import getdoc
from itertools import pairwise, product
from typing import Literal, get_args, get_origin

import pytest
import torch
from pydantic import ValidationError

from benchmark.jobs.contract import CASES, LEARNT, Case, Kind, made, squares
from benchmark.jobs.settings import CLASSIFIER, method_config
from benchmark.judges.classifier import ClassifierConfig, ConvClassifier
from benchmark.names import PRESETS
from methods import METHODS
from methods.base import Attributes
from methods.contract import LAWS, RELAXATIONS, check_pictures, check_settings, nearer_as_r_grows, same
from methods.training import Devices, Trainer

FAMILIES = dict.fromkeys(entry.family for entry in METHODS.values())
QUICK = (("grey",), {next(name for name in METHODS if METHODS[name].family == family) for family in FAMILIES})
"""The case and the methods, one a family, that are held in every quick run; all others are held in the whole one."""


def slow_unless(name, quick):
    """`name` as a parameter, marked slow unless it is among the `quick` ones."""
    return pytest.param(name, marks=[] if name in quick else pytest.mark.slow)


@pytest.fixture(scope="module", params=[slow_unless(name, QUICK[0]) for name in CASES])
def named_case(request):
    return request.param, Case.of(request.param)


@pytest.fixture(scope="module")
def case(named_case):
    return named_case[1]


@pytest.fixture(scope="module", params=[slow_unless(name, QUICK[1]) for name in METHODS])
def named(request, case):
    return request.param, case.candidate(request.param)


@pytest.fixture(scope="module")
def fitted(named):
    return named[1]


# -- laws --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(fitted, named_case, law):
    """Every method obeys every law that a stranger's method is held to, which says in a line what it demands."""
    assert "\n" not in getdoc(law)
    if law is not nearer_as_r_grows or named_case[0] in LEARNT:
        law(fitted)


@pytest.mark.parametrize("named_case", ["grey"], indirect=True)
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


# -- fitting -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("named_case", ["grey"], indirect=True)
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
@pytest.mark.parametrize("named_case", ["grey"], indirect=True)
@pytest.mark.slow
def test_mixed_precision(case, name):
    """Every method can learn in mixed precision, and then answers in single precision as ever."""
    method = made(name, method_config(name, "smoke", {}), case.data.data.known_attributes)
    method.fit(case.data, case.classifier, trainer=Trainer(seed=3, devices=Devices(precision="bf16-mixed")))
    assert all(torch.isfinite(value).all() for value in method.network.state_dict().values())
    with torch.no_grad():
        answers = method.explain(case.images, case.target, RELAXATIONS).images
    assert answers.dtype == torch.float32
    check_pictures(answers, answers.shape, "explain's answer")


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
    data = squares(Kind(shape, 2, 32), 32, seed=0)
    classifier = ConvClassifier(ClassifierConfig(channels=(4, 8), features=8), shape, 2).eval().requires_grad_(False)
    method = made(name, method_config(name, "smoke", {}, shape[0]), data.data.known_attributes)
    method.fit(data, classifier, trainer=Trainer(seed=3))
    images = data.batch(slice(0, 4))
    with torch.no_grad():
        answers = method.explain(images, torch.tensor([0, 1, 0, 1]), (0.0, 1.0)).images
        pictures = [*answers, method.reconstruct(images), *method.samples(4).values()]
    for each in pictures:
        check_pictures(each, images.shape, "what the method draws")


@pytest.mark.parametrize(("preset", "shape"), [("default", (3, 16, 16)), ("paper", (1, 16, 16))])
@pytest.mark.parametrize("name", METHODS)
def test_small_images_suit_every_preset(request, name, preset, shape):
    """No preset is too large for small images: its network is built for them."""
    if (name, preset) == ("attribute-search", "paper"):
        reason = "AttGAN's five convolutions cannot halve 16 pixels; it refuses them in words"
        request.applymarker(pytest.mark.xfail(raises=ValueError, strict=True, reason=reason))
    classifier = ConvClassifier(CLASSIFIER.resolved(preset, {}, shape[0]), shape, 2)
    known = squares(Kind(shape, 2, 4), 4, seed=0).data.known_attributes
    method = made(name, method_config(name, preset, {}, shape[0]), known)
    network = method.prepare(shape, classifier)
    assert all(torch.isfinite(value).all() for value in network.parameters())


@pytest.mark.parametrize("named_case", ["colour"], indirect=True)
@pytest.mark.slow
def test_fit_depends_on_the_fit_part_alone(named, case):
    """The same seed and fit part give the same weights, whatever the settings that only explain say."""
    name, fitted = named
    config = with_other_explanations(fitted.method.config)
    assert config.fit_part() == fitted.method.config.fit_part()
    other, _ = case.fitted(name, config)
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
    if isinstance(value, tuple) and len(value) > 1:
        return [value[:-1]]
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
    check_settings(kind)


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
