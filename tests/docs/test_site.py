"""The site of the documentation: complete, for itself, and fit for a phone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["estimator", "export", "inputs", "kernels", "quality", "sklearn", "distribute"]
# Attributes by which a browser loads something, without a click.
LOADS = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "srcset"}


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


# What reaches beyond the window, and is in no box that scrolls. The theme hides its menus there.
CUT = """() => [...document.querySelectorAll('.md-content *')].filter(element => {
    const place = element.getBoundingClientRect();
    if (!place.width || place.left >= -1 && place.right <= innerWidth + 1) return false;
    for (let box = element.parentElement; box; box = box.parentElement)
        if (/auto|scroll/.test(getComputedStyle(box).overflowX)) return false;
    return true;
}).map(element => element.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("material", "mkdocstrings", "mkdocs"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    edit = "https://example.org/centroids/edit/main/docs/"
    environment = {"CENTROIDS_EDIT": edit, "NO_MKDOCS_2_WARNING": "1", "PATH": ""}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


def pages(site: Path) -> dict[str, Tags]:
    return {
        path.relative_to(site).as_posix(): Tags(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("index.html"))
    }


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for name, page in pages(site).items():
        for tag, attributes in page.found:
            target = attributes.get(LOADS.get(tag, ""))
            if target and attributes.get("rel") not in {"canonical", "next", "prev"}:
                assert not re.match(r"(https?:)?//", target), (name, target)
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


@pytest.mark.slow
def test_every_page_of_ours_has_an_edit_link(site: Path) -> None:
    edited = {
        attributes["href"]
        for page in pages(site).values()
        for tag, attributes in page.found
        if tag == "a" and (attributes.get("href") or "").startswith("https://example.org/")
    }
    for path in (ROOT / "docs").rglob("*.md"):
        name = path.relative_to(ROOT / "docs").as_posix()
        assert f"https://example.org/centroids/edit/main/docs/{name}" in edited


@pytest.mark.slow
def test_every_picture_says_what_it_shows(site: Path) -> None:
    found = [
        (name, attributes)
        for name, page in pages(site).items()
        for tag, attributes in page.found
        if tag == "img"
    ]
    assert len(found) > 8
    assert not [each for each in found if not each[1].get("alt")]


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_reference(site: Path, package: str) -> None:
    if package == "sklearn":
        pytest.importorskip("sklearn")
    ids = {attributes.get("id") for page in pages(site).values() for _, attributes in page.found}
    module: Any = import_module(f"centroids.{package}")
    for name in module.__all__:
        there = f"centroids.{package}.{name}"  # or a function in a module of the same name
        assert ids & {there, f"{there}.{name}"}, f"{there} belongs into docs/reference/"


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_window(site: Path, width: int) -> None:
    playwright: Any = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        page = browser.new_page(viewport={"width": width, "height": 844})
        for path in sorted(site.rglob("index.html")):
            page.goto(path.as_uri())
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (path, wide)
            assert page.evaluate(CUT) == [], path
        browser.close()
