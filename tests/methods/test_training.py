import hashlib
import io
import math
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from methods.training import (
    Devices,
    DivergedError,
    Phase,
    Plan,
    Trainer,
    constant,
    derived_seed,
    load_checkpoint,
    warmup_cosine,
)

COUNT, BATCH_SIZE, EPOCHS, STEPS = 40, 8, 3, 15
SEED = 7


class _Net(nn.Module):
    """A regression with what makes resuming hard: dropout, batch statistics, noise, and a second optimiser."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3))
        self.last = nn.Linear(8, 1)

    def losses(self, inputs, targets):
        outputs = self.last(self.body(inputs + 0.01 * torch.randn_like(inputs)))
        loss = (outputs - targets).square().mean()
        return {"loss": loss, "outputs": outputs.detach().mean()}

    def penalty(self, inputs, targets):
        return {"loss": 0.1 * self.last.weight.square().sum() + 0 * (inputs.sum() + targets.sum())}


class _Plain(nn.Module):
    """A regression in which nothing is random, and a batch's gradient is the mean of its examples'."""

    ballast: Tensor

    def __init__(self, ballast=0):
        super().__init__()
        self.register_buffer("ballast", torch.zeros(ballast))
        self.last = nn.Linear(4, 1)

    def losses(self, inputs, targets):
        return {"loss": (self.last(inputs) - targets).square().mean()}


class _Watching(_Plain):
    """Its loss tells in what precision it is computed."""

    def losses(self, inputs, targets):
        assert inputs.dtype == self.last.weight.dtype == torch.float32
        self.seen = self.last(inputs).dtype
        return super().losses(inputs, targets)


class _Steep(_Plain):
    """Its loss is finite, but from some batch on its gradient is not."""

    def losses(self, inputs, targets):
        loss = super().losses(inputs, targets)["loss"]
        if inputs[0, 0] == 0:
            loss = loss + (0 * self.last.weight).sqrt().sum()
        return {"loss": loss}


def two_phases(net):
    adam = torch.optim.Adam(net.body.parameters(), lr=0.01)
    momentum = torch.optim.SGD(net.last.parameters(), lr=0.01, momentum=0.9)
    return [Phase("losses", adam, max_norm=1.0), Phase("penalty", momentum)]


@pytest.mark.parametrize("every", [1, 2, 4, STEPS + 1])
def test_a_phase_may_take_its_turn_less_often(every):
    """A phase of every k-th step takes as many turns as k goes into the steps, and the other phase all of them."""
    turns = {"losses": 0, "penalty": 0}

    class Counting(_Net):
        def losses(self, inputs, targets):
            turns["losses"] += 1
            return super().losses(inputs, targets)

        def penalty(self, inputs, targets):
            turns["penalty"] += 1
            return super().penalty(inputs, targets)

    trained(Trainer(SEED), Counting, lambda net: [two_phases(net)[0], replace(two_phases(net)[1], every=every)])
    assert turns == {"losses": STEPS, "penalty": STEPS // every}


def descent(net):
    return [Phase("losses", torch.optim.SGD(net.parameters(), lr=0.05))]


@dataclass
class _Examples:
    """The batches; `spoil` puts something into those from one step on."""

    spoil_from: float = math.inf
    spoiling: float = 0.0
    seen: list[Tensor] = field(default_factory=list)

    def __call__(self, indices):
        inputs = torch.randn(COUNT, 4, generator=torch.Generator().manual_seed(1))[indices]
        targets = inputs.sum(1, keepdim=True)
        if len(self.seen) >= self.spoil_from:
            inputs = torch.full_like(inputs, self.spoiling)
        self.seen.append(indices)
        return inputs, targets


def plan(batch=None, **changes):
    return Plan(
        **{
            "batch": batch or _Examples(),
            "count": COUNT,
            "epochs": EPOCHS,
            "batch_size": BATCH_SIZE,
            "schedule": schedule,
            **changes,
        }
    )


def schedule(step, steps):
    return warmup_cosine(3, step, steps)


def fresh(kind=_Net):
    torch.manual_seed(0)
    return kind()


def trained(trainer, kind=_Net, phases=two_phases, **changes):
    return trainer.fit(fresh(kind), phases, plan(**changes)).state_dict()


def resumable(folder, **changes):
    return Trainer(SEED, **{"checkpoints": folder, "checkpoint_seconds": 0.0, **changes})


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def stopping_at(last, error=KeyboardInterrupt):
    def advance(stage, done, total, loss):  # noqa: ARG001 - the signature of progress
        if done == last:
            raise error

    return advance


def interrupt(folder, last, **changes):
    with pytest.raises(KeyboardInterrupt):
        trained(resumable(folder, advance=stopping_at(last)), **changes)
    return folder / "fit.checkpoint"


@pytest.fixture(scope="module")
def uninterrupted():
    """The weights without any checkpoint."""
    return trained(Trainer(SEED))


# -- resuming ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stops", [(1,), (2,), (7,), (STEPS,), (3, 6, 12)])
def test_interrupted_training_ends_alike(stops, uninterrupted, tmp_path):
    """Training that was stopped, once or often, and started again gives bit-equal weights."""
    for last in stops:
        interrupt(tmp_path, last)
    assert same(trained(resumable(tmp_path)), uninterrupted)


def test_resuming_goes_on_where_it_was(tmp_path):
    """A resumed training repeats only what was not saved, and knows the seconds that were spent before."""
    interrupt(tmp_path, 9)
    steps = []
    trainer = resumable(tmp_path, advance=lambda *progress: steps.append(progress[:3]))
    trained(trainer)
    assert steps == [("fit", done, STEPS) for done in range(9, STEPS + 1)]
    assert trainer.seconds_before > 0


def test_finished_training_is_not_repeated(uninterrupted, tmp_path):
    """Training that was finished is taken up as it is, without a step."""
    trained(resumable(tmp_path, checkpoint_seconds=1e9))
    assert same(trained(resumable(tmp_path, advance=stopping_at(1))), uninterrupted)


def test_stages_do_not_mix(uninterrupted, tmp_path):
    """Two stages in one folder keep checkpoints of their own."""
    trainer = resumable(tmp_path)
    trainer.fit(fresh(_Plain), descent, plan(), stage="first")
    assert same(trainer.fit(fresh(), two_phases, plan(), stage="second").state_dict(), uninterrupted)
    assert {path.name for path in tmp_path.iterdir()} == {"first.checkpoint", "second.checkpoint"}


@pytest.mark.slow
def test_killed_training_ends_alike(uninterrupted, tmp_path):
    """Training that was killed by the system at any moment, and started again, gives bit-equal weights."""
    script = (
        f"import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import torch; torch.set_num_threads(1)\n"
        "from pathlib import Path; from test_training import resumable, trained\n"
        "def advance(stage, done, total, loss):\n"
        "    print(done, flush=True); time.sleep(0.02 if done < 9 else 600)\n"
        f"trained(resumable(Path({str(tmp_path)!r}), advance=advance))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(int(line) >= 5 for line in process.stdout)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    reached = load_checkpoint(tmp_path / "fit.checkpoint")["step"]
    assert 4 <= reached < STEPS
    assert same(trained(resumable(tmp_path)), uninterrupted)


# -- checkpoints -------------------------------------------------------------------------------------------------------


def flipped(place):
    def damage(content):
        position = int(place * (len(content) - 1))
        return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]

    return damage


DAMAGES = {
    "digest flipped": flipped(0),
    "middle flipped": flipped(0.5),
    "end flipped": flipped(1),
    "emptied": lambda content: content[:0],
    "cut in the digest": lambda content: content[:20],
    "cut behind the digest": lambda content: content[:32],
    "cut in half": lambda content: content[: len(content) // 2],
    "lengthened": lambda content: content + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoint(damage, uninterrupted, tmp_path, caplog):
    """A damaged checkpoint is warned about by its name, and training starts anew, to the same weights."""
    path = interrupt(tmp_path, 9)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    steps = []
    trainer = resumable(tmp_path, advance=lambda *progress: steps.append(progress[1]))
    assert same(trained(trainer), uninterrupted)
    assert steps[0] == 1
    assert [record.levelname for record in caplog.records if str(path) in record.getMessage()] == ["WARNING"]


def test_half_written_checkpoint_is_ignored(uninterrupted, tmp_path):
    """A kill while a checkpoint is written leaves the one before it good."""
    path = interrupt(tmp_path, 9)
    path.with_name(f".{path.name}.tmp").write_bytes(b"half")
    assert load_checkpoint(path)["step"] == 8
    assert same(trained(resumable(tmp_path)), uninterrupted)


def test_checkpoints_hold_no_code(tmp_path):
    """A checkpoint is read without running pickled code, and one that holds code is refused with its digest right."""
    path = interrupt(tmp_path, 9)
    content = path.read_bytes()
    assert torch.load(io.BytesIO(content[32:]), weights_only=True)["step"] == 8
    buffer = io.BytesIO()
    torch.save({"states": _Touching(tmp_path / "touched"), "step": 1, "seconds": 0.0}, buffer)
    path.write_bytes(hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())
    with pytest.raises(pickle.UnpicklingError):
        load_checkpoint(path)
    assert not (tmp_path / "touched").exists()


class _Touching:
    """Leaves a file behind when it is unpickled as code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


