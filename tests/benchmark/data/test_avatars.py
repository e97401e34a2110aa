import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from benchmark.data import Source, load
from benchmark.data import avatars_drawing as drawing
from benchmark.data import avatars_model as model
from benchmark.data.avatars import AvatarsConfig, ExactFaces, counterfactual, render, sample_faces
from benchmark.data.tasks import load_task
from benchmark.errors import UserError
from metrics.intervals import proportion

COUNT = 64
SMALL = AvatarsConfig(size=33, count=COUNT)
LOCAL = [attribute for attribute in model.ATTRIBUTES if attribute.box]
COLOURS = ("Pale_Skin", *model.HAIR_COLOURS)


@pytest.fixture(scope="module")
def faces():
    return sample_faces(SMALL)


@pytest.fixture(scope="module")
def pictures(faces):
    return render(faces)


@pytest.fixture(scope="module")
def data():
    return load("avatars", Source(settings=SMALL))


def opposite(faces, name):
    return {name: 1 - faces.attributes[name].to_numpy()}


def inside(faces, box):
    """(N, H, W) bool: the pixels that a box in the artwork's units reaches into, wherever each face was moved."""
    size, masks = faces.config.size, []
    for _, noise in faces.noise.iterrows():
        _, _, view = drawing._header(noise, size).partition('viewBox="')
        x, y, side, _ = map(float, view.partition('"')[0].split())
        edges = side / size * np.arange(size + 1)
        across = (x + edges[1:] > box[0]) & (x + edges[:-1] < box[2])
        down = (y + edges[1:] > box[1]) & (y + edges[:-1] < box[3])
        masks.append(down[:, None] & across)
    return np.stack(masks)


# -- the same noise, the same faces ------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_faces(faces, pictures):
    """The same seed draws the same faces to the bit, and another seed others."""
    assert sample_faces(SMALL).noise.equals(faces.noise)
    np.testing.assert_array_equal(render(sample_faces(SMALL)), pictures)
    other = render(sample_faces(SMALL.model_copy(update={"seed": 1})).take(np.arange(4)))
    assert not (other == pictures[:4]).all()


def test_the_first_faces_are_the_same_whatever_the_count(faces):
    """A larger data set begins with the faces of a smaller one."""
    more = sample_faces(SMALL.model_copy(update={"count": 2 * COUNT}))
    assert more.attributes[:COUNT].equals(faces.attributes)
    assert more.noise[:COUNT].equals(faces.noise)


@pytest.mark.slow
def test_processes_draw_the_same(faces, pictures, monkeypatch):
    """Faces that are drawn in chunks, by several processes, are the same to the bit, and progress counts them all."""
    monkeypatch.setattr(drawing, "CHUNK", 24)
    told = []
    np.testing.assert_array_equal(render(faces, lambda done, total: told.append((done, total))), pictures)
    assert told == [(24, COUNT), (48, COUNT), (COUNT, COUNT)]


@pytest.mark.parametrize("size", [33, 65, 129])
def test_sizes(size):
    """Faces come in colour and in the size that was asked for, and fill the frame: no two look the same."""
    images = render(sample_faces(AvatarsConfig(size=size, count=3)))
    assert images.shape == (3, 3, size, size)
    assert images.dtype == np.uint8
    assert len({image.tobytes() for image in images}) == 3


@pytest.mark.parametrize("exact", [False, True])
def test_a_face_that_cannot_be_drawn_is_named(faces, monkeypatch, exact):
    """A renderer that fails on one face names it, among exact counterfactuals by its number in the data set."""

    def fail_at_five(**arguments):
        if len(drawn) == 5:
            raise ValueError("no such part")
        drawn.append(arguments)
        return genuine(**arguments)

    drawn, genuine = [], drawing.resvg_py.svg_to_bytes
    monkeypatch.setattr(drawing.resvg_py, "svg_to_bytes", fail_at_five)
    indices = np.arange(20, 28)
    with pytest.raises(UserError, match=rf"face {25 if exact else 5} .*no such part"):
        ExactFaces(faces)("Smiling", indices, np.ones(8)) if exact else render(faces.take(indices))


# -- counterfactuals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("descendants", [False, True])
@pytest.mark.parametrize("name", model.NAMES)
def test_do_of_the_own_value_is_the_identity(faces, name, descendants):
    """A face that is given the value which it has stays as it is, in either sense."""
    own = {name: faces.attributes[name].to_numpy()}
    assert counterfactual(faces, own, descendants=descendants).attributes.equals(faces.attributes)


