import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from metrics.truth import mnac, truth_l1, truth_l1_drawn, truth_ssim


def images(count, seed=0, side=16):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("side", [11, 16, 33])
def test_ssim_is_scikit_images(noise, side):
    """SSIM is that of scikit-image under the same Gaussian window, for each image."""
    first = images(4, side=side)
    second = (1 - noise) * first + noise * images(4, seed=1, side=side)
    theirs = [
        structural_similarity(
            *(image.permute(1, 2, 0).double().numpy() for image in pair),
            data_range=1.0,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for pair in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(truth_ssim(first, second).values, theirs, atol=1e-6)


def test_the_exact_answer_is_perfect():
    """The exact counterfactual itself has no error, over all pixels and over the drawn ones, and a similarity of 1."""
    exact, queries = images(5), images(5, seed=1)
    assert truth_l1(exact, exact).value == 0
    assert truth_l1_drawn(exact, exact, queries).value == 0
    assert truth_ssim(exact, exact).value == 1


def test_drawn_pixels_alone_count():
    """What differs outside the drawn pixels is no error on them, and what differs in one of them is shared by all."""
    queries = torch.full((1, 3, 8, 8), 0.5)
    exact = queries.clone()
    exact[:, 0, :2, :2] = 1.0  # four drawn pixels
    answer = exact.clone()
    answer[:, :, 5:, 5:] = 0.0
    assert truth_l1_drawn(answer, exact, queries).value == 0
    answer[:, :, 0, 0] = 0.0  # off by 1, .5 and .5
    assert truth_l1_drawn(answer, exact, queries).value == pytest.approx(2 / 3 / 4)


def test_a_change_by_eight_levels_is_not_drawn():
    """A pixel that changes by 8 of 255 levels or less is not drawn, and a query without any drawn pixel is left out."""
    queries = torch.zeros(2, 3, 4, 4)
    exact = queries.clone()
    exact[0, 0, 0, 0] = 8 / 255
    assert math.isnan(truth_l1_drawn(queries[:1], exact[:1], queries[:1]).value)
    exact[1, 0, 0, 0] = 9 / 255
    estimate = truth_l1_drawn(queries, exact, queries)
    assert estimate.n == 1
    assert estimate.value == pytest.approx(3 / 255)


def test_mnac_counts_attributes():
    """The number of attributes that differ is averaged over the faces, whichever way each of them changed."""
    before = torch.tensor([[True, False, True], [False, False, False]])
    after = torch.tensor([[False, True, True], [False, False, False]])
    assert mnac(after, before).value == 1
    assert mnac(before, after).value == 1
    assert mnac(before, before).value == 0


def test_mnac_refuses_unlike_faces():
    """Attributes of another number than the queries' are refused."""
    with pytest.raises(ValueError, match="alike"):
        mnac(torch.ones(2, 3, dtype=torch.bool), torch.ones(2, 4, dtype=torch.bool))
