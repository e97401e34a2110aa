"""A blind sheet, and what people said of it."""

import json
import re

import pytest

from benchmark.errors import UserError
from benchmark.report.page.blind import chapters, chosen, pictures_of, read_sheets, write_sheet


@pytest.fixture
def folder(make_results):
    return make_results(methods=("vaex", "dvae", "null"), n=30)


def save(path, pictures, seen, *, real=True):
    answers = [{"code": shown.code, "seen": seen(shown), "real": real} for shown in pictures]
    path.write_text(json.dumps({"answers": answers}))


def test_a_sheet_names_nobody(folder, tmp_path):
    """As many pictures as asked for, none of them with a word about who made it; the same again every time."""
    text = write_sheet(folder.records, folder.runs, tmp_path, 20).read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert len(data["pictures"]) == 20
    assert {frozenset(picture) for picture in data["pictures"]} == {frozenset(("code", "picture", "classes"))}
    assert not {"vaex", "dvae", "mnist"} & set(re.findall(r"[a-z]+", re.sub(r"base64,[^\"]*", "", text)))
    assert write_sheet(folder.records, folder.runs, tmp_path, 20).read_text(encoding="utf-8") == text


def test_methods_have_turns_and_some_are_real(folder):
    """One picture in five is real, methods come equally often, and references are not judged."""
    drawn = chosen(pictures_of(folder.records, folder.runs), 20)
    counts = {method: sum(shown.method == method for shown in drawn) for method in ("", "vaex", "dvae", "null")}
    assert counts == {"": 4, "vaex": 8, "dvae": 8, "null": 0}
    assert len({shown.code for shown in drawn}) == 20


def test_people_who_see_what_the_oracle_sees_agree_with_it(folder, tmp_path):
    """The page tells full agreement of a person who answers as the oracle, and none of one who sees no class."""
    drawn = chosen(pictures_of(folder.records, folder.runs), 20)
    assert chapters(folder.records, folder.runs, tmp_path) == []
    save(tmp_path / "blind.json", drawn, lambda shown: shown.oracle)
    (told,) = chapters(folder.records, folder.runs, tmp_path)
    assert told.texts[0].startswith("People and the oracle see the same class in 100.0 [")
    rows = {row[0]: row for row in told.parts[0].rows}
    assert {name: row[1] for name, row in rows.items()} == {"vaex": "8", "dvae": "8", "real pictures": "4"}
    both = [shown.target == shown.classifier == shown.oracle for shown in drawn if shown.method == "vaex"]
    assert rows["vaex"][3].startswith(f"{100 * sum(both) / len(both):.1f} [")
    save(tmp_path / "blind.json", drawn, lambda _: "")
    assert "in 0.0 [" in chapters(folder.records, folder.runs, tmp_path)[0].texts[0]


def test_several_people_count_together(folder, tmp_path):
    """The files of two people are read as one; what is of other pictures is counted apart."""
    drawn = chosen(pictures_of(folder.records, folder.runs), 10)
    for name in ("blind.json", "blind-2.json"):
        save(tmp_path / name, drawn, lambda shown: shown.target)
    (tmp_path / "blind-3.json").write_text('{"answers": [{"code": "0", "seen": "one", "real": false}]}')
    assert len(read_sheets(tmp_path)) == 21
    (told,) = chapters(folder.records, folder.runs, tmp_path)
    assert "1 judgements are of other pictures" in told.texts[1]


@pytest.mark.parametrize("text", ["", "[]", '{"answers": [{"code": 1}]}', '{"answers": [], "more": 1}'])
def test_a_broken_file_is_refused(tmp_path, text):
    """It is named, in one line that says what to do."""
    (tmp_path / "blind.json").write_text(text)
    with pytest.raises(UserError, match=r"blind\.json is not what a blind sheet saves"):
        read_sheets(tmp_path)


@pytest.mark.slow
def test_a_person_answers_and_saves(folder, opened, tmp_path):
    """Two pictures are judged, one is left out; the file reads back as what was said."""
    page = opened(write_sheet(folder.records, folder.runs, tmp_path, 3))
    for label, real in (("one", "real"), ("none of these", "made by a program")):
        page.get_by_role("button", name=label, exact=True).click()
        page.get_by_role("button", name=real, exact=True).click()  # the second answer brings the next picture
    assert page.locator("#progress").inner_text() == "picture 3 of 3, 2 answered"
    with page.expect_download() as download:
        page.locator("#save").click()
    download.value.save_as(tmp_path / "blind.json")
    assert [(said.seen, said.real) for said in read_sheets(tmp_path)] == [("one", True), ("", False)]
