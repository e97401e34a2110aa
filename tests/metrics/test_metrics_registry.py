import ast
import inspect
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

import metrics
from metrics import METRICS


@pytest.mark.parametrize("name", METRICS)
def test_function_takes_what_the_metric_needs(name):
    """Each metric's function has one required argument for each piece of evidence."""
    parameters = inspect.signature(METRICS[name].load()).parameters.values()
    required = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    assert len(required) == len(METRICS[name].needs)


@pytest.mark.parametrize("name", METRICS)
def test_function_says_what_it_computes(name):
    """Each metric's docstring gives the result and its source; it or its module's gives shapes and errors."""
    function = METRICS[name].load()
    text = inspect.getdoc(function)
    assert all(f"{title}\n---" in text for title in ("Returns", "References"))
    text += inspect.getdoc(inspect.getmodule(function))
    assert re.search(r"\([Nn], ?[A-Z)]", text)
    assert "ValueError" in text


@pytest.mark.parametrize("name", METRICS)
def test_arguments_are_named_after_the_evidence(name):
    """Where a function knows its evidence by name, it has it at the place where it is passed."""
    arguments = list(inspect.signature(METRICS[name].load()).parameters)
    for place, need in enumerate(METRICS[name].needs):
        assert need not in arguments or arguments.index(need) == place


@pytest.mark.parametrize("name", METRICS)
def test_line_is_complete(name):
    """Each line has a direction, a range and one line of meaning."""
    metric = METRICS[name]
    assert metric.better in {"higher", "lower", ""}
    assert metric.range[0] < metric.range[1]
    assert metric.meaning
    assert "\n" not in metric.meaning


@pytest.mark.parametrize("name", ["flip_rate", "oracle_agreement", "l1", "mnac", "truth_ssim", "fid_inception", "im1"])
def test_what_depends_on_the_answer_is_per_relaxation(name):
    """Whatever needs an answer has a value for each relaxation."""
    assert METRICS[name].per_relaxation


@pytest.mark.parametrize("name", ["reconstruction_flips", "mse", "nll", "composition", "truth_l1_query", "agreement"])
def test_what_needs_no_answer_is_once_for_a_job(name):
    """Whatever needs no answer has one value for a job."""
    assert not METRICS[name].per_relaxation


def test_over_the_flipped_too():
    """What the flipped queries could flatter is computed over them too, and only what depends on the answer."""
    also = {name for name, metric in METRICS.items() if metric.also_flipped}
    assert also >= {"oracle_agreement", "l0", "l1", "l2", "hoyer_sparsity", "cout", "im1", "im2", "reversibility"}
    assert all(METRICS[name].per_relaxation for name in also)


def test_columns_are_told_apart():
    """What stands in a table has a heading of its own there, and only rates are in per cent."""
    columns = [(metric.table, metric.title) for metric in METRICS.values() if metric.table]
    assert len(set(columns)) == len(columns)
    assert all(metric.heading for metric in METRICS.values() if metric.table)
    assert all(metric.range == (0, 1) for metric in METRICS.values() if metric.shown.percent)


@pytest.mark.parametrize("family", ["fid", "kid"])
def test_every_distance_of_sets_has_its_yardstick(family):
    """Beside each network's distance stands that of real images to the same real images."""
    for network in ("oracle", "inception"):
        reals = {METRICS[f"{family}_{network}{what}"].needs[1] for what in ("", "_reconstruction", "_samples", "_real")}
        assert reals == {f"real_{network}_features"}
        assert METRICS[f"{family}_{network}_real"].better == ""


def test_title_has_unit_and_direction():
    """A column's title is its heading, per cent where it is a rate, and the direction that is better."""
    assert METRICS["flip_rate"].title == "flip rate % ↑"
    assert METRICS["l1"].title == "L1 ↓"
    assert METRICS["kl"].title == "KL"


@pytest.mark.parametrize(("name", "text"), [("flip_rate", "50.0"), ("l1", "0.5000"), ("im1", "0.50"), ("kl", "0.5")])
def test_numbers_are_written_as_the_line_says(name, text):
    """A rate is written in per cent, other numbers with the digits of their line."""
    assert METRICS[name].shown.text(0.5) == text


def test_scale_is_for_people():
    """Unit, direction and range are said as far as there are any, an open end by a round bracket."""
    assert METRICS["cout"].scale == "higher is better, [-1, 1]"
    assert METRICS["nll"].scale == "nats/image, lower is better, (-∞, ∞)"
    assert METRICS["fid_oracle_real"].scale == "[0, ∞)"


def test_registry_is_read_only():
    """Neither the registry nor a line of it can be changed in passing."""
    with pytest.raises(TypeError):
        METRICS["l1"] = METRICS["l2"]
    with pytest.raises(FrozenInstanceError):
        METRICS["l1"].unit = "inches"


def test_fingerprint_tells_metrics_apart():
    """Each metric has a fingerprint of its own, the same each time."""
    fingerprints = [metric.fingerprint() for metric in METRICS.values()]
    assert len(set(fingerprints)) == len(METRICS)
    assert fingerprints == [metric.fingerprint() for metric in METRICS.values()]


def test_fingerprint_follows_the_definition():
    """Other evidence changes the fingerprint, better prose and another heading do not."""
    metric = METRICS["l1"]
    assert replace(metric, heading="mean change", table="truth").fingerprint() == metric.fingerprint()
    assert replace(metric, needs=("reconstructions", "queries")).fingerprint() != metric.fingerprint()
    assert replace(metric, meaning="").fingerprint() == metric.fingerprint()


@pytest.mark.parametrize("edited", ["metrics.distances", "metrics.intervals", "metrics.base"])
def test_fingerprint_follows_the_code(monkeypatch, edited):
    """Editing a metric's module, or what all metrics rest on, changes its fingerprint."""
    before = {name: METRICS[name].fingerprint() for name in ("l1", "nll")}
    source = inspect.getsource
    monkeypatch.setattr(
        inspect, "getsource", lambda module: source(module) + ("# edited" if module.__name__ == edited else "")
    )
    assert METRICS["l1"].fingerprint() != before["l1"]
    assert (METRICS["nll"].fingerprint() == before["nll"]) == (edited == "metrics.distances")


def test_registry_is_light():
    """Listing the metrics imports no torch: a function is imported on use."""
    code = "import sys, metrics; sys.exit(bool({'torch', 'numpy', 'scipy', 'pandas'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(metrics.__file__).parents[1])


def test_metrics_stand_alone():
    """The metrics import neither the benchmark nor a method."""
    for path in Path(metrics.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        assert not {name.split(".")[0] for name in imported if name} & {"benchmark", "methods"}
