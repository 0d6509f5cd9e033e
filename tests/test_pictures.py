"""Pictures as phones, cameras and the web make them: read, or refused with one sentence; and the panel they go into."""
import datetime
import io
import re
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from helpers import inference, pictures
from helpers.lesson_06 import panels
from helpers.preprocess import Preprocess

matplotlib.use("Agg")
pytestmark = pytest.mark.filterwarnings("error")  # none may reach the reader
RED, BLUE, WHITE = (200, 30, 20), (20, 40, 210), (255, 255, 255)


def halves(size=(120, 90), mode="RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, BLUE)
    image.paste(RED, (0, 0, size[0] // 2, size[1]))
    return image.convert(mode)


def file(image, kind="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def near(pixels, colour, tolerance=12) -> bool:
    """Whether an area (3, h, w) has this colour all over."""
    return (pixels.float() - torch.tensor(colour).view(3, 1, 1)).abs().max() <= tolerance


def sides(data: bytes):
    """The left and the right half of what is read, without the middle, where scaling mixes them."""
    picture = pictures.read(data)
    assert picture.dtype == torch.uint8 and picture.shape == (1, 3, 96, 96)
    return picture[0, :, :, :44], picture[0, :, :, 52:]


# --- what can be read --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, options", [
    ("PNG", {}), ("JPEG", {"quality": 95}), ("JPEG", {"progressive": True, "quality": 95}), ("WEBP", {"quality": 95}),
    ("BMP", {}), ("TIFF", {}), ("PPM", {}), ("MPO", {"quality": 95})])
def test_kinds_of_files(kind, options):
    left, right = sides(file(halves(), kind, **options))
    assert near(left, RED) and near(right, BLUE)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation, turn", [
    (1, None), (2, "FLIP_LEFT_RIGHT"), (3, "ROTATE_180"), (4, "FLIP_TOP_BOTTOM"), (5, "TRANSPOSE"), (6, "ROTATE_90"),
    (7, "TRANSVERSE"), (8, "ROTATE_270")])
def test_orientation(kind, orientation, turn):
    """Each picture is stored turned (the inverse of what the note asks for), and comes out as it was."""
    stored = halves().transpose(Image.Transpose[turn]) if turn else halves()
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    left, right = sides(file(stored, kind, exif=exif, **options))
    assert near(left, RED) and near(right, BLUE)


def test_a_damaged_orientation_is_ignored():
    left, right = sides(file(halves(), "JPEG", quality=95, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(range(40))))
    assert near(left, RED) and near(right, BLUE)


def test_transparent_becomes_white():
    image = halves(mode="RGBA")
    image.putalpha(Image.new("L", image.size, 255))
    image.paste((0, 0, 0, 0), (60, 0, 120, 90))
    for data in (file(image), file(image, "WEBP", lossless=True), file(image.convert("LA")), file(image, "TIFF")):
        left, right = sides(data)
        assert near(right, WHITE, 0) and left.float().mean() < 120


def test_half_transparent_is_mixed_with_white():
    left, _ = sides(file(Image.new("RGBA", (50, 50), (*RED, 128))))
    assert near(left, [(c + 255) / 2 for c in RED], 2)


@pytest.mark.parametrize("mode", ["P", "CMYK", "1", "L"])
def test_modes(mode):
    image = halves(mode="RGB")
    image = image.quantize(8) if mode == "P" else image.convert(mode, dither=Image.Dither.NONE)
    left, right = sides(file(image, "TIFF" if mode == "CMYK" else "PNG"))
    if mode in ("P", "CMYK"):
        assert near(left, RED) and near(right, BLUE)
    else:
        assert torch.equal(left[0], left[2]) and near(left, image.convert("RGB").getpixel((5, 5)), 1)


def test_a_jpeg_in_the_colours_of_print():
    left, right = sides(file(halves(mode="CMYK"), "JPEG", quality=95))
    assert near(left, RED) and near(right, BLUE)


