"""The words of what a job costs, from what is known of it."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchup.cli.prices import money_fields, money_lines, warnings
from batchup.core.account import ModelCard
from batchup.core.forecast import forecast
from batchup.core.money import Seen
from batchup.core.policy import Policy
from batchup.edge.models.fitting import Doubt, Fitting
from batchup.edge.planning.forecast import Outlook
from batchup.edge.planning.plan import Counted
from batchup.job import Job

SCHEMA = {"properties": {"image": {"type": "string"}}}
CARD = ModelCard(slug="m", price_usd=0.4, low_usd=0.1, source="service", request_schema=SCHEMA)


def job(folder: Path, limits: str = "") -> Job:
    """Make a job with limits of its own."""
    return Job.from_toml(f'manifest = "rows.jsonl"\nmodel = "m"\n[limits]\n{limits}\n', base=folder)


def seen_ahead(outstanding: int = 0, card: ModelCard | None = None, **more: Any) -> Outlook:
    """Return what a check has found: so many items to be bought."""
    nothing = forecast(Policy(), lambda _: 1.0, item_count=0, upload_count=0)
    counted = Counted(outstanding=outstanding, to_buy=outstanding)
    return Outlook(counted=counted, fitting=Fitting(job(Path()), card), rehearsed=nothing, **more)


def said(folder: Path, outlook: Outlook, limits: str = "") -> str:
    return "\n".join(money_lines(job(folder, limits), outlook, 3.5))


def test_a_price_with_a_range_is_told_with_it(tmp_path: Path) -> None:
    """Where a model costs from so much to so much, both the price and the whole have their range."""
    text = said(tmp_path, seen_ahead(outstanding=10, card=CARD, spent_usd=8.0), "max_spend = 11.0")
    assert "price: 0.1 to 0.4 USD a prediction, as the service says now" in text
    assert "balance: 3.50 USD" in text
    assert "cost: 4.00 USD (1.00 to 4.00) for 10 outstanding, 0.4 USD each, the model's price" in text
    assert "max_spend: 11 USD are reached before the end; 8.00 are spent" in text


def test_what_has_settled_counts_more_than_what_is_named(tmp_path: Path) -> None:
    """The mean of what was paid is what the rest will probably cost."""
    seen = Seen(mean_usd=0.2, cheapest_usd=0.2, dearest_usd=0.2, count=7)
    text = said(
        tmp_path, seen_ahead(outstanding=10, card=replace(CARD, price_usd=None, low_usd=None), seen=seen)
    )
    assert "price: the service names none that holds for each prediction" in text
    assert "cost: 2.00 USD for 10 outstanding, 0.2 USD each, the mean of 7 settled" in text


@pytest.mark.parametrize(
    ("age_s", "words"), [(120, "2 min"), (7200, "2 h"), (86400 * 3, "3 days"), (-50, "0 min")]
)
def test_a_price_that_was_kept_has_its_age(tmp_path: Path, age_s: float, words: str) -> None:
    """What was asked for earlier is told with how long ago that was."""
    card = replace(CARD, source="cache", fetched_at=time.time() - age_s)
    assert f"as the service said {words} ago" in said(tmp_path, seen_ahead(card=card))


def test_nothing_known_is_said_to_be_so(tmp_path: Path) -> None:
    """Without any price there is a line for it, and what is not known is null for programs."""
    text = said(tmp_path, seen_ahead(outstanding=3))
    assert text.startswith("price: not known, as the service has not told it\n")
    assert "cost: not known before a prediction has settled" in text
    fields = money_fields(seen_ahead(), None)
    assert {name for name, value in fields.items() if value is None} == {
        "price_usd",
        "price_source",
        "price_fetched_at",
        "balance_usd",
        "cost",
    }


def test_what_stands_in_the_way_is_a_warning(tmp_path: Path) -> None:
    """A low balance, a small disk and a run under way are each said, and nothing where all is well."""
    outlook = seen_ahead(outstanding=10, card=CARD, shortage="the disk may be too small", is_running=True)
    found = list(warnings(job(tmp_path, "concurrency = 3"), outlook, 3.5))
    for words, line in zip(("allows 2", "$0.50", "disk", "running"), found, strict=True):
        assert words in line
    assert list(warnings(job(tmp_path), seen_ahead(outstanding=10, card=CARD), 99.0)) == []


def test_what_is_doubtful_or_left_out_is_a_warning(tmp_path: Path) -> None:
    """Values beyond what is confirmed, columns left out and a model nobody describes are said."""
    outlook = seen_ahead(card=CARD)
    outlook.fitting.doubts = {"a": Doubt("Line 2: a is 9.", 1), "b": Doubt("Line 3: b is 9.", 4)}
    outlook.fitting.left_out = {f"c{k}": 1 for k in range(11)}
    alone, many, left_out = warnings(job(tmp_path), outlook, 99.0)
    assert alone == "Line 2: a is 9."
    assert many == "Line 3: b is 9; so have 3 more rows."
    assert left_out.startswith('left out, as [run] on_unknown = "drop" says: c0, c1,')
    assert left_out.endswith("c9, ...")
    (unknown,) = warnings(job(tmp_path), seen_ahead(), 99.0)
    assert "what the model takes is not known" in unknown
