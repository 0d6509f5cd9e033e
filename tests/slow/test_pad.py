"""The drawing pad in JupyterLab in a real browser: thirty sketches are drawn on it with the mouse, stroke by stroke.

Screenshots go to build/screenshots, in a projector's size and a phone's, to be looked at.
"""
import json
import shutil
import statistics
from importlib.util import find_spec
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from helpers import guessers, sketches
from tests.slow import browser
from tests.slow.test_browser import SCREENSHOTS
from tests.test_project import ROOT

pytestmark = [
    pytest.mark.limit(600),
    pytest.mark.skipif(find_spec("playwright") is None, reason="playwright is not installed"),
    pytest.mark.skipif(browser.chromium() is None, reason="neither Chromium nor Chrome is installed"),
]

SHOW = """import sys
sys.path.insert(0, "..")
from helpers import pad

display(pad.DrawingPad())
arrived = []  # all that the browser sends
pad.DrawingPad.latest.observe(lambda change: arrived.append(change.new), "strokes")"""
TELL = """import gc, json
from pathlib import Path

gc.collect()
pads = sum(type(one).__name__ == "DrawingPad" for one in gc.get_objects())
Path("arrived.json").write_text(json.dumps({"strokes": arrived, "pads": pads}))"""
# milliseconds from the end of a stroke to its answers on the page, which the page measures itself
STOPWATCH = """root => {
    window.waits = [];
    let start = null;
    root.querySelector("canvas").addEventListener("pointerup", () => { start = performance.now(); });
    new MutationObserver(() => {
        if (start !== null) window.waits.push(performance.now() - start);
        start = null;
    }).observe(root, { attributes: true, attributeFilter: ["data-answered"] });
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with a notebook that shows the pad, and the folder that the notebook runs in."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copytree(ROOT / "helpers", folder / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "notebooks").mkdir()
    cells = [nbformat.v4.new_code_cell(source) for source in (SHOW, TELL)]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}  # else Lab asks
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "notebooks/pad.ipynb")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    server = browser.Lab(folder, tmp_path_factory.mktemp("private"))
    try:
        with browser.browser() as opened, server.opened(opened, "notebooks/pad.ipynb") as page:
            browser.run_all(page, 120)
            yield SimpleNamespace(page=page, folder=folder / "notebooks")
    finally:
        server.close()


def pad_of(page):
    """The cell that shows the pad, and the pad in it."""
    cell = browser.cell_with(page, "pad.DrawingPad()")
    root = cell.locator(".drawing-pad")
    root.wait_for()
    return cell, root


def draw(page, root, strokes: list) -> None:
    """Draw with a quick hand's mouse, which reports every third point; after each stroke, wait for its answers."""
    box = root.locator("canvas").bounding_box()
    for count, stroke in enumerate(strokes, start=1):
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in [*points[3:-1:3], points[-1]]:
            page.mouse.move(*point)
        page.mouse.up()
        browser.wait_until(lambda count=count: answered(root) == count, 30, f"stroke {count} is answered")


def answered(root) -> int:
    return int(root.get_attribute("data-answered"))


def press(root, name: str) -> None:
    """Press a button with the keyboard."""
    root.get_by_role("button", name=name).focus()
    root.page.keyboard.press("Enter")


def clear(root) -> None:
    press(root, "Clear")
    browser.wait_until(lambda: answered(root) == 0, 30, "the pad is empty")


def shown(root) -> dict[str, list]:
    """The answers on the page: for each network, by the name that it has there, (class, whole percent) by place."""
    return root.evaluate("""root => Object.fromEntries([...root.querySelectorAll("section")].map(part => [
        part.querySelector("h4").textContent, [...part.querySelectorAll("li")].map(
            line => [line.children[0].textContent, parseInt(line.children[2].textContent)])]))""")


def computed(strokes: list) -> dict[str, list]:
    """What Python gives for these strokes, as `shown` tells it."""
    names = {"scratch": "from scratch", "frozen": "frozen", "full": "full"}
    found = guessers.guesses(sketches.picture(strokes))
    return {names[method]: [[name, int(100 * share + 0.5)] for name, share in given] for method, given in found.items()}


def arrived(page) -> dict:
    """All versions of `strokes` that the kernel got, in order, and how many pads are alive in it."""
    file = page.folder / "arrived.json"
    file.unlink(missing_ok=True)
    browser.cell_with(page.page, "arrived.json").click()
    page.page.keyboard.press("Control+Enter")
    browser.wait_until(lambda: file.exists() and file.read_text().endswith("}"), 30, "the kernel tells what arrived")
    return json.loads(file.read_text())


