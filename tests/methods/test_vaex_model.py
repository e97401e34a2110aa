import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from methods.training import Trainer
from methods.vaex.method import Vaex, VaexConfig
from methods.vaex.model import (
    LOG_VARIANCE_BOUND,
    AdaIN,
    Gaussian,
    Sizes,
    bounded,
    centred,
    interpolated,
    kl_divergence,
    with_free_bits,
)

CLASSES = 3
SHAPE = (1, 12, 15)
FEW = settings(max_examples=40, deadline=None)
REAL = st.floats(-8, 8)
SHARE = st.floats(0, 1)
CONDITIONINGS = ("adain", "concatenation")


class _Classifier(nn.Module):
    """Gives each of three classes a probability that depends on the picture's brightness."""

    class_count = CLASSES

    def forward(self, images):
        return self.head(self.features(images))

    def features(self, images):
        return images.flatten(1).mean(1, keepdim=True)

    def head(self, features):
        return features * torch.tensor([-3.0, 0.5, 4.0])


def vaex(shape=SHAPE, seed=0, **changes):
    """A method whose network is drawn at random, with residuals and priors that matter."""
    small = {"widths": (4, 8, 8), "latents": (5, 3, 2), "depth": 1}
    torch.manual_seed(seed)
    method = Vaex(VaexConfig(**{**small, **changes}))
    method.prepare(shape, _Classifier()).eval()
    return method


def pictures(count=4, shape=SHAPE, seed=1):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def explained(method, images, target, relaxations, seed=2):
    torch.manual_seed(seed)
    return method.explain(images, target, relaxations)


@torch.no_grad()
def top_down(method, images, xi, seed=2, **options):
    torch.manual_seed(seed)
    network = method.network
    return network.top_down(network.bottom_up(images, xi), xi, network.noise(len(images)), **options)


def doubles(*values):
    return [torch.tensor(value, dtype=torch.float64) for value in values]


# -- the loss ----------------------------------------------------------------------------------------------------------


@given(REAL, REAL, REAL, REAL)
@FEW
def test_kl_closed_form(mean, log_variance, prior_mean, prior_log_variance):
    """The elementwise KL is that of two normal distributions, and not negative beyond rounding."""
    mean, log_variance, prior_mean, prior_log_variance = doubles(mean, log_variance, prior_mean, prior_log_variance)
    found = kl_divergence(Gaussian(mean, log_variance), Gaussian(prior_mean, prior_log_variance))
    normals = [Normal(mean, (log_variance / 2).exp()), Normal(prior_mean, (prior_log_variance / 2).exp())]
    torch.testing.assert_close(found, torch_kl(*normals), rtol=1e-9, atol=1e-12)
    assert found >= -1e-15


@given(REAL, REAL)
@FEW
def test_kl_of_equal_distributions(mean, log_variance):
    """A distribution has a KL of exactly zero from itself."""
    same = Gaussian(*doubles(mean, log_variance))
    assert kl_divergence(same, same) == 0


@given(st.floats(0, 5))
@FEW
def test_free_bits_limits(free_bits):
    """Free bits rise everywhere, never cost less than their number, and have slope 0 far below it, 1 far above."""
    kl = torch.linspace(0, free_bits + 30, 2000, dtype=torch.float64, requires_grad=True)
    cost = with_free_bits(kl, free_bits)
    (slope,) = torch.autograd.grad(cost.sum(), kl)
    assert (cost >= free_bits).all()
    assert (cost.diff() > 0).all()
    assert (slope[kl > free_bits + 10] > 1 - 1e-8).all()
    torch.testing.assert_close(cost[-1], kl[-1])
    (flat,) = torch.autograd.grad(with_free_bits(kl - 40, free_bits).sum(), kl)
    assert (flat[kl < free_bits + 30] < 1e-8).all()


def test_negative_log_likelihood_closed_form():
    """The NLL is that of a normal distribution a pixel, with the running variance, but no less than the floor."""
    network = vaex(variance_floor=0.02).network
    network.pixel_variance.copy_(torch.linspace(0.001, 0.2, 180).view(SHAPE))
    images, decoded = pictures(), pictures(seed=5)
    deviation = network.pixel_variance.clamp(min=0.02).sqrt()
    expected = -Normal(decoded, deviation).log_prob(images).flatten(1).sum(1)
    torch.testing.assert_close(network.nll(decoded, images), expected)
    network.pixel_variance.zero_()
    assert torch.isfinite(network.nll(decoded, images)).all()


