"""Ten thousand items in a browser: painted at once, scrolled without a stutter."""

from random import Random

import pytest
from browser.conftest import Open
from playwright.sync_api import Page, expect
from report.samples import large

from batchup.report.page import render

FIRST_PAINT_S = 1.5
LONGEST_TASK_MS = 100
TRIES = 3  # the machine may be busy with something else
CARDS_AT_MOST = 60
WATCH = """
window.tasks = [];
new PerformanceObserver((list) => list.getEntries().forEach((one) => tasks.push(one.duration)))
  .observe({entryTypes: ["longtask"]});
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("large")
    (folder / "report.html").write_text(render(large(folder)), encoding="utf-8")
    return (folder / "report.html").as_uri()


def scroll(page: Page, steps: int) -> None:
    """Turn the wheel through all of the list, in steps that each end in a painted frame."""
    page.mouse.move(600, 400)
    for _ in range(steps):
        page.mouse.wheel(0, 900)
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_the_first_paint_comes_at_once(open_page: Open, report: str) -> None:
    """Ten thousand items are in the page, and its head is painted within a second and a half."""
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
    page = open_page(report)
    times = [page.evaluate(paint)]
    while times[-1] >= FIRST_PAINT_S and len(times) < TRIES:
        page.reload()
        times.append(page.evaluate(paint))
    print(f"first paint: {times} s")
    assert times[-1] < FIRST_PAINT_S


def test_scrolling_does_not_stutter(open_page: Open, report: str) -> None:
    """While all the list goes by no task takes a tenth of a second, and few cards are in the page."""
    page = open_page(report)
    page.evaluate("document.querySelector('#items').scrollIntoView()")
    page.wait_for_selector(".card")
    page.evaluate(WATCH)
    worst: list[float] = []
    while not worst or (worst[-1] > LONGEST_TASK_MS and len(worst) < TRIES):
        page.evaluate("tasks.length = 0")
        scroll(page, 12)
        for share in (0.2, 0.9, 0.5):
            page.evaluate("(share) => scrollTo(0, share * document.documentElement.scrollHeight)", share)
            scroll(page, 3)
        assert 0 < page.locator(".card").count() <= CARDS_AT_MOST
        worst.append(max(page.evaluate("tasks"), default=0))
    print(f"longest tasks while scrolling: {worst} ms")
    assert worst[-1] <= LONGEST_TASK_MS


def test_the_list_is_whole(open_page: Open, report: str) -> None:
    """Each card says which of ten thousand it is, and the last one is where the list ends."""
    page = open_page(report)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    last = page.locator(".card", has_text="sku-9999")
    expect(last).to_have_attribute("aria-posinset", "10000")
    expect(last).to_have_attribute("aria-setsize", "10000")
    page.keyboard.press("Control+Home")
    page.fill("#q", f"sku-{Random(1).randrange(1000, 10_000)}")
    expect(page.locator("#found")).to_have_text("1 of 10,000 items")


def test_names_are_sorted_as_people_count(open_page: Open, report: str) -> None:
    """By id, sku-9 comes before sku-10, and a turn of the order puts the largest number first."""
    page = open_page(f"{report}#sort=%2Bid")
    page.evaluate("document.querySelector('#items').scrollIntoView()")
    expect(page.locator(".card .id").nth(9)).to_have_text("sku-9")
    page.click("#way")
    expect(page.locator(".card .id").first).to_have_text("sku-9999")


def test_the_focus_survives_scrolling(open_page: Open, report: str) -> None:
    """The card one is at stays in the page when it is scrolled out of sight, so the keys go on from there."""
    page = open_page(report)
    page.evaluate("document.querySelector('#items').scrollIntoView()")
    page.locator(".card .id").nth(2).focus()
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    expect(page.locator(".card", has_text="sku-5000")).to_be_visible()
    assert page.evaluate("document.activeElement.title") == "sku-2"
    page.evaluate("document.querySelector('#items').scrollIntoView()")
    expect(page.locator(".card .id").first).to_have_text("sku-0")
    assert page.evaluate("document.activeElement.title") == "sku-2"
