import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from benchmark.data.decoding import BrokenPictureError, decode, facts_of

SIZE = (24, 18)  # width, height


@pytest.fixture
def pixels(rng):
    """A colour picture, (18, 24, 3) uint8, without two equal corners."""
    return rng.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)


def decoded(path, channels=3, size=SIZE, resize="crop"):
    return decode(path, size, resize, channels).transpose(1, 2, 0).squeeze()


def saved(picture, path, **options):
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_lossless_kinds_keep_every_pixel(pixels, tmp_path, suffix):
    """A picture of the right size comes back as it was saved, whatever lossless kind of file it lies in."""
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(Image.fromarray(pixels), tmp_path / f"a.{suffix}", **options)
    np.testing.assert_array_equal(decoded(path), pixels)


@pytest.mark.parametrize("resize", ["crop", "fit", "stretch"])
def test_right_size_is_left_alone(pixels, tmp_path, resize):
    """No way of resizing touches a picture of the size that is asked for."""
    np.testing.assert_array_equal(decoded(saved(Image.fromarray(pixels), tmp_path / "a.png"), resize=resize), pixels)


def test_jpeg_is_told_by_its_content(tmp_path):
    """A JPEG called .png is read as a JPEG, close to what was saved."""
    smooth = np.linspace(0, 255, SIZE[0], dtype=np.uint8) * np.ones((SIZE[1], 1), np.uint8)
    path = saved(Image.fromarray(smooth), tmp_path / "a.png", format="JPEG", quality=95)
    assert np.abs(decoded(path, 1).astype(int) - smooth).max() < 8