# -- divergence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "spoiling", "what"),
    [(_Plain, math.nan, "loss"), (_Plain, math.inf, "loss"), (_Steep, 0.0, "gradient")],
    ids=["loss is nan", "loss is inf", "gradient is nan"],
)
def test_divergence(kind, spoiling, what, tmp_path):
    """A loss or gradient that is not finite ends training by naming the step; the last checkpoint stays, finite."""
    examples = _Examples(spoil_from=6, spoiling=spoiling)
    module = fresh(kind)
    with pytest.raises(DivergedError, match=rf"{what}.*step 6\b"):
        resumable(tmp_path).fit(module, descent, plan(examples))
    kept = load_checkpoint(tmp_path / "fit.checkpoint")
    assert kept["step"] == 6
    assert all(torch.isfinite(value).all() for value in kept["states"]["model"].values())
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())


# -- plans and schedules -----------------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**64 - 1))
@settings(max_examples=40, deadline=None)
def test_an_epoch_visits_every_example_once(batch_size, batches, seed):
    """Where the batch size divides the number of examples, each epoch's batches are a partition of them."""
    made = plan(count=batch_size * batches, batch_size=batch_size)
    for epoch in range(2):
        visited = [made.indices(seed, epoch * batches + step) for step in range(batches)]
        assert all(len(indices) == batch_size for indices in visited)
        assert sorted(torch.cat(visited).tolist()) == list(range(batch_size * batches))


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_batches_are_whole(count, batch_size, step):
    """All batches are of one size and no example is in one twice; a set smaller than a batch is one batch."""
    indices = plan(count=count, batch_size=batch_size).indices(SEED, step)
    assert len(indices) == len(set(indices.tolist())) == min(count, batch_size)
    assert 0 <= int(indices.min()) <= int(indices.max()) < count


