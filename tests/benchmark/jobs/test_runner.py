import os
import time
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Literal

import pytest
import torch
from torch import nn

import benchmark.jobs.record as recording
import methods
from benchmark.errors import UserError
from benchmark.jobs import measure, parallel, runner, settings, work
from benchmark.jobs.progress import Board
from benchmark.jobs.protocol import Job, Protocol
from benchmark.jobs.record import record_key
from benchmark.jobs.work import Work
from benchmark.records.record import read
from benchmark.records.store import find
from benchmark.report.tables import write_tables
from methods import METHODS, Entry
from methods.base import Counterfactuals, Method, MethodConfig
from methods.training import Trainer
from metrics import METRICS, Metric
from metrics.intervals import mean

ASKED = tuple(name for name in METHODS if Job("mnist", name, 0).answerable)
"""Nobody knows exact counterfactuals or attributes of digits."""
STAGES = ("classifier", "oracle", "fit", "explain", "show", "probe", "autoencoders", "score")


class FakeConfig(MethodConfig):
    """Where to break."""

    breaks: Literal["fit", "explain", "range", "never"] = "never"


class Fake(Method):
    """Answers with the query, and breaks where it is told to."""

    Config = FakeConfig
    calls: list[str] = []  # noqa: RUF012 - the record of all instances
    mended = False

    def _reached(self, stage):
        self.calls.append(stage)
        if self.config.breaks == stage and not self.mended:
            raise RuntimeError(f"no luck\nin {stage}")

    def build(self, shape, class_count):  # noqa: ARG002
        """No network."""
        return nn.Module()

    def fit(self, data, classifier, *, trainer):  # noqa: ARG002
        """Nothing to learn."""
        self.prepare(data.shape, classifier)
        self._reached("fit")
        return self

    def reconstruct(self, images):
        """The query."""
        return images

    def explain(self, images, target, relaxations):  # noqa: ARG002
        """The query, or what is no picture."""
        self._reached("explain")
        images = images.expand(len(relaxations), *images.shape)
        return Counterfactuals(images + 0.5 if self.config.breaks == "range" else images)


def brightness(answers):
    """A metric that the registry does not know."""
    return mean(answers.flatten(1).mean(1))


@pytest.fixture
def register(monkeypatch):
    """Adds methods to the registry for one test, as name=Entry; the fake one is `fake`."""

    def add(**entries):
        known = MappingProxyType({**METHODS, **entries})
        for module in (methods, runner, work, settings):
            monkeypatch.setattr(module, "METHODS", known)

    monkeypatch.setattr(Fake, "calls", [])
    monkeypatch.setattr(Fake, "mended", False)
    return add


def fake(breaks):
    return Entry(f"{__name__}:Fake", "Breaks.", {"breaks": breaks})


@pytest.fixture
def protocol(results):
    """The protocol of the smoke run, on a copy of its results."""
    return Protocol(results=results, preset="smoke")


def run(protocol, *names, task="mnist"):
    """The records of some methods, one after the other in this process."""
    return runner.run([Job(task, name, 0) for name in names], protocol, 1, Board())


def tables_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "timings.csv"}


def napping(seconds):
    """A call that says in which process it was, once it has slept."""
    time.sleep(seconds)
    return os.getpid()


def meeting(folder, name):
    """Wait until there are two of us."""
    (folder / name).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)


@pytest.mark.slow
def test_long_calls_do_not_wait_for_each_other(tmp_path):
    """After any number of quick calls, long ones are shared out one by one."""
    parallel.in_parallel([partial(meeting, tmp_path, name) for name in ("one", "other")], 2)  # both processes run
    *_, one, other, third, fourth = parallel.in_parallel([*[partial(napping, 0)] * 200, *[partial(napping, 1)] * 4], 2)
    assert one != other
    assert third != fourth


# -- the same run again ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_same_run_gives_the_same_numbers_and_pictures(cli, smoke, tmp_path):
    """From scratch in two folders, one job at a time or two, numbers and answers are the same to the last byte."""
    outcome = cli("run", "--methods", "families", "--preset", "smoke", "--results", tmp_path, "--jobs", "1")
    assert outcome.code == 0, outcome.err
    ours, theirs = ((folder / "metrics.csv").read_text().splitlines() for folder in (tmp_path, smoke))
    assert len(ours) > 1
    assert set(ours) <= set(theirs)
    answers = list(tmp_path.glob("runs/artefacts/explain-*/tensors.safetensors"))
    assert answers
    assert all(path.read_bytes() == (smoke / path.relative_to(tmp_path)).read_bytes() for path in answers)


