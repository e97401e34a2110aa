import math

import pytest
import torch

from methods.gan_search.descent import descend, within_length
from methods.gan_search.search import TOLERANCE, Objective, search
from methods.gan_search.settings import SearchConfig

COUNT, LATENT = 12, 4
CONFIDENCE = 0.9


class Linear:
    """Draws each entry of L in two pixels; the classifier is linear in the pixels and knows three classes."""

    def __init__(self, seed=0):
        random = torch.Generator().manual_seed(seed)
        self.weights = torch.randn(2 * LATENT, 3, generator=random, dtype=torch.float64)
        self.latents = 0.3 + 0.4 * torch.rand(COUNT, LATENT, generator=random, dtype=torch.float64)
        self.images = self.generate(self.latents)
        self.predicted = self.classify(self.images).argmax(1)

    def generate(self, latents, rows=None):  # noqa: ARG002 - it draws alike for all
        return torch.cat([latents, latents], dim=1).view(-1, 1, 2, LATENT)

    def classify(self, images):
        return images.flatten(1) @ self.weights

    def objective(self, target):
        return Objective(self.generate, self.classify, self.images, target)


class TwoClasses(Linear):
    """The same with a sigmoid's one margin, for which the smallest change is known."""

    def classify(self, images):
        margin = images.flatten(1) @ self.weights[:, 0]
        return torch.stack([-0.5 * margin, 0.5 * margin], dim=1)

    def smallest_changes(self, target):
        """The L1 cost of the margin that is missing, spent where a unit of change moves it furthest."""
        sign = 2.0 * target - 1
        margin = sign * (self.images.flatten(1) @ self.weights[:, 0])
        missing = math.log(CONFIDENCE / (1 - CONFIDENCE)) - margin
        per_change = (self.weights[:LATENT, 0] + self.weights[LATENT:, 0]).abs().max() / 2
        return missing / per_change


def settings(**changes):
    base = {"steps": 60, "search_rate": 0.1, "least_weight": 0.1, "greatest_weight": 100.0, "confidence": CONFIDENCE}
    return SearchConfig(**base | changes)


def change(world, latents):
    return (world.generate(latents) - world.images).abs().flatten(1).sum(1)


@pytest.mark.slow
def test_closed_form():
    """With a linear generator and classifier the bisection finds the smallest change there is to 1 %."""
    world = TwoClasses()
    target = 1 - world.predicted
    found = search(world.objective(target), world.latents, settings(bisections=10, bisection_steps=400))
    assert found.flipped.all()
    torch.testing.assert_close(change(world, found.latents), world.smallest_changes(target), rtol=0.01, atol=0)


def test_nothing_smaller_flips():
    """No answer is cheaper than the closed form, however coarse the search."""
    world = TwoClasses(seed=1)
    target = 1 - world.predicted
    found = search(world.objective(target), world.latents, settings(steps=20, bisections=2))
    assert (change(world, found.latents) >= world.smallest_changes(target) * (1 - 1e-9))[found.flipped].all()


def test_target_class_stays():
    """A query that already is of the target class is left alone, at no λ, and those beside it are not."""
    world = Linear()
    target = world.predicted.clone()
    target[::2] = (target[::2] + 1) % 3
    found = search(world.objective(target), world.latents, settings())
    assert torch.equal(found.unchanged, target == world.predicted)
    assert torch.equal(found.latents[found.unchanged], world.latents[found.unchanged])
    assert (found.path[found.unchanged] == world.latents[found.unchanged, None]).all()
    assert (found.weight[found.unchanged] == 0).all()
    assert found.flipped[found.unchanged].all()
    assert (found.latents[~found.unchanged] != world.latents[~found.unchanged]).any(1).all()


def test_unreachable_target():
    """A target that cannot be reached ends as not flipped, with an attempt that is likelier than the start."""

    class Deaf(Linear):
        def classify(self, images):
            logits = super().classify(images)
            return torch.cat([logits, logits.tanh()[:, :1] - 9], dim=1)

    world = Deaf()
    target = torch.full((COUNT,), 3)
    target[1] = (world.predicted[1] + 1) % 3
    found = search(world.objective(target), world.latents, settings())
    assert found.flipped.tolist() == [row == 1 for row in range(COUNT)]
    before, after = (world.classify(world.generate(at)).softmax(1)[:, 3] for at in (world.latents, found.latents))
    assert (after > before)[~found.flipped].all()
    assert torch.isfinite(found.latents).all()