def test_thirty_sketches_arrive_and_the_answers_are_those_that_python_gives(page):
    cell, root = pad_of(page.page)
    root.evaluate(STOPWATCH)
    seen = {}
    for name, (_, strokes) in sketches.shipped().items():
        draw(page.page, root, strokes)
        seen[name] = shown(root)
        if name == "cat_2":
            browser.photograph(page.page, cell, SCREENSHOTS / "pad")
            cell, root = pad_of(page.page)
        clear(root)
    waits = sorted(page.page.evaluate("window.waits"))
    print(f"from the end of a stroke to its answers, {len(waits)} strokes: median {statistics.median(waits):.0f} ms, "
          f"longest {waits[-1]:.0f} ms")
    for network in seen["cat_1"]:
        right = sum(seen[name][network][0][0] == label for name, (label, _) in sketches.shipped().items())
        print(f"{network}: {right} of {len(seen)} sketches are recognised as they arrived")

    versions = arrived(page)["strokes"]
    whole = [before for before, after in zip(versions, versions[1:], strict=False) if not after]
    assert len(whole) == len(seen)
    for got, (name, (_, strokes)) in zip(whole, sketches.shipped().items(), strict=True):
        assert [len(stroke) > 0 for stroke in got] == [True] * len(strokes), name
        for mine, theirs in zip(got, strokes, strict=True):
            ends = np.array([mine[0], mine[-1]]) - np.array([theirs[0], theirs[-1]])
            assert np.abs(ends).max() < 0.02, name  # some pixels of the page
        assert shown_alike(seen[name], computed(got)), name


def shown_alike(page: dict, python: dict) -> bool:
    """The same classes in the same order, and shares that differ by rounding alone."""
    return page.keys() == python.keys() and all(
        [name for name, _ in page[method]] == [name for name, _ in python[method]]
        and all(abs(a - b) <= 1 for (_, a), (_, b) in zip(page[method], python[method], strict=True))
        for method in python)


def test_undo_clear_and_example_by_keyboard(page):
    cell, root = pad_of(page.page)
    press(root, "Example")
    browser.wait_until(lambda: answered(root) > 1, 30, "a sketch is shown")
    count = answered(root)
    assert all(len(given) == 3 for given in shown(root).values())
    assert f"{count} strokes" in root.locator("canvas").get_attribute("aria-label")
    press(root, "Undo")
    browser.wait_until(lambda: answered(root) == count - 1, 30, "a stroke is taken back")
    clear(root)
    assert list(shown(root).values()) == [[], [], []]
    assert "Draw one of these" in root.get_by_role("status").inner_text()


def test_a_finger_draws_and_does_not_scroll(page):
    """On a phone: what a touch sends is what a mouse sends, and the page stays where it is."""
    cell, root = pad_of(page.page)
    canvas, session = root.locator("canvas"), page.page.context.new_cdp_session(page.page)
    box, before = canvas.bounding_box(), answered(root)
    x, y = box["x"] + box["width"] / 2, box["y"] + 0.8 * box["height"]
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 9):
        point = {"x": x, "y": y - step * box["height"] / 16}
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    browser.wait_until(lambda: answered(root) == before + 1, 30, "the finger's stroke is answered")
    assert canvas.bounding_box() == box
    (stroke,) = arrived(page)["strokes"][-1]
    assert len(stroke) > 4 and abs(stroke[-1][1] - 0.3) < 0.05


def test_running_the_cell_again_leaves_one_pad(page):
    cell, _ = pad_of(page.page)
    for _ in range(2):
        cell.locator(".jp-InputArea-editor").click()
        page.page.keyboard.press("Control+Enter")
        page.page.wait_for_timeout(3000)
    pad_of(page.page)
    assert page.page.locator(".drawing-pad").count() == 1
    assert arrived(page)["pads"] == 1


def test_nothing_is_cut_off_on_a_phone(page):
    _, root = pad_of(page.page)
    page.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    page.page.set_viewport_size(browser.PHONE)
    page.page.wait_for_timeout(1000)
    assert root.evaluate("""root => [root, ...root.querySelectorAll("canvas, button, section, li")].every(
        part => part.scrollWidth <= part.clientWidth + 1
            && part.getBoundingClientRect().right <= root.getBoundingClientRect().right)""")
    assert root.bounding_box()["x"] + root.bounding_box()["width"] <= browser.PHONE["width"]
    canvas = root.locator("canvas").evaluate("canvas => [canvas.clientWidth, canvas.clientHeight, canvas.width]")
    assert canvas[0] == canvas[1] == canvas[2] > 200  # as square as ever, and drawn anew in its new size
    page.page.set_viewport_size(browser.PROJECTOR)