def test_pixel_variance_is_a_running_mean():
    """Under a constant error the pixel variance nears the mean squared error geometrically, and only in training."""
    network = vaex(variance_momentum=0.25).network
    images, decoded = pictures(), pictures(seed=5)
    error = (images - decoded).square().mean(0)
    for _ in range(6):
        network._track_variance(decoded, images)
    torch.testing.assert_close(network.pixel_variance, error + (1 - error) * 0.75**6)
    before = network.pixel_variance.clone()
    network.losses(images, torch.full((4, CLASSES), 1 / 3))
    assert torch.equal(network.pixel_variance, before)


def test_loss_is_what_it_says():
    """In training the loss is NLL plus β times the KL with free bits, and the variance follows what was decoded."""
    network = vaex(beta=7.0, free_bits=0.3, variance_momentum=0.1).network.train()
    twin = copy.deepcopy(network)
    images, xi = pictures(), torch.full((4, CLASSES), 1 / 3)
    torch.manual_seed(0)
    found = network.losses(images, xi)
    torch.manual_seed(0)
    decoded, distributions, _ = twin.top_down(twin.bottom_up(images, xi), xi, twin.noise(4))
    kl = torch.cat([kl_divergence(*pair).flatten(1) for pair in distributions], dim=1)
    nll = twin.nll(decoded, images).mean()
    torch.testing.assert_close(found["loss"], nll + 7 * with_free_bits(kl, 0.3).sum(1).mean())
    torch.testing.assert_close(found["nll"], nll)
    torch.testing.assert_close(found["kl"], kl.sum(1).mean())
    error = (images - decoded).square().mean(0)
    torch.testing.assert_close(network.pixel_variance, 0.9 * torch.ones(SHAPE) + 0.1 * error)


def test_diagnostics_are_of_the_distribution_as_trained():
    """Diagnostics are each image's NLL and KL under its own condition and the posterior as it was trained."""
    method, images = vaex(deviation_divisor=3.0), pictures()
    torch.manual_seed(2)
    with torch.no_grad():
        found = method.diagnostics(images)
    decoded, distributions, _ = top_down(method, images, centred(_Classifier()(images).softmax(1)))
    torch.testing.assert_close(found["nll"], method.network.nll(decoded, images))
    torch.testing.assert_close(found["kl"], sum(kl_divergence(*pair).flatten(1).sum(1) for pair in distributions))


# -- the condition -----------------------------------------------------------------------------------------------------


def test_centred_fixed_points():
    """Centring leaves 0, ½ and 1 where they are."""
    points = torch.tensor([0, 0.5, 1])
    torch.testing.assert_close(centred(points), points, rtol=0, atol=1e-7)


@given(SHARE)
@FEW
def test_centred_is_symmetric(probability):
    """Centring treats a probability and its complement alike, and leads outwards to the centre."""
    (probability,) = doubles(1 - (1 - probability))  # one whose complement is a number, too
    other = centred(1 - probability)
    torch.testing.assert_close(centred(probability), 1 - other, rtol=0, atol=1e-7)
    assert (centred(probability) - 0.5).abs() <= (probability - 0.5).abs() + 1e-12


def test_centred_is_monotone():
    """Centring keeps the order of probabilities, within [0, 1]."""
    curve = centred(torch.linspace(0, 1, 5001, dtype=torch.float64))
    assert (curve.diff() > 0).all()
    assert curve.min() >= 0
    assert curve.max() <= 1