def test_second_run_computes_nothing(cli, results, stamps):
    """A run whose results are all there computes nothing, and gives the same tables."""
    tables, artefacts = tables_of(results / "tables"), stamps(results / "runs" / "artefacts")
    outcome = cli("run", "--methods", "all", "--preset", "smoke", "--results", results, "--jobs", "1")
    assert outcome.code == 0, outcome.err
    assert stamps(results / "runs" / "artefacts") == artefacts
    assert tables_of(results / "tables") == tables


def trained_gans(runs):
    """The facts of every training of a GAN that is kept for several methods."""
    kept = [find(runs, folder.name) for folder in (runs / "artefacts").glob("training-*")]
    return [facts for tensors, facts in kept if any(name.startswith("discriminator.") for name in tensors)]


def test_a_shared_training_is_made_once(protocol, tmp_path, monkeypatch):
    """Two methods with the same GAN train it once a run, and the second has the weights that it would have alone."""
    first, second = run(protocol, "gan-search", "hybrid-gan")
    assert len(trained_gans(protocol.runs)) == 1
    alone = replace(protocol, results=tmp_path / "alone")
    monkeypatch.setattr(Trainer, "once", lambda trainer, key, training: training(trainer))
    (record,) = run(alone, "hybrid-gan")
    states = [find(where.runs, record.artefacts["fit"])[0] for where in (alone, protocol)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert record.rows == second.rows != first.rows


def test_a_shared_training_counts_for_each(protocol):
    """The seconds of a shared training are part of each method's fit, whichever was there first."""
    records = run(protocol, "gan-search", "hybrid-gan")
    (shared,) = (facts["seconds"] for facts in trained_gans(protocol.runs))
    for record in records:
        assert next(row.value for row in record.timings if row.metric == "fit_seconds") >= shared > 0


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_lost_record_costs_no_stage(protocol, stamps, content):
    """A record that cannot be read is written again as it was, from stages that are all there."""
    path = Job("mnist", "vaex", 0).path(protocol)
    expected, artefacts = read(path), stamps(protocol.runs / "artefacts")
    path.write_bytes(content)
    assert run(protocol, "vaex") == [expected]
    assert read(path) == expected
    assert stamps(protocol.runs / "artefacts") == artefacts


@pytest.mark.parametrize("stage", ["explain", "show", "score"])
def test_a_finished_job_mends_what_is_damaged(protocol, stage):
    """A part that is cut short, or is another one's, is made again as it was, though the record is there."""
    record, other = (read(Job("mnist", name, 0).path(protocol)) for name in ("vaex", "null"))
    part, foreign = (protocol.runs / "artefacts" / one.artefacts[stage] for one in (record, other))
    right = (part / "tensors.safetensors").read_bytes()
    (part / "done.json").write_bytes((part / "done.json").read_bytes()[:10])
    assert run(protocol, "vaex")[0].status == "ok"
    assert (part / "tensors.safetensors").read_bytes() == right
    for name in ("done.json", "tensors.safetensors"):
        (part / name).write_bytes((foreign / name).read_bytes())
    assert run(protocol, "vaex")[0].status == "ok"
    assert (part / "tensors.safetensors").read_bytes() == right


def test_record_says_what_it_rests_on(smoke):
    """A record holds the resolved settings, both networks' accuracies, the data's digest, versions and commit."""
    for name in ASKED:
        record = read(Job("mnist", name, 0).path(Protocol(results=smoke, preset="smoke")))
        config = settings.method_config(name, "smoke", {})
        assert record.config == config.model_dump(mode="json")
        assert {row.metric for row in record.rows} >= {"classifier_accuracy", "oracle_accuracy", "flip_rate"}
        for judge in (record.classifier, record.oracle):
            assert 0 < judge.test_accuracy <= 1
            assert judge.test_n == record.data["test"] == 1000
        assert record.data["digest"]
        assert {"packages", "commit", "device"} <= record.environment.keys()
        assert record.artefacts.keys() == set(STAGES)


# -- what determines an outcome ----------------------------------------------------------------------------------------


def test_record_key_depends_on_what_determines_the_numbers(protocol, tmp_path):
    """Whatever can change a number changes the record's key, and how it is carried out does not."""
    weights = [tmp_path / name for name in "ab"]
    for path in weights:
        path.write_text(path.name)
    inception = replace(protocol, extractors=("oracle", "inception"))
    others = [
        replace(protocol, relaxations=(0.0, 1.0)),
        replace(protocol, split="validation"),
        replace(protocol, limit=7),
        replace(protocol, overrides={"vaex": {"epochs": 3}}),
        replace(protocol, overrides={"vaex": {"schedule": "squaring"}}),
        replace(protocol, overrides={"classifier": {"epochs": 3}}),
        replace(protocol, overrides={"oracle": {"epochs": 3}}),
        replace(protocol, overrides={"data": {"train_images": 500}}),
        replace(protocol, overrides={"data": {"probes": 9}}),
        replace(protocol, overrides={"autoencoders": {"epochs": 3}}),
        *[replace(inception, inception_weights=path) for path in weights],
    ]
    job = Job("mnist", "vaex", 0)
    keys = [record_key(Work(job, other)) for other in [protocol, *others]]
    keys += [record_key(Work(other, protocol)) for other in (Job("mnist", "vaex-cat", 0), Job("mnist", "vaex", 1))]
    assert len(set(keys)) == len(keys)
    assert record_key(Work(job, replace(protocol, overrides={"vaex-cat": {"epochs": 3}}))) == keys[0]


def test_settings_of_the_answer_share_one_fit(protocol, register, stamps):
    """Variants that differ only in how they explain share one training."""
    register(**{"vaex-squaring": Entry(METHODS["vaex"].path, METHODS["vaex"].meaning, {"schedule": "squaring"})})
    fits = stamps(protocol.runs / "artefacts", "fit-*/*")
    base, variant = run(protocol, "vaex", "vaex-squaring")
    assert (base.status, variant.status) == ("ok", "ok")
    assert variant.artefacts["fit"] == base.artefacts["fit"]
    assert variant.artefacts["explain"] != base.artefacts["explain"]
    assert stamps(protocol.runs / "artefacts", "fit-*/*") == fits


def test_new_metric_costs_no_training(protocol, monkeypatch, stamps):
    """A new metric is computed from what is on disk: nothing is fitted or asked again, and old numbers stay."""
    metric = Metric(f"{__name__}:brightness", ("answers",), "", "", (0, 1), "how bright answers are")
    for module in (recording, measure):
        monkeypatch.setattr(module, "METRICS", MappingProxyType({**METRICS, "brightness": metric}))
    before = read(Job("mnist", "vaex", 0).path(protocol))
    old = stamps(protocol.runs / "artefacts")
    (after,) = run(protocol, "vaex")
    new = stamps(protocol.runs / "artefacts")
    assert [row for row in after.rows if row.metric != "brightness"] == before.rows
    assert len([row for row in after.rows if row.metric == "brightness"]) == len(protocol.relaxations)
    assert {path: stamp for path, stamp in new.items() if path in old} == old
    assert all(path.startswith("score-") for path in new.keys() - old.keys())


# -- what is asked -----------------------------------------------------------------------------------------------------


def test_all_methods_are_asked_the_same(smoke):
    """Queries and targets are the same for all methods, and no target is the class that is already seen."""
    runs = smoke / "runs"
    asked = []
    for name in ASKED:
        record = read(Job("mnist", name, 0).path(Protocol(results=smoke, preset="smoke")))
        asked.append(find(runs, record.artefacts["explain"])[0])
    for tensors in asked:
        assert all(torch.equal(tensors[part], asked[0][part]) for part in ("queries", "targets", "predicted"))
        assert (tensors["targets"] != tensors["predicted"]).all()
        assert 0 <= tensors["targets"].min() <= tensors["targets"].max() < 10
    assert len(set(asked[0]["targets"].tolist())) > 5


def test_queries_are_held_out(smoke, digits):
    """No query was in training: all of them are test images, and real images that they are compared with are others."""
    question = Work(Job("mnist", "null", 0), Protocol(results=smoke, preset="smoke")).question
    queries = set(question.queries.indices.tolist())
    assert queries <= set(question.splits.test.indices.tolist())
    assert not queries & set(question.train.indices.tolist())
    reals = {image.tobytes() for image in question.real().pixels.numpy()}
    assert not reals & {digits.images[index].tobytes() for index in queries}


def test_a_donor_is_kept_as_a_picture(smoke):
    """Where a method says which training image it took something from, that image is kept beside the answer."""
    job, protocol = Job("mnist", "hybrid", 0), Protocol(results=smoke, preset="smoke")
    tensors, _ = find(protocol.runs, read(job.path(protocol)).artefacts["explain"])
    train = Work(job, protocol).question.train
    given = train.batch(tensors["intervention.donor"])
    assert torch.equal(tensors["donor"], (255 * given).round().to(torch.uint8))
    assert len(given) == len(tensors["queries"])


def test_limit_is_noted(protocol, tmp_path):
    """A limited run asks so many queries, says so in its record, and in its tables."""
    (record,) = run(replace(protocol, limit=7), "null")
    assert record.status == "ok"
    assert record.limit == 7
    assert {row.n for row in record.rows if row.metric == "flip_rate"} == {7}
    for table in write_tables([record], tmp_path / "tables"):
        assert "--limit 7" in table.markdown()


def test_inception_refuses_grey_images_before_training(tmp_path):
    """Inception needs colours: grey data is refused before anything is computed, with what to do instead."""
    protocol = Protocol(results=tmp_path / "results", preset="smoke", extractors=("inception",))
    with pytest.raises(UserError, match="--fid oracle"):
        run(protocol, "null")
    assert not list(tmp_path.rglob("*.safetensors"))


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["fit", "explain"])
def test_failure_is_recorded_and_alone(protocol, register, stage):
    """A method that raises is a failed record with reason and traceback, while the others come to their end."""
    register(broken=fake(stage))
    first, broken, last = run(protocol, "null", "broken", "vaex")
    assert [record.status for record in (first, broken, last)] == ["ok", "failed", "ok"]
    assert broken.reason == f"RuntimeError: no luck in {stage}"
    assert "test_runner.py" in broken.traceback
    assert not broken.user_error
    assert broken.rows == broken.timings == []
    assert read(Job("mnist", "broken", 0).path(protocol)) == broken


