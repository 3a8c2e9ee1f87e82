"""Who is let in to the live view, judged without a server."""

import pytest

from batchup.edge.live.access import NO_ORIGIN, NOT_OURS, NOT_US, NOT_WHOLE, Guard, address_of
from batchup.errors import ConfigProblem

OURS = {"host": "127.0.0.1:8787"}
GUARD = Guard("a-token", "127.0.0.1")


def judged(
    guard: Guard = GUARD,
    method: str = "GET",
    segment: str = "a-token",
    *,
    given: dict[str, str] | None = None,
    **more: str,
) -> str | None:
    """Judge a request; `_` stands for `-` in a header's name."""
    headers = {name.replace("_", "-"): value for name, value in ((given or {}) | more).items()}
    return guard.refusal(segment, method, OURS | headers)


@pytest.mark.parametrize("segment", ["", "a-toke", "a-token ", "A-TOKEN", "á", "\ud800", "a-tokena-token"])
def test_without_the_token_nobody_is_let_in(segment: str) -> None:
    """Anything but the token itself is refused, whatever else is right."""
    assert judged(segment=segment) == NOT_WHOLE


@pytest.mark.parametrize("host", ["127.0.0.1:8787", "localhost:8787", "localhost", "[::1]:9", "LOCALHOST:1"])
def test_this_machine_may_be_called_what_it_is(host: str) -> None:
    """Bound to loopback it answers to each of loopback's names, at any port, as that may be forwarded."""
    assert judged(host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8787",
        "127.0.0.1.evil.example",
        "10.0.0.1:8787",
        "127.0.0.1:x",
        "a b",
    ],
)
def test_a_name_that_was_pointed_at_this_machine_is_refused(host: str) -> None:
    """A page that reaches loopback under a name of its own would count as ours otherwise."""
    assert judged(host=host) == NOT_US


def test_bound_to_every_address_it_answers_to_digits() -> None:
    """Nobody can point an address elsewhere, but a name that is not this machine's is still refused."""
    guard = Guard("a-token", "0.0.0.0")  # noqa: S104 that is what is judged
    assert judged(guard, host="192.168.1.7:8787") is None
    assert judged(guard, host="[fe80::1]:8787") is None
    assert judged(guard, host="localhost:8787") is None
    assert judged(guard, host="evil.example:8787") == NOT_US
    assert judged(Guard("a-token", "192.168.1.7"), host="192.168.1.7:8787") is None
    assert judged(Guard("a-token", "192.168.1.7"), host="localhost:8787") == NOT_US


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "https://127.0.0.1:8787"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "origin": "http://127.0.0.1:8787"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_page_is_refused(method: str, headers: dict[str, str]) -> None:
    """What a page from elsewhere asks for is refused, to look as well as to stop."""
    assert judged(method=method, given=headers) == NOT_OURS


def test_our_own_page_is_let_in() -> None:
    """It is known by its origin, or by what a browser says that tells no origin."""
    own = "http://127.0.0.1:8787"
    assert judged() is None
    assert judged(sec_fetch_site="none") is None
    assert judged(origin=own, sec_fetch_site="same-origin") is None
    assert judged(method="POST", origin=own) is None
    assert judged(method="POST", origin="null", sec_fetch_site="same-origin") is None


def test_a_post_has_to_say_where_it_comes_from() -> None:
    """What changes something is taken from nobody who does not name our own page."""
    assert judged(method="POST") == NO_ORIGIN
    assert judged(method="POST", sec_fetch_site="none") == NOT_OURS


@pytest.mark.parametrize("text", ["127.0.0.1:8787", "localhost:0", "[::1]:80"])
def test_loopback_needs_no_leave(text: str) -> None:
    """This machine's own addresses are served without a word."""
    host, port = address_of(text)
    assert f"{f'[{host}]' if ':' in host else host}:{port}" == text


@pytest.mark.parametrize("text", ["0.0.0.0:8787", "192.168.1.7:80", "[::]:80", "photos.example:80"])
def test_elsewhere_needs_leave(text: str) -> None:
    """An address that others reach is refused with what it would mean, unless that is wanted."""
    with pytest.raises(ConfigProblem, match="can stop the run") as caught:
        address_of(text)
    assert "--serve-anywhere" in caught.value.remedy
    assert address_of(text, is_anywhere=True)[1] in {80, 8787}


@pytest.mark.parametrize("text", ["", "8787", "127.0.0.1", "127.0.0.1:99999", "job.toml", "http://x:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """Something else than HOST:PORT is told with an example."""
    with pytest.raises(ConfigProblem, match="HOST:PORT"):
        address_of(text)
