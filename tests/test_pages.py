"""The pages around the notebooks: short enough, with links that lead somewhere, and of one version."""
import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "notebooks").glob("*.md")),
         *sorted((ROOT / ".github").rglob("*.md"))]


def anchors(path: Path) -> set[str]:
    """The names that GitHub gives to the places of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_to_a_file_and_a_heading_that_are_there(path):
    text = re.sub(r"<!--.*?-->|^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    targets = [target for target in re.findall(r'\]\(([^)\s]+)\)|src="([^"]+)"', text) for target in target if target]
    for target in [target for target in targets if "://" not in target]:
        file, _, place = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        assert there.suffix != ".md" or not place or place in anchors(there), target


def test_the_readme_is_one_page_and_says_what_a_newcomer_asks_in_this_order():
    """For whom, how long, how to start, where to begin; then the series and the results, and only then the tests."""
    assert len(README.splitlines()) <= 90 and len(README) <= 7_000
    asked = ["**For**", "**Time:**", "jupyter lab notebooks", "**Begin with [notebook 1]", "## The series",
             "## Three results", "-m pytest"]
    places = [README.index(words) for words in asked]
    assert places == sorted(places)
    assert len(re.findall(r"^python3 .*", README, re.MULTILINE)) == 2


def test_the_moving_picture_moves_is_light_and_is_described():
    name, alt = re.search(r'<img [^>]*src="([^"]+)"[^>]* alt="([^"]+)">', README).groups()
    with Image.open(ROOT / name) as film:
        assert film.n_frames >= 6
        changes = set()
        for k in range(film.n_frames):
            film.seek(k)
            changes.add(film.convert("RGB").tobytes())
        assert len(changes) == film.n_frames
    assert (ROOT / name).stat().st_size <= 400_000 and len(alt) > 80


def test_changelog_citation_and_settings_name_one_version():
    version = re.search(r'^version = "(\d+\.\d+\.\d+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)[1]
    newest, date = re.search(r"^## (\S+) \((.+)\)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE).groups()
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert newest == version
    assert f"\nversion: {version}\n" in citation and f'\ndate-released: "{date}"\n' in citation