def test_prior_mean_is_the_condition():
    """Channel c < C − 1 of z_0 has the prior mean s·ξ_c, every other channel 0, and all have variance 1."""
    method = vaex(prior_scale=4.0)
    xi = torch.rand(6, CLASSES)
    mean, log_variance = method.network.prior_mean(xi)
    for channel in range(mean.shape[1]):
        expected = 4.0 * xi[:, channel] if channel < CLASSES - 1 else torch.zeros(6)
        assert torch.equal(mean[:, channel], expected[:, None, None].expand_as(mean[:, channel]))
    assert not log_variance.any()
    assert mean.shape == method.network.noise(6)[0].shape


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_target_sets_the_class_channels(conditioning):
    """The class channels of z_0 become s·onehot(target), and the others stay as they were inferred."""
    method, images = vaex(conditioning=conditioning, prior_scale=4.0), pictures(6)
    target = torch.arange(6) % CLASSES
    onehot = nn.functional.one_hot(target, CLASSES).float()
    found = explained(method, images, target, [0.5]).intervention["z_0"]
    _, _, inferred = top_down(method, images, onehot, divisor=method.config.deviation_divisor)
    expected = (4.0 * onehot[:, :-1, None, None]).expand_as(found[:, : CLASSES - 1])
    assert torch.equal(found[:, : CLASSES - 1], expected)
    assert torch.equal(found[:, CLASSES - 1 :], inferred[:, CLASSES - 1 :])


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_without_a_query_the_posterior_is_the_prior(conditioning):
    """Pictures of the condition alone come from N(m(ξ), I) and the priors below it, at every level."""
    method = vaex(conditioning=conditioning)
    xi = nn.functional.one_hot(torch.arange(CLASSES), CLASSES).float()
    images, distributions, _ = method.network.top_down(None, xi, method.network.noise(CLASSES))
    assert images.shape == (CLASSES, *SHAPE)
    assert all(posterior is prior for posterior, prior in distributions)
    assert torch.equal(distributions[0][1].mean, method.network.prior_mean(xi).mean)


def test_an_intervention_leaves_the_rest_as_in_the_query():
    """Without the condition ξ stays the query's; without z_0 its class channels stay as inferred."""
    method, images, target = vaex(), pictures(3), torch.tensor([2, 0, 1])
    noise = method.network.noise(3)
    with torch.no_grad():
        _, own = method.intervened(images, target, noise, [0.5], ())
        conditioned, top = method.intervened(images, target, noise, [0.5], ("condition",))
        both, fixed = method.intervened(images, target, noise, [0.5])
    onehot = nn.functional.one_hot(target, CLASSES).float()[:, :-1, None, None]
    assert torch.equal(fixed[:, : CLASSES - 1], (method.config.prior_scale * onehot).expand_as(fixed[:, : CLASSES - 1]))
    assert torch.equal(fixed[:, CLASSES - 1 :], top[:, CLASSES - 1 :])
    assert not torch.equal(own, top)
    assert not torch.equal(conditioned, both)


# -- relaxation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_full_relaxation_is_the_posterior(conditioning):
    """At r = 1 an answer decodes the posterior of the query under the target's condition."""
    method, images, target = vaex(conditioning=conditioning), pictures(), torch.tensor([0, 1, 2, 0])
    onehot = nn.functional.one_hot(target, CLASSES).float()
    expected, _, _ = top_down(method, images, onehot, divisor=method.config.deviation_divisor, target=target)
    assert torch.equal(explained(method, images, target, [1.0]).images[0], expected)


def perturbed(method, what):
    """A copy in which the residual mean or log-variance of every level below the top is another function."""
    other = copy.deepcopy(method)
    for group in list(other.network.groups)[1:]:
        convolution = group.residual.convolution
        half = convolution.out_channels // 2
        rows = slice(None, half) if what == "mean" else slice(half, None)
        with torch.no_grad():
            convolution.weight[rows] *= -2
            convolution.bias[rows] += 1.5
    return other


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("schedule", ["power", "squaring"])
@pytest.mark.parametrize("relax_log_variance", [False, True])
def test_no_relaxation_uses_the_prior_mean(conditioning, schedule, relax_log_variance):
    """At r = 0 the residual means below z_0 play no part, nor do the log-variances' if they are relaxed as well."""
    settings = {"schedule": schedule, "relax_log_variance": relax_log_variance}
    method, images, target = vaex(conditioning=conditioning, **settings), pictures(), torch.tensor([0, 1, 2, 0])
    for what, matters in (("mean", False), ("log-variance", not relax_log_variance)):
        plain, other = (explained(m, images, target, [0.0, 0.5]).images for m in (method, perturbed(method, what)))
        assert torch.equal(plain[0], other[0]) != matters
        assert not torch.equal(plain[1], other[1])


