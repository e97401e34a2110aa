import json
import math

import pytest

from benchmark.records.record import PACKAGES, SCHEMA, environment, read, unread, write


def strict(text):
    """JSON as the standard has it, without NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_round_trip(tmp_path, make_record):
    """A record comes back as it was written."""
    record = make_record(remarks=["Fréchet"], config={"widths": [1, 2], "x": None}, environment={"cores": 2})
    write(record, tmp_path / "deep" / "seed-0.json")
    assert read(tmp_path / "deep" / "seed-0.json") == record


def test_failure_comes_back(tmp_path, make_record):
    """A failed job's reason and traceback come back, line breaks included."""
    record = make_record(status="failed", reason="because", traceback="a\n  b\n", rows=[], user_error=True)
    write(record, tmp_path / "r.json")
    assert read(tmp_path / "r.json") == record


def test_undefined_numbers_are_null(tmp_path, make_record, make_row):
    """What is not defined is null: any JSON reader can read a record."""
    write(make_record(rows=[make_row("l1", None, 0.0, n=0)]), tmp_path / "r.json")
    row = strict((tmp_path / "r.json").read_text())["rows"][0]
    assert (row["value"], row["low"], row["high"], row["n"]) == (None, None, None, 0)


def test_infinite_settings_are_json(tmp_path, make_record):
    """Also a setting that is infinite does not make the file anything else than JSON."""
    write(make_record(config={"max_norm": math.inf}), tmp_path / "r.json")
    strict((tmp_path / "r.json").read_text())


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b"{}", b'{"task": "mnist"}', b"\xff\xfe\x00", b"\x00" * 100]
)
def test_unreadable_record_is_none(tmp_path, content):
    """A file that is no record reads as None."""
    (tmp_path / "r.json").write_bytes(content)
    assert read(tmp_path / "r.json") is None


def test_missing_record_is_none(tmp_path):
    """A record that is not there, or whose place a folder takes, reads as None."""
    assert read(tmp_path / "r.json") is None
    assert read(tmp_path) is None


def test_cut_record_is_none(tmp_path, make_record):
    """A record that was cut short anywhere is none."""
    path = tmp_path / "r.json"
    write(make_record(), path)
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        assert read(path) is None


def test_record_of_another_form_is_none(tmp_path, make_record):
    """A record with a field that this version does not know is made again rather than half understood."""
    content = make_record().model_dump(mode="json") | {"novelty": 1}
    (tmp_path / "r.json").write_text(json.dumps(content))
    assert read(tmp_path / "r.json") is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"schema_version": SCHEMA + 1}, "newer version"),
        ({"schema_version": 0, "task": None}, "older version"),
        ({"task": None}, "damaged"),
        ({"schema_version": "1?"}, "damaged"),
    ],
)
def test_a_record_of_another_version_says_so(tmp_path, make_record, changes, why):
    """What cannot be read is not taken for something else, and the reason says which version reads it."""
    path = tmp_path / "record.json"
    path.write_text(json.dumps(make_record().model_dump(mode="json") | changes))
    assert read(path) is None
    assert why in unread(path)


def test_a_record_without_a_version_is_read(tmp_path, make_record):
    """Records were written before they had a version; those of today's form are read."""
    path, record = tmp_path / "record.json", make_record()
    path.write_text(json.dumps(record.model_dump(mode="json", exclude={"schema_version"})))
    assert read(path) == record


def test_environment_names_what_numbers_depend_on():
    """The environment names Python, every package, the commit and the machine."""
    found = environment()
    assert found["packages"].keys() == set(PACKAGES)
    assert all(found["packages"].values())
    assert {"python", "commit", "machine", "cpu", "cores"} <= found.keys()