def test_orders_differ():
    """The order differs between epochs and between seeds, and is the same for the same seed."""

    def order(seed, epoch):
        made = plan()
        return torch.cat([made.indices(seed, epoch * 5 + step) for step in range(5)]).tolist()

    assert order(1, 0) == order(1, 0)
    orders = [order(seed, epoch) for seed, epoch in product(range(3), range(3))]
    assert len({tuple(one) for one in orders}) == len(orders)


def test_training_follows_the_plan():
    """The loop asks for the planned batches, in their order."""
    examples = _Examples()
    trained(Trainer(SEED), batch=examples)
    assert [seen.tolist() for seen in examples.seen] == [plan().indices(SEED, step).tolist() for step in range(STEPS)]


@given(st.integers(1, 50), st.integers(1, 9), st.integers(0, 200))
@settings(max_examples=40, deadline=None)
def test_min_steps(count, epochs, min_steps):
    """There are as many steps as the epochs hold, and no fewer than the least number asked for."""
    made = plan(count=count, epochs=epochs, min_steps=min_steps)
    assert made.steps == max(epochs * max(1, count // BATCH_SIZE), min_steps)


def test_min_steps_are_taken():
    """Training takes the least number of steps, passing over the examples more often."""
    examples = _Examples()
    trained(Trainer(SEED), batch=examples, min_steps=23)
    assert len(examples.seen) == 23


@given(st.integers(0, 50), st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_warmup_cosine(warmup, decay):
    """The rate climbs to 1 at the end of the warm-up, falls to 0 at the end of training, and stays in between."""
    steps = warmup + decay
    curve = [warmup_cosine(warmup, step, steps) for step in range(steps + 1)]
    assert curve[0] == pytest.approx(1 / (warmup + 1))
    assert curve[warmup] == 1
    assert curve[steps] == pytest.approx(0, abs=1e-12)
    assert curve[warmup + decay // 2] == pytest.approx(0.5 + 0.5 * math.cos(math.pi * (decay // 2) / decay))
    assert curve[: warmup + 1] == sorted(curve[: warmup + 1])
    assert curve[warmup:] == sorted(curve[warmup:], reverse=True)
    assert all(0 < rate <= 1 for rate in curve[:-1])


def test_schedules_scale_the_rate():
    """A schedule of zero changes no weight, and the constant one is that of no schedule."""
    start = fresh(_Plain).state_dict()
    still = trained(Trainer(SEED), _Plain, descent, schedule=lambda *_: 0.0)
    assert same(still, start)
    assert {constant(step, 9) for step in range(9)} == {1.0}


def test_gradients_are_clipped():
    """No step is longer than the rate times the norm that gradients are clipped to."""

    def clipped(net):
        return [Phase("losses", torch.optim.SGD(net.parameters(), lr=0.5), max_norm=1e-3)]

    start = nn.utils.parameters_to_vector(fresh(_Plain).parameters())
    end = Trainer(SEED).fit(fresh(_Plain), clipped, plan(epochs=1, schedule=constant))
    moved = (nn.utils.parameters_to_vector(end.parameters()) - start).norm()
    assert 0 < moved <= 5 * 0.5 * 1e-3 * (1 + 1e-4)


# -- seeds -------------------------------------------------------------------------------------------------------------


def test_seed_decides(uninterrupted):
    """The same seed gives the same weights whatever was drawn before, another seed others."""
    torch.rand(100)
    assert same(trained(Trainer(SEED)), uninterrupted)
    assert not same(trained(Trainer(SEED + 1)), uninterrupted)


def test_derived_seeds_differ():
    """Paths of one length have seeds of their own, which fit in 64 bits and stay the same."""
    paths = list(product(range(12), repeat=3))
    seeds = [derived_seed(*path) for path in paths]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**64 for seed in seeds)
    assert seeds == [derived_seed(*path) for path in paths]


@pytest.mark.parametrize(("first", "second"), [((3,), (3, 0)), ((3, 1), (3, 1, 0)), ((2**32,), (0, 1)), ((0,), (0, 0))])
def test_derived_seeds_know_where_a_path_ends(first, second):
    """A path that goes on, be it with zeros, or numbers that are larger than 32 bits, has another seed."""
    assert derived_seed(*first) != derived_seed(*second)


# -- devices -----------------------------------------------------------------------------------------------------------


def test_trained_modules_are_ready():
    """Training returns the module itself, in evaluation mode on the CPU."""
    module = fresh()
    assert Trainer(SEED).fit(module, two_phases, plan()) is module
    assert not module.training
    assert {value.device.type for value in module.state_dict().values()} == {"cpu"}


@contextmanager
def within(seconds):
    """Ends what hangs in the main process, and the processes that it started meanwhile."""

    def late(*_):
        raise TimeoutError(f"not done within {seconds} s")

    others = set(multiprocessing.active_children())
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        for process in set(multiprocessing.active_children()) - others:
            process.kill()


@pytest.mark.slow
def test_two_devices_train_as_one(tmp_path):
    """Two devices share each batch, and return the weights that one finds with the whole of it, be they many or few."""
    ballast = 1_000_000  # more than a pipe between processes holds
    torch.manual_seed(0)
    expected, module = (_Plain(ballast) for _ in range(2))
    module.load_state_dict(expected.state_dict())
    Trainer(SEED).fit(expected, descent, plan())
    trainer = resumable(tmp_path, devices=Devices(accelerator="cpu", devices=2))
    with within(90):
        trainer.fit(module, descent, plan())
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(module.state_dict()[name], value)
    assert load_checkpoint(tmp_path / "fit.checkpoint")["step"] == STEPS


@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_losses_are_in_the_precision_asked(precision, dtype):
    """A loss is computed in the precision that was asked for; what was learnt is in single precision."""
    module = Trainer(SEED, devices=Devices(precision=precision)).fit(_Watching(), descent, plan())
    assert module.seen == dtype
    assert {value.dtype for value in module.state_dict().values()} == {torch.float32}


def test_devices_that_decide_are_told_apart():
    """What is on disk of one device is not taken for that of several, or of another precision."""
    asked = (Devices(), Devices(devices=2), Devices(precision="bf16-mixed"))
    assert len({tuple(devices.deciding().items()) for devices in asked}) == len(asked)
    assert Devices("cpu").deciding() == Devices("cuda").deciding()


@pytest.mark.slow
def test_divergence_on_two_devices():
    """Training that diverges says so in the same way on two devices."""
    trainer = Trainer(SEED, devices=Devices(accelerator="cpu", devices=2))
    with within(90), pytest.raises(DivergedError, match=r"loss.*step 6\b"):
        trained(trainer, _Plain, descent, batch=_Examples(spoil_from=6, spoiling=math.nan))
