from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data import ImageData, Source, tasks
from benchmark.data.tasks import Splits, check_name, load_task, split
from benchmark.errors import UserError

PARTS = ("train", "validation", "test")


def images_of(labels, class_names=("a", "b"), **others):
    """Small labelled images; each one's first pixel is its own index."""
    count = len(labels) if labels is not None else len(others["attributes"])
    images = np.zeros((count, 1, 2, 2), np.uint8)
    images[:, 0, 0, 0] = np.arange(count)
    labels = None if labels is None else np.asarray(labels, np.int64)
    return ImageData("toy", images, labels, tuple(class_names), "digest", **others)


def with_attributes(**columns):
    return images_of(None, (), attributes=pd.DataFrame(columns, dtype=np.int8))


@pytest.fixture
def offer(monkeypatch):
    """Makes every data set's name stand for one that a test has built."""
    return lambda data: monkeypatch.setattr(tasks, "load", lambda *_: data)


def refusal(task):
    with pytest.raises(UserError) as error:
        load_task(task, Source())
    assert "\n" not in str(error.value)
    return str(error.value)


# -- what a task asks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["mnist/3-8", "mnist/8-3"])
def test_two_classes_keep_their_images(task, digits):
    """A pair of classes holds exactly the images of the two, labelled by their place in the task's name."""
    names = task.partition("/")[2].split("-")
    data = load_task(task, Source())
    assert data.class_names == tuple(names)
    for label, name in enumerate(names):
        expected = digits.images[digits.labels == int(name)]
        np.testing.assert_array_equal(data.images[data.labels == label], expected)
    assert len(data) == 1000


def test_no_question_keeps_all_classes(digits):
    """A task that is only a data set's name asks for all of its classes."""
    data = load_task("mnist", Source())
    assert data.class_names == digits.class_names
    np.testing.assert_array_equal(data.labels, digits.labels)


def test_digest_tells_tasks_apart():
    """Two tasks on one data set have different digests, and a task has the same one every time."""
    digests = [load_task(task, Source()).digest for task in ("mnist", "mnist/3-8", "mnist/8-3", "mnist/3-8")]
    assert len(set(digests)) == 3
    assert digests[1] == digests[3]


@pytest.mark.parametrize(
    ("question", "pair"),
    [("T-shirt-Bag", ("T-shirt", "Bag")), ("Bag-T-shirt", ("Bag", "T-shirt")), ("T-shirt-X-ray", ("T-shirt", "X-ray"))],
)
def test_class_names_may_hold_hyphens(offer, question, pair):
    """Classes whose names hold hyphens are found in first-second."""
    offer(images_of([0, 1, 2] * 5, ("T-shirt", "Bag", "X-ray")))
    assert load_task(f"toy/{question}", Source()).class_names == pair


def test_attribute_makes_a_binary_task(offer):
    """An attribute's 0 and 1 become the labels of two named classes."""
    offer(with_attributes(Male=[0, 1, 1, 0], Smiling=[1, 1, 0, 0]))
    data = load_task("toy/Smiling", Source())
    assert data.labels.tolist() == [1, 1, 0, 0]
    assert data.class_names == ("not Smiling", "Smiling")


def test_a_pair_keeps_official_splits(offer):
    """The official splits of a pair hold the same images as those of the whole data set, as far as they are asked."""
    official = {"train": np.arange(20), "test": np.arange(20, 30)}
    offer(images_of([0, 1, 2] * 10, ("a", "b", "c"), official=official))
    data = load_task("toy/a-c", Source())
    for name, indices in official.items():
        kept = data.images[data.official[name], 0, 0, 0]
        assert kept.tolist() == [i for i in indices if i % 3 != 1]


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_unknown_data_set_is_refused():
    """An unknown data set is refused with the nearest spelling and the known ones, before anything is loaded."""
    with pytest.raises(UserError, match=r"did you mean 'mnist'.*celeba.*fashion-mnist.*mnist-full"):
        check_name("mnits/3-8")
    check_name("mnist/3-8")


def test_unknown_attribute_is_refused(offer):
    """An unknown attribute is refused with the nearest spelling and the known ones."""
    offer(with_attributes(Male=[0, 1] * 2, Smiling=[1, 0] * 2))
    message = refusal("toy/Smilling")
    assert "did you mean 'Smiling'" in message
    assert "known: Male, Smiling" in message


def test_missing_attribute_is_refused(offer):
    """Data that only has attributes needs one to be named, and the refusal says how."""
    offer(with_attributes(Male=[0, 1] * 2, Smiling=[1, 0] * 2))
    assert "toy/Male" in refusal("toy")


@pytest.mark.parametrize("task", ["avatars", "avatars/Smilling"])
def test_attribute_is_refused_before_faces_are_drawn(tmp_path, task):
    """A misspelt attribute does not cost the drawing of ten thousand faces."""
    with pytest.raises(UserError, match="attribute"):
        load_task(task, Source(cache=tmp_path, advance=lambda *_: pytest.fail("a face was drawn")))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("question", ["Coat-Shrit", "Shrit-Coat", "Shrit", "Coat-Shirt-Bag"])
