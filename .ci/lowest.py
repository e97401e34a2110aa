"""Install the lowest versions that pyproject.toml allows into a folder: `python .ci/lowest.py FOLDER`.

The folder goes before site-packages, as PYTHONPATH. torch and torchvision, which take gigabytes, stay as they are
installed, so what needs torch is installed without what it needs.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

INSTALLED = ("torch", "torchvision")
NEED_TORCH = ("lightning-fabric", "pytorch-fid")


def floors(pyproject: Path) -> dict[str, str]:
    """Package -> its lowest allowed version, of those that a user needs."""
    needed = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]
    found = (re.fullmatch(r"([\w-]+)(?:\[.*])?[>=]=([\w.]+).*", requirement) for requirement in needed)
    return {match[1]: match[2] for match in found if match}


def main() -> None:
    """Install them."""
    lowest = {name: version for name, version in floors(Path("pyproject.toml")).items() if name not in INSTALLED}
    pinned = [f"{name}=={version}" for name, version in lowest.items()]
    alone = [requirement for requirement in pinned if requirement.startswith(NEED_TORCH)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-warn-conflicts", "--target", sys.argv[1]]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(pinned))
        constraints.flush()
        for what in (["--no-deps", *alone], ["--constraint", constraints.name, *(set(pinned) - set(alone))]):
            subprocess.run([*pip, *what], check=True)  # noqa: S603 - what pyproject.toml names


if __name__ == "__main__":
    main()
