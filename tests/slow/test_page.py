"""The page that runs a network in a browser, on a phone in Chromium, with every road to another machine closed.

Screenshots go to build/screenshots, to be looked at.
"""
import base64
import io
import json
import re
import time
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import export, guessers, page, pictures, sketches, takeaway
from helpers.intervals import Interval
from tests.slow import browser
from tests.slow.test_browser import SCREENSHOTS

pytestmark = [
    pytest.mark.limit(600),
    pytest.mark.skipif(find_spec("playwright") is None, reason="playwright is not installed"),
    pytest.mark.skipif(browser.chromium() is None, reason="neither Chromium nor Chrome is installed"),
    pytest.mark.skipif(None in map(find_spec, export.NEEDED), reason="onnx, onnxscript or onnxruntime is missing"),
]

LOGITS = "async pixels => (await import('/page.mjs')).logits(new Uint8Array(pixels))"
SHARES = """async file => {
    const page = await import("/page.mjs");
    const pixels = await page.read(new Blob([Uint8Array.from(atob(file), letter => letter.charCodeAt(0))]));
    return [Array.from(pixels), page.softmax(await page.logits(pixels))];
}"""


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """The drawing pad's fully trained network, taken home."""
    folder = takeaway.save(guessers.read("full", 10), tmp_path_factory.mktemp("network"), "pocket_resnet",
                           guessers.card()["classes"], 96, guessers.preprocess(), Interval(0.712, 0.679, 0.744))
    return SimpleNamespace(folder=folder, **vars(takeaway.load(folder)))


