"""The page in a browser: what a person does with it by mouse, finger and keys."""

import re
from pathlib import Path
from typing import Any

import pytest
from browser.conftest import Open
from playwright.sync_api import Page, expect
from report.samples import NASTY, small

from batchup.report.page import render

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
THUMB_JUMP = 5  # how far off the line may be, in hundredths of the picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    (folder / "report.html").write_text(render(small(folder)), encoding="utf-8")
    (folder / "single.html").write_text(render(small(folder, "single", photos=4)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> str:
    return (folder / "report.html").as_uri()


def items(page: Page) -> None:
    page.locator("#items").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#items').scrollIntoView()")
    page.wait_for_selector(".card")


def shown(page: Page) -> str:
    return page.locator("#found").inner_text()


def ids(page: Page) -> list[str]:
    return page.locator(".card .id").all_inner_texts()


def middle(page: Page, selector: str) -> dict[str, float]:
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    return {"left": box["x"], "y": box["y"] + box["height"] / 2, "width": box["width"]}


def test_names_are_never_markup(open_page: Open, report: str) -> None:
    """Ids that look like markup are shown letter by letter, and nothing of them runs."""
    page = open_page(report)
    items(page)
    for item_id in NASTY:
        page.fill("#q", item_id)
        expect(page.locator(".card .id")).to_have_text([item_id], use_inner_text=False)
    assert page.locator("img[src=x]").count() == 0


def test_the_page_says_what_the_program_wrote(open_page: Open, report: str) -> None:
    """The sentence that the script draws is letter by letter the one that stands there without a script."""
    page = open_page(report)
    with_script = page.locator("#sentence").inner_text()
    without = open_page_without_script(open_page, report)
    assert without == with_script


def open_page_without_script(open_page: Open, report: str) -> str:
    browser = open_page(report).context.browser
    assert browser is not None
    with browser.new_context(java_script_enabled=False) as tab:
        page = tab.new_page()
        page.goto(report)
        assert "In words: nightly, each-upscaler: 12 of 19 saved" in page.locator("noscript").inner_text()
        return page.locator("#sentence").inner_text()


def test_the_line_follows_the_mouse(open_page: Open, report: str) -> None:
    """Pressed and drawn over a card's picture, the mouse moves the line to where it is."""
    page = open_page(report)
    items(page)
    place = middle(page, ".card .compare:has(.at)")
    page.mouse.move(place["left"] + place["width"] * 0.5, place["y"])
    page.mouse.down()
    page.mouse.move(place["left"] + place["width"] * 0.2, place["y"], steps=4)
    page.mouse.up()
    value = float(page.locator(".card .at").first.input_value())
    assert abs(value - 20) <= THUMB_JUMP
    clip = page.locator(".card .before").first.evaluate("(image) => getComputedStyle(image).clipPath")
    assert abs(float(clip.split()[1].removesuffix("%")) - 80) <= THUMB_JUMP


def test_the_line_follows_the_keys(open_page: Open, report: str) -> None:
    """Arrow keys, Home and End move the line, and a screen reader is told how much is after."""
    page = open_page(report)
    items(page)
    line = page.get_by_label(f"Before and after of {NASTY[2]}", exact=True)
    line.focus()
    for key, value in (("Home", "0"), ("ArrowRight", "1"), ("End", "100"), ("ArrowLeft", "99")):
        page.keyboard.press(key)
        assert line.input_value() == value
    assert line.get_attribute("aria-valuetext") == "1 % after"


def test_the_line_follows_a_finger(open_page: Open, report: str) -> None:
    """A finger that moves sideways over a picture moves the line and not the page."""
    page = open_page(report, **PHONE)
    items(page)
    place = middle(page, ".card .compare:has(.at)")
    touch = page.context.new_cdp_session(page)

    def finger(kind: str, share: float | None = None) -> None:
        points = [] if share is None else [{"x": place["left"] + place["width"] * share, "y": place["y"]}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    finger("touchStart", 0.5)
    for step in range(1, 9):
        finger("touchMove", 0.5 + step * 0.05)
    finger("touchEnd")
    assert abs(float(page.locator(".card .at").first.input_value()) - 90) <= THUMB_JUMP


def test_search_filter_and_sort_leave_their_mark_in_the_address(open_page: Open, report: str) -> None:
    """What is searched, filtered and sorted is announced, and the copied address brings it back."""
    page = open_page(report)
    items(page)
    assert shown(page) == "17 items"
    page.fill("#q", "CAT")
    expect(page.locator("#found")).to_have_text("4 of 17 items")
    page.locator(".chip", has_text="failed").click()
    expect(page.locator("#found")).to_have_text("1 of 17 items")
    page.locator(".chip", has_text="saved").click()
    expect(page.locator("#found")).to_have_text("4 of 17 items")
    page.select_option("#sort", "gain")
    gains = [float(words.split("gain ")[1].split("×")[0]) for words in facts(page) if "gain" in words]
    assert gains == sorted(gains, reverse=True)
    page.click("#way")
    order = ids(page)
    again = open_page(page.url)
    items(again)
    assert (shown(again), ids(again)) == ("4 of 17 items", order)
    assert again.locator("#q").input_value() == "CAT"
    assert again.locator(".chip[aria-pressed=true]").count() == 2


def facts(page: Page) -> list[str]:
    return page.locator(".card .facts").all_inner_texts()


def test_what_is_not_there_can_be_undone(open_page: Open, report: str) -> None:
    """A search that finds nothing says so, and one click shows all items again."""
    page = open_page(report)
    items(page)
    page.fill("#q", "nowhere")
    expect(page.locator("#empty")).to_be_visible()
    page.click("#clear")
    expect(page.locator("#found")).to_have_text("17 items")


def test_a_cause_shows_its_items(open_page: Open, report: str) -> None:
    """The button beside a cause leaves the items that failed by it, with the service's words."""
    page = open_page(report)
    page.get_by_role("button", name="Show 2 items: refused by moderation").click()
    expect(page.locator("#found")).to_have_text("2 of 17 items")
    assert ids(page) == NASTY[:2]
    expect(page.locator(".fault").first).to_contain_text("flagged by the content policy")
    assert page.locator("#cause").input_value() == "refused by moderation"


def test_one_click_shows_an_item_in_full(open_page: Open, report: str) -> None:
    """An item opens in a dialog, arrows step through the list, and closing returns to where one was."""
    page = open_page(report)
    items(page)
    page.fill("#q", "details/")
    expect(page.locator("#found")).to_have_text("5 of 17 items")
    page.locator(".card .id").first.click()
    expect(page.locator("#viewer h2")).to_have_text("details/cat-eye.png")
    assert page.locator("#viewer .after").evaluate("(image) => image.decode().then(() => image.naturalWidth)")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer h2")).to_have_text("details/cat-eyes.jpg")
    page.get_by_role("button", name="Output 2").click()
    assert str(page.locator("#viewer .after").get_attribute("src")) == "images/item-1.png"
    assert "item=details%2Fcat-eyes.jpg" in page.url
    page.locator("#viewer .at").focus()
    page.keyboard.press("End")
    assert page.locator("#viewer .at").input_value() == "100"
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).not_to_be_visible()
    expect(page).not_to_have_url(re.compile("item="))
    assert page.evaluate("document.activeElement.title") == "details/cat-eye.png"


def test_an_input_on_the_web_is_a_link(open_page: Open, report: str) -> None:
    """An input on the web is linked without a referrer and never fetched; the thumbnail stands for it."""
    page = open_page(f"{report}#item=details%2Fcup.jpg")
    link = page.locator("#viewer a[href='https://example.com/photos/5.jpg']")
    assert link.get_attribute("rel") == "noopener noreferrer"
    assert str(page.locator("#viewer .before").get_attribute("src")).startswith("data:image/")


def test_going_back_closes_an_item(open_page: Open, report: str) -> None:
    """The browser's own way back closes the dialog and stays on the page."""
    page = open_page(report)
    items(page)
    page.locator(".card .id").first.click()
    expect(page.locator("#viewer")).to_be_visible()
    page.go_back()
    expect(page.locator("#viewer")).not_to_be_visible()
    assert page.url == report


@pytest.mark.parametrize("has_clipboard", [True, False])
def test_a_copied_link_opens_its_item(open_page: Open, report: str, *, has_clipboard: bool) -> None:
    """The link that one click copies opens that item, with a browser's clipboard or without."""
    page = open_page(report, permissions=["clipboard-read", "clipboard-write"])
    if not has_clipboard:
        page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    items(page)
    page.get_by_label(f"Copy a link to {NASTY[0]}", exact=True).click()
    expect(page.locator("#toast")).to_have_text("Link copied")
    page.fill("#q", "")
    page.focus("#q")
    page.keyboard.press("Control+v")
    linked = open_page(page.locator("#q").input_value())
    expect(linked.locator("#viewer h2")).to_have_text(NASTY[0])
    expect(linked.locator("#viewer blockquote")).to_contain_text("content policy")


def test_a_link_to_nothing_says_so(open_page: Open, report: str) -> None:
    """A link to an item that is not there shows the list, and says what is missing."""
    page = open_page(f"{report}#item=gone")
    expect(page.locator("#toast")).to_have_text("That item is not in this report")
    expect(page.locator("#viewer")).not_to_be_visible()


def test_a_page_on_a_disk_opens_the_full_picture(open_page: Open, report: str) -> None:
    """From a disk the full picture opens in a window of its own, since a browser does no more there."""
    page = open_page(f"{report}#item=details%2Fcat-eye.png")
    link = page.locator("#viewer .save")
    expect(link).to_have_text("Open full picture")
    with page.context.expect_page() as opened:
        link.click()
    assert opened.value.url.endswith("/images/item-2.png")


def test_a_page_with_its_pictures_inside_downloads_them(open_page: Open, folder: Path) -> None:
    """Where the pictures are in the page, one click downloads one under its name."""
    page = open_page((folder / "single.html").as_uri())
    items(page)
    with page.expect_download() as download:
        page.get_by_label("Download details/cat-eye.png").click()
    assert download.value.suggested_filename == "item-2.png"
    assert download.value.path().read_bytes()[:2] == b"\xff\xd8"


def test_light_and_dark(open_page: Open, report: str) -> None:
    """The page follows the system until somebody turns it round, and keeps that."""
    page = open_page(report, color_scheme="dark")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(paper) == "rgb(19, 19, 19)"
    page.click("#theme")
    assert page.evaluate(paper) == "rgb(246, 246, 246)"
    page.reload()
    assert page.evaluate(paper) == "rgb(246, 246, 246)"


def test_plots_are_read_by_keys(open_page: Open, report: str) -> None:
    """A plot's cursor is moved by keys and says the figure there, beside its limit."""
    page = open_page(report)
    page.get_by_label("Requests in the last minute", exact=True).focus()
    page.keyboard.press("Home")
    readout = page.locator(".plot", has_text="Requests in the last").locator(".readout")
    expect(readout).to_have_text("0 s: 0 of 60")
    page.keyboard.press("End")
    expect(readout).to_contain_text("1 h 29 min: ")
    assert page.locator(".plot svg").count() == 4
    expect(page.locator(".speed")).to_be_hidden()


def test_what_is_printed_is_all_there(open_page: Open, report: str) -> None:
    """On paper stand the cards that are out of sight on the screen, too."""
    page = open_page(report)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.set_viewport_size({"width": 800, "height": 1100})
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.locator(".card").count() == 17
    tops = page.locator(".card").evaluate_all(
        "(cards) => cards.map((card) => card.getBoundingClientRect().top)"
    )
    assert len(set(tops)) > 1
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".card").count() < 17


@pytest.mark.parametrize("width", [360, 390, 2560])
def test_nothing_hangs_over_the_edge(open_page: Open, report: str, width: int) -> None:
    """No width makes the page scroll sideways, with the settings and an item open either."""
    page = open_page(report, viewport={"width": width, "height": 800})
    page.click("summary")
    too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(too_wide)
    items(page)
    page.locator(".card .id").nth(1).click()
    dialog = "(dialog) => dialog.scrollWidth > dialog.clientWidth"
    assert not page.locator("#viewer").evaluate(dialog)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page: Open, report: str, axe: str, theme: str) -> None:
    """axe-core finds no serious or critical violation, on the page, in its list and in an item."""
    page = open_page(report, color_scheme=theme, reduced_motion="reduce")
    page.evaluate(axe)
    page.click("summary")
    assert violations(page) == []
    items(page)
    page.fill("#q", "cat")
    assert violations(page) == []
    page.locator(".card .id").nth(2).click()
    expect(page.locator("#viewer")).to_be_visible()
    assert violations(page) == []


def violations(page: Page) -> list[Any]:
    found: list[Any] = page.evaluate(
        "axe.run().then(({violations}) => violations.map(({id, impact, nodes}) =>"
        " [id, impact, nodes.slice(0, 3).map((node) => node.html.slice(0, 200) + node.failureSummary)]))"
    )
    return [one for one in found if one[1] in {"serious", "critical"}]