def test_unknown_class_is_refused(offer, question):
    """A question that does not name two classes is refused with the known ones."""
    offer(images_of([0, 1, 2] * 5, ("Coat", "Shirt", "Bag")))
    message = refusal(f"toy/{question}")
    assert all(name in message for name in ("Coat", "Shirt", "Bag", question))


def test_misspelt_class_is_answered_with_the_nearest(offer):
    """Where one of two classes is misspelt, the refusal offers the question as it was probably meant."""
    offer(images_of([0, 1, 2] * 5, ("Coat", "Shirt", "Bag")))
    assert "did you mean 'Coat-Shirt'" in refusal("toy/Coat-Shrit")


def test_a_class_against_itself_is_refused(offer):
    """A task does not tell a class from itself."""
    offer(images_of([0, 1] * 5))
    assert "two classes" in refusal("toy/a-a")


@pytest.mark.parametrize("count", [0, 1])
def test_class_with_fewer_than_two_images_is_refused(offer, count):
    """A class with fewer than two images is refused by name, with the number that it has."""
    offer(images_of([0] * 10 + [1] * count))
    message = refusal("toy")
    assert "'b'" in message
    assert f"has {count} image" in message


def test_attribute_that_nobody_has_is_refused(offer):
    """An attribute that is the same for all images makes no task."""
    offer(with_attributes(Male=[0] * 8))
    assert "Male" in refusal("toy/Male")


def test_too_little_to_split_is_refused():
    """Classes that cannot stand in every split are refused as the user's to mend."""
    with pytest.raises(UserError, match="too small"):
        split(images_of([0, 0, 1, 1]), seed=0)


# -- splits ------------------------------------------------------------------------------------------------------------


def chosen(splits: Splits):
    return {name: splits.named(name).indices for name in PARTS}


@given(st.lists(st.integers(15, 60), min_size=2, max_size=5), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_splits_cover_everything_once(counts, seed):
    """Every image is in exactly one split, whatever the classes and the seed."""
    data = images_of(np.repeat(np.arange(len(counts)), counts), [str(i) for i in range(len(counts))])
    everything = np.concatenate(list(chosen(split(data, seed)).values()))
    assert sorted(everything) == list(range(len(data)))


def test_seed_fixes_the_splits(digits):
    """The same seed gives the same splits in the same order, and another seed others."""
    first, again, other = (chosen(split(digits, seed)) for seed in (3, 3, 4))
    for name in PARTS:
        np.testing.assert_array_equal(first[name], again[name])
        assert set(first[name]) != set(other[name])


def test_splits_are_stratified(digits):
    """Each split has the classes in the proportions of the whole."""
    splits = split(digits, seed=0)
    for name, each in (("train", 350), ("validation", 50), ("test", 100)):
        assert np.bincount(splits.named(name).labels).tolist() == [each] * 10


def test_any_number_of_indices_is_a_batch(digits):
    """Indices in a tensor, one alone and none included, answer with a batch of so many images of the subset."""
    subset = split(digits, seed=0).validation
    for count in (3, 1, 0):
        indices = torch.arange(5, 5 + count)
        assert torch.equal(subset.batch(indices), subset.batch(slice(5, 5 + count)))
        assert subset.batch(indices).shape == (count, *subset.shape)


def test_first_queries_are_of_all_classes(digits):
    """A limited run asks about every class: the test images are in random order."""
    assert len(set(split(digits, seed=0).test.first(100).labels.tolist())) == 10


def test_official_splits_are_kept():
    """Official splits are used as they are, whatever the seed."""
    official = {"train": np.arange(24), "validation": np.arange(24, 32), "test": np.arange(32, 40)}
    data = images_of([0, 1] * 20, official=official)
    for seed in (0, 1):
        found = chosen(split(data, seed))
        assert all(set(found[name]) == set(official[name]) for name in PARTS)


def test_validation_is_drawn_from_training():
    """Where only training and test are official, validation is taken out of training and the test split is kept."""
    data = images_of([0, 1] * 50, official={"train": np.arange(80), "test": np.arange(80, 100)})
    found = chosen(split(data, seed=0))
    assert set(found["test"]) == set(range(80, 100))
    assert len(found["validation"]) == 10
    assert sorted([*found["train"], *found["validation"]]) == list(range(80))


def test_test_is_drawn_where_it_is_missing():
    """Without an official test split one is drawn, and nothing of it is in training or validation."""
    data = images_of([0, 1] * 50)
    found = chosen(split(data, seed=0))
    assert [len(found[name]) for name in PARTS] == [70, 10, 20]


@pytest.mark.parametrize("given_splits", [c for n in range(4) for c in combinations(PARTS, n)], ids="-".join)
def test_splits_are_disjoint_whichever_are_official(given_splits):
    """No image is in two splits and the official ones are kept, whichever of the three come with the data."""
    ranges = {"train": np.arange(70), "validation": np.arange(70, 80), "test": np.arange(80, 100)}
    official = {name: ranges[name] for name in given_splits}
    found = chosen(split(images_of([0, 1] * 50, official=official), seed=0))
    everything = np.concatenate(list(found.values()))
    assert len(set(everything)) == len(everything)
    assert min(map(len, found.values())) > 0
    for name in set(given_splits) - {"train"}:
        assert set(found[name]) == set(official[name])
    if "train" in given_splits:
        assert set(found["train"]) <= set(official["train"])
