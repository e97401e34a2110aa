import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tiny networks gain nothing from threads, and sums come out the same with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
