"""The page as a text: whole, safe whatever is in it, small, and in words without a script."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html import unescape
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from report.samples import NASTY, small

from batchup.report.document import Document, Run, Totals
from batchup.report.page import encode, render
from batchup.report.words import duration, money, sentence

PARTS = sorted(path.name for path in (files("batchup.report") / "page").iterdir())
SCRIPTS = [name for name in PARTS if name.endswith(".js")]
LONGEST_SCRIPT = 250
LARGEST = 66_000  # bytes of script and style


def document(job: str = "nightly") -> Document:
    totals = Totals(items=1000, saved=998, failed=2, spend_usd=9.98)
    run = Run(id="r1", wall_s=5340.0)
    return Document(
        job=job, model="each-upscaler", made_at=0.0, mode="file", program="batchup", run=run, totals=totals
    )


def part(name: str) -> str:
    return (files("batchup.report") / "page" / name).read_text(encoding="utf-8")


def inside(page: str, element: str) -> list[tuple[str, str]]:
    return re.findall(rf"<{element}\b([^>]*)>(.*?)</{element}>", page, re.DOTALL)


def policy(page: str) -> dict[str, list[str]]:
    found = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert found is not None
    rules = [rule.split() for rule in found[1].split(";")]
    return {name: sources for name, *sources in rules}


def hash_of(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def test_the_data_cannot_leave_its_element(tmp_path: Path) -> None:
    """Ids that end scripts or begin comments stay data, and come out again as they were."""
    page = render(small(tmp_path))
    scripts = inside(page, "script")
    assert len(scripts) == 3
    data = json.loads(scripts[1][1])
    assert {row["id"] for row in data["items"]} >= set(NASTY)
    assert not re.search("[<>&\u2028\u2029]", scripts[1][1])


def test_a_document_is_encoded_whole(tmp_path: Path) -> None:
    """What the page reads is the document, figure by figure."""
    made = small(tmp_path)
    assert json.loads(encode(made)) == json.loads(msgspec.json.encode(made))


@pytest.mark.parametrize("job", ["</title><script>", '"><img src=x onerror=y>', "{{script}}", "a & b"])
def test_a_name_is_text_in_the_page(job: str) -> None:
    """A job may be called anything: its name opens no element and fills no other place of the page."""
    page = render(document(job))
    assert len(inside(page, "script")) == 3
    assert unescape(inside(page, "h1")[0][1]) == job
    assert unescape(inside(page, "title")[0][1]).startswith(f"{job}: ")
    assert "<img" not in page.split("<script", 2)[0]


@pytest.mark.parametrize(
    ("mode", "pictures", "connections"),
    [
        ("file", ["'self'", "file:", "data:"], None),
        ("single", ["data:"], None),
        ("live", ["'self'", "data:"], ["'self'"]),
    ],
)
def test_the_policy_lets_only_the_page_s_own_run(
    mode: str, pictures: list[str], connections: list[str] | None
) -> None:
    """Nothing is allowed but the scripts and the style within, by their hashes, and pictures beside."""
    page = render(msgspec.convert(msgspec.to_builtins(document()) | {"mode": mode}, Document))
    rules = policy(page)
    own = [text for attributes, text in inside(page, "script") if "json" not in attributes]
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == [hash_of(text) for text in own]
    assert rules["style-src"] == [hash_of(text) for _, text in inside(page, "style")]
    assert rules["img-src"] == pictures
    assert rules.get("connect-src") == connections


def test_the_page_says_it_without_a_script() -> None:
    """The sentence and, where no script runs, the words stand in the text itself."""
    page = render(document())
    words = "998 of 1,000 saved, 2 failed; $9.98; 1 h 29 min"
    assert f'<p id="sentence" class="sentence">{words}</p>' in page
    assert f"nightly, each-upscaler: {words}." in inside(page, "noscript")[0][1]
    assert "{{" not in page.split("<script", 1)[0]


@pytest.mark.parametrize("name", PARTS)
def test_nothing_comes_from_elsewhere(name: str) -> None:
    """No part of the page names an address, but the one that says what SVG is."""
    assert set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^'\"\s]*", part(name))) <= {
        "http://www.w3.org/2000/svg"
    }


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_small_and_make_no_markup(name: str) -> None:
    """A script has one job, and no way to turn a text into markup or code."""
    source = part(name)
    assert len(source.splitlines()) <= LONGEST_SCRIPT
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", source
    )


def test_the_page_is_small() -> None:
    """Script and style together weigh less than a handful of thumbnails."""
    page = render(document())
    own = [text for _, text in inside(page, "script") + inside(page, "style")]
    assert sum(len(text.encode()) for text in own) <= LARGEST


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (0.0, "$0.00"),
        (0.01, "$0.01"),
        (0.0104, "$0.0104"),
        (0.012, "$0.012"),
        (0.35, "$0.35"),
        (1234.5, "$1,234.50"),
    ],
)
def test_money_is_in_cents_unless_it_is_less(usd: float, words: str) -> None:
    """An amount has two digits behind the point, a small one as many of four as it needs."""
    assert money(usd) == words


@pytest.mark.parametrize(
    ("s", "words"),
    [
        (0.0, "0 s"),
        (5.26, "5.3 s"),
        (53.4, "53 s"),
        (59.6, "1 min"),
        (78.0, "1 min 18 s"),
        (660.0, "11 min"),
        (5340.0, "1 h 29 min"),
        (7200.0, "2 h"),
        (190_000.0, "2 d 5 h"),
    ],
)
def test_lengths_are_in_their_two_largest_units(s: float, words: str) -> None:
    """A length of time is said as people say it."""
    assert duration(s) == words


def test_what_is_not_known_is_not_said() -> None:
    """Without a cost and a length the sentence has the counts alone, and no state without items."""
    totals = replace(document().totals, spend_usd=None, held=1, in_doubt=3)
    assert sentence(totals, Run(id="r1")) == "998 of 1,000 saved, 2 failed, 1 held, 3 in doubt"
    assert sentence(totals, Run(id="r1", is_cut_off=True)).endswith("in doubt; the last run was cut off")
