import subprocess
import sys
from itertools import product

import pytest
import torch
from torchvision.models import get_model

from benchmark.errors import UserError
from benchmark.papers.hybrid_imagenet import BLOCKS, CLASSIFIERS, PAIRS, ImageNetHybrids
from tests.methods.biggans import theirs, written

NAMES = ("squeezenet1_1", "shufflenet_v2_x0_5")
DEEP = [[False, 16, 16], [True, 16, 8], [False, 8, 8], [False, 8, 8], [False, 8, 4], [False, 4, 2], [True, 2, 1]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BigGAN of ImageNet's classes and two classifiers, all small and under random weights."""
    place = written(
        tmp_path_factory.mktemp("pretrained"), theirs(layers=DEEP, num_classes=1000, attention_layer_position=3)
    )
    (place / CLASSIFIERS).mkdir()
    torch.manual_seed(0)
    for name in NAMES:
        torch.save(get_model(name, weights=None).state_dict(), place / CLASSIFIERS / f"{name}.pth")
    return place


def command(folder, results, *options):
    """The command line in a process of its own, with fewer hybrids than a reader of the page would want."""
    asked = ["paper", "hybrid", "--pretrained", str(folder), "--results", str(results), *options]
    few = "from benchmark.papers import hybrid_biggan as of; of.FEW = 7; from benchmark.cli import main; "
    run = [sys.executable, "-c", f"{few} main({asked!r})"]
    return subprocess.run(run, capture_output=True, text=True, check=False)


def linked(folder, to, without=""):
    """A copy of `folder` by links, without one file."""
    (to / CLASSIFIERS).mkdir(parents=True)
    for file in (file for file in folder.rglob("*") if file.is_file() and file.name != without):
        (to / file.relative_to(folder)).symlink_to(file)
    return to


@pytest.mark.slow
def test_one_command_makes_the_section(folder, tmp_path):
    """Figures and tables of both pairs of classes, and a page of claims; it says what it needs, and trains nothing."""
    done = command(folder, tmp_path, "--yes")
    assert done.returncode == 0, done.stderr
    assert "in all: about" in done.stderr
    tables = tmp_path / "tables"
    for pair in PAIRS:
        lines = (tables / f"block-recognition-imagenet_{pair}.md").read_text(encoding="utf-8").splitlines()
        for name, block in product(NAMES, BLOCKS):
            assert any({name, str(block)} <= {cell.strip() for cell in line.split("|")} for line in lines)
        names = (f"{name}-imagenet_{pair}-hybrid-biggan.png" for name in ("collection", "verdicts"))
        assert all((tmp_path / "figures" / name).exists() for name in names)
    page = (tables / "paper-hybrid.md").read_text(encoding="utf-8")
    assert "nothing was trained" in page
    assert "imagenet/koala-teddy: **" in page


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["config.json", "pytorch_model.bin", f"{NAMES[0]}.pth"])
def test_what_is_missing_is_told_in_one_line(folder, tmp_path, missing):
    """A folder without one of its files is refused in one line that says what to put there, with exit code 2."""
    done = command(linked(folder, tmp_path / "part", missing), tmp_path / "results", "--yes")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert (missing if missing.endswith(("json", "bin")) else CLASSIFIERS) in done.stderr


@pytest.mark.parametrize(("name", "content"), [("resnet_none.pth", b""), ("resnet18.pth", b"no weights")])
def test_broken_classifiers_are_refused(folder, tmp_path, name, content):
    """A file of another name than torchvision's, or without weights, is refused by its name."""
    place = linked(folder, tmp_path / "broken")
    (place / CLASSIFIERS / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        ImageNetHybrids.of(place, torch.device("cpu"))
