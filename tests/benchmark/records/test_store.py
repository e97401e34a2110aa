import json
import logging
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import UserError
from benchmark.jobs.record import SCORED_BY
from benchmark.records import store
from benchmark.records.store import DONE, Artefact, check_writable, find, key_of

TENSORS = {"weights": torch.arange(12.0).reshape(3, 4).T, "classes": torch.tensor([1, 2])}
FACTS = {"seconds": 1.5, "rows": [{"value": 0.125}]}


class Build:
    """Builds an artefact and counts how often."""

    def __init__(self):
        self.times = 0

    def __call__(self, _):
        """Tensors and facts."""
        self.times += 1
        return TENSORS, FACTS


@pytest.fixture
def build():
    return Build()


@pytest.fixture
def artefact(tmp_path):
    return Artefact(tmp_path, "fit", "0123")


def same(tensors):
    return tensors.keys() == TENSORS.keys() and all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


# -- made once ---------------------------------------------------------------------------------------------------------


def test_made_once(artefact, build, tmp_path):
    """What is there is not made again, also not by another object or process of the same name."""
    assert artefact.facts() is None
    assert artefact.make(build) == FACTS
    assert Artefact(tmp_path, "fit", "0123").make(build) == FACTS
    assert build.times == 1
    assert artefact.facts() == FACTS


def test_tensors_come_back(artefact, build, tmp_path):
    """Tensors come back as they were given, whatever their layout in memory, and by the artefact's name."""
    artefact.make(build)
    assert same(artefact.tensors())
    assert same(find(tmp_path, artefact.name)[0])


def test_what_is_gone_is_none(artefact, build, tmp_path):
    """An artefact that is not there any more has no tensors, and that is no error."""
    artefact.make(build)
    (artefact.folder / "tensors.safetensors").unlink()
    assert find(tmp_path, artefact.name) == ({}, {})
    assert find(tmp_path, "fit-4567") == ({}, {})


def test_other_key_is_another_artefact(tmp_path, build):
    """Another key, and another stage, is another artefact."""
    for stage, key in (("fit", "a"), ("fit", "b"), ("score", "a")):
        Artefact(tmp_path, stage, key).make(build)
    assert build.times == 3


def test_checkpoints_go_when_it_is_done(artefact):
    """What an interrupted run would go on from is gone once the artefact is whole."""

    def build(made):
        made.checkpoints.mkdir(parents=True)
        (made.checkpoints / "fit.checkpoint").touch()
        return TENSORS, FACTS

    artefact.make(build)
    assert not artefact.checkpoints.exists()


def test_another_artefact_in_its_place_is_noticed(tmp_path, build, caplog):
    """A whole artefact that lies under another's name, as after a wrong copy, is damage: its numbers are not these."""
    first, second = (Artefact(tmp_path, "classifier", key) for key in "ab")
    first.make(build)
    second.make(lambda _: ({"other": torch.zeros(1)}, {}))
    first.folder.rename(tmp_path / "between")
    second.folder.rename(first.folder)
    assert first.facts() is None
    assert "damaged" in caplog.text
    assert first.make(build) == FACTS
    assert same(first.tensors())


# -- damage ------------------------------------------------------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip(path):
    """Change one digit of a number, or the last bit of the last byte."""
    content = path.read_bytes()
    changed = content.replace(b"0.125", b"0.625")
    path.write_bytes(changed if changed != content else content[:-1] + bytes([content[-1] ^ 1]))


def empty(path):
    path.write_bytes(b"")


def other_json(path):
    path.write_text("[]")


def no_files(path):
    path.write_text(path.read_text().replace('"files"', '"fills"') if path.name == DONE else "")


def folder_in_its_place(path):
    path.unlink()
    (path / "inner").mkdir(parents=True)


@pytest.mark.parametrize("name", ["tensors.safetensors", DONE])
@pytest.mark.parametrize("damage", [cut, flip, empty, other_json, no_files, folder_in_its_place])
def test_damage_is_named_and_mended(artefact, build, caplog, name, damage):
    """A damaged file is named in a warning, and the artefact is made again as it was."""
    artefact.make(build)
    damage(artefact.folder / name)
    assert isinstance(artefact.digest, str)
    with caplog.at_level(logging.WARNING):
        assert artefact.make(build) == FACTS
    assert build.times == 2
    assert str(artefact.folder / name) in caplog.text
    assert same(artefact.tensors())
    assert artefact.make(build) == FACTS
    assert build.times == 2


def test_what_was_never_made_is_no_damage(artefact, build, caplog):
    """Making something for the first time warns of nothing."""
    with caplog.at_level(logging.WARNING):
        artefact.make(build)
    assert not caplog.records


# -- crashes -----------------------------------------------------------------------------------------------------------


def test_crash_while_building_leaves_nothing_done(artefact, build):
    """A build that raises leaves nothing that is taken for done, and holds no lock."""

    def crash(made):
        made.checkpoints.mkdir(parents=True)
        (made.folder / "half").write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        artefact.make(crash)
    assert artefact.facts() is None
    assert (artefact.make(build), build.times) == (FACTS, 1)