def test_relaxation_scales_the_residual():
    """The posterior's mean is the prior's plus the factor times the residual, at every level; z_0 is never relaxed."""
    method, images, xi = vaex(), pictures(), torch.full((4, CLASSES), 1 / 3)
    full = top_down(method, images, xi)[1]
    half = top_down(method, images, xi, relax=lambda _: 0.5)[1]
    none = top_down(method, images, xi, relax=lambda _: 0.0)[1]
    assert torch.equal(half[0][0].mean, full[0][0].mean)
    assert not torch.equal(none[0][0].mean, none[0][1].mean)
    for posterior, prior in none[1:]:
        assert torch.equal(posterior.mean, prior.mean)
    # Level 1 stands under the same z_0 in all three, so that its priors are equal and its residuals can be compared.
    assert torch.equal(half[1][1].mean, full[1][1].mean)
    residual = full[1][0].mean - full[1][1].mean
    torch.testing.assert_close(half[1][0].mean, full[1][1].mean + 0.5 * residual)
    assert torch.equal(half[1][0].log_variance, full[1][0].log_variance)


@pytest.mark.parametrize(("schedule", "exponents"), [("power", (1, 2, 3)), ("squaring", (1, 2, 4))])
def test_schedules(schedule, exponents, monkeypatch):
    """The factors of levels 1, 2, 3 are r, r², r³ by power and r, r², r⁴ by squaring."""
    method = vaex(schedule=schedule)
    seen = []
    original = method.network.top_down

    def watched(*arguments, relax, **options):
        seen.append([relax(level) for level in (1, 2, 3)])
        return original(*arguments, relax=relax, **options)

    monkeypatch.setattr(method.network, "top_down", watched)
    relaxations = (0.0, 0.3, 0.8, 1.0)
    explained(method, pictures(), torch.tensor([0, 1, 2, 0]), relaxations)
    assert seen == [pytest.approx([r**exponent for exponent in exponents]) for r in relaxations]


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_sweep_is_its_relaxations(conditioning):
    """A sweep answers as its relaxations one by one do under the same seed: they share the encoding and the noise."""
    method, images, target = vaex(conditioning=conditioning), pictures(), torch.tensor([0, 1, 2, 0])
    together = explained(method, images, target, [0.0, 0.5, 1.0]).images
    alone = [explained(method, images, target, [r]).images[0] for r in (0.0, 0.5, 1.0)]
    assert torch.equal(together, torch.stack(alone))


@given(st.floats(1, 9))
@FEW
def test_deviations_are_divided(divisor):
    """A narrowed draw lies at the mean plus the noise in the divided standard deviation."""
    mean, log_variance, noise = torch.randn(3, 5, 2, dtype=torch.float64).unbind()
    drawn = Gaussian(mean, log_variance).sample(noise, divisor)
    torch.testing.assert_close(drawn, mean + noise * log_variance.exp().sqrt() / divisor)


@given(st.floats(-1e6, 1e6))
@FEW
def test_log_variances_are_bounded(value):
    """A log-variance stays within its bound, keeps its sign, and is hardly touched when small."""
    (value,) = doubles(value)
    assert bounded(value).abs() <= LOG_VARIANCE_BOUND
    assert bounded(value) * value >= 0
    torch.testing.assert_close(bounded(value / 1e8), value / 1e8)


# -- shapes ------------------------------------------------------------------------------------------------------------


@given(st.integers(2, 600), st.integers(2, 600), st.integers(1, 8))
@FEW
def test_sizes_close(height, width, levels):
    """The square is the least 2^n + 1 that holds image and levels, and these meet when strided up or down."""
    sizes = Sizes((1, height, width), 2, (4,) * levels, (2,) * levels, 1, AdaIN)
    powers = [2**n + 1 for n in range(11)]
    assert sizes.side == min(side for side in powers if side >= max(height, width, 2**levels + 1))
    assert sizes.levels[-1] == sizes.side
    for coarse, fine in zip(sizes.levels, sizes.levels[1:], strict=False):
        assert (fine + 1) // 2 == coarse
        assert 2 * coarse - 1 == fine
    assert all(side % 2 == 1 and side >= 3 for side in sizes.levels)


