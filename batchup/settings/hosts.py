"""Which hosts are this machine, and where on it a server listens."""

import ipaddress
import re
from typing import Final

_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", re.ASCII)
_PORTS: Final = 65535


def is_loopback(host: str) -> bool:
    """Whether a host, a name or digits, is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_wildcard(host: str) -> bool:
    """Whether a host stands for every address of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def parse_listen(text: str) -> tuple[str, int]:
    """Read host and port of `HOST:PORT`, an IPv6 host in brackets; ValueError says what is expected."""
    found = _LISTEN.fullmatch(text)
    if not found or int(found[3]) > _PORTS or (found[1] and not _is_ipv6(found[1])):
        raise ValueError(
            f'expected "HOST:PORT" such as "0.0.0.0:8080", "127.0.0.1:0" or "[::1]:8080", got "{text}"'
        )
    return found[1] or found[2], int(found[3])


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
