import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.report.baseline import COLUMNS
from benchmark.report.retraining import _prior, natural, scale_of, scaled, spread


def baseline(values, metric="flip_rate", n=1000):
    """A row a number, of `values` (numbers, trainings)."""
    values = np.atleast_2d(values)
    columns = [*COLUMNS, *(f"retrained_{place}" for place in range(1, values.shape[1]))]
    rows = [("mnist", 0, "vaex", float(r), metric, n, "w", *row) for r, row in enumerate(values)]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("metric", ["flip_rate", "mse", "fid_oracle", "bits_per_dim"])
@given(st.floats(0.001, 0.999))
def test_scales_go_back(metric, value):
    """A number that goes to its scale and back is the same."""
    table = baseline([[value, value]], metric)
    there = pd.Series(scaled(table["metric"], table[["value"]].to_numpy())[:, 0])
    assert natural(table, there).item() == pytest.approx(value)


def test_spread_of_a_fraction_does_not_depend_on_its_value(rng):
    """On its scale a share of n queries has the standard deviation 1 / (2 √n), whatever it is."""
    for share in (0.1, 0.5, 0.8):
        drawn = rng.binomial(1000, share, 4000) / 1000
        assert scale_of("flip_rate").to(drawn).std() == pytest.approx(0.5 / 1000**0.5, rel=0.05)


def test_error_that_doubles_is_one_step():
    """Errors and distances are counted in factors."""
    to = scale_of("mse").to
    assert to(np.array(0.004)) - to(np.array(0.002)) == pytest.approx(np.log(2))


def test_alone_it_is_the_standard_deviation():
    """One number by itself has the spread of its trainings, wider by the centre's own uncertainty."""
    values = np.array([3.1, 3.2, 3.3, 3.0])
    found = spread(baseline([values], "bits_per_dim"))
    assert found["sd"].item() == pytest.approx(values.std(ddof=1) * (1 + 1 / 4) ** 0.5)
    assert found["degrees"].item() == 3
    assert found["centre"].item() == values.mean()


def test_numbers_that_vary_alike_are_pooled(rng):
    """Where all numbers have one spread, each is given it, with the certainty of all of them."""
    found = spread(baseline(5 + rng.normal(0, 0.1, (200, 6)), "bits_per_dim"))
    assert found["sd"].to_numpy() == pytest.approx(0.1 * (1 + 1 / 6) ** 0.5, rel=0.15)
    assert (found["degrees"] > 50).all()


def test_numbers_that_vary_differently_keep_their_own(rng):
    """Where spreads differ a hundredfold, a number's own counts."""
    sd = np.exp(rng.uniform(np.log(0.001), np.log(1), 200))
    values = 5 + rng.normal(0, 1, (200, 6)) * sd[:, None]
    found = spread(baseline(values, "bits_per_dim"))
    own = values.std(axis=1, ddof=1) * (1 + 1 / 6) ** 0.5
    assert np.abs(np.log(found["sd"] / own)).median() < 0.2
    assert (found["degrees"] < 8).all()


def test_prior_of_drawn_variances(rng):
    """Variances drawn from a scaled inverse χ² give back its scale and its degrees of freedom (Smyth 2004)."""
    true = 0.3 * 8 / rng.chisquare(8, 20000)
    prior, weight = _prior(true * rng.chisquare(5, 20000) / 5, 5)
    assert prior == pytest.approx(0.3, rel=0.05)
    assert weight == pytest.approx(8, rel=0.15)


def test_number_that_never_varied():
    """What came out the same in all trainings may still vary: by half of what drawing its queries does."""
    found = spread(baseline([[1.0, 1.0, 1.0, 1.0]], n=1000))
    assert found["sd"].item() == pytest.approx(0.25 / 1000**0.5 * (1 + 1 / 4) ** 0.5)
