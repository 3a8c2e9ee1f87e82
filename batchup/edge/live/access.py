"""Who may see the live view: whoever has its token, from a page of its own, under this machine's name.

The view is served to browsers, and a browser asks on behalf of any page that is open in it. So the token is
not enough: a page from elsewhere is refused, and so is a name that somebody has pointed at this machine.
"""

import hmac
import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from batchup.errors import ConfigProblem
from batchup.settings.hosts import is_loopback, is_wildcard, parse_listen

DEFAULT: Final = "127.0.0.1:8787"

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?", re.ASCII)
_OWN_SITE: Final = {None, "same-origin", "none"}  # none: typed, or opened from outside the browser

_FORWARDED: Final = {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"}

NOT_HERE: Final = "From elsewhere the metrics are below the address that the command printed: `.../metrics`."
NOT_WHOLE: Final = "The address is not whole, or another run's: open the one that the command printed."
NOT_US: Final = "This server is not called that: open the address that the command printed."
NO_ORIGIN: Final = "This needs the page's own `Origin: http://HOST:PORT`, which its button sends."
NOT_OURS: Final = "Asked for by another page: open the address that the command printed in a tab of its own."


def address_of(text: str, *, is_anywhere: bool = False) -> tuple[str, int]:
    """Return host and port to serve at; ConfigProblem for what is none, or not loopback and not allowed."""
    try:
        host, port = parse_listen(text)
    except ValueError as problem:
        remedy = f"Write it as in `--serve {DEFAULT}`, or with port 0 for any free one."
        raise ConfigProblem(f"The live view cannot be served there: {problem}.", remedy=remedy) from None
    if not (is_anywhere or is_loopback(host)):
        raise ConfigProblem(
            f"{host} can be reached from other machines: whoever has the live view's address sees the"
            " pictures and can stop the run.",
            remedy=f"Serve it at {DEFAULT} and forward the port (`ssh -L`), or add --serve-anywhere.",
        )
    return host, port


@dataclass(frozen=True, slots=True)
class Guard:
    """Judges requests to a server that is bound to `host`, an address or a name; `token` opens it."""

    token: str
    host: str

    def refusal(self, segment: str, method: str, headers: Mapping[str, str]) -> str | None:
        """Return why a request is refused, in words for a person, or None if it is let in.

        `segment` is the first of its path; the names of `headers` are in lower case.
        """
        if not hmac.compare_digest(segment.encode("utf-8", "surrogatepass"), self.token.encode()):
            return NOT_WHOLE
        if not self._is_own(headers.get("host", "")):
            return NOT_US
        if _is_from_own_page(method, headers):
            return None
        is_told = headers.keys() & {"origin", "sec-fetch-site"}
        return NOT_OURS if is_told else NO_ORIGIN

    def scrape_refusal(self, peer: str, method: str, headers: Mapping[str, str]) -> str | None:
        """Return why `peer` may not read the metrics without the token, or None if it may.

        Figures name no item and stop nothing, and who scrapes them cannot learn a token that is another in
        each run: whoever asks from this machine, by its own name for itself and no page elsewhere, may.
        """
        if not _asks_from_here(peer) or headers.keys() & _FORWARDED:
            return NOT_HERE
        if not is_here(headers.get("host", "")):
            return NOT_US
        return None if _is_from_own_page(method, headers) else NOT_OURS

    def _is_own(self, value: str) -> bool:
        """Tell whether a `Host` names this server; any port will do, as it may be forwarded."""
        found = _HOST.fullmatch(value)
        if not found:
            return False
        name = (found[1] or found[2]).lower()
        if name == self.host.lower():
            return True
        if is_wildcard(self.host):
            return is_loopback(name) or _is_digits(name) or name == socket.gethostname().lower()
        return is_loopback(self.host) and is_loopback(name)


def is_here(value: str) -> bool:
    """Tell whether a `Host` is a name of this machine for itself: without TLS browsers trust no other."""
    found = _HOST.fullmatch(value)
    return found is not None and is_loopback((found[1] or found[2]).lower())


def _asks_from_here(peer: str) -> bool:
    """Tell whether somebody connected is on this machine."""
    return is_loopback(peer.removeprefix("::ffff:"))


def _is_from_own_page(method: str, headers: Mapping[str, str]) -> bool:
    """Tell whether no other page asks; what changes something needs a word that only a page of ours can say.

    A browser that tells no page where it came from says `null` for the origin of such a request.
    """
    site = headers.get("sec-fetch-site")
    if site not in _OWN_SITE:
        return False
    origin = headers.get("origin")
    if origin is not None and origin != "null":
        return origin.lower() == f"http://{headers.get('host', '')}".lower()
    is_reading = method in {"GET", "HEAD"}
    return site == "same-origin" or (is_reading and origin is None)


def _is_digits(host: str) -> bool:
    """Tell whether a host is an address and no name: nobody can point an address somewhere else."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
