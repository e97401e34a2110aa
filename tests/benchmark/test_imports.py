"""What a run loads before it knows whether there is anything to do."""

import subprocess
import sys

import pytest

CODE = "import benchmark.cli.commands.run, sys; print(*sys.modules)"


@pytest.mark.slow
def test_run_loads_nothing_that_only_work_needs():
    """A run that finds all on disk does not wait for what trains, draws, and looks with Inception."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    assert not loaded & {"lightning_fabric", "torchvision", "pytorch_fid", "matplotlib", "seaborn"}