@pytest.mark.parametrize("side", [28, 33, 64, 129])
def test_levels_of_common_sides(side):
    """The images that are used are held by 33, 33, 65 and 129 pixels."""
    expected = {28: 33, 33: 33, 64: 65, 129: 129}[side]
    sizes = Sizes((3, side, side), 2, (4,) * 4, (2,) * 4, 1, AdaIN)
    assert sizes.levels == [(expected - 1) // factor + 1 for factor in (8, 4, 2, 1)]


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 33, 33), (2, 64, 64), (3, 20, 26), (1, 9, 2)])
def test_decoded_shape(shape, conditioning):
    """What is decoded has exactly the shape of what was encoded."""
    method = vaex(shape, conditioning=conditioning)
    images = pictures(2, shape)
    answers = explained(method, images, torch.tensor([0, 2]), [1.0])
    assert answers.images[0].shape == images.shape


@given(st.integers(3, 40), st.integers(3, 40))
@FEW
def test_cropping_undoes_padding(height, width):
    """An image that is padded to a square and cropped is the same image."""
    network = vaex((1, height, width), widths=(1,), latents=(3,)).network
    images = pictures(2, (1, height, width))
    padded = network._pad(images)
    assert padded.shape[2:] == (network.sizes.side, network.sizes.side)
    assert torch.equal(network._crop(padded), images)


@given(st.integers(1, 4), st.integers(1, 4))
@FEW
def test_interpolated_channels(channels, factor):
    """Channels that were repeated are averaged back to what they were, and an average is that of neighbours."""
    features = torch.rand(2, channels, 3, 3)
    repeated = interpolated(features, channels * factor, 3)
    assert repeated.shape[1] == channels * factor
    torch.testing.assert_close(interpolated(repeated, channels, 3), features)
    many = torch.rand(2, channels * factor, 3, 3)
    means = [many[:, i * factor : (i + 1) * factor].mean(1) for i in range(channels)]
    torch.testing.assert_close(interpolated(many, channels, 3), torch.stack(means, dim=1))


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3), st.sampled_from([(3, 5), (5, 9), (9, 5), (5, 3), (9, 17)]))
@FEW
def test_interpolated_ramps(start, down, across, sizes):
    """Bilinear interpolation turns a linear ramp into the same ramp at another resolution, corners included."""
    before, after = (
        start + down * torch.linspace(0, 1, size)[:, None] + across * torch.linspace(0, 1, size)[None] for size in sizes
    )
    torch.testing.assert_close(interpolated(before[None, None], 1, sizes[1])[0, 0], after, rtol=1e-4, atol=1e-5)


# -- the mask ----------------------------------------------------------------------------------------------------------


def around(difference, reach):
    """The mean of the pixels (N, 1, H, W) that lie so near to each pixel, one by one."""
    found = torch.empty_like(difference)
    for row in range(difference.shape[2]):
        for column in range(difference.shape[3]):
            rows, columns = (slice(max(0, at - reach), at + reach + 1) for at in (row, column))
            found[:, :, row, column] = difference[:, :, rows, columns].mean((2, 3))
    return found


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("reach", [0, 2])
def test_masked_answers_are_the_query_where_classes_decode_alike(conditioning, reach):
    """Under the same seed a masked answer is the plain one where target and own class decode apart, or the query."""
    images, target = pictures(), torch.tensor([0, 1, 2, 0])
    plain = vaex(conditioning=conditioning)
    own = plain.classifier(images).argmax(1)
    theirs, ours = (explained(plain, images, classes, [0.0, 0.7]).images for classes in (target, own))
    seen = [around((one - other).abs().amax(1, keepdim=True), reach) for one, other in zip(theirs, ours, strict=True)]
    threshold = float(torch.stack(seen).median())
    masked = vaex(conditioning=conditioning, masked=True, mask_reach=reach, mask_threshold=threshold)
    answers = explained(masked, images, target, [0.0, 0.7]).images
    for answer, answer_of_plain, difference in zip(answers, theirs, seen, strict=True):
        clear = ((difference - threshold).abs() > 1e-6).expand_as(answer)
        expected = torch.where(difference > threshold, answer_of_plain, images)
        assert clear.double().mean() > 0.9
        assert torch.equal(answer[clear], expected[clear])
    assert 0.1 < (answers == images).double().mean() < 0.9