def test_a_palette_with_a_transparent_colour():
    image = halves().quantize(4)
    left, right = sides(file(image, transparency=image.getpixel((110, 5))))
    assert near(left, RED) and near(right, WHITE, 0)


def test_sixteen_bits():
    grey = np.full((60, 60), 0x4000, np.uint16)
    grey[:, 30:] = 0xC000
    for kind in ("PNG", "TIFF"):
        left, right = sides(file(Image.fromarray(grey), kind))
        assert near(left, (0x40,) * 3, 1) and near(right, (0xC0,) * 3, 1)


@pytest.mark.parametrize("kind, options", [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})])
def test_an_animation_shows_its_first_frame(kind, options):
    frames = [Image.new("RGB", (120, 90), "yellow"), Image.new("RGB", (120, 90), "black")]
    data = file(halves(), kind, save_all=True, append_images=frames, duration=100, **options)
    left, right = sides(data)
    assert near(left, RED) and near(right, BLUE)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (500, 2), (96, 96)])
def test_any_shape(size):
    assert near(pictures.read(file(Image.new("RGB", size, RED)))[0], RED, 1)


def test_the_central_square_is_kept():
    image = Image.new("RGB", (300, 100), "white")
    image.paste(RED, (100, 0, 200, 100))
    assert near(pictures.read(file(image), 50)[0, :, :, 2:-2], RED, 1)  # white mixes into the edges


def test_a_large_photo_is_as_sharp_as_a_small_one():
    """Decoding a JPEG at a fraction of its size gives nearly the pixels that decoding all of it would give."""
    waves = (np.sin(np.arange(2400) / 40)[:, None] * np.cos(np.arange(3200) / 60) * 100 + 120).astype(np.uint8)
    image = Image.fromarray(waves).convert("RGB")
    drafted, whole = pictures.read(file(image, "JPEG", quality=95)), pictures.read(file(image))
    assert (drafted.float() - whole.float()).abs().mean() < 1.5


@pytest.mark.skipif(sys.platform == "win32", reason="the resource module is not on Windows")
def test_two_hundred_megapixels_fit_into_little_memory():
    """The largest photos that phones make: decoded whole, a JPEG of 16320 x 12240 pixels would take 800 MB."""
    code = """if True:
        import io, resource
        from PIL import Image
        from helpers import pictures
        buffer = io.BytesIO()
        Image.new("L", (16320, 12240), 77).save(buffer, "JPEG")  # grey: 200 MB to write it
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        picture = pictures.read(buffer.getvalue())
        assert abs(picture.float().mean() - 77) < 2
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 100_000 * (1024 if __import__("sys").platform == "darwin" else 1), grown
    """
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


# --- what is refused, each with one sentence ----------------------------------------------------------------------

def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""
    data = bytearray(file(Image.new("L", (1, 1))))
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


HEIC = b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(100)
PHOTO = file(Image.fromarray(np.random.RandomState(0).randint(0, 256, (200, 200, 3), dtype=np.uint8)), "JPEG")


