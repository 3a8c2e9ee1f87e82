"""What the tests in a browser share: Debian's Chromium, axe-core, and pages that must keep silent."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser a module: while Playwright is open its event loop is the thread's, and no other may be."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, address: str, *, may_say: str | None = None, **context: Any) -> Iterator[Page]:
    """Open a page, and hold at the end that it said nothing on the console and raised nothing.

    `may_say` is part of what the browser itself says of a refusal, which no page can prevent. A page from a
    file must also have asked nobody for anything.
    """
    with browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | context)) as tab:
        page = tab.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.wait_for_selector(".tile")
        yield page
        assert [words for words in said if may_say is None or may_say not in words] == []
        if address.startswith("file:"):
            assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Return the function that opens a page; when the test is over, what `opened` promises must hold."""
    with ExitStack() as pages:
        yield lambda address, **context: pages.enter_context(opened(browser, address, **context))


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the source of axe-core: the file that AXE_CORE names, or as npm has it."""
    if "AXE_CORE" in os.environ:
        return Path(os.environ["AXE_CORE"]).read_text(encoding="utf-8")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm, and AXE_CORE does not name axe-core")
    folder = tmp_path_factory.mktemp("npm")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), "axe-core@4"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
