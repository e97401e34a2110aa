import pytest
import torch

from benchmark.records.store import Artefact

N = 100


@pytest.fixture
def kept(tmp_path, make_record):
    """Makes records whose outcomes of single queries are on disk: (method, seed, values) -> Record."""

    def make(method="vaex", seed=0, asked=None, flips=None, l1=None, mse=None, **changes):
        asked = torch.arange(N) if asked is None else asked
        tensors = {"asked": asked}
        if flips is not None:
            tensors["value.flip_rate"] = torch.arange(N).expand(2, N) < torch.tensor([[flips], [0]])
        if l1 is not None:
            tensors["value.l1"] = torch.stack([l1, torch.zeros(N, dtype=torch.float64)])
        if mse is not None:
            tensors["value.mse"] = mse
        artefact = Artefact(tmp_path, "score", f"{method}{seed}{changes.get('task', '')}".replace("/", "-"))
        artefact.make(lambda _: (tensors, {}))
        return make_record(method, seed=seed, artefacts={"score": artefact.name}, **changes)

    return make


@pytest.fixture
def noise(rng):
    """Makes distances around a level."""
    return lambda level: torch.from_numpy(rng.normal(level, 0.1, N))