@pytest.fixture(scope="module")
def site(taken, tmp_path_factory):
    """The folder with the page."""
    try:
        page.runtime_files()
    except RuntimeError as error:
        pytest.skip(f"ONNX Runtime Web can't be had: {error}")
    return page.make(taken.folder, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def shown(site):
    """The page on a phone: `.page`; `.asked`, all addresses that it asked for; `.seconds`, until it was ready."""
    asked = []

    def only_here(route):
        asked.append(route.request.url)
        route.continue_() if route.request.url.startswith(here) else route.abort()

    with browser.served(site) as here, browser.browser() as opened:
        phone = opened.new_context(viewport=browser.PHONE, is_mobile=True, has_touch=True, device_scale_factor=2)
        phone.route("**/*", only_here)
        tab, said = phone.new_page(), []
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        start = time.monotonic()
        tab.goto(here)
        tab.get_by_text("Ready.").wait_for(timeout=60_000)
        yield SimpleNamespace(page=tab, asked=asked, here=here, said=said, seconds=time.monotonic() - start)


def probabilities(taken, pixels: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return taken.model(taken.preprocess(pixels)).softmax(1)


def test_the_same_pixels_give_the_same_logits(shown, site, taken, pocket):
    network, = site.rglob("*.onnx")
    images = pocket["test"].images[::16]
    noise = torch.randint(0, 256, (3, *images.shape[1:]), generator=torch.Generator().manual_seed(1))
    images = torch.cat([images, noise.to(torch.uint8)])
    found = torch.tensor([shown.page.evaluate(LOGITS, image.flatten().tolist()) for image in images])
    with torch.no_grad():
        expected = taken.model(taken.preprocess(images))
    apart = float((found - expected).abs().max())
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6
    print(f"{len(images)} images of 96 pixels: logits up to {float(expected.abs().max()):.1f}, apart by {apart:.1g}; "
          f"the folder has {size:.1f} MB, {network.stat().st_size / 1e6:.1f} MB of them the network; ready after "
          f"{shown.seconds:.1f} s")
    assert apart < 1e-4


# --- files -------------------------------------------------------------------------------------------------------

def photograph(pocket, number: int, width: int, height: int) -> Image.Image:
    """One of the data set's pictures in the middle of a larger one, with the grain that cameras leave."""
    small = Image.fromarray(pocket["test"].images[number].permute(1, 2, 0).numpy())
    side, rng = min(width, height), np.random.RandomState(number)
    large = Image.new("RGB", (width, height), small.getpixel((0, 0)))
    large.paste(small.resize((side, side), Image.Resampling.BICUBIC), ((width - side) // 2, (height - side) // 2))
    grain = rng.normal(0, 6, (height, width, 1))
    return Image.fromarray((np.asarray(large) + grain).clip(0, 255).astype(np.uint8))


def as_file(image: Image.Image, form: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright, stored lying
    return exif


def see_through(image: Image.Image) -> Image.Image:
    """The same with an alpha that falls from left to right."""
    ramp = np.linspace(255, 40, image.width).astype(np.uint8)
    image.putalpha(Image.fromarray(np.tile(ramp, (image.height, 1))))
    return image


FILES = {
    "png": lambda pocket: as_file(photograph(pocket, 0, 400, 301), "PNG"),
    "small png": lambda pocket: as_file(photograph(pocket, 41, 61, 80), "PNG"),
    "see-through png": lambda pocket: as_file(see_through(photograph(pocket, 75, 300, 300)), "PNG"),
    "grey png": lambda pocket: as_file(photograph(pocket, 108, 200, 333).convert("L"), "PNG"),
    "webp": lambda pocket: as_file(photograph(pocket, 141, 640, 480), "WEBP", lossless=True),
    "gif": lambda pocket: as_file(photograph(pocket, 175, 320, 240), "GIF"),
    "jpeg": lambda pocket: as_file(photograph(pocket, 208, 1200, 900), "JPEG", quality=90),
    "turned jpeg": lambda pocket: as_file(photograph(pocket, 241, 1024, 768), "JPEG", quality=90, exif=turned()),
    "phone's jpeg": lambda pocket: as_file(photograph(pocket, 275, 4032, 3024), "JPEG", quality=85),
    "enormous jpeg": lambda pocket: as_file(photograph(pocket, 291, 6000, 4500), "JPEG", quality=80)}


@pytest.mark.parametrize("name", FILES)
def test_the_same_file_gives_the_same_class(shown, taken, pocket, name, tmp_path):
    data = FILES[name](pocket)
    pixels = pictures.read(data)
    expected = probabilities(taken, pixels)[0]
    seen, found = shown.page.evaluate(SHARES, base64.b64encode(data).decode())
    levels = np.abs(np.array(seen) - pixels.flatten().numpy())
    apart = float((torch.tensor(found) - expected).abs().max())
    print(f"{name}: pixels differ by {levels.mean():.2f} levels in the mean, {levels.max()} at most; probabilities by "
          f"{apart:.4f}, the best is {float(expected.max()):.2f}")
    assert apart < 0.02
    assert np.argmax(found) == int(expected.argmax())

    answers = choose(shown, tmp_path, data)
    assert answers[0][0] == taken.classes[int(expected.argmax())]
    assert abs(answers[0][1] - 100 * float(expected.max())) <= 2.5


def choose(shown, folder, data: bytes, control: str = "Choose a picture") -> list:
    """Choose a file as a person does; the answers on the page, (class, whole percent)."""
    file = folder / "picture"
    file.write_bytes(data)
    before = shown.page.evaluate("document.body.dataset.answered")
    shown.page.get_by_label(control, exact=True).set_input_files(file)
    shown.page.wait_for_function("before => document.body.dataset.answered !== before", arg=before)
    return answers_on(shown.page)


def answers_on(tab) -> list:
    lines = tab.locator("#answers li").evaluate_all("all => all.map(line => [line.children[0].textContent, "
                                                    "parseInt(line.children[1].textContent)])")
    assert len(lines) == 5
    return lines


def test_a_photo_is_taken_with_the_camera_behind_the_phone(shown, pocket, tmp_path):
    camera = shown.page.get_by_label("Take a photo")
    assert camera.is_enabled() and camera.get_attribute("capture") == "environment"
    assert camera.get_attribute("accept") == "image/*"
    answers = choose(shown, tmp_path, FILES["phone's jpeg"](pocket), "Take a photo")
    name, percent = answers[0]
    assert f"{name}, {percent}\u00a0%" in shown.page.get_by_role("status").inner_text()


def test_a_file_that_is_no_picture_gets_a_sentence_and_the_next_one_an_answer(shown, pocket, tmp_path):
    (tmp_path / "letter").write_bytes(b"no picture at all")
    shown.page.get_by_label("Choose a picture", exact=True).set_input_files(tmp_path / "letter")
    shown.page.get_by_text("This file can't be read as a picture here.").wait_for()
    assert not shown.page.locator("#answers").is_visible()
    assert choose(shown, tmp_path, FILES["png"](pocket))


# --- drawn, and looked at ----------------------------------------------------------------------------------------

def test_what_is_drawn_is_taken_for_what_the_drawing_pad_takes_it_for(shown, taken):
    tab = shown.page
    tab.get_by_role("button", name="Draw one").tap()
    canvas = tab.locator("#paper")
    right = []
    for name in [f"{one}_1" for one in taken.classes]:
        _, strokes = sketches.shipped()[name]
        for stroke in strokes:
            before, box = tab.evaluate("document.body.dataset.answered"), canvas.bounding_box()
            points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
            tab.mouse.move(*points[0])
            tab.mouse.down()
            for point in points[1:]:
                tab.mouse.move(*point)
            tab.mouse.up()
            tab.wait_for_function("before => document.body.dataset.answered !== before", arg=before)
        expected, share = guessers.guesses(sketches.picture(strokes), 1)["full"][0]
        answer, percent = answers_on(tab)[0]
        right.append(answer == expected and abs(percent - 100 * share) < 15)
        if name == "cat_1":
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            tab.screenshot(path=SCREENSHOTS / "page_drawn.png", full_page=True)
        tab.get_by_role("button", name="Clear").tap()
        tab.get_by_text("Draw airplane").wait_for()
    print(f"{sum(right)} of {len(right)} sketches are answered as Python answers them")
    assert sum(right) >= 9  # two ways to draw a line differ at its edges, and a close call may turn
    tab.get_by_role("button", name="Draw one").tap()


def test_it_fits_a_phone_and_a_thumb(shown, pocket, tmp_path):
    tab = shown.page
    choose(shown, tmp_path, FILES["jpeg"](pocket))
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        tab.screenshot(path=SCREENSHOTS / f"page_{scheme}.png")
    tab.emulate_media(color_scheme="light")
    assert tab.evaluate("document.documentElement.scrollWidth") == browser.PHONE["width"]
    small = tab.locator("button:visible, .button:visible, summary:visible").evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().height < 44).map(one => one.textContent)")
    assert small == []
    tab.get_by_text("About this network").tap()
    about = tab.locator("details").inner_text()
    assert "71.2 % (67.9 to 74.4)" in about and "even where none of them fits" in about


def test_every_control_can_be_reached_and_has_a_name(shown):
    tab, names = shown.page, []
    tab.locator("#camera").focus()
    for _ in range(3):
        names.append(tab.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()"))
        tab.keyboard.press("Tab")
    assert names == ["Take a photo", "Choose a picture", "Draw one"]
    assert tab.evaluate("document.documentElement.lang") == "en"
    assert tab.locator("canvas").evaluate_all("all => all.every(one => one.getAttribute('aria-label'))")


def test_nothing_was_asked_of_another_machine(shown, site):
    """Last in this file: all that the tests before it did is counted."""
    assert [address for address in shown.asked if not address.startswith(shown.here)] == []
    there = {"", *(file.name for file in site.iterdir())}
    assert {address.removeprefix(shown.here) for address in shown.asked} <= there
    assert [line for line in shown.said if "picture" not in line and "decode" not in line] == []
    words = "".join((site / name).read_text(encoding="utf-8") for name in ("index.html", "page.css", "page.mjs"))
    assert re.findall(r"https?://\S+", words) == []


def test_the_licences_of_what_runs_it_are_there(site):
    assert (site / "LICENSE-onnxruntime.txt").read_text(encoding="utf-8").startswith("MIT License")
    assert "protobuf" in (site / "NOTICES-onnxruntime.txt").read_text(encoding="utf-8", errors="replace")
    assert json.loads((site / "page.json").read_text(encoding="utf-8"))["size"] == 96
