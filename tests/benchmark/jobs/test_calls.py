import pytest
import torch

from benchmark.jobs.calls import counted
from benchmark.judges.classifier import ClassifierConfig, ConvClassifier


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return ConvClassifier(ClassifierConfig(channels=(4, 8), features=8), (1, 16, 16), 3).eval()


def test_a_row_of_logits_is_a_call(classifier):
    """Each picture counts once, though a call asks the head itself; φ alone does not count, its logits do."""
    pictures = torch.rand(5, 1, 16, 16)
    with counted(classifier) as calls:
        classifier(pictures)
        phi = classifier.features(pictures[:2])
        assert calls.rows == 5
        classifier.head(phi)
    assert calls.rows == 7


def test_the_classifier_is_left_as_it_was(classifier):
    """It answers alike while it is watched and later, when nobody counts, even if a question failed."""
    pictures, before = torch.rand(2, 1, 16, 16), dict(vars(classifier))
    expected = classifier(pictures)
    with counted(classifier) as calls:
        assert torch.equal(classifier(pictures), expected)
        with pytest.raises(RuntimeError):
            classifier(torch.rand(2, 7))
    assert vars(classifier) == before
    classifier(pictures)
    assert calls.rows == 4
