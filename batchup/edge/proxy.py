"""Which proxy of the environment an address goes through."""

from urllib.request import getproxies, proxy_bypass

from yarl import URL

from batchup.errors import ConfigProblem
from batchup.settings.hosts import is_loopback


def proxy_for(url: URL) -> str | None:
    """Return the proxy for this address, or None; a loopback address never needs one.

    Raises ConfigProblem for a kind of proxy that cannot be used.
    """
    host = url.host or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    proxy = getproxies().get(url.scheme)
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if URL(proxy).scheme not in ("http", "https"):
        variable = f"{url.scheme.upper()}_PROXY"
        raise ConfigProblem(
            f"{variable} names a proxy that is neither http:// nor https://.",
            remedy=f"Unset it, or add {host} to NO_PROXY.",
        )
    return proxy
