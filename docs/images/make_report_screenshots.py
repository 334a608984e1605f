"""Takes the pictures of docs/report.md, in a browser: a desk in light, a phone in dark.

Run it in a folder with the reports of docs/gallery/flights.md and docs/gallery/digits.md:

    pip install playwright
    python docs/images/make_report_screenshots.py flights.html digits.html

It needs Chromium: that of the system, or the one that `playwright install chromium` brings.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent


def main() -> None:
    """Opens the page, looks whether it fits and loads nothing, and takes the pictures."""
    page_file = Path(sys.argv[1]).resolve()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--headless"], chromium_sandbox=False
        )
        page = browser.new_page(viewport={"width": 960, "height": 1180})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        page.screenshot(path=IMAGES / "report.png")
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 390, "height": 844})
        if page.evaluate("document.documentElement.scrollWidth") > 390:
            sys.exit("the page is wider than a phone")
        if [url for url in asked if not url.startswith(("file:", "data:"))]:
            sys.exit(f"the page loads {asked}")
        for name in ("map", "clusters"):
            page.evaluate(f"document.getElementById('{name}').scrollIntoView()")
            page.screenshot(path=IMAGES / f"report-phone-{name}.png")
        page = browser.new_page(viewport={"width": 960, "height": 640})
        page.goto(Path(sys.argv[2]).resolve().as_uri())
        page.evaluate("document.querySelectorAll('h3')[1].scrollIntoView()")
        page.screenshot(path=IMAGES / "report-members.png")


if __name__ == "__main__":
    main()
