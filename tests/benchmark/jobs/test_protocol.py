"""Which methods suit a task: what its images offer decides, whatever they are called."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.data import ImageData
from benchmark.jobs.protocol import Job
from methods import METHODS


@pytest.fixture
def data():
    """Pictures of a folder of the user's."""
    return ImageData("animals", np.zeros((4, 1, 4, 4), np.uint8), np.arange(4) % 2, ("cat", "dog"), "d")


def suiting(data):
    return {name for name in METHODS if Job(data.name, name, 0).suits(data)}


def test_what_a_folder_offers_decides(data):
    """Attributes let methods be asked that take them, exact counterfactuals those that take these; each alone."""
    described = replace(data, attributes=pd.DataFrame({"hat": np.arange(4) % 2}))
    drawn = replace(described, exact=lambda attribute, indices, values: data.images[indices])
    takes = {name: METHODS[name].load() for name in METHODS}
    told = {name for name in METHODS if takes[name].takes_attributes}
    exact = {name for name in METHODS if takes[name].takes_truth}
    assert told
    assert exact
    assert suiting(data) == METHODS.keys() - told - exact
    assert suiting(described) == METHODS.keys() - exact
    assert suiting(drawn) == set(METHODS)