def test_a_method_that_ends_the_program_is_a_failure(tmp_path, monkeypatch):
    """An end of the program in a method's code fails its job and no other, and is no success."""

    def ends(*_):
        raise SystemExit(0)

    monkeypatch.setattr(runner, "record_of", ends)
    monkeypatch.setattr(runner, "finished", lambda *_: None)
    job, protocol = Job("mnist", "null", 0), Protocol(results=tmp_path, preset="smoke")
    record = runner.run_job(job, protocol, Board())
    assert (record.status, "its code ends the program" in record.reason) == ("failed", True)
    assert read(job.path(protocol)) == record


@pytest.mark.parametrize("stage", ["fit", "explain"])
def test_failure_is_tried_again(protocol, register, monkeypatch, stage):
    """A failure is never taken for done: it is tried again, and succeeds once its cause is gone."""
    register(broken=fake(stage))
    for _ in range(2):
        (record,) = run(protocol, "broken")
        assert record.status == "failed"
    assert Fake.calls.count(stage) == 2
    assert Fake.calls.count("fit") == (2 if stage == "fit" else 1)
    monkeypatch.setattr(Fake, "mended", True)
    (record,) = run(protocol, "broken")
    assert (record.status, record.reason, record.traceback) == ("ok", "", "")
    assert read(Job("mnist", "broken", 0).path(protocol)) == record


def test_answers_outside_the_range_are_a_failure(protocol, register):
    """A method that answers with what is no picture fails instead of being scored."""
    register(broken=fake("range"))
    (record,) = run(protocol, "broken")
    assert record.status == "failed"
    assert "[0, 1]" in record.reason


def test_errors_can_be_let_through(protocol, register):
    """Where errors are to be raised, the first one ends the run."""
    register(broken=fake("fit"))
    with pytest.raises(RuntimeError, match="no luck"):
        run(replace(protocol, raise_errors=True), "broken", "null")


def test_working_method_needs_nothing_but_an_entry(protocol, register):
    """A method that was only registered runs through all stages, and has every number that needs no diagnostics."""
    register(mine=fake("never"))
    mine, null = run(protocol, "mine", "null")
    assert mine.status == "ok"
    assert mine.rows == null.rows