@pytest.mark.parametrize("name", model.NAMES)
def test_only_the_attribute_changes(faces, name):
    """In the first sense nothing but the attribute changes; colours of hair give way to the one that is set."""
    found = counterfactual(faces, opposite(faces, name), descendants=False)
    changed = found.attributes != faces.attributes
    assert changed[name].all()
    others = [other for other in model.NAMES if changed[other].any() and other != name]
    assert not others or {name, *others} <= set(model.HAIR_COLOURS)
    assert (found.attributes[list(model.HAIR_COLOURS)].sum(axis=1) <= 1).all()


def test_descendants_follow_in_the_second_sense_only(faces):
    """An older face turns grey or bald in the second sense, by its own noise, and its other attributes stay."""
    aged = counterfactual(faces, {"Young": 0}, descendants=True).attributes
    changed = (aged != faces.attributes)[faces.attributes["Young"] == 1]
    assert changed["Gray_Hair"].any()
    assert set(changed.columns[changed.any()]) <= {"Young", "Bald", *model.HAIR_COLOURS}
    wanted = faces.noise["Gray_Hair"] < 0.5
    np.testing.assert_array_equal(aged["Gray_Hair"], wanted.astype(np.int8))


@pytest.mark.parametrize("size", [33, 65, 129])
@pytest.mark.parametrize("attribute", LOCAL, ids=lambda attribute: attribute.name)
@pytest.mark.slow
def test_do_changes_what_the_attribute_draws_alone(size, attribute):
    """An intervention changes pixels where its attribute is drawn, in every face, and no pixel outside."""
    faces = sample_faces(SMALL.model_copy(update={"size": size}))
    pictures = render(faces)
    exact = render(counterfactual(faces, opposite(faces, attribute.name), descendants=False))
    changed = (exact != pictures).any(1)
    assert changed.any((1, 2)).mean() > 0.95  # long hair may hide all of a cheek
    assert not (changed & ~inside(faces, attribute.box)).any()


@pytest.mark.parametrize("size", [33, 65, 129])
@pytest.mark.parametrize("name", ["Male", "Bald"])
@pytest.mark.slow
def test_do_of_hair_takes_neither_beard_nor_glasses_along(size, name, monkeypatch):
    """Other hair changes pixels where hair, brows or lashes are, before or after, and no pixel of beard or glasses."""
    faces = sample_faces(SMALL.model_copy(update={"size": size}))
    found = counterfactual(faces, opposite(faces, name), descendants=False)
    changed = (render(found) != render(faces)).any(1)
    bare = [counterfactual(some, {"No_Beard": 1, "Eyeglasses": 0}, descendants=False) for some in (faces, found)]
    drawn = (render(bare[0]) != render(bare[1])).any(1)
    extremes = []
    for some, colour in zip(bare, ("#000000", "#ffffff"), strict=True):  # shows where either has hair
        monkeypatch.setattr(drawing, "_hair_colour", lambda *_, colour=colour: colour)
        extremes.append(render(some))
    drawn |= (extremes[0] != extremes[1]).any(1)
    assert changed.any((1, 2)).mean() > 0.8  # who is bald has the same hair, whatever the sex
    assert not (changed & ~drawn).any()


@pytest.mark.parametrize("name", model.NAMES)
@pytest.mark.slow
def test_do_can_be_undone(faces, pictures, name):
    """A face whose attribute is set and set back looks as it did, to the bit."""
    undone = counterfactual(counterfactual(faces, opposite(faces, name)), {name: faces.attributes[name].to_numpy()})
    same = undone.attributes.eq(faces.attributes).all(axis=1).to_numpy()
    assert same.all() or name in model.HAIR_COLOURS  # one that is set takes another away
    np.testing.assert_array_equal(render(undone)[same], pictures[same])


