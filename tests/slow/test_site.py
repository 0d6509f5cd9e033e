"""The web site in Chromium: built without a warning, whole, readable on a phone and on a wall, and by a screen reader.

Screenshots go to build/screenshots, to be looked at.
"""
import html
import re
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urldefrag

import nbformat
import pytest

from helpers.fetch import packages
from helpers.make import site
from helpers.make.site_links import ROOT, pages
from tests.slow import browser
from tests.slow.test_browser import SCREENSHOTS

pytestmark = [
    pytest.mark.limit(600),
    pytest.mark.skipif(None in map(find_spec, site.NEEDED.values()), reason="what builds the site is not installed"),
]
in_browser = pytest.mark.skipif(find_spec("playwright") is None or browser.chromium() is None,
                                reason="playwright or Chromium is not installed")

WIDTHS, THEMES = (390, 1280, 1920), ("light", "dark")
LESSONS = sorted(page.replace(".ipynb", ".html") for page in pages().values() if page.startswith("0"))
AXE = ("axe-core", "4.14.1")
OPEN = """() => {
    document.querySelectorAll("details").forEach(details => details.open = true);
    document.querySelectorAll("img").forEach(image => image.loading = "eager");
    return Promise.all([...document.images].map(image => image.decode().catch(() => {})));
}"""
TOO_WIDE = """() => [...document.querySelectorAll("body, article, article *")].filter(part => {
    const scrolls = part.closest("pre, .table-wrapper");
    return part.getBoundingClientRect().right > innerWidth + 1 && (!scrolls || scrolls === part);
}).map(part => part.outerHTML.slice(0, 120))"""
BROKEN = "() => [...document.images].filter(image => !image.naturalWidth || !image.alt.trim()).map(image => image.src)"
CUT = """() => [...document.querySelectorAll("article pre, article table, article details > *, article img")].filter(
    part => part.scrollWidth > part.clientWidth + 1 && part.matches("pre") || !part.checkVisibility()
    || part.getBoundingClientRect().right > innerWidth + 1).filter(part => !part.closest("summary"))
    .map(part => part.outerHTML.slice(0, 120))"""


class Page(HTMLParser):
    """What a page links to, what can be linked to in it, and its images' alternative texts."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.places, self.alts = [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places |= {found[name] for name in ("id", "name") if found.get(name)}
        self.links += [found[name] for name in ("href", "src") if found.get(name)]
        if tag == "img":
            self.alts.append(found.get("alt", ""))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site's folder. A warning would have ended the build."""
    out = tmp_path_factory.mktemp("site") / "site"
    site.build(out)
    return out


@pytest.fixture(scope="module")
def read(built):
    """Every page, by its path in the site."""
    return {path.relative_to(built).as_posix(): Page(path) for path in sorted(built.rglob("*.html"))}


@pytest.fixture(scope="module")
def tab(built):
    """A page of Chromium: `tab.visit(name, width, theme)`; `tab.said`, what it had to complain about."""
    with browser.served(built) as here, browser.browser() as opened:
        page = opened.new_page(reduced_motion="reduce")
        page.said = []
        page.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.said.append(request.url) if not request.url.startswith(
            (here, "data:")) else None)

        def visit(name: str, width: int = 1280, theme: str = "light") -> None:
            page.said.clear()
            page.emulate_media(media="screen", color_scheme=theme)
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(here + name)
            page.evaluate(OPEN)

        page.visit = visit
        yield page


# --- what is in the files --------------------------------------------------------------------------------------------

def test_every_text_of_the_course_is_a_page(read):
    own = {"index.html", "search.html"}
    assert set(read) == own | {re.sub(r"\.(md|ipynb)$", ".html", page) for page in pages().values()}


def test_no_link_and_no_image_is_broken(built, read):
    broken = []
    for name, page in read.items():
        for link in page.links:
            file, place = urldefrag(link)
            if re.match(r"[a-z]+:", file):
                continue
            goal = (built / name).parent / unquote(file.partition("?")[0]) if file else built / name
            goal = goal.resolve().relative_to(built.resolve()).as_posix()
            there = read.get(goal)
            if not (built / goal).is_file() or place and there and unquote(place) not in there.places:
                broken.append(f"{name}: {link}")
    assert broken == [] and sum(len(page.links) for page in read.values()) > 1000


def test_no_page_links_to_an_address_that_nobody_has(read):
    assert [link for page in read.values() for link in page.links if "OWNER/REPO" in link] == []


@pytest.mark.parametrize("path", [path for path in pages() if path.endswith(".ipynb")])
def test_a_page_holds_its_notebooks_alternative_texts_in_their_order(path, read):
    cells = nbformat.read(ROOT / path, as_version=4).cells
    wanted = [output.metadata["image/png"]["alt"] for cell in cells for output in cell.get("outputs", [])
              if "image/png" in output.get("data", {})]
    found = read[pages()[path].replace(".ipynb", ".html")].alts
    assert [alt for alt in found if not alt.startswith("The right half of the figure")] == wanted


def test_the_first_use_of_a_word_shows_its_explanation(built):
    text = (built / "01_what_is_transfer_learning.html").read_text(encoding="utf-8")
    links = re.findall(r'<a [^>]*href="GLOSSARY\.html#([^"]*)"([^>]*)>', text)
    assert len(links) > 20 and [place for place, rest in links if not re.search(r'title="[^"]{20,}"', rest)] == []