def test_first_frame_of_an_animation(tmp_path):
    """A GIF of several frames is its first one, and says how many it has."""
    frames = [Image.new("P", SIZE, level) for level in (7, 9)]
    for frame in frames:
        frame.putpalette([level for level in range(256) for _ in range(3)])
    path = saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert np.unique(decoded(path)).tolist() == [7]
    assert facts_of(path).frames == 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(pixels, tmp_path, orientation):
    """However a camera was held, the picture comes back upright, with its sides in order."""
    turns = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}  # Pillow's operations that make each orientation
    stored = Image.fromarray(pixels)
    for turn in turns.get(orientation, []):
        stored = stored.transpose(Image.Transpose(turn))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(stored, tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(decoded(path), pixels)
    facts = facts_of(path)
    assert (facts.width, facts.height) == SIZE


def test_palette(pixels, tmp_path):
    """A palette's picture has its colours."""
    picture = Image.fromarray(pixels).quantize(16)
    path = saved(picture, tmp_path / "a.png")
    np.testing.assert_array_equal(decoded(path), np.asarray(picture.convert("RGB")))


def test_transparent_pictures_stand_on_white(pixels, tmp_path):
    """What lets everything through is white, what lets half through is half white, and the facts say so."""
    alpha = np.full((SIZE[1], SIZE[0], 1), 255, np.uint8)
    alpha[:6], alpha[6:12] = 0, 128
    path = saved(Image.fromarray(np.concatenate([pixels, alpha], axis=2)), tmp_path / "a.png")
    share = alpha / 255
    np.testing.assert_allclose(decoded(path), pixels * share + 255 * (1 - share), atol=1)
    assert facts_of(path).transparent
    assert not facts_of(saved(Image.fromarray(pixels).convert("RGBA"), tmp_path / "b.png")).transparent


def test_transparent_palette_stands_on_white(tmp_path):
    """A colour of a palette that is transparent is white."""
    picture = Image.new("P", SIZE, 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    assert np.unique(decoded(saved(picture, tmp_path / "a.png", transparency=1))).tolist() == [255]


def test_cmyk(tmp_path):
    """A printer's picture is read as the light that is left: no ink is white, black ink black."""
    inks = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
    inks[:9, :, 3] = 255
    path = saved(Image.fromarray(inks, mode="CMYK"), tmp_path / "a.tif")
    assert decoded(path)[0, 0].tolist() == [0, 0, 0]
    assert decoded(path)[-1, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits(tmp_path, suffix):
    """16 bits become 8 by a division by 257, so that black and white stay what they are."""
    levels = (np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[::-1]) * 257 % 65536).astype(np.uint16)
    levels[0, 0], levels[0, 1] = 0, 65535
    path = saved(Image.fromarray(levels), tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(decoded(path, 1), np.round(levels / 257))


def test_black_and_white(tmp_path):
    """One bit a pixel becomes 0 and 255."""
    path = saved(Image.fromarray(np.eye(18, 24) > 0), tmp_path / "a.png")
    np.testing.assert_array_equal(decoded(path, 1), 255 * np.eye(18, 24))


def test_grey_and_colour(pixels, tmp_path):
    """Grey as colour has three equal channels; colour as grey is its luma; grey saved as colour is known as grey."""
    grey = pixels[..., 0]
    as_colour = decoded(saved(Image.fromarray(grey), tmp_path / "a.png"))
    np.testing.assert_array_equal(as_colour, np.repeat(grey[..., None], 3, axis=2))
    path = saved(Image.fromarray(as_colour), tmp_path / "b.png")
    assert facts_of(path).grey
    np.testing.assert_array_equal(decoded(path, 1), grey)
    colour = saved(Image.fromarray(pixels), tmp_path / "c.png")
    assert not facts_of(colour).grey
    np.testing.assert_allclose(decoded(colour, 1), pixels @ [0.299, 0.587, 0.114], atol=1)


# -- sizes -------------------------------------------------------------------------------------------------------------


def test_crop_keeps_the_middle(tmp_path):
    """Of a wide picture whose outer thirds are black, a square of its middle is white."""
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 255
    path = saved(Image.fromarray(wide), tmp_path / "a.png")
    assert decoded(path, 1, (20, 20)).min() == 255


def test_fit_adds_black_margins(tmp_path):
    """A white picture twice as wide as high stands in the middle half of a square, black above and below."""
    path = saved(Image.new("L", (80, 40), 255), tmp_path / "a.png")
    found = decoded(path, 1, (40, 40), "fit")
    assert (found[10:30] == 255).all()
    assert not found[:10].any()
    assert not found[30:].any()


def test_stretch_keeps_everything(tmp_path):
    """Left half black, right half white: so it is at every size and aspect."""
    halves = np.repeat(np.array([0, 255], np.uint8), 40)[None].repeat(40, axis=0)
    found = decoded(saved(Image.fromarray(halves), tmp_path / "a.png"), 1, (16, 48), "stretch")
    assert found.shape == (48, 16)
    assert not found[:, :7].any()
    assert (found[:, 9:] == 255).all()


# -- broken files ------------------------------------------------------------------------------------------------------


def bomb(path, side):
    """A PNG whose header says side × side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    framed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(framed))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 100_000])
def test_decompression_bombs_are_broken(tmp_path, side):
    """A small file that says it is huge is refused before it is unpacked."""
    bomb(tmp_path / "a.png", side)
    with pytest.raises(BrokenPictureError, match="pixels"):
        facts_of(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_is_no_picture_is_broken(tmp_path, content):
    """Nothing, text, and what another program would have to draw."""
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(BrokenPictureError, match="empty" if not content else "none of PNG"):
        facts_of(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif", "webp"])
def test_cut_files_are_broken(pixels, tmp_path, suffix):
    """Half a file is refused, of every kind."""
    path = saved(Image.fromarray(pixels), tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BrokenPictureError):
        facts_of(path)


def test_floating_point_is_broken(tmp_path):
    """Nobody knows the range of floating-point pixels."""
    path = saved(Image.fromarray(np.ones(SIZE, np.float32)), tmp_path / "a.tif")
    with pytest.raises(BrokenPictureError, match="8 or 16 bits"):
        facts_of(path)
