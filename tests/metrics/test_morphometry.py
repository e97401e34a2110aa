import math

import numpy as np
import pytest
import torch

from metrics.morphometry import morphometry, relative_change


def bar(thickness, length, slant=0.0, size=40):
    """A bar of so many pixels, leaning to the right by `slant` radians, drawn without stairs: (1, H, W)."""
    fine = 8
    places = (np.arange(size * fine) + 0.5) / fine - size / 2
    down, across = places[:, None], places[None, :]
    inside = (np.abs(across + math.tan(slant) * down) <= thickness / 2) & (np.abs(down) <= length / 2)
    picture = inside.reshape(size, fine, size, fine).mean((1, 3))
    return torch.from_numpy(picture).float()[None]


def measured(*pictures):
    return {name: values.tolist() for name, values in morphometry(torch.stack(pictures)).items()}


@pytest.mark.parametrize("thickness", [3, 4, 6])
@pytest.mark.parametrize("length", [18, 24])
def test_upright_bar(thickness, length):
    """An upright bar has its own area, thickness and size, and no slant; to be drawn larger blurs its sides."""
    of = {name: values[0] for name, values in measured(bar(thickness, length)).items()}
    assert of["area"] == pytest.approx(thickness * length, rel=0.05)
    assert of["slant"] == pytest.approx(0, abs=1e-6)
    assert length - 1 <= of["height"] <= length + 2
    assert thickness <= of["width"] <= thickness + 2
    # The skeleton's ends fork into the corners, where it is nearer to the ground than the bar's half.
    assert 0.75 * thickness <= of["thickness"] <= 1.05 * thickness
    assert length - thickness - 1 <= of["length"] <= length + 2.5 * thickness


@pytest.mark.parametrize("slant", [-0.5, -0.2, 0.2, 0.5])
def test_slanted_bar(slant):
    """A bar that leans by an angle has that slant, and the box around it is as wide and high as if it stood."""
    upright, leaning = ({name: v[0] for name, v in measured(bar(4, 22, by)).items()} for by in (0.0, slant))
    assert leaning["slant"] == pytest.approx(slant, abs=0.02)
    assert leaning["height"] == pytest.approx(upright["height"], abs=0.2)
    assert leaning["width"] == pytest.approx(upright["width"], abs=0.4)
    assert leaning["area"] == pytest.approx(upright["area"], rel=0.03)


def test_thicker_bars_measure_thicker():
    """Thickness and area grow with a stroke's thickness, height does not."""
    of = measured(*[bar(thickness, 22) for thickness in (2, 3, 4, 5, 6)])
    assert of["thickness"] == sorted(of["thickness"])
    assert of["area"] == sorted(of["area"])
    assert np.ptp(of["height"]) < 0.5


def test_place_and_brightness_do_not_matter():
    """A digit has the shape it has wherever it stands, and however bright its ink."""
    one = bar(4, 20, 0.3)
    moved, faint = one.roll((3, -4), dims=(1, 2)), 0.4 * one
    of = morphometry(torch.stack([one, moved, faint]))
    for values in of.values():
        torch.testing.assert_close(values, values[:1].expand(3), rtol=2e-3, atol=2e-3)


def test_mirror_turns_the_slant_round():
    """A mirrored digit leans the other way by the same angle, and is as wide and high as before."""
    of = morphometry(torch.stack([bar(4, 20, 0.3), bar(4, 20, 0.3).flip(-1)]))
    assert float(of["slant"].sum()) == pytest.approx(0, abs=1e-9)
    for name in ("area", "width", "height"):
        assert float(of[name][0]) == pytest.approx(float(of[name][1]), rel=1e-6)


def test_blank_pictures_have_no_shape():
    """A picture of one intensity has no shape, and no picture is measured as none."""
    assert all(math.isnan(values[0]) for values in measured(torch.full((1, 28, 28), 0.5)).values())
    assert all(values.shape == (0,) for values in morphometry(torch.zeros(0, 1, 28, 28)).values())


def test_what_is_no_digit_is_refused():
    """Colour, and what is not finite, are refused in words."""
    with pytest.raises(ValueError, match="grey images"):
        morphometry(torch.zeros(2, 3, 28, 28))
    with pytest.raises(ValueError, match="NaN"):
        morphometry(torch.full((1, 1, 28, 28), math.nan))


def test_relative_change():
    """A change is a share of what was there, whatever the sign; of nothing it is not defined."""
    before, after = torch.tensor([2.0, -2.0, 4.0, 0.0]), torch.tensor([3.0, 2.0, 4.0, 1.0])
    torch.testing.assert_close(relative_change(before, after), torch.tensor([0.5, 2.0, 0.0, math.nan]), equal_nan=True)
