"""Pictures of a report at two widths, light and dark.

`python tests/browser/screenshots.py REPORT.html OUTDIR` writes them.
"""

import sys
from itertools import product
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, sync_playwright

SIZES: Final = {"1280": (1280, 900), "390": (390, 844)}
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
ARGUMENTS: Final = ("--headless", "--no-sandbox", "--disable-gpu")


def main(report: Path, folder: Path) -> None:
    """Write `NAME-WIDTH-THEME.png`: the top, the items and one item in full."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        for size, theme in product(SIZES, THEMES):
            _shoot(browser, report, folder, size, theme)
        browser.close()


def _shoot(browser: Browser, report: Path, folder: Path, size: str, theme: Literal["light", "dark"]) -> None:
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
    page.goto(report.resolve().as_uri())
    page.wait_for_selector(".tile")
    for name, selector in (("top", "body"), ("plots", "#plots"), ("items", "#items")):
        page.locator(selector).evaluate("(element) => scrollTo(0, element.offsetTop - 40)")
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{name}-{size}-{theme}.png")
    page.locator(".card.is-saved .id").first.click()
    page.wait_for_timeout(400)
    page.screenshot(path=folder / f"item-{size}-{theme}.png")
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
