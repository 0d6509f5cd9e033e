"""The notebooks in JupyterLab in a real browser, used as a reader uses them; and as HTML pages without script.

Screenshots go to build/screenshots, in a projector's size and a phone's, to be looked at.
"""
import re
import shutil
from importlib.util import find_spec

import nbformat
import pytest
from PIL import Image

from tests import invented
from tests.slow import browser
from tests.test_project import ROOT

PATHS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SCREENSHOTS = ROOT / "build/screenshots"
SECONDS = 400  # for all cells of a notebook: many times what the slowest takes

# the function that makes a panel -> the labels of the controls that change what it shows
PANELS = {
    "panels.layer_explorer": ["image", "layer", "channel"],
    "panels.augmentation": ["padding", "crop", "flip", "rotation", "brightness", "hue", "seed"],
    "mistakes.browser": ["page", "order", "heat map"],
    "panels.freeze_depth": ["depth"],
    "panels.refusals": ["threshold"],
}
SQUARES = "mistakes.browser"  # the panel whose squares can be clicked
TRAINING = "panels.LiveTraining"  # the panel with Start and Stop
UPLOAD = "panels.try_picture"  # the panel with an upload
ANSWER = r"photograph\.jpg, as the networks see it\.[\s\S]* %"  # what its text must hold afterwards

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
    nbformat.write(of_panels(), folder / "notebooks" / "panels.ipynb")
    server = browser.Lab(folder, tmp_path_factory.mktemp("private"))
    yield server
    server.close()


def of_panels() -> nbformat.NotebookNode:
    """A notebook that shows each panel once, of ten made-up classes; the confusion matrix has all that it can show."""
    start = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tests.invented import PANELS, exam"
    cells = [start, *(f"PANELS['{name}'](exam({12 if name == SQUARES else 10}, 96, 12))" for name in invented.PANELS)]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}  # else Lab asks
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells], metadata=kernel)


def failures(cells) -> list[str]:
    """The error outputs of code cells and what they wrote to stderr."""
    outputs = [output for cell in cells for output in cell["outputs"]]
    return ([f"{output['ename']}: {output['evalue']}" for output in outputs if output["output_type"] == "error"]
            + ["".join(output["text"]) for output in outputs if output.get("name") == "stderr"])


def panels_of(path) -> set[str]:
    """The functions that make panels and that a notebook calls."""
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    return set(re.findall(r"\b(panels\.\w+|mistakes\.browser)\(", code))


def photograph(page, number: str, function: str) -> None:
    browser.photograph(page, browser.cell_with(page, f"{function}("), SCREENSHOTS / f"{number}_{function}")


def use_panel(page, function: str, labels: list[str]) -> None:
    """Change each control; what the panel shows must change."""
    cell = browser.cell_with(page, f"{function}(")
    for label in labels:
        before = browser.shown(cell)
        assert before and "Traceback" not in before
        browser.change(cell, label)
        browser.wait_until(lambda before=before: browser.shown(cell) not in ("", before), 20, f"{label} changes it")
    assert "Traceback" not in browser.shown(cell)


def choose_squares(page, function: str) -> None:
    """Click on a square of the confusion matrix, and choose another by keyboard: the mistakes of each are shown."""
    cell = browser.cell_with(page, f"{function}(")
    squares = cell.locator("button[title*=' taken for ']:enabled")
    kinds = squares.evaluate_all("all => all.map(square => square.title.split(': '))")
    assert kinds[0][0] == "any class taken for any other" and len(kinds) > 3
    for number, choose in ((len(kinds) - 1, lambda one: one.click()), (1, lambda one: one.press("Enter"))):
        kind, count = kinds[number]
        caption = re.compile(rf"\b{count} mistakes? \({re.escape(kind)}\)")
        assert not caption.search(browser.shown(cell))
        choose(squares.nth(number))
        browser.wait_until(lambda caption=caption: caption.search(browser.shown(cell)), 20, f"{kind} is shown")


def train_and_stop(page, function: str) -> None:
    """Start, see the first report, Stop, and see that the run has ended."""
    cell = browser.cell_with(page, f"{function}(")
    start, stop = (cell.get_by_role("button", name=name) for name in ("Start", "Stop"))
    start.press("Enter")
    browser.wait_until(lambda: re.search(r"[Ee]poch \d+ of", browser.shown(cell)), 120, "an epoch is reported")
    stop.press("Enter")
    browser.wait_until(lambda: start.is_enabled() and "Stopped" in browser.shown(cell), 120, "it says that it stopped")


def upload(page, function: str, picture, expected: str) -> None:
    """Choose a file in the dialog that the upload button opens, and read what the panel answers."""
    cell = browser.cell_with(page, f"{function}(")
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
        for function in panels_of(path):
            use_panel(page, function, PANELS.get(function, []))
            if function == SQUARES:
                choose_squares(page, function)
            if function == TRAINING:
                train_and_stop(page, function)
            if function == UPLOAD:
                upload(page, function, picture, ANSWER)
            photograph(page, number, function)


def test_no_panel_is_forgotten():
    """Every panel that a notebook shows stands in a table above, and every one in the tables is shown."""
    assert set().union(*map(panels_of, PATHS)) == {*PANELS, TRAINING, UPLOAD} == set(invented.PANELS)


# What reaches over the edge of an output, and what is wider than the control that it stands in.
TOO_WIDE = """output => {
    const edge = output.getBoundingClientRect(), all = [...output.querySelectorAll(
        "label, button, select, .widget-readout, .noUi-target, .widget-html-content, p, b, img, td, th, figure, pre")];
    return all.filter(part => part.getBoundingClientRect().right > edge.right + 1
                      || (part.matches("label, button") && part.scrollWidth > part.clientWidth))
              .map(part => part.tagName + " " + (part.title || part.innerText));
}"""


def test_every_panel_fits_a_phone(lab, chromium):
    """Nothing is cut off at its right edge, and nothing has to be moved sideways."""
    with lab.opened(chromium, "notebooks/panels.ipynb") as page:
        assert failures(browser.run_all(page, SECONDS)) == []
        page.evaluate("window.jupyterapp.shell.collapseLeft()")  # the list of files, which a phone has no room for
        page.set_viewport_size(browser.PHONE)
        for name in invented.PANELS:
            output = browser.cell_with(page, f"PANELS['{name}']").locator(".jp-OutputArea-output")
            output.evaluate("output => output.scrollIntoView()")
            page.wait_for_timeout(500)  # JupyterLab lays its parts out anew, a little later
            output.screenshot(path=SCREENSHOTS / f"phone_{name}.png")
            assert output.evaluate(TOO_WIDE) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= browser.PHONE["width"]


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
