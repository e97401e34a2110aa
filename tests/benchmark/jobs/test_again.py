"""The command that a page names makes its very records."""

import shlex
from pathlib import Path

import pytest

from benchmark.data.folder_config import folder_config
from benchmark.jobs.again import paper_again, run_again
from benchmark.jobs.settings import method_config, parse_overrides
from benchmark.judges.spec import classifier_spec


def options(line):
    """The options of a command, by name; repeated ones as a list."""
    found = {}
    words = shlex.split(line)
    for name, value in zip(words[4::2], words[5::2], strict=True):
        found.setdefault(name, []).append(value)
    return found


def test_tasks_that_were_asked_alike_are_one_line(make_record):
    """A line for all tasks of the same methods and seeds; then nothing has to be put together."""
    records = [make_record(task=task, seed=seed) for task in ("mnist", "mnist/3-8") for seed in (0, 2)]
    line = "python -m benchmark run --tasks mnist,mnist/3-8 --methods vaex --seeds 0,2 --relaxations 0,1"
    assert run_again(records) == line


def test_tasks_that_were_asked_otherwise_are_lines_of_their_own(make_record):
    """Each has its methods and seeds, and a report at the end puts them together."""
    records = [make_record("vaex", seed=1), make_record("dvae", task="mnist/3-8", preset="smoke")]
    first, second, last = run_again(records).splitlines()
    assert options(first)["--seeds"] == ["1"]
    assert options(second)["--methods"] == ["dvae"]
    assert options(second)["--preset"] == ["smoke"]
    assert last == "python -m benchmark report"


def test_settings_come_back(make_record):
    """What --set says of a method leads to the very settings of its record; usual ones are not told."""
    usual = method_config("vaex", "default", {})
    changed = method_config("vaex", "default", parse_overrides(["vaex.epochs=3"]))
    for config in (usual, changed):
        record = make_record(config=config.model_dump(mode="json"), classifier=None, oracle=None)
        told = options(run_again([record])).get("--set", [])
        assert method_config("vaex", "default", parse_overrides(told)) == config
        assert bool(told) == (config != usual)


def test_settings_of_data_and_measurement_come_back(make_record):
    """What --set says of sections that are no method and no judge stands in the command as it was said."""
    record = make_record(classifier=None, oracle=None)
    record.data["overrides"] = parse_overrides(["data.queries=50", "avatars.confounding=Eyeglasses-Young"])
    assert parse_overrides(options(run_again([record]))["--set"]) == record.data["overrides"]


def test_names_of_the_classes_come_back(make_record, tmp_path):
    """The file of --classes, and that code may run, are told of an own classifier."""
    (tmp_path / "names of classes.txt").write_text("cat\ndog\n")
    (tmp_path / "net.py").write_text("")
    spec = classifier_spec(f"{tmp_path}/net.py:build", classes=tmp_path / "names of classes.txt", trust_code=True)
    judge = make_record().classifier.model_copy(update={"config": spec.model_dump(mode="json")})
    record = make_record(classifier=judge, oracle=None)
    words = shlex.split(run_again([record]))
    assert words[words.index("--classes") + 1] == str(tmp_path / "names of classes.txt")
    assert "--trust-code" in words


def test_a_partial_run_is_told(make_record):
    """Split and limit are part of the command."""
    told = options(run_again([make_record(split="validation", limit=20)]))
    assert (told["--split"], told["--limit"]) == (["validation"], ["20"])


def test_every_digit_of_r_comes_back(make_record):
    """The relaxations are the record's to the last digit; a rounded one would be another number."""
    asked = [0.0, 0.12345678, 1 / 3, 1.0]
    told = options(run_again([make_record(relaxations=asked)]))["--relaxations"]
    assert [float(r) for r in told[0].split(",")] == asked


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"precision": "32-true"}, {}),
        ({"precision": "bf16-mixed"}, {"--precision": ["bf16-mixed"]}),
        ({"precision": "bf16-mixed", "devices": 4}, {"--precision": ["bf16-mixed"], "--devices": ["4"]}),
        ({"precision": "--plugin=evil.py", "devices": "4"}, {}),
    ],
)
def test_what_changed_the_weights_comes_back(make_record, environment, told):
    """Precision and number of devices, where they are not the usual ones; nothing that no run writes."""
    found = options(run_again([make_record(environment=environment)]))
    assert {name: found[name] for name in ("--precision", "--devices") if name in found} == told


def test_features_of_fid_come_back(make_record, make_row):
    """Whoever asked for Inception's features gets them again."""
    rows = [make_row("fid_oracle", 1.0), make_row("fid_inception", 2.0)]
    assert options(run_again([make_record(rows=rows)]))["--fid"] == ["oracle,inception"]
    assert "--fid" not in options(run_again([make_record(rows=rows[:1])]))


def test_a_paper_names_its_seeds(make_record):
    """Verdicts rest on all seeds, so the command has them; methods are the paper's."""
    records = [make_record(seed=seed) for seed in (2, 0, 1)]
    assert paper_again("vaex", records) == "python -m benchmark paper vaex --task mnist --seeds 0,1,2"


def test_own_pictures_and_plugins_are_told(make_record):
    """Options of the user's folder come back as they were said; files of plugins are named."""
    folder = folder_config(Path("my animals"), "48x64", "fit", 1, skip_broken=True)
    record = make_record("mine", plugins=["/home/me/my file.py"])
    record.data["folder"] = folder.said()
    words = shlex.split(run_again([record]))
    told = dict(zip(words[4::2], words[5::2], strict=False))
    assert (told["--plugin"], told["--data"]) == ("/home/me/my file.py", "my animals")
    again = folder_config(
        Path(told["--data"]),
        told["--image-size"],
        told["--resize"],
        int(told["--channels"]),
        skip_broken="--skip-broken" in words,
    )
    assert again == folder


def test_what_another_program_answered_is_not_run(make_record):
    """What `score` has kept is no method, so that no command names it."""
    told = options(run_again([make_record(), make_record("mine", reference=False)]))
    assert told["--methods"] == ["vaex"]