@pytest.mark.parametrize("data, sentence", [
    (b"", "This file is empty"),
    (b"hello", "not a picture"),
    (b"%PDF-1.7" + bytes(1000), "not a picture"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    (bytes(5000), "not a picture"),
    (b"\xff\xd8\xff", "not a picture"),
    (b"\0\0\0\x18ftypmp42" + bytes(100), "not a picture"),
    (HEIC, "This is a HEIC photo"),
    (HEIC.replace(b"ftypheic", b"ftypmif1"), "This is a HEIC photo"),
    (PHOTO[: len(PHOTO) // 2], "damaged or incomplete"),
    (file(halves((500, 500)), "PNG")[:400], "damaged or incomplete"),
    (file(halves((500, 500)), "BMP")[:4000], "damaged or incomplete"),
    (file(halves((500, 500)), "GIF")[:400], "damaged or incomplete"),
    (file(halves((500, 500)), "WEBP", lossless=True)[:-40], "damaged or incomplete"),
    (png_of(100, 100), "damaged or incomplete"),
    (png_of(60_000, 60_000), "too many to read here"),
    (png_of(10_000, 10_000), "too many to read here"),
], ids=lambda value: value if isinstance(value, str) else value[4:12].hex())
def test_refused_with_one_sentence(data, sentence, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as where it is not installed
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    with pytest.raises(ValueError, match=sentence) as caught:
        pictures.read(data)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 260


@pytest.mark.parametrize("data", ["rose.jpg", None, halves((8, 8)), [255, 216]], ids=["path", "none", "image", "list"])
def test_what_is_no_file_at_all(data):
    with pytest.raises(ValueError, match=r"^A picture is read from the bytes of its file, Path\(...\).read_b"):
        pictures.read(data)


@pytest.mark.parametrize("size", [0, -96, 96.0, "96", None, 4097])
def test_a_size_that_is_none(size):
    with pytest.raises(ValueError, match="^size must be a whole number from 1 to 4096, not "):
        pictures.read(file(halves()), size)


def test_a_jpeg_that_claims_billions_of_pixels_is_not_decoded():
    data = bytearray(file(Image.new("L", (8, 8)), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = (65_000).to_bytes(2, "big") * 2
    with pytest.raises(ValueError, match="65000 x 65000 pixels, too many"):
        pictures.read(bytes(data))


def test_nonsense_never_gives_anything_but_a_sentence():
    rng = np.random.RandomState(0)
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
        whole = file(halves((64, 64)), kind)
        for _ in range(60):
            data = bytearray(whole)
            for place in rng.randint(0, len(data), 8):
                data[place] = rng.randint(256)
            try:
                assert pictures.read(bytes(data)).shape == (1, 3, 96, 96)
            except ValueError as error:
                assert str(error) in (pictures.STRANGER, pictures.DAMAGED) or "pixels, too many" in str(error)


def test_pillows_own_limit_is_left_alone(monkeypatch):
    """It holds for the whole process: whoever else opens a picture meanwhile, in another thread, relies on it."""
    limit, seen, opened = Image.MAX_IMAGE_PIXELS, [], dict(Image.OPEN)

    def spy(reader):
        return lambda *arguments: (seen.append(Image.MAX_IMAGE_PIXELS), reader(*arguments))[1]

    for name in ("JPEG", "PNG"):
        monkeypatch.setitem(Image.OPEN, name, (spy(opened[name][0]), opened[name][1]))
    pictures.read(file(halves())), pictures.read(PHOTO)
    assert seen == [limit] * 2 and Image.MAX_IMAGE_PIXELS == limit


def test_a_picture_above_pillows_own_limit(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    left, right = sides(file(halves(), "JPEG", quality=95))
    assert near(left, RED) and near(right, BLUE)


def test_damaged_files_and_strangers_are_told_apart():
    for data, kind in ((PHOTO[:5000], pictures.Damaged), (b"hello", pictures.Stranger), (b"", pictures.Stranger)):
        with pytest.raises(kind):
            pictures.read(data)
    assert not issubclass(pictures.Damaged, pictures.Stranger)


def test_large_pictures_are_decoded_one_at_a_time_and_small_ones_together(monkeypatch):
    monkeypatch.setattr(pictures, "SEVERAL_OTHER", 5000)
    for size, most in (((60, 60), 4), ((100, 100), 1)):
        together = _most_at_once(monkeypatch, [file(halves(size))] * 4)
        assert together == most


def _most_at_once(monkeypatch, files) -> int:
    """How many threads are in the midst of decoding at the same time."""
    inside, most, lock = 0, 0, threading.Lock()
    loaded = pictures._loaded

    def slow(*arguments):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.2)
        with lock:
            inside -= 1
        return loaded(*arguments)

    with monkeypatch.context() as patch, ThreadPoolExecutor(len(files)) as pool, pictures.quiet():
        patch.setattr(pictures, "_loaded", slow)
        list(pool.map(lambda data: pictures.decode(data, 20), files))
    return most


@pytest.mark.parametrize("values, depth, eight", [
    ([0, 128, 255], None, [0, 128, 255]), ([0, 2048, 4095], None, [0, 128, 255]),
    ([0, 32768, 65535], None, [0, 128, 255]), ([0, 100, 1023], 10, [0, 25, 255]), ([0, 0.5, 1], None, [0, 128, 255]),
    ([0.5, 127.6, 255], None, [1, 128, 255]), ([-1000, 0, 1000], None, [0, 128, 255]),
    ([0, 50_000, 100_000], None, [0, 128, 255]), ([7, 7, 7], None, [7, 7, 7]), ([-3, -3, -3], None, [0, 0, 0]),
    ([0, float("nan"), 1], None, [0, 0, 255]), ([float("-inf"), 0.5, 1], None, [0, 128, 255])])
def test_grey_values_of_any_range(values, depth, eight):
    values = np.array([values], np.float32 if any(isinstance(value, float) for value in values) else np.int64)
    assert pictures._eight_bits(values, depth).tolist() == [eight]


# --- shown to networks -------------------------------------------------------------------------------------------

class Reddish(torch.nn.Module):
    """Says "red" or "blue", whichever channel is brighter on average."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(4.0))
        self.dropout = torch.nn.Dropout(0.9)

    def forward(self, inputs):
        return self.dropout(self.scale * inputs.mean((2, 3))[:, [0, 2]])


PREPROCESS = Preprocess((0.5,) * 3, (0.25,) * 3)
START = torch.tensor(BLUE, dtype=torch.uint8).view(3, 1, 1).expand(3, 96, 96)


def test_answers():
    ask = lambda **options: inference.answers(
        {"a": (Reddish(), ("red", "blue")), "b": (Reddish(), ("1", "2"))}, PREPROCESS, START, **options)
    assert list(ask()) == ["a", "b"] and [name for name, _ in ask()["a"]] == ["blue", "red"]
    assert ask()["a"][0][1] > 0.9 and sum(share for _, share in ask()["a"]) == pytest.approx(1)
    assert ask() == ask(), "dropout is off"
    assert len(ask(count=1)["a"]) == 1


def uploaded(name: str, data: bytes) -> tuple:
    """What the browser sends, as ipywidgets 8 hands it on."""
    return ({"name": name, "type": "", "size": len(data), "content": memoryview(data),
             "last_modified": datetime.datetime(2026, 1, 1)},)


def table(shown: str) -> list[str]:
    return re.findall(r"<td[^>]*>([^<]+)</td>", shown)


def test_panel():
    panel = panels.try_picture({"before & after": (Reddish(), ("red", "blue"))}, PREPROCESS, START)
    (upload,), shown = panel.children[0].children, panel.children[1]
    assert (upload.accept, upload.multiple, upload.description) == ("image/*", False, "picture")
    assert "Choose one of your own" in shown.value and table(shown.value)[0] == "blue"
    assert "before &amp; after</caption>" in shown.value and shown.value.count("scope='col'") == 3

    upload.value = uploaded("rose <1>.png", file(Image.new("RGB", (300, 200), RED)))
    assert "rose &lt;1&gt;.png, as the networks see it." in shown.value and table(shown.value)[0] == "red"
    figure = re.search("<img.*?>", shown.value)[0]

    for data, sentence in ((b"", "empty"), (b"hello", "not a picture"), (PHOTO[:5000], "damaged"), (HEIC, "HEIC")):
        upload.value = uploaded("bad", data)
        assert "bad can&#x27;t be shown." in shown.value and sentence in shown.value
        assert figure in shown.value and table(shown.value)[0] == "red"  # the last picture stays

    upload.value = uploaded("sea.jpg", file(Image.new("RGB", (300, 200), BLUE), "JPEG"))
    assert "sea.jpg, as" in shown.value and table(shown.value)[0] == "blue" and figure not in shown.value
    upload.value = ()
    assert table(shown.value)[0] == "blue"