@pytest.mark.parametrize(
    "changes", [{}, {"distance": "none"}, {"mode": "prototype"}, {"steps": 4, "restarts": 3}], ids=str
)
@pytest.mark.slow
def test_batched_equals_one_by_one(changes):
    """A query's answer, its λ, brackets and path do not depend on which other queries are searched with it."""
    world, config = Linear(seed=2), settings(confidence=0.8, **changes)
    target = (world.predicted + torch.arange(COUNT) % 3) % 3
    together = search(world.objective(target), world.latents, config)
    for row in range(COUNT):
        only = slice(row, row + 1)
        objective = Objective(world.generate, world.classify, world.images[only], target[only])
        alone = search(objective, world.latents[only], config)
        for name in ("latents", "flipped", "unchanged", "weight", "brackets", "path"):
            torch.testing.assert_close(getattr(alone, name), getattr(together, name)[only], msg=name)


def test_brackets_only_narrow():
    """A bracket of λ never widens, and ends within 10 % where the query flipped."""
    world = Linear()
    target = (world.predicted + 1) % 3
    found = search(world.objective(target), world.latents, settings(bisections=12))
    low, high = found.brackets.unbind(2)
    assert (low.diff(dim=1) >= 0).all()
    assert (high.diff(dim=1) <= 0).all()
    assert found.flipped.any()
    assert (high[:, -1] / low[:, -1])[found.flipped].max() <= 1 + TOLERANCE


def test_bisection_pays():
    """More bisections never end in a larger change, and on the whole in a smaller one."""
    world = Linear()
    target = (world.predicted + 1) % 3
    few, many = (
        search(world.objective(target), world.latents, settings(bisections=count, steps=30)) for count in (0, 8)
    )
    assert torch.equal(few.flipped, many.flipped)
    saved = (change(world, few.latents) - change(world, many.latents))[few.flipped]
    assert (saved >= 0).all()
    assert saved.sum() > 0


class Island(Linear):
    """The target is seen where one entry of L is above 1.2; below, no slope leads there."""

    def classify(self, images):
        above = (images[:, 0, 0, 0] - 1.2).clamp(min=0)
        return torch.stack([torch.zeros_like(above), 50 * above - 1, above.new_full(above.shape, -9)], dim=1)


def test_restarts_never_harm():
    """Restarts leave what flips without them as it is, flip some of the rest, and make none less likely."""
    world, target = Island(), torch.ones(COUNT, dtype=torch.int64)
    target[:4] = 2  # which no restart reaches
    world.latents[::3, 0] += 2  # of the target already, or with a slope
    world.images = world.generate(world.latents) - 1
    without, restarted = (
        search(world.objective(target), world.latents, settings(restarts=count, restart_noise=1.0)) for count in (0, 6)
    )
    assert (restarted.flipped | ~without.flipped).all()
    assert without.flipped.any()
    assert restarted.flipped.sum() > without.flipped.sum()
    assert not restarted.flipped.all()
    assert torch.equal(restarted.latents[without.flipped], without.latents[without.flipped])
    before, after = (
        world.classify(world.generate(found.latents)).log_softmax(1).gather(1, target[:, None])
        for found in (without, restarted)
    )
    assert (after >= before)[~restarted.flipped].all()


class Trap(Linear):
    """One way from the query to the target is long and cheap, another steep and dear, and ends in a trap.

    With entries (a, b) of L, b leads to the target. With the class alone in view a grows too, until only a counts.
    """

    def __init__(self):
        self.latents = torch.zeros(COUNT, 2, dtype=torch.float64)
        self.images = self.generate(self.latents)

    def generate(self, latents, rows=None):  # noqa: ARG002 - it draws alike for all
        return (latents * latents.new_tensor([50.0, 1.0]))[:, None, None]

    def classify(self, images):
        a, b = (images[:, 0, 0] / images.new_tensor([50.0, 1.0])).unbind(1)
        margin = torch.where(a < 1.5, 4 * b - 8 + a, -1 - (4 - a).clamp(min=0))
        return torch.stack([torch.zeros_like(margin), margin], dim=1)


