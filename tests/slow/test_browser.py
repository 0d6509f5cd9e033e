"""The notebooks in JupyterLab in a real browser, used as a reader uses them; and as HTML pages without script.

Screenshots go to build/screenshots, in a projector's size and a phone's, to be looked at.
"""
import re
import shutil
from importlib.util import find_spec

import nbformat
import pytest
from PIL import Image

from tests.slow import browser
from tests.test_project import ROOT

PATHS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SCREENSHOTS = ROOT / "build/screenshots"
SECONDS = 400  # for all cells of a notebook: many times what the slowest takes

# notebook -> the function that makes a panel -> the labels of the controls that change what it shows
PANELS = {
    "02": {"layer_explorer": ["image", "layer", "channel"]},
    "03": {"augmentation": ["padding", "crop", "flip", "rotation", "brightness", "hue", "seed"]},
    "05": {"freeze_depth": ["depth"]},
    "06": {"refusals": ["threshold"]},
}
TRAININGS = {"05": "LiveTraining"}  # notebook -> the function that makes a panel with Start and Stop
# notebook -> the function that makes a panel with an upload, and what its text must hold afterwards
UPLOADS = {"06": ("try_picture", r"photograph\.jpg, as the networks see it\.[\s\S]* %")}

pytestmark = [
    pytest.mark.limit(600),
    pytest.mark.skipif(find_spec("playwright") is None, reason="playwright is not installed"),
    pytest.mark.skipif(browser.chromium() is None, reason="neither Chromium nor Chrome is installed"),
]


@pytest.fixture(scope="module")
def chromium():
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with browser.browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the course, since it saves by itself; the notebooks in it have never been run."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copytree(ROOT / "helpers", folder / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", folder)
    (folder / "notebooks").mkdir()
    for path in PATHS:
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, folder / "notebooks" / path.name)
    server = browser.Lab(folder, tmp_path_factory.mktemp("private"))
    yield server
    server.close()


def failures(cells) -> list[str]:
    """The error outputs of code cells and what they wrote to stderr."""
    outputs = [output for cell in cells for output in cell["outputs"]]
    return ([f"{output['ename']}: {output['evalue']}" for output in outputs if output["output_type"] == "error"]
            + ["".join(output["text"]) for output in outputs if output.get("name") == "stderr"])


def photograph(page, number: str, function: str) -> None:
    browser.photograph(page, browser.cell_with(page, f"panels.{function}("), SCREENSHOTS / f"{number}_{function}")


def use_panel(page, function: str, labels: list[str]) -> None:
    """Change each control; what the panel shows must change."""
    cell = browser.cell_with(page, f"panels.{function}(")
    for label in labels:
        before = browser.shown(cell)
        assert before and "Traceback" not in before
        browser.change(cell, label)
        browser.wait_until(lambda before=before: browser.shown(cell) not in ("", before), 20, f"{label} changes it")
    assert "Traceback" not in browser.shown(cell)


def train_and_stop(page, function: str) -> None:
    """Start, see the first report, Stop, and see that the run has ended."""
    cell = browser.cell_with(page, f"panels.{function}(")
    start, stop = (cell.get_by_role("button", name=name) for name in ("Start", "Stop"))
    start.press("Enter")
    browser.wait_until(lambda: re.search(r"[Ee]poch \d+ of", browser.shown(cell)), 120, "an epoch is reported")
    stop.press("Enter")
    browser.wait_until(lambda: start.is_enabled() and "Stopped" in browser.shown(cell), 120, "it says that it stopped")


def upload(page, function: str, picture, expected: str) -> None:
    """Choose a file in the dialog that the upload button opens, and read what the panel answers."""
    cell = browser.cell_with(page, f"panels.{function}(")
    before = browser.shown(cell)
    with page.expect_file_chooser() as chooser:
        cell.locator(".widget-upload").press("Enter")
    chooser.value.set_files(picture)
    browser.wait_until(lambda: browser.shown(cell) != before and re.search(expected, browser.shown(cell)), 30,
                       f"the answer holds {expected!r}")


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A picture as a phone makes it: not square, and larger than any image of the course."""
    path = tmp_path_factory.mktemp("picture") / "photograph.jpg"
    Image.linear_gradient("L").convert("RGB").resize((1200, 900)).save(path)
    return path


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_all_cells_run_and_all_panels_answer(path, lab, chromium, picture):
    number = path.name[:2]
    with lab.opened(chromium, f"notebooks/{path.name}") as page:
        page.screenshot(path=SCREENSHOTS / f"{number}_top_projector.png")
        cells = browser.run_all(page, SECONDS)
        assert failures(cells) == []
        assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
        for function, labels in PANELS.get(number, {}).items():
            use_panel(page, function, labels)
            photograph(page, number, function)
        if number in TRAININGS:
            train_and_stop(page, TRAININGS[number])
            photograph(page, number, TRAININGS[number])
        if number in UPLOADS:
            function, expected = UPLOADS[number]
            upload(page, function, picture, expected)
            photograph(page, number, function)


def test_no_panel_is_forgotten():
    """Every panel that a notebook shows stands in a table above."""
    for path in PATHS:
        number = path.name[:2]
        code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
        known = {*PANELS.get(number, {}), TRAININGS.get(number), UPLOADS.get(number, [None])[0]}
        assert set(re.findall(r"\bpanels\.(\w+)\(", code)) == known - {None}, path.name


# --- as HTML ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def without_script(chromium):
    """A browser on a phone that runs no script and reaches no network."""
    context = chromium.new_context(java_script_enabled=False, offline=True, viewport=browser.PHONE)
    yield context
    context.close()


@pytest.mark.parametrize("template", ["lab", "classic"])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_the_html_export_shows_everything_without_script(path, template, without_script, tmp_path):
    from nbconvert import HTMLExporter

    html, _ = HTMLExporter(template_name=template).from_filename(str(path))
    (tmp_path / "notebook.html").write_text(html, encoding="utf-8")
    figures = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])
               if "image/png" in output.get("data", {})]
    page = without_script.new_page()
    page.goto((tmp_path / "notebook.html").as_uri())
    pictures = page.locator(".jp-OutputArea-output img, .output_area img")
    assert pictures.evaluate_all("all => all.map(picture => picture.naturalWidth > 0)") == [True] * len(figures)
    if template == "classic":  # lab's, the default, drops the figures' alternative texts
        assert pictures.evaluate_all("all => all.map(picture => picture.alt)") \
            == [output.metadata["image/png"]["alt"] for output in figures]
    words = page.locator("body").inner_text()
    assert "Traceback" not in words and "## " not in words
    too_wide = page.evaluate("document.documentElement.scrollWidth") - browser.PHONE["width"]
    page.screenshot(path=SCREENSHOTS / f"{path.name[:2]}_{template}_html_phone.png", full_page=True)
    assert too_wide <= 0
    page.close()
