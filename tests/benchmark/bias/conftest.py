import pytest

from benchmark.bias.trial import Planted, Trial, with_settings
from benchmark.jobs.protocol import Protocol

SETTINGS = {
    "avatars": {"size": 33, "count": 240},
    "data": {"queries": 12},
    "classifier": {"epochs": 1, "channels": [4, 8]},
    "attributes": {"faces": 60, "unseen": 40, "epochs": 1},
}


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """A trial whose networks learn next to nothing."""
    overrides = with_settings("smoke", SETTINGS)
    protocol = Protocol(tmp_path_factory.mktemp("bias"), "smoke", overrides, (0.0,))
    return Trial(Planted("Eyeglasses", "Young"), protocol, (0, 1))
