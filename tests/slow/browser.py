"""JupyterLab on this machine and a real browser in front of it, for tests that use the notebooks as a reader does."""
from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]
PROJECTOR, PHONE = {"width": 1280, "height": 720}, {"width": 390, "height": 844}
NOTEBOOK = "window.jupyterapp.shell.currentWidget"  # JavaScript: the tab that is open
STATUS = f"{NOTEBOOK}.sessionContext.session.kernel.status"


def chromium() -> str | None:
    """The path of a Chromium or Chrome, None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser():
    """Chromium, driven by playwright. While it is open, nothing else in this thread may use asyncio."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield opened
        opened.close()


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def served(folder: Path):
    """The address, with "/" at its end, under which a web server of its own shows the files of `folder`."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory",
                               str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 30, "the server answers")
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.kill()
        server.wait()


class Lab:
    """A JupyterLab server that shows `folder` and knows nothing of its user: own settings, own workspaces, no news.

    Attributes:
        log: the file that holds what the server says.
    """

    def __init__(self, folder: Path, private: Path):
        settings = private / "config/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
        port = free_port()
        self.address, self.token, self.log = f"http://127.0.0.1:{port}", secrets.token_hex(16), private / "lab.log"
        own = {name: str(private / name.lower()) for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
        environment = {"TL_TRACK": "pocket", **os.environ, **own, "JUPYTER_CONFIG_DIR": str(private / "config")}
        command = [sys.executable, "-m", "jupyter", "lab", str(folder), "--no-browser", "--allow-root",
                   "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
                   f"--IdentityProvider.token={self.token}", "--LabApp.news_url=None",
                   "--LabApp.expose_app_in_browser=True"]
        with self.log.open("w") as log:
            self.server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        self.wait(seconds=60)

    def wait(self, seconds: float) -> None:
        """Wait until the server answers."""
        end = time.monotonic() + seconds
        while self.server.poll() is None and time.monotonic() < end:
            try:
                self.request("GET", "status")
                return
            except OSError:
                time.sleep(0.2)
        self.close()
        raise RuntimeError(f"jupyter lab did not start:\n{self.log.read_text()}")

    def request(self, method: str, path: str):
        """Ask the server's API; returns what it answers, None if that is nothing."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.address}/api/{path}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def close(self) -> None:
        """End the server and its kernels."""
        self.server.terminate()
        try:
            self.server.wait(30)
        except subprocess.TimeoutExpired:
            self.server.kill()

    @contextmanager
    def opened(self, browser, path: str):
        """A page that shows the notebook at `path`, its kernel ready. The kernel ends with it."""
        page = browser.new_page(viewport=PROJECTOR, reduced_motion="reduce")
        page.goto(f"{self.address}/lab/tree/{path}?reset&token={self.token}")
        page.wait_for_function(f"window.jupyterapp && {NOTEBOOK}?.sessionContext?.session?.kernel?.status === 'idle'",
                               timeout=60_000)
        yield page
        page.close()
        for session in self.request("GET", "sessions"):
            self.request("DELETE", f"sessions/{session['id']}")


def run_all(page, seconds: float) -> list[dict]:
    """Run > Run All Cells, and wait until all have run or one has failed. Returns the code cells, as in a file."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(f"""() => {{
        const cells = [...{NOTEBOOK}.content.model.cells].filter(cell => cell.type === "code");
        const failed = cells.some(cell => cell.outputs.toJSON().some(output => output.output_type === "error"));
        return (failed || cells.every(cell => cell.executionCount)) && {STATUS} === "idle";
    }}""", timeout=1000 * seconds, polling=500)
    cells = page.evaluate(f"{NOTEBOOK}.content.model.toJSON().cells")
    return [cell for cell in cells if cell["cell_type"] == "code"]


def cell_with(page, words: str):
    """The code cell whose source holds these words, scrolled into view (JupyterLab draws no cell before it is near)."""
    number = page.evaluate(f"words => {NOTEBOOK}.content.model.toJSON().cells.findIndex("
                           "cell => cell.cell_type === 'code' && [cell.source].flat().join('').includes(words))", words)
    assert number >= 0, f"no code cell holds {words!r}"
    page.evaluate(f"number => {NOTEBOOK}.content.scrollToItem(number, 'start')", number)
    cell = page.locator(f".jp-Notebook .jp-Cell[data-windowed-list-index='{number}']")
    cell.wait_for()
    place = None
    for _ in range(20):  # it moves as long as the cells above it are being drawn
        before, place = place, cell.bounding_box()
        if before == place is not None:
            break
        page.wait_for_timeout(300)
    return cell


def change(cell, label: str) -> None:
    """Move the slider that is labelled so, with the keyboard, or choose the next entry of the menu."""
    row = cell.locator(".widget-inline-hbox").filter(has=cell.page.locator(f"label:text-is('{label}')"))
    control = row.locator(".noUi-handle, select").first
    if control.evaluate("control => control.tagName") == "SELECT":
        count, chosen = control.evaluate("control => [control.options.length, control.selectedIndex]")
        assert chosen >= 0, f"the menu {label!r} is blank: none of its entries is chosen"
        control.select_option(index=(chosen + 1) % count)
        return
    control.focus()
    at_the_end = control.get_attribute("aria-valuenow") == control.get_attribute("aria-valuemax")
    cell.page.keyboard.press("ArrowLeft" if at_the_end else "ArrowRight")


def shown(cell) -> str:
    """What a panel shows: the text of its HTML parts, and their pictures' alternative texts and sources."""
    return cell.locator(".jp-OutputArea .widget-html-content").evaluate_all(
        """all => all.flatMap(part => [part.innerText, ...[...part.querySelectorAll("img")].flatMap(
            picture => [picture.alt, picture.src])]).join(" ")""")


def photograph(page, cell, path: Path) -> None:
    """Screenshots of a cell's output, `path`_projector.png and `path`_phone.png."""
    shell = "window.jupyterapp.shell"
    for size, viewport, side in (("projector", PROJECTOR, "expand"), ("phone", PHONE, "collapse")):
        page.evaluate(f"{shell}.{side}Left()")  # the list of files, which a phone has no room for
        page.set_viewport_size(viewport)
        page.wait_for_timeout(500)  # JupyterLab lays its parts out anew, a little later
        cell.locator(".jp-Cell-outputWrapper").evaluate("output => output.scrollIntoView()")
        page.wait_for_timeout(300)
        page.screenshot(path=f"{path}_{size}.png")
    page.set_viewport_size(PROJECTOR)


def wait_until(true, seconds: float, what: str) -> None:
    """Ask `true()` until it holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        time.sleep(0.1)