@pytest.mark.slow
def test_where_descendants_follow_beard_and_glasses_sit_by_the_new_hair(faces):
    """In the second sense a counterfactual looks as a face does that the model draws with these attributes."""
    found = counterfactual(faces, opposite(faces, "Male"), descendants=True)
    np.testing.assert_array_equal(render(found), render(replace(found, seats=found.attributes)))
    stay = counterfactual(faces, opposite(faces, "Male"), descendants=False)
    assert (render(stay) != render(replace(stay, seats=stay.attributes))).any()


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.slow
def test_do_of_a_colour_changes_what_has_the_colour(faces, pictures, name, monkeypatch):
    """A colour changes no pixel but those in which black hair or skin would differ from white."""
    exact = render(counterfactual(faces, opposite(faces, name), descendants=False))
    changed = (exact != pictures).any(1)
    extremes = []
    for colour in ("#000000", "#ffffff"):
        if name == "Pale_Skin":
            monkeypatch.setattr(drawing, "SKIN", (colour,))
            monkeypatch.setattr(drawing, "PALE_SKIN", (colour,))
        else:
            monkeypatch.setattr(drawing, "_hair_colour", lambda *_, colour=colour: colour)
        extremes.append(render(faces))
    assert changed.any((1, 2)).all()
    assert not (changed & ~(extremes[0] != extremes[1]).any(1)).any()


def test_nuisances_stay(faces, pictures):
    """A change of sex, hair and age leaves background, clothes and position where they were."""
    exact = render(counterfactual(faces, {**opposite(faces, "Male"), **opposite(faces, "Young")}))
    corners = np.s_[:, :, -1, :: SMALL.size - 1]
    same = (exact[corners] == pictures[corners]).all((1, 2))
    covered = faces.attributes["Bald"] == 0  # long hair reaches the corners
    assert same[~covered].all()


def test_unknown_attribute_is_refused(faces):
    """An attribute that the model does not have cannot be set."""
    with pytest.raises(KeyError, match="Wearing_Hat"):
        counterfactual(faces, {"Wearing_Hat": 1})


@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan])
def test_values_other_than_0_and_1_are_refused(faces, value):
    """An attribute is there or not: any other value is named with its attribute."""
    with pytest.raises(ValueError, match="0 or 1: Young"):
        counterfactual(faces, {"Smiling": 1, "Young": np.full(len(faces), value)})


def test_two_colours_of_hair_are_refused(faces):
    """Colours of hair exclude each other, so one face cannot be given two; different faces can."""
    with pytest.raises(ValueError, match="one colour"):
        counterfactual(faces, {"Black_Hair": 1, "Blond_Hair": 1})
    odd = np.arange(len(faces)) % 2
    found = counterfactual(faces, {"Black_Hair": odd, "Blond_Hair": 1 - odd}).attributes
    np.testing.assert_array_equal(found["Black_Hair"], odd)
    np.testing.assert_array_equal(found["Blond_Hair"], 1 - odd)


# -- the model ---------------------------------------------------------------------------------------------------------


def test_parents_come_before_their_children():
    """The table lists every parent before its children, and says a probability for all of their values."""
    for place, attribute in enumerate(model.ATTRIBUTES):
        assert set(attribute.parents) <= set(model.NAMES[:place])
        assert len(attribute.probability) == 2 ** len(attribute.parents)


@pytest.mark.parametrize(
    "changes", [{}, {"confounding": "Eyeglasses-Young", "strength": 0.8}, {"independent": True}], ids=str
)
def test_frequencies_are_the_models(changes):
    """Each attribute is as frequent as the model says, for all values of its parents, within the interval."""
    config = AvatarsConfig(count=20_000, **changes)
    found = sample_faces(config).attributes
    outside, cells = 0, 0
    for attribute in config.attributes():
        for values, probability in attribute.probability.items():
            here = (found[list(attribute.parents)] == list(values)).all(axis=1)
            if here.any():
                estimate = proportion(torch.from_numpy(found.loc[here, attribute.name].to_numpy() == 1))
                outside += not estimate.low <= probability <= estimate.high
                cells += 1
    assert outside <= 3  # of some 20 intervals of 95 %, four or more miss in one of 60 cases


def test_independent_faces():
    """Independent attributes are not correlated, but for colours of hair, of which a face has one at most."""
    found = sample_faces(AvatarsConfig(count=20_000, independent=True)).attributes
    free = [name for name in model.NAMES if name not in model.HAIR_COLOURS]
    apart = found[free].corr().to_numpy() - np.eye(len(free))
    assert np.abs(apart).max() < 0.03
    colours = found[list(model.HAIR_COLOURS)]
    assert colours.sum(axis=1).max() == 1
    np.testing.assert_allclose(colours.mean(), 0.25, atol=0.15)