def test_what_was_predicted_waits_behind_a_click(built):
    for name in LESSONS:
        cells = nbformat.read(ROOT / "notebooks" / name.replace(".html", ".ipynb"), as_version=4).cells
        results = [cell for cell in cells if "result" in cell.metadata.get("tags", [])]
        assert (built / name).read_text(encoding="utf-8").count("Predicted? Show the result") == len(results) > 0
    solution = (built / "solutions/01_solutions.html").read_text(encoding="utf-8")
    assert solution.count("<summary>Show the solution</summary>") == solution.count("<h2>") > 3


def test_results_and_speed_are_tables(built):
    for name, words in (("results.html", "LP-FT - frozen"), ("SPEED.html", "frozen VGG-16")):
        text = html.unescape((built / name).read_text(encoding="utf-8"))
        assert words in text and "<table" in text


# --- what a reader sees ----------------------------------------------------------------------------------------------

@in_browser
@pytest.mark.parametrize("theme", THEMES)
def test_pages_fit_every_screen_and_nothing_is_missing_in_them(theme, tab, read):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    faults = {}
    for name in read:
        tab.visit(name, theme=theme)
        for width in WIDTHS:
            tab.set_viewport_size({"width": width, "height": 800})
            wide = tab.evaluate(TOO_WIDE)
            faults |= {(name, width): wide} if wide else {}
            if name in ("index.html", "GLOSSARY.html", LESSONS[0], LESSONS[3]):
                tab.screenshot(path=SCREENSHOTS / f"site_{Path(name).stem}_{width}_{theme}.png")
        broken = tab.evaluate(BROKEN)
        faults |= {(name, "images"): broken} if broken else {}
        faults |= {(name, "console"): list(tab.said)} if tab.said else {}
    assert faults == {}


@in_browser
def test_search_finds_a_word_in_the_lessons(tab):
    tab.visit("search.html?q=calibration")
    tab.locator("#search-results li a[href^='06_your_own_pictures.html']").first.wait_for(timeout=20_000)
    assert tab.said == []


@in_browser
def test_nothing_moves_for_a_reader_who_has_asked_for_less_motion(tab):
    """Else axe sees colours half-way: cells fade in where they are unfolded."""
    tab.visit(LESSONS[0])
    moving = "() => document.getAnimations().length"
    assert tab.evaluate(moving) == 0
    tab.emulate_media(reduced_motion="no-preference")
    try:
        tab.reload()
        assert tab.evaluate(f"() => {{ ({OPEN})(); return ({moving})(); }}") > 0, "the test sees what moves"
    finally:
        tab.emulate_media(reduced_motion="reduce")


@in_browser
def test_a_page_that_is_too_wide_would_be_noticed(tab):
    tab.visit("index.html", 390)
    tab.evaluate("document.querySelector('article p').style.width = '500px'")
    assert len(tab.evaluate(TOO_WIDE)) > 0
    tab.evaluate("document.querySelector('article img').src = 'nowhere.png'")
    tab.evaluate(OPEN)
    assert len(tab.evaluate(BROKEN)) == 1 and len(tab.said) == 1


@in_browser
def test_on_a_phone_the_second_column_of_a_figure_stands_below_the_first(tab):
    sides = """() => [...document.querySelectorAll(".figure")].filter(figure => figure.children.length === 2).map(
        figure => [...figure.children].map(part => part.getBoundingClientRect()).map(box => [box.left, box.top]))"""
    for width, below in ((390, True), (1280, False)):
        tab.visit(LESSONS[4], width)
        found = tab.evaluate(sides)
        assert len(found) > 1
        assert all((a[0] == b[0] and a[1] < b[1]) == below for a, b in found)


@in_browser
@pytest.mark.parametrize("name", ["GLOSSARY.html", *LESSONS, "solutions/03_solutions.html"])
def test_paper_cuts_nothing(name, tab):
    tab.visit(name, 700)  # pixels: A4 between its margins
    tab.evaluate("document.querySelectorAll('details').forEach(details => details.open = false)")
    assert bool(tab.evaluate(CUT)) == (name != "GLOSSARY.html"), "on the screen, results are hidden and lines are cut"
    tab.emulate_media(media="print")
    assert tab.evaluate(CUT) == []


@in_browser
@pytest.mark.parametrize("width, theme", [(390, "dark"), (1280, "light")])
def test_axe_finds_no_serious_fault(width, theme, tab, read, tmp_path_factory):
    """On a phone on every page, on a laptop on those that differ."""
    try:
        source = packages.fetch(*AXE, tmp_path_factory.getbasetemp() / "axe-core") / "axe.min.js"
    except RuntimeError as error:
        pytest.skip(f"axe-core can't be had: {error}")
    faults = []
    for name in read if width == 390 else ("index.html", "GLOSSARY.html", "results.html", *LESSONS):
        tab.visit(name, width, theme)
        tab.add_script_tag(path=source)
        found = tab.evaluate("() => axe.run({resultTypes: ['violations']}).then(result => result.violations)")
        faults += [f"{name}: {fault['id']}, {fault['impact']}: {fault['nodes'][0]['html'][:200]} "
                   f"{fault['nodes'][0]['failureSummary'][:200]}" for fault in found
                   if fault["impact"] in ("serious", "critical")]
    assert faults == []
