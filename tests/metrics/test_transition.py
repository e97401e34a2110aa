import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc

from metrics.transition import cout, pasted


def images(seed, n=3, channels=2):
    return torch.rand(n, channels, 5, 4, generator=torch.Generator().manual_seed(seed))


def flat(value, n=4, steps=50):
    return torch.full((n, steps + 1), float(value))


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 60))
def test_path_leads_from_query_to_answer(seed, steps):
    """A path begins with the query, ends with the answer, and a pixel that is pasted stays."""
    x, y = images(seed), images(seed + 1)
    path = pasted(x, y, steps)
    assert path.shape == (3, steps + 1, 2, 5, 4)
    assert torch.equal(path[:, 0], x)
    assert torch.equal(path[:, -1], y)
    there = (path == y[:, None]).all(2).flatten(2).sum(2)  # pixels of the answer so far
    assert (there.diff(dim=1) >= 0).all()
    assert there.diff(dim=1).max() <= -(-20 // steps)  # portions are equal, up to one pixel


def test_most_changed_pixels_first():
    """After half of the steps, no pixel that is left changes more than one that is pasted."""
    x, y = images(0), images(1)
    change = (x - y).abs().sum(1)
    is_pasted = (pasted(x, y, 2)[:, 1] == y).all(1)
    for one, done in zip(change, is_pasted, strict=True):
        assert done.sum() == 10
        assert one[done].min() >= one[~done].max()


def test_bytes_are_pasted_as_they_are():
    """8-bit images stay 8-bit, and a change from 0 to 255 is a large one."""
    x, y = torch.zeros(1, 1, 1, 3, dtype=torch.uint8), torch.tensor([[[[9, 255, 0]]]], dtype=torch.uint8)
    assert pasted(x, y, 3)[0, :, 0, 0].tolist() == [[0, 0, 0], [0, 255, 0], [9, 255, 0], [9, 255, 0]]


def test_path_of_equal_images():
    """Where nothing changes, every step shows the query."""
    x = images(0)
    assert torch.equal(pasted(x, x), x[:, None].expand(-1, 51, -1, -1, -1))


def test_extremes():
    """Certain of the target from the first is 1, certain of the old class to the last is −1, undecided is 0."""
    assert cout(flat(1), flat(0)).value == 1
    assert cout(flat(0), flat(1)).value == -1
    assert cout(flat(0.5), flat(0.5)).value == 0


def test_earlier_is_better():
    """The sooner the class changes, the higher; half-way is 0."""
    steps = torch.arange(51)
    values = [cout((steps >= at).float()[None], (steps < at).float()[None]).value for at in (1, 10, 25, 40)]
    assert values == sorted(values, reverse=True)
    middle = (steps > 25).float()[None] + (steps == 25) / 2
    assert cout(middle, 1 - middle).value == pytest.approx(0)


def test_areas_are_sklearns():
    """The value is the difference of scikit-learn's areas under the two curves."""
    generator = torch.Generator().manual_seed(0)
    target, own = torch.rand(5, 51, generator=generator), torch.rand(5, 51, generator=generator)
    at = torch.linspace(0, 1, 51, dtype=torch.float64)
    expected = [auc(at, a.double()) - auc(at, b.double()) for a, b in zip(target, own, strict=True)]
    assert cout(target, own).value == pytest.approx(sum(expected) / 5)


def test_malformed_input_is_refused():
    """Unequal paths, paths without a step, what is no probability, and no pairs of images are refused."""
    with pytest.raises(ValueError, match="two"):
        cout(flat(1, n=2), flat(1, n=3))
    with pytest.raises(ValueError, match="one step"):
        cout(flat(1, steps=0), flat(1, steps=0))
    with pytest.raises(ValueError, match="probabilities"):
        cout(flat(1.1), flat(0))
    with pytest.raises(ValueError, match="pairs"):
        pasted(images(0), images(0, channels=1))
    with pytest.raises(ValueError, match="one step"):
        pasted(images(0), images(0), 0)