def test_confounding_at_half_is_none():
    """A strength of a half leaves an attribute that was a coin's toss as it was."""
    plain = sample_faces(SMALL)
    half = sample_faces(SMALL.model_copy(update={"confounding": "Smiling-Male", "strength": 0.5}))
    assert half.attributes.equals(plain.attributes)


@pytest.mark.parametrize(
    "confounding", ["Young-Eyeglasses", "Smiling", "Smiling-Smiling", "Hat-Male", "Gray_Hair-Male"]
)
def test_confounding_that_makes_no_sense_is_refused(confounding):
    """A confounding that is not child-parent of two attributes in the model's order is refused."""
    with pytest.raises(ValidationError, match="child-parent"):
        AvatarsConfig(confounding=confounding)


@pytest.mark.parametrize("evidence", [0.5, 0.7, 0.85, 1.0])
def test_evidence_is_the_best_accuracy(evidence):
    """The mouth is of the face's own class as often as the evidence says."""
    uniform = np.random.default_rng(0).random(20_000)
    own = [drawing.shown(((0,), (1,)), value, u, evidence) == value for value in (0, 1) for u in uniform]
    estimate = proportion(torch.tensor(own))
    assert estimate.low - 0.005 <= evidence <= estimate.high + 0.005


def test_evidence_never_goes_the_wrong_way():
    """Under any evidence what is shown for 1 comes no earlier than what the same noise shows for 0."""
    for evidence in (0.6, 0.85, 1.0):
        for u in np.linspace(0, 0.999, 50):
            before, after = (drawing.shown(((0, 1, 2), (3, 4)), value, u, evidence) for value in (0, 1))
            assert after >= before


# -- as a data set -----------------------------------------------------------------------------------------------------


def test_cache(tmp_path, monkeypatch, pictures):
    """Faces are drawn once, and the next one who asks gets the same images and digest from the file."""
    source = Source(cache=tmp_path, settings=SMALL)
    first = load("avatars", source)
    monkeypatch.setattr("benchmark.data.avatars.render", lambda *_: pytest.fail("drawn again"))
    again = load("avatars", source)
    assert isinstance(again.images, np.memmap)
    assert first.digest == again.digest
    np.testing.assert_array_equal(again.images, pictures)


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"confounding": "Smiling-Male"}, {"evidence": 0.9}, {"independent": True}], ids=str
)
@pytest.mark.slow
def test_digest_covers_the_settings(data, changes):
    """Other settings have another digest, the same ones the same."""
    assert load("avatars", Source(settings=SMALL)).digest == data.digest
    assert load("avatars", Source(settings=SMALL.model_copy(update=changes))).digest != data.digest


def test_a_task_knows_its_counterfactuals(data, faces, monkeypatch):
    """A task's exact counterfactuals are the faces with its attribute set, and the faces where it is so already."""
    monkeypatch.setattr("benchmark.data.tasks.load", lambda *_: data)
    task = load_task("avatars/Smiling", Source())
    indices = np.arange(8)
    np.testing.assert_array_equal(task.counterfactuals(indices, task.labels[:8]), task.images[:8])
    expected = render(counterfactual(faces.take(indices), {"Smiling": 1 - task.labels[:8]}))
    np.testing.assert_array_equal(task.counterfactuals(indices, 1 - task.labels[:8]), expected)
    assert replace(task, exact=None).counterfactuals(indices, task.labels[:8]) is None


def test_faces_can_be_sent_to_other_processes(data):
    """Faces survive the way to another process, with what they know of their counterfactuals."""
    arrived = pickle.loads(pickle.dumps(data))
    indices, values = np.arange(2), np.array([0, 1])
    np.testing.assert_array_equal(arrived.exact("Smiling", indices, values), data.exact("Smiling", indices, values))
    assert arrived.independent == data.independent


def test_independent_faces_are_others(data):
    """The faces for attribute oracles are of the same size, clear and unconfounded whatever the data set is."""
    graded = load("avatars", Source(settings=SMALL.model_copy(update={"count": 4, "evidence": 0.6})))
    ours, theirs = data.independent(8, 3), graded.independent(8, 3)
    assert ours.digest == theirs.digest
    assert ours.shape == data.shape
    assert not (ours.images[:4] == data.images[:4]).all()