def test_masked_answers_to_the_own_class_are_the_query():
    """A mask leaves nothing of an edit that was not asked for."""
    method, images = vaex(masked=True, mask_threshold=0.0), pictures()
    own = method.classifier(images).argmax(1)
    assert torch.equal(explained(method, images, own, [0.0, 1.0]).images, images.expand(2, -1, -1, -1, -1))


def test_masks_shrink_as_the_threshold_rises():
    """What a higher threshold takes from the answer, a lower one took too."""
    images, target = pictures(), torch.tensor([0, 1, 2, 0])
    kept = [
        (explained(vaex(masked=True, mask_threshold=at), images, target, [0.0]).images == images).all(2)
        for at in (0.0, 0.01, 0.1, 0.9)
    ]
    assert all((more | ~less).all() for less, more in pairwise(kept))
    assert kept[-1].all()


def test_remarks_say_what_a_mask_rests_on():
    """Beside masked numbers stands how near, and over how many pixels, two decodings are taken as alike."""
    masked = vaex(masked=True, mask_reach=1, mask_threshold=4 / 255)
    assert any("4/255" in remark and "3 x 3" in remark for remark in masked.remarks())
    assert not any("query's" in remark for remark in vaex().remarks())


# -- the variants ------------------------------------------------------------------------------------------------------


def test_variants_differ_in_the_conditioning_alone():
    """`vaex` and `vaex-cat` have the same parameters, but for how z_{k-1} enters and what p_k then reads."""
    ours, theirs = ({n: p.shape for n, p in vaex(conditioning=c).network.state_dict().items()} for c in CONDITIONINGS)
    common = {name for name in ours if ".conditioning." not in name}
    assert common == {name for name in theirs if ".conditioning." not in name}
    assert common < ours.keys()
    assert common < theirs.keys()
    assert all(".prior." in name for name in common if ours[name] != theirs[name])


def test_every_class_has_its_channel():
    """z_0 grows to one channel per class where it is set to fewer, and then no two classes share a prior mean."""
    network, xi = vaex(latents=(2, 3, 3)).network, torch.eye(CLASSES)
    assert [noise.shape[1] for noise in network.noise(1)] == [CLASSES, 3, 3]
    assert len(network.prior_mean(xi).mean.flatten(1).unique(dim=0)) == CLASSES
    assert [noise.shape[1] for noise in vaex(latents=(9, 3, 3)).network.noise(1)] == [9, 3, 3]


@pytest.mark.parametrize(
    "changes", [{"widths": (4, 6)}, {"widths": (4, 8, 16), "latents": (2,)}, {"widths": (4, 8), "latents": (3, 2, 1)}]
)
def test_impossible_levels_are_refused(changes):
    """Widths that cannot be averaged or repeated into one another, or lack latents, are refused."""
    with pytest.raises(ValueError, match="widths"):
        VaexConfig(**{"latents": (3, 2), **changes})


def test_training_reaches_the_latents():
    """A short training on simple pictures reconstructs each better than the mean of all would, under any noise."""

    class _Ramps:
        """Ramps of many heights."""

        shape = SHAPE

        def __len__(self):
            return 32

        def batch(self, indices):
            """Ramps whose height is their index."""
            return (indices / 31)[:, None, None, None] * torch.linspace(0, 1, 15).expand(SHAPE)

    method = vaex(epochs=40, min_steps=0, warmup=5, batch_size=16, learning_rate=1e-2, beta=1.0)
    images = _Ramps().batch(torch.arange(32))
    method.fit(_Ramps(), _Classifier(), trainer=Trainer(0))
    spread = (images - images.mean(0)).square().mean()
    for seed in range(3):
        torch.manual_seed(seed)
        with torch.no_grad():
            assert (method.reconstruct(images) - images).square().mean() < 0.5 * spread
