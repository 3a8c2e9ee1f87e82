"""Which proxy of the environment an address goes through."""

from urllib.request import getproxies, proxy_bypass

from yarl import URL

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def proxy_for(url: URL) -> str | None:
    """Return the proxy for this address, or None; a loopback address never needs one."""
    host = url.host or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    return getproxies().get(url.scheme)
