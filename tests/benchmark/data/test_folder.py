import os
import pickle
import shutil
import unicodedata
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from benchmark.data import Source, decoding
from benchmark.data.folder_config import folder_config
from benchmark.data.question import Question
from benchmark.data.tasks import load_task, split
from benchmark.errors import UserError

SIZE = (20, 16)  # width, height
CLASSES = ("cat", "dog", "owl")


def picture(seed, size=SIZE, channels=3):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze())


def fill(folder, count, first=0, **options):
    """So many different pictures in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        picture(number, **options).save(folder / f"{number:03d}.png")


@pytest.fixture
def animals(tmp_path):
    """Three classes of twelve different pictures."""
    for place, name in enumerate(CLASSES):
        fill(tmp_path / "animals" / name, 12, 100 * place)
    return tmp_path / "animals"


def config_of(folder, image_size=None, resize="crop", channels=None, skip_broken=False):
    return folder_config(folder, image_size, resize, channels, skip_broken=skip_broken)


def loaded(folder, question="", cache=None, **options):
    config = config_of(folder, **options)
    return load_task(config.name + question, Source(folder=config, cache=cache))


def refusal(folder, **options):
    with pytest.raises(UserError) as error:
        loaded(folder, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def said(data, text):
    """The only remark with such a text."""
    (remark,) = (remark for remark in data.remarks if text in remark)
    return remark


def parts_of(data, seed=0):
    splits = split(data, seed)
    return [set(splits.named(name).indices) for name in ("train", "validation", "test")]


# -- what is loaded ----------------------------------------------------------------------------------------------------


def test_a_subfolder_is_a_class(animals):
    """Pictures are labelled by the subfolder that they lie in, classes in alphabetical order, pixels as they are."""
    data = loaded(animals)
    assert data.name == "animals"
    assert data.class_names == CLASSES
    assert np.bincount(data.labels).tolist() == [12] * 3
    assert data.shape == (3, SIZE[1], SIZE[0])
    np.testing.assert_array_equal(data.images[12], np.asarray(picture(100)).transpose(2, 0, 1))


def test_two_of_its_classes(animals):
    """A pair of classes is asked for as of any data set."""
    data = loaded(animals, "/dog-cat")
    assert data.class_names == ("dog", "cat")
    assert len(data) == 24


def test_labels_csv(animals):
    """labels.csv gives the label and the attributes of each file that it names; others are counted."""
    names = [path.relative_to(animals).as_posix() for path in sorted(animals.rglob("*.png"))]
    rows = [f'"{name}",{"odd" if i % 2 else "even"},{i % 2},{i % 3 > 0:d}' for i, name in enumerate(names[:30])]
    (animals / "labels.csv").write_text("\ufefffile, label ,wet,loud\n" + "\n".join(rows) + "\n", encoding="utf-8")
    data = loaded(animals)
    assert data.class_names == ("even", "odd")
    assert list(data.attributes) == ["wet", "loud"]
    np.testing.assert_array_equal(data.attributes["wet"], data.labels)
    assert data.attributes["loud"].sum() == 20
    assert "pictures not in labels.csv (6)" in said(data, "passed over")


@pytest.mark.parametrize("validation", ["val", "validation", "Valid"])
def test_given_splits(tmp_path, validation):
    """train/, val/ and test/ are the splits, whatever the seed, in an order of which the first ones are mixed."""
    for place, (part, count) in enumerate({"train": 20, validation: 4, "test": 6}.items()):
        for label, name in enumerate(CLASSES):
            fill(tmp_path / "set" / part / name, count, 1000 * place + 100 * label)
    data = loaded(tmp_path / "set")
    assert [len(part) for part in parts_of(data)] == [60, 12, 18]
    assert parts_of(data, 0) == parts_of(data, 1)
    assert set(data.labels[data.official["train"][:12]]) == {0, 1, 2}


def test_splits_above_labels_csv(tmp_path):
    """Each split may have a labels.csv of its own, or one above all names the files of all."""
    rows = {}
    for place, (part, count) in enumerate({"train": 30, "test": 10}.items()):
        fill(tmp_path / "set" / part, count, 100 * place)
        rows[part] = [(f"{number:03d}.png", "ab"[number % 2]) for number in range(100 * place, 100 * place + count)]
        lines = ["file,label", *(",".join(row) for row in rows[part])]
        (tmp_path / "set" / part / "labels.csv").write_text("\n".join(lines))
    each = loaded(tmp_path / "set")
    lines = ["file,label", *(f"{part}/{name},{label}" for part in rows for name, label in rows[part])]
    (tmp_path / "set" / "labels.csv").write_text("\n".join(lines))
    above = loaded(tmp_path / "set")
    assert each.digest == above.digest
    assert len(each.official["test"]) == 10


def test_classes_may_be_called_like_splits(tmp_path):
    """A folder train/ with pictures right in it is a class of trains."""
    for place, name in enumerate(("train", "bus", "test")):
        fill(tmp_path / "vehicles" / name, 12, 100 * place)
    assert loaded(tmp_path / "vehicles").class_names == ("bus", "test", "train")


def test_names_of_any_script(tmp_path):
    """Folders and files may have blanks and any script; composed and decomposed accents are one class name."""
    for place, name in enumerate(("grüner Baum", "日本 語", "קטן")):
        fill(tmp_path / "Wald und Feld" / unicodedata.normalize("NFD", name), 11, 100 * place)
        picture(100 * place + 50).save(
            tmp_path / "Wald und Feld" / unicodedata.normalize("NFD", name) / "ein Bild 画.png"
        )
    data = loaded(tmp_path / "Wald und Feld")
    assert set(data.class_names) == {"grüner Baum", "日本 語", "קטן"}
    assert len(data) == 36


def test_clutter_is_passed_over(animals):
    """What systems leave behind is no picture, and counted; so is what is none by its name."""
    for name in (".DS_Store", "cat/Thumbs.db", "cat/._001.png", "dog/desktop.ini", "dog/notes.txt", "stray.png"):
        (animals / name).write_bytes(b"x")
    (animals / ".cache").mkdir()
    (animals / "empty").mkdir()
    data = loaded(animals)
    assert len(data) == 36
    remark = said(data, "passed over")
    for part in (
        "hidden files (2)",
        "Thumbs.db (1)",
        "desktop.ini (1)",
        "*.txt (1)",
        "pictures outside every class (1)",
        "folders without pictures (1)",
    ):
        assert part in remark


# -- sizes and colours -------------------------------------------------------------------------------------------------


def test_small_pictures_of_one_size_keep_it(tmp_path):
    """Up to 128 pixels nothing is resized, nor said; above, or where sizes differ, pictures become 64 × 64."""
    for place, size in enumerate([(128, 16), (129, 16)]):
        for label, name in enumerate("ab"):
            fill(tmp_path / f"set{place}" / name, 10, 100 * label, size=size)
    kept, resized = loaded(tmp_path / "set0"), loaded(tmp_path / "set1")
    assert kept.shape == (3, 16, 128)
    assert not [remark for remark in kept.remarks if "pixels" in remark]
    assert resized.shape == (3, 64, 64)
    assert "of 129 x 16 cropped" in said(resized, "64 x 64 pixels")


@pytest.mark.parametrize(
    ("given", "shape"), [("32", (32, 32)), (32, (32, 32)), ("24x40", (40, 24)), ("24×40", (40, 24))]
)
def test_image_size(animals, given, shape):
    """One side, or width x height."""
    assert loaded(animals, image_size=given).shape == (3, *shape)


def test_grey_folders_have_one_channel(tmp_path):
    """Pictures that are all grey have one channel unless three are asked for; among colours they are colour."""
    for label, name in enumerate("ab"):
        fill(tmp_path / "grey" / name, 10, 100 * label, channels=1)
        for path in (tmp_path / "grey" / name).glob("*5.png"):
            Image.open(path).convert("RGB").save(path)
    assert loaded(tmp_path / "grey").shape[0] == 1
    assert loaded(tmp_path / "grey", channels=3).shape[0] == 3
    fill(tmp_path / "grey" / "a", 1, 999)
    mixed = loaded(tmp_path / "grey")
    assert mixed.shape[0] == 3
    assert said(mixed, "read as colour").startswith("20 grey")
    assert said(loaded(tmp_path / "grey", channels=1), "read as grey").startswith("1 colour picture ")


# -- identical pictures ------------------------------------------------------------------------------------------------


def test_identical_pictures_stay_on_one_side(animals):
    """However a seed draws, no split holds a picture of another one, and each picture is in one split."""
    for name in CLASSES:
        for number in range(6):
            path = sorted((animals / name).glob("*.png"))[number]
            Image.open(path).save(animals / name / f"copy {number}.bmp")
    data = loaded(animals)
    assert said(data, "identical").startswith("18 pictures")
    for seed in range(5):
        parts = parts_of(data, seed)
        pictures = [{data.images[i].tobytes() for i in part} for part in parts]
        assert all(first.isdisjoint(second) for first, second in combinations(pictures, 2))
        assert sorted(index for part in parts for index in part) == list(range(54))
    pair = loaded(animals, "/dog-owl")
    assert all(pair.images[a].tobytes() == pair.images[b].tobytes() for a, b in enumerate(pair.twins))
    assert len(set(pair.twins)) == 24


def test_test_pictures_are_not_trained_on(tmp_path):
    """With given splits a picture that is also in the test split is left out of the others, and counted."""
    for place, (part, count) in enumerate({"train": 20, "val": 5, "test": 5}.items()):
        for label, name in enumerate("ab"):
            fill(tmp_path / "set" / part / name, count, 1000 * place + 100 * label)
    shutil.copy(tmp_path / "set/test/a/2001.png", tmp_path / "set/train/a/copy.png")
    shutil.copy(tmp_path / "set/test/b/2101.png", tmp_path / "set/val/b/copy.png")
    shutil.copy(tmp_path / "set/val/b/1102.png", tmp_path / "set/train/b/copy.png")
    data = loaded(tmp_path / "set")
    assert [len(part) for part in parts_of(data)] == [40, 10, 10]
    assert said(data, "left out of").startswith("3 pictures")


def test_contradicting_labels_are_counted(animals):
    """A picture in two classes is said to be wrong once."""
    shutil.copy(animals / "cat" / "003.png", animals / "dog" / "x.png")
    assert said(loaded(animals), "one of the labels is wrong").startswith("1 of them")


# -- broken and too few ------------------------------------------------------------------------------------------------


def test_all_broken_pictures_in_one_message(animals):
    """Every broken file is named with its reason at once; on request they are left out, and that is said."""
    (animals / "cat" / "empty.png").write_bytes(b"")
    (animals / "dog" / "text.jpg").write_text("hello")
    (animals / "dog" / "link.png").symlink_to(animals / "nowhere.png")
    whole = (animals / "owl" / "200.png").read_bytes()
    (animals / "owl" / "200.png").write_bytes(whole[: len(whole) // 2])
    message = refusal(animals)
    assert message.startswith("4 broken pictures")
    assert all(
        name in message
        for name in ("cat/empty.png (is empty)", "dog/link.png", "dog/text.jpg", "owl/200.png", "--skip-broken")
    )
    data = loaded(animals, skip_broken=True)
    assert len(data) == 35
    assert "4 broken pictures" in said(data, "left out")


@pytest.mark.parametrize("count", [1, 9])
def test_too_few_pictures_are_refused_with_the_count(animals, count):
    """A class that cannot stand in every split is refused with what it has and needs; copies do not count."""
    fill(animals / "ant", count, 900)
    shutil.copy(animals / "ant" / "900.png", animals / "ant" / "copy.png")
    assert f"class 'ant' has {count} different one(s), and needs 10" in refusal(animals)


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_class_that_a_split_lacks_is_refused(tmp_path, part):
    """So it is never a target that no method has seen."""
    for place, name in enumerate(("train", "val", "test")):
        for label, kind in enumerate("ab"):
            fill(tmp_path / "set" / name / kind, 12, 1000 * place + 100 * label)
    shutil.rmtree(tmp_path / "set" / part / "b")
    assert "class 'b' has 0 different one(s) for" in refusal(tmp_path / "set")


def test_ten_pictures_are_enough(tmp_path):
    """What is not refused stands in every split, however the classes are sized."""
    sizes = {"a": 10, "b": 57, "c": 11, "d": 113}
    for label, (name, count) in enumerate(sizes.items()):
        fill(tmp_path / "set" / name, count, 1000 * label)
    data = loaded(tmp_path / "set")
    for seed in range(20):
        assert all(set(data.labels[list(part)]) == {0, 1, 2, 3} for part in parts_of(data, seed))


def test_a_class_beyond_the_first_training_images_is_refused(animals):
    """A limit on training images that leaves a class out is refused, for that class could be a target."""
    with pytest.raises(UserError, match=r"none of the 2 training images is of class '\w+' of animals"):
        Question.of(loaded(animals), 0, "test", train_images=2, queries=5)


def test_few_pictures_are_remarked(animals):
    """So few pictures that numbers mean little are used, with a word."""
    remarks = loaded(animals).remarks
    assert any("7 test pictures" in remark for remark in remarks)
    assert any("8 training pictures" in remark for remark in remarks)


def test_one_class_is_refused(tmp_path):
    """One class asks nothing."""
    fill(tmp_path / "set" / "only", 12)
    assert "one class only, 'only'" in refusal(tmp_path / "set")


def test_tiny_pictures_are_refused(tmp_path):
    """Pictures below 16 pixels have to be enlarged, and can be."""
    for label, name in enumerate("ab"):
        fill(tmp_path / "set" / name, 12, 100 * label, size=(20, 15))
    assert "--image-size 16" in refusal(tmp_path / "set")
    assert loaded(tmp_path / "set", image_size=16).shape == (3, 16, 16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "header file,label"),
        ("file,label,wet,wet\ncat/000.png,a,1,1\n", "two columns 'wet'"),
        ("file,label,wet,\ncat/000.png,a,1,1\n", "column 4 has no name"),
        ("file,label\n", "labels.csv names no picture"),
        ("name,class\ncat/000.png,a\n", "header file,label"),
        ("file,label\ncat/000.png\n", "line 2: 1 cells under 2 headings"),
        ("file,label\ncat/000.png,\n", "line 2: '' cannot name a class"),
        ("file,label,wet\ncat/000.png,a,yes\n", "line 2: attributes are 0 or 1, not 'yes'"),
        ("file,label\ncat/none.png,a\ncat/no.png,a\n", "'cat/none.png' (line 2) and 1 more"),
        ("file,label\n../secret.png,a\n", "'../secret.png' (line 2), not in the folder"),
        ("file,label\ncat/000.png,a\ncat/000.png,b\n", "named twice"),
    ],
)
def test_malformed_labels_are_refused(animals, text, message):
    """A labels.csv that is not as it should be is refused with its line."""
    (animals / "labels.csv").write_text(text)
    assert message in refusal(animals)


def test_odd_folders_are_refused(tmp_path):
    """No folder, nothing in it, splits without train/, and something beside the splits: each says what to do."""
    assert "there is no folder" in refusal(tmp_path / "nowhere")
    (tmp_path / "set" / "test" / "a").mkdir(parents=True)
    assert "no train/" in refusal(tmp_path / "set")
    (tmp_path / "set" / "train" / "a").mkdir(parents=True)
    assert "has no picture in a subfolder" in refusal(tmp_path / "set")
    (tmp_path / "set" / "extra").mkdir()
    assert "extra/, which is no split" in refusal(tmp_path / "set")


@pytest.mark.parametrize("name", ["mnist", "all", "a,b", "a|b", "-a", ".a", "a\\b", "a\tb"])
def test_names_that_cannot_be_a_task(tmp_path, name):
    """A name that clashes with a data set or breaks a list or a table is refused with the way out; a link helps."""
    fill(tmp_path / name / "a", 12)
    fill(tmp_path / name / "b", 12, 100)
    assert "make a link to it" in refusal(tmp_path / name)
    (tmp_path / "fine").symlink_to(tmp_path / name)
    assert loaded(tmp_path / "fine").name == "fine"


@pytest.mark.parametrize(
    "options", [{"image_size": "15"}, {"image_size": "64x"}, {"image_size": "axb"}, {"channels": 2}]
)
def test_bad_settings_are_refused(animals, options):
    """A size below 16 pixels or that is none, and two channels."""
    assert refusal(animals, **options).startswith("--")


def test_pictures_that_fit_no_disk_are_refused(animals, tmp_path):
    """Who asks for too large pictures hears of which, and of what."""
    with pytest.raises(UserError, match=r"animals at 99999 x 99999 pixels \(--image-size\) needs 1080\.0 GB"):
        loaded(animals, image_size="99999", cache=tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".json"]


# -- the cache ---------------------------------------------------------------------------------------------------------


def test_decoded_once(animals, tmp_path, monkeypatch):
    """What was decoded is taken from the cache, as a memory map that travels as a path, with the same twins."""
    shutil.copy(animals / "cat" / "003.png", animals / "cat" / "copy.png")
    first = loaded(animals, cache=tmp_path / "cache")
    monkeypatch.setattr(decoding, "_read", lambda _: pytest.fail("a picture was read again"))
    again = loaded(animals, cache=tmp_path / "cache")
    assert isinstance(again.images, np.memmap)
    assert len(pickle.dumps(again)) < again.images.nbytes
    assert first.digest == again.digest
    assert first.remarks == again.remarks
    np.testing.assert_array_equal(first.images, pickle.loads(pickle.dumps(again)).images)
    np.testing.assert_array_equal(first.twins, again.twins)


def test_progress_grows(animals):
    """Reading and decoding are reported as one count that grows to its end."""
    seen = []
    config = config_of(animals)
    load_task("animals", Source(folder=config, advance=lambda done, total: seen.append((done, total))))
    assert seen == sorted(seen)
    assert seen[-1] == (72, 72)


def test_digest_rests_on_content(animals, tmp_path):
    """Neither a move nor a time moves the digest; a pixel, a size and a label do."""
    digest = loaded(animals, cache=tmp_path / "cache").digest
    moved = tmp_path / "elsewhere" / "animals"
    shutil.copytree(animals, moved)
    os.utime(moved / "cat" / "003.png", (1, 1))
    assert loaded(moved, cache=tmp_path / "cache").digest == digest
    assert loaded(moved, image_size=32, cache=tmp_path / "cache").digest != digest
    picture(999).save(moved / "cat" / "003.png")
    changed = loaded(moved, cache=tmp_path / "cache").digest
    (moved / "cat").rename(moved / "kitten")
    assert len({digest, changed, loaded(moved, cache=tmp_path / "cache").digest}) == 3


@pytest.mark.parametrize(("bits", "told"), [(12, True), (14, True), (16, False)])
def test_files_that_leave_bits_empty_are_told(animals, bits, told):
    """Files of 16 bits whose upper ones are empty come out dark, and a remark says so."""
    for path in animals.rglob("*.png"):
        grey = np.asarray(Image.open(path).convert("L")).astype(np.uint16)
        grey[0, 0] = 255
        Image.fromarray(grey * 257 >> 16 - bits).save(path)
    assert any("scale them to all 16 bits" in remark for remark in loaded(animals).remarks) == told


@pytest.mark.parametrize("lightest", [255, 254])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_alpha_channels_are_surveyed_once(animals, tmp_path, mode, lightest):
    """Pictures with an alpha channel are surveyed once, and only what can be seen through is called transparent."""
    for path in animals.rglob("*.png"):
        plain = Image.open(path).convert("RGB")
        if mode == "P":
            plain.quantize(4).save(path, transparency=bytes([lightest] * 4))
        else:
            plain.putalpha(lightest)
            plain.convert(mode).save(path)
    first = loaded(animals, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.json"))) == 1
    assert first.remarks == loaded(animals, cache=tmp_path / "cache").remarks == loaded(animals).remarks
    assert any("36 transparent pictures" in remark for remark in first.remarks) == (lightest < 255)