def test_smaller_weight_is_tried():
    """A query that the greatest λ does not flip, and a smaller one does, is not given up."""
    world, target = Trap(), torch.ones(COUNT, dtype=torch.int64)
    least, greatest = 0.1, 100.0
    only = {"steps": 60, "search_rate": 0.2, "bisections": 0}
    stuck = search(world.objective(target), world.latents, settings(least_weight=greatest, **only))
    assert not stuck.flipped.any()
    found = search(world.objective(target), world.latents, settings(least_weight=least, **only))
    assert found.flipped.all()
    assert (found.weight < greatest).all()


def test_answers_are_allowed():
    """Answers and the ways to them stay within the length asked for, from starts that are longer too."""
    world, target = Linear(), torch.zeros(COUNT, dtype=torch.int64)
    target = (world.predicted + 1) % 3
    objective = Objective(world.generate, world.classify, world.images, target, within_length(0.9))
    found = search(objective, 3 * world.latents, settings(restarts=2))
    assert (found.latents.norm(dim=1) <= 0.9 + 1e-9).all()
    assert (found.path[:, 1:].norm(dim=2) <= 0.9 + 1e-9).all()
    free = search(world.objective(target), world.latents, settings(restarts=2))
    assert (free.latents.norm(dim=1) > 0.9).any()


def test_prototypes_are_surer():
    """A prototype is of the query's class with more confidence than the query, and is not the query."""
    world = Linear()
    found = search(world.objective(world.predicted), world.latents, settings(mode="prototype"))
    rows = torch.arange(COUNT)
    before, after = (world.classify(world.generate(at)).softmax(1) for at in (world.latents, found.latents))
    assert torch.equal(after.argmax(1), world.predicted)
    assert (after[rows, world.predicted] > before[rows, world.predicted]).all()


def test_prototypes_start_at_their_queries():
    """A walk to a prototype never restarts, however sure it must be."""
    world = Linear()
    config = settings(mode="prototype", restarts=3, confidence=1 - 1e-12, steps=5)
    found = search(world.objective(world.predicted), world.latents, config)
    assert not found.flipped.any()
    assert torch.equal(found.path[:, 0], world.latents)


def test_distance_keeps_answers_near():
    """Without the distance term, answers are surer of the target and further from the query."""
    world = Linear()
    target = (world.predicted + 1) % 3
    near, far = (search(world.objective(target), world.latents, settings(distance=name)) for name in ("l1", "none"))
    assert (change(world, far.latents) > change(world, near.latents)).all()


def test_path_leads_to_the_answer():
    """A path begins where the search started and ends at its answer."""
    world = Linear()
    start = world.latents + 0.1
    found = search(world.objective((world.predicted + 1) % 3), start, settings(frames=5))
    assert found.path.shape == (COUNT, 5, LATENT)
    assert torch.equal(found.path[:, 0], start)
    assert torch.equal(found.path[:, -1], found.latents)


def test_generator_may_depend_on_the_query():
    """A generator is told which queries it draws for, also once some have left, so that it can be conditioned."""

    class Conditional(Linear):
        def generate(self, latents, rows=None):
            shift = torch.linspace(0, 1, COUNT, dtype=torch.float64)
            rows = torch.arange(COUNT) if rows is None else rows
            return super().generate(latents) + shift[rows][:, None, None, None]

    world = Conditional()
    target = (world.predicted + torch.arange(COUNT) % 2) % 3
    found = search(world.objective(target), world.latents, settings())
    predicted = world.classify(world.generate(found.latents)).argmax(1)
    assert torch.equal(predicted[found.flipped], target[found.flipped])


def test_no_queries():
    """No queries have no answers."""
    world = Linear()
    objective = Objective(world.generate, world.classify, world.images[:0], world.predicted[:0])
    found = search(objective, world.latents[:0], settings())
    assert found.latents.shape == (0, LATENT)
    assert found.path.shape == (0, settings().frames, LATENT)


def test_descent_settles():
    """Each row descends to its own minimum, whatever the others do, and all iterates are kept."""
    goals = torch.tensor([[0.3], [-0.2], [5.0]])
    iterates = descend(torch.zeros(3, 1), lambda _, at: (at - goals).square().sum(1), steps=200, learning_rate=0.2)
    assert iterates.shape == (201, 3, 1)
    assert (iterates[0] == 0).all()
    torch.testing.assert_close(iterates[-1], goals, rtol=0.01, atol=0.01)