@pytest.mark.parametrize("writes", [0, 1])
def test_crash_while_writing_leaves_nothing_done(artefact, build, monkeypatch, writes):
    """A crash before or between the writing of its files leaves nothing that is taken for done."""
    whole, done = store.write_whole, []

    def write(path, content):
        if len(done) == writes:
            path.with_name(f".{path.name}.tmp").write_bytes(content[:10])
            raise OSError("power cut")
        done.append(path)
        whole(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(store, "write_whole", write)
        with pytest.raises(OSError, match="power cut"):
            artefact.make(build)
    assert artefact.facts() is None
    assert artefact.make(build) == FACTS
    assert same(artefact.tensors())


def _make_slowly(runs, journal, gate):
    def build(_):
        with journal.open("a") as file:
            file.write("built\n")
        time.sleep(0.3)
        return TENSORS, FACTS

    gate.wait()
    assert Artefact(runs, "fit", "0123").make(build) == FACTS


def test_two_processes_build_once(tmp_path, artefact):
    """Two processes that want the same artefact at once build it once, and both get it."""
    context = multiprocessing.get_context("fork")
    gate, journal = context.Barrier(2), tmp_path / "journal"
    both = [context.Process(target=_make_slowly, args=(tmp_path, journal, gate)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(30)
    assert [process.exitcode for process in both] == [0, 0]
    assert journal.read_text() == "built\n"
    assert same(artefact.tensors())


# -- keys --------------------------------------------------------------------------------------------------------------

leaves = st.integers() | st.booleans() | st.text(max_size=5)
parts = st.dictionaries(st.text("abcd", min_size=1, max_size=3), leaves, min_size=1, max_size=5)


@given(parts)
def test_key_does_not_depend_on_order(given_parts):
    """The order of the parts, also of nested ones, does not enter the key."""
    turned = dict(reversed(given_parts.items()))
    assert key_of(**given_parts) == key_of(**turned)
    assert key_of(outer=given_parts) == key_of(outer=turned)


@given(parts, st.data())
def test_key_depends_on_every_part(given_parts, data):
    """Another value of any part, or one part less, is another key."""
    name = data.draw(st.sampled_from(sorted(given_parts)))
    value = data.draw(leaves.filter(lambda value: json.dumps(value) != json.dumps(given_parts[name])))
    rest = {other: part for other, part in given_parts.items() if other != name}
    assert len({key_of(**given_parts), key_of(**{**given_parts, name: value}), key_of(**rest)}) == 3


# -- folders -----------------------------------------------------------------------------------------------------------


def test_probing_a_folder_leaves_nothing_behind(tmp_path):
    """A folder that could be made is as absent after the probing as before, and one that is there keeps what it has."""
    (tmp_path / "kept").touch()
    check_writable(tmp_path / "a" / "b", tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]


def test_probing_makes_no_folder_even_for_a_moment(tmp_path):
    """A run that begins takes no folder away from one at work: what is absent is so all the while it is probed."""
    with ThreadPoolExecutor(1) as pool:
        probing = pool.submit(lambda: [check_writable(tmp_path / "a" / "b") for _ in range(500)])
        seen = []
        while not probing.done():
            seen.append((tmp_path / "a").exists())
    probing.result()
    assert seen
    assert not any(seen)


@pytest.mark.parametrize("below", ["file", "file/deeper", "file/deeper/still", "nowhere", "nowhere/deeper", "x" * 300])
def test_unwritable_folder_is_refused(tmp_path, below):
    """A folder that cannot be made is refused by name, with the option that chooses another."""
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    with pytest.raises(UserError, match="--results") as error:
        check_writable(tmp_path / below)
    assert str(tmp_path / below) in str(error.value)


@pytest.fixture
def code(monkeypatch, tmp_path):
    """Modules of ours, made up; the hash of the code behind "benchmark.a" with their text changed."""

    def of(**texts):
        for name in ("a", "b"):
            (tmp_path / f"{name}.py").write_text(
                texts.get(name, {"a": "from benchmark.b import f\n", "b": "f = 1\n"}[name])
            )
        store.code_of.cache_clear()
        return store.code_of("benchmark.a")

    names = {"benchmark.a": tmp_path / "a.py", "benchmark.b": tmp_path / "b.py"}
    monkeypatch.setattr(store, "_source", names.get)
    yield of
    store.code_of.cache_clear()


def test_code_is_what_a_module_does(code):
    """A module's hash follows its code, and not its comments, docstrings and layout."""
    before = code(a='"""Doc."""\nx = 1\n')
    assert code(a='"""Other words."""\n# and more\nx  =  1\n') == before
    assert code(a="x = 2\n") != before


def test_code_is_also_what_it_imports(code):
    """A module's hash follows the modules of ours that it imports."""
    assert code(b="f = 2\n") != code()


def test_where_results_lie_is_no_part_of_them(monkeypatch):
    """Other code of locks and of the store makes no number anew."""
    read = []
    monkeypatch.setattr(store, "_source", lambda name, source=store._source: read.append(name) or source(name))
    store.code_of.cache_clear()
    store.code_of("benchmark.judges.classifier")
    assert "benchmark.judges.classifier" in read
    assert not {"benchmark.locks", "benchmark.records.store"} & {*read}


@pytest.mark.parametrize(
    "module", ["benchmark.jobs.measure", "benchmark.judges.features", "benchmark.judges.classifier", "metrics.base"]
)
def test_numbers_rest_on_the_code_that_scores(monkeypatch, module):
    """Other code of the scoring, of the features, of the oracle or of what metrics rest on makes records anew."""
    before = store.code_of(*SCORED_BY)
    store.code_of.cache_clear()
    source = store._source
    monkeypatch.setattr(store, "_source", lambda name: None if name == module else source(name))
    assert store.code_of(*SCORED_BY) != before
    store.code_of.cache_clear()
