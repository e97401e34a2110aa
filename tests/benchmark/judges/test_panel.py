import pytest
import torch

from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.settings import parse_overrides
from benchmark.jobs.work import Work
from benchmark.judges.classifier import ClassifierConfig, ConvClassifier, accuracies
from benchmark.judges.corruptions import named
from benchmark.judges.panel import BEHIND, PANEL, Panel, TrainedPanel, together

SHAPE = (1, 12, 12)


@pytest.fixture
def panel():
    torch.manual_seed(0)
    configs = [ClassifierConfig(channels=(4, width), features=6) for width in (3, 5, 8)]
    return Panel([ConvClassifier(config, SHAPE, 4) for config in configs]).eval()


def images(count=7):
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(1))


def test_each_member_judges_for_itself(panel):
    """The logits of each member are those that it has alone."""
    found = panel.each(images())
    assert found.shape == (7, 3, 4)
    for place, member in enumerate(panel.members):
        assert torch.equal(found[:, place], member(images()))


def test_together_they_have_their_mean_probability(panel):
    """The panel's probabilities are its members' mean, and sum to 1."""
    probabilities = panel(images()).exp()
    torch.testing.assert_close(probabilities, panel.each(images()).softmax(2).mean(1))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(7))


def test_one_member_alone_is_the_panel(panel):
    """A panel of one has its member's probabilities, however many times it is counted."""
    logits = panel.each(images())[:, :1]
    torch.testing.assert_close(together(logits), logits[:, 0].log_softmax(1))
    torch.testing.assert_close(together(logits.expand(-1, 3, -1)), logits[:, 0].log_softmax(1))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    small = ["oracle.epochs=1", "oracle.channels=[4]", "classifier.epochs=1", "data.train_images=200"]
    protocol = Protocol(tmp_path_factory.mktemp("panel"), preset="smoke", overrides=parse_overrides(small))
    return Work(Job("mnist", "null", 0), protocol)


def test_a_record_says_what_every_judge_reads(made):
    """Clean and under each corruption, of the classifier, of the panel and of each member, on all test pictures."""
    (_, panel), (_, classifier) = made.oracle.made(), made.classifier.made()
    assert len(panel.members) == len(PANEL)
    for judge in (classifier, panel, *panel.members):
        assert judge.corrupted.keys() == named(1).keys()
        assert all(0 <= value <= 1 for value in (judge.test_accuracy, *judge.corrupted.values()))
        assert judge.test_n == len(made.question.splits.test)
    assert panel.fit_seconds == pytest.approx(sum(member.fit_seconds for member in panel.members))


def test_members_differ_by_their_seeds(made):
    """Members with the very same settings are other networks, and none is the classifier."""
    digests = [judge.digest for judge in (*made.oracle.made()[1].members, made.classifier.made()[1])]
    assert len(set(digests)) == len(digests)


@pytest.fixture(scope="module")
def uneven(made):
    """A panel whose second member learns so fast that it learns nothing."""
    good = made.oracle.members[0].config.model_copy(update={"epochs": 6, "channels": (8, 16)})
    configs = {"oracle": good, "oracle-2": good.model_copy(update={"learning_rate": 0.5}), "oracle-3": good}
    return TrainedPanel.of(configs, made.workshop)


def test_a_member_that_fails_is_trained_once_more(uneven):
    """The better network judges; its entry says what was asked for, what happened, and what both took."""
    first = [member.made()[1] for member in uneven.members]
    best = max(judge.validation_accuracy for judge in first)
    assert first[1].validation_accuracy < best - BEHIND
    for judge, before in zip(uneven.made()[1].members, first, strict=True):
        if before.validation_accuracy >= best - BEHIND:
            assert judge == before
            continue
        assert judge.config == before.config
        assert judge.validation_accuracy >= before.validation_accuracy
        assert f"once more, because it read {before.validation_accuracy:.1%}" in judge.trained_on
        assert judge.fit_seconds > before.fit_seconds


def test_the_panel_comes_back_from_the_disk(uneven):
    """What is loaded are the networks that the record describes, in order, and nothing is trained again."""
    panel, again = uneven.network(), uneven.network()
    pictures = uneven.workshop.question.queries.batch(slice(0, 5))
    assert torch.equal(panel(pictures), again(pictures))
    for network, judge in zip(panel.members, uneven.made()[1].members, strict=True):
        found = accuracies(network, uneven.workshop.question.splits, uneven.workshop.device)
        assert found["validation_accuracy"] == judge.validation_accuracy
