"""What is known of a model from one run to the next."""

import os
import socket
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from edge.servers import Behaviour, answer, serving

from batchup.core.account import ModelCard
from batchup.core.requests import AskModel
from batchup.edge.gate.ledger import Ledger, ledger_path
from batchup.edge.models import account
from batchup.edge.models.account import cache_path, is_fresh, keep, known_card, read_kept, simulated
from batchup.edge.models.bundled import bundled
from batchup.job import Job

URL = "https://service.example/v1"
CARD = ModelCard(slug="m", price_usd=0.05, low_usd=0.05, is_fixed=True, fetched_at=1000.0)


def job(folder: Path, url: str = URL, model: str = "m") -> Job:
    """Make a job on a service."""
    text = f'manifest = "rows.jsonl"\nmodel = "{model}"\n[service]\nurl = "{url}"\nkey = "env:NONE"\n'
    return Job.from_toml(text, base=folder)


def never(_connection: socket.socket, _request: bytes) -> bool:
    """Answer nothing."""
    return True


def test_the_cache_lies_where_caches_lie() -> None:
    """It is in the user's cache, one file for each service and model, and nowhere without a home."""
    base = {"XDG_CACHE_HOME": "/c", "HOME": "/h"}
    path = cache_path(base, URL, "m")
    assert path is not None
    assert path.parent == Path("/c/batchup")
    assert cache_path({"HOME": "/h"}, URL, "m") == Path("/h/.cache/batchup") / path.name
    assert cache_path(base, f"{URL}/", "m") == path
    others = {cache_path(base, url, slug) for url, slug in ((URL, "n"), (URL + "2", "m"))}
    assert path not in others
    assert cache_path({"XDG_CACHE_HOME": "here", "HOME": "there"}, URL, "m") is None
    assert cache_path({}, URL, "m") is None


def test_a_description_is_kept_whole(tmp_path: Path) -> None:
    """What was kept is read again with the time it was asked for, and leaves no other file."""
    path = tmp_path / "new" / "folder" / "m.json"
    keep(path, CARD)
    keep(path, replace(CARD, price_usd=0.07))
    assert read_kept(path, "m") == replace(CARD, price_usd=0.07, source="cache")
    assert list(path.parent.iterdir()) == [path]
    assert read_kept(path, "another") is None


@pytest.mark.parametrize("found", [b"", b"{", b"[]", b'{"slug": 3}', b"[" * 100_000])
def test_a_cache_that_is_damaged_is_none(tmp_path: Path, found: bytes) -> None:
    """What cannot be read is done without."""
    path = tmp_path / "m.json"
    path.write_bytes(found)
    assert read_kept(path, "m") is None


def test_a_cache_that_cannot_be_is_done_without(tmp_path: Path) -> None:
    """Without a place, or with one that takes nothing, nothing is kept and nothing breaks."""
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "taken.json").mkdir()
    for path in (None, tmp_path / "file" / "m.json", tmp_path / "taken.json"):
        keep(path, CARD)
        assert read_kept(path, "m") is None
    assert len(list(tmp_path.iterdir())) == 2


def test_what_came_with_the_program_says_how_sure_it_is() -> None:
    """The bundled description has parameters and no price, and tells that nobody has confirmed its bounds."""
    card = bundled("each-upscaler")
    assert card is not None
    assert (card.source, card.price_usd, card.note) == (
        "bundled",
        None,
        "bounds not confirmed by the service",
    )
    assert card.request_schema is not None
    assert card.request_schema["required"] == ["image"]
    assert bundled("../account") is bundled("nobody") is None


def test_the_simulator_tells_its_own_prices() -> None:
    """For a simulated job the price is that of the embedded simulator's model, without one being started."""
    card = simulated("each-upscaler")
    assert card is not None
    assert (card.source, card.price_usd, card.is_fixed) == ("simulator", 0.01, True)
    assert simulated("nobody") is None


def test_a_model_is_asked_for_once_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told today is not asked again, but by a wrong clock, of this machine, or under a cap."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    now = time.time()
    there = job(tmp_path)
    keep(cache_path(os.environ, URL, "m"), replace(CARD, fetched_at=now))
    card = known_card(there)
    assert is_fresh(there, card, now + 86_000)
    assert not is_fresh(there, card, now + 87_000)
    assert not is_fresh(there, card, now - 10)
    assert not is_fresh(job(tmp_path, "http://127.0.0.1:9/v1"), card, now)
    assert not any(isinstance(request, AskModel) for request in account.look_ups_of(there).wanted)
    capped = job(tmp_path)
    capped = replace(capped, limits=replace(capped.limits, max_spend=1.0))
    asked = account.look_ups_of(capped)
    assert (asked.is_card_expected, asked.price_usd) == (True, CARD.price_usd)


def test_a_description_is_kept_for_a_service_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service told is kept for it, and neither what was kept already nor what a simulator told is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    there, played = job(tmp_path), job(tmp_path, "simulator", "each-upscaler")
    account.keep_card(there, replace(CARD, source="cache"))
    account.keep_card(there, None)
    account.keep_card(played, replace(CARD, slug="each-upscaler"))
    assert list(tmp_path.iterdir()) == []
    account.keep_card(there, CARD)
    assert known_card(there) == replace(CARD, source="cache")
    assert known_card(played) == simulated("each-upscaler")
    assert account.look_ups_of(played).card is None


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (answer("429 Too Many Requests"), "the service wants fewer requests just now"),
        (answer("404 Not Found"), "the service does not describe m: HTTP 404"),
        (answer("200 OK", b"[1]"), "the service does not tell the balance: the answer makes no sense"),
    ],
)
@pytest.mark.anyio
async def test_whatever_is_answered_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour, words: str
) -> None:
    """A command that asks hears why the service did not tell, and nothing is raised."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with serving(behaviour) as server:
        told = await account.ask(job(tmp_path, server.url), "k", wants_card=True)
    assert (told.card, told.balance_usd, len(told.problems)) == (None, None, 2)
    assert any(words in line for line in told.problems), told


@pytest.mark.anyio
async def test_a_ledger_that_takes_nothing_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no permit can be had the service is not asked, and the command goes on without its answers."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with serving(answer("200 OK")) as server:
        there = job(tmp_path, server.url)
        path = ledger_path({"XDG_STATE_HOME": str(tmp_path)}, server.url, "k")
        Ledger(path, now=0.0, hold_s=1.0).close()
        with closing(sqlite3.connect(path)) as db:
            db.execute(
                "CREATE TRIGGER full BEFORE INSERT ON leases BEGIN SELECT RAISE(ABORT, 'it is full'); END"
            )
        told = await account.ask(there, "k", wants_card=True)
    (line,) = told.problems
    assert "it is full" in line
    assert server.requests == []


@pytest.mark.anyio
async def test_a_service_that_hangs_is_waited_for_briefly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both answers together have a few seconds, whatever the job's timeouts are."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with serving(never) as server:
        there = job(tmp_path, server.url)
        slow = replace(there, service=replace(there.service, request_timeout_s=300.0))
        began_at = time.monotonic()
        told = await account.ask(slow, "k", wants_card=False, longest_s=0.2)
        assert time.monotonic() - began_at < 60
    assert told.problems == ["the service was not heard in time"]
