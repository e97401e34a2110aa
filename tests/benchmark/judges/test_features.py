import os
import pickle
from unittest.mock import patch

import pytest
import torch
from pytorch_fid import inception

from benchmark.errors import UserError
from benchmark.judges.classifier import ClassifierConfig, ConvClassifier
from benchmark.judges.features import inception_network, penultimate, pooled
from benchmark.judges.panel import Panel


def refusal(path):
    with pytest.raises(UserError) as error:
        inception_network(path)
    return str(error.value)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights for pytorch-fid's network, under the names that its own file has."""
    torch.manual_seed(0)
    nothing_loaded = patch.object(torch.nn.Module, "load_state_dict")
    with patch.object(inception, "load_state_dict_from_url"), nothing_loaded:
        network = inception.fid_inception_v3()
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(network.state_dict(), path)
    return path


def test_penultimate_features_are_what_the_last_layer_reads():
    """The first oracle's features, put through its last layer, are its logits."""
    torch.manual_seed(0)
    config = ClassifierConfig(channels=(4, 8), features=6)
    panel = Panel([ConvClassifier(config, (1, 12, 12), 3) for _ in range(2)]).eval()
    oracle, images = panel.members[0], torch.rand(5, 1, 12, 12)
    features = penultimate(panel)(images)
    assert features.shape == (5, 6)
    assert (features >= 0).all()
    torch.testing.assert_close(oracle.rest[-1](features), oracle(images))


def test_missing_file_is_refused(tmp_path):
    """A file of weights that is not there is refused by name, with where to get it."""
    message = refusal(tmp_path / "none.pth")
    assert str(tmp_path / "none.pth") in message
    assert "pt_inception" in message


@pytest.mark.parametrize(
    "content", [b"", b"no weights", b"PK\x03\x04 no archive", pickle.dumps([1], protocol=2)], ids=range(4)
)
def test_file_that_is_no_state_dict_is_refused(tmp_path, content):
    """A file that holds no weights is refused by name."""
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    assert str(path) in refusal(path)


@pytest.mark.parametrize("content", [{"conv.weight": torch.ones(2)}, [1, 2], torch.ones(3)])
def test_weights_of_another_network_are_refused(tmp_path, content):
    """Weights of another network are refused by name: there is no falling back to what happens to fit."""
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    assert str(path) in refusal(path)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("write", [torch.save, lambda bomb, path: path.write_bytes(pickle.dumps(bomb, protocol=2))])
def test_code_in_a_file_is_not_executed(tmp_path, write):
    """A file of weights that carries code is refused, and the code does not run."""
    write(Bomb(tmp_path / "exploded"), tmp_path / "weights.pth")
    refusal(tmp_path / "weights.pth")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.slow
def test_inception_from_a_file(weights):
    """Weights from a file give 2048 features an image, the same for the same image, whatever stands beside it."""
    features = pooled(inception_network(weights))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        both, first = features(images), features(images[:1])
    assert both.shape == (2, 2048)
    assert torch.isfinite(both).all()
    torch.testing.assert_close(both[:1], first, rtol=1e-3, atol=1e-4)
    assert not torch.equal(both[0], both[1])
