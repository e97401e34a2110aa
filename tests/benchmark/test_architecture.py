import ast
import tomllib
from pathlib import Path

import pytest

import benchmark
import methods
import metrics

PACKAGES = {package.__name__: Path(package.__file__).parent for package in (benchmark, methods, metrics)}
ROOT = PACKAGES["benchmark"].parent


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def imported(path):
    """Full names of everything that a file imports, wherever in it, relative imports resolved."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1].relative_to(ROOT).parts if node.level else ()
            base = ".".join([*folder, *filter(None, [node.module])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


TRAINED_ON = "metrics.fisher"  # one definition of what is both trained on and measured; it imports nothing of ours


def tops(path, *, allowed=None):
    """The packages that a file imports from, also those that it only names as "module:attribute".

    What is `allowed` does not count.
    """
    texts = [
        node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)
    ]
    named = {text.partition(".")[0] for text in texts if isinstance(text, str) and ":" in text and " " not in text}
    counted = {name for name in imported(path) if not (allowed and f"{name}.".startswith(f"{allowed}."))}
    return {name.partition(".")[0] for name in counted} | (named & PACKAGES.keys())


@pytest.mark.parametrize(
    ("package", "others", "allowed"),
    [("methods", {"metrics", "benchmark"}, TRAINED_ON), ("metrics", {"methods", "benchmark"}, None)],
)
def test_methods_and_metrics_stand_alone(package, others, allowed):
    """Methods and metrics import neither each other nor the benchmark, but for what is trained on and measured."""
    found = {str(path): tops(path, allowed=allowed) & others for path in modules(package)}
    assert {path: packages for path, packages in found.items() if packages} == {}


def test_what_methods_share_with_metrics_rests_on_neither():
    """What is both trained on and measured imports nothing of ours."""
    assert not tops(ROOT / f"{TRAINED_ON.replace('.', '/')}.py") & PACKAGES.keys()


def test_no_package_imports_the_tests():
    """What is installed needs nothing from the tests or the scripts beside it."""
    for package in PACKAGES:
        for path in modules(package):
            assert not tops(path) & {"tests", "perf", "pytest", "hypothesis"}


def test_command_line_is_the_only_way_in():
    """Only `__main__` hands over to the command line, nothing else imports it, and no other file can be run."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts.values()) == {"benchmark.cli:main"}
    for package in PACKAGES:
        for path in modules(package):
            above = {name for name in imported(path) if name == "benchmark.cli" or name.startswith("benchmark.cli.")}
            assert not above or path.name == "__main__.py" or PACKAGES["benchmark"] / "cli" in path.parents
            assert "__main__" not in path.read_text(encoding="utf-8") or path.name == "__main__.py"
            assert not {name.partition(".")[0] for name in imported(path)} & {"argparse", "click"}
            assert "typer" not in tops(path) or PACKAGES["benchmark"] / "cli" in path.parents


ROOMS = {
    "records": {"errors", "locks"},
    "data": {"errors", "locks", "names"},
    "judges": {"errors", "records", "data"},
    "jobs": {"errors", "locks", "names", "plugins", "records", "data", "judges"},
    "report": {"errors", "records"},
    "bias": {"errors", "records", "data", "judges", "jobs", "report"},
}
"""Room of the benchmark -> the others that it may import; papers and the command line may import all."""
CONTRACT = {f"methods.{name}" for name in ("base", "contract", "files", "pictures", "training")}


@pytest.mark.parametrize("room", ROOMS)
def test_walls(room):
    """A room imports only from rooms below it, and of the methods only their registry and their contract."""
    for path in modules(f"benchmark/{room}"):
        parts = {name.split(".")[1] for name in imported(path) if name.startswith("benchmark.")}
        assert parts <= ROOMS[room] | {room}, path
        files = {".".join(name.split(".")[:2]) for name in imported(path) if name.startswith("methods.")}
        assert {name for name in files if (ROOT / f"{name.replace('.', '/')}.py").exists()} <= CONTRACT, path
        assert not {name for name in files if (ROOT / name.replace(".", "/")).is_dir()}, path


@pytest.mark.parametrize("room", ROOMS)
def test_no_method_is_named(room):
    """No room asks for a method by its name: what a method needs of it, the method says itself."""
    for path in modules(f"benchmark/{room}"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        texts = {node.value for node in nodes if isinstance(node, ast.Constant)} & methods.METHODS.keys()
        assert texts <= ({"truth"} if path.name == "summary.py" else set()), path  # a table of the summary is called so


def test_metrics_apply_no_network():
    """A metric is a function of tensors: it imports nothing that holds weights."""
    for path in modules("metrics"):
        assert not {name for name in imported(path) if name.startswith(("torch.nn", "torchvision", "lightning_fabric"))}
