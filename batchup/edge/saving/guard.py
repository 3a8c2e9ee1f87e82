"""Which addresses an output may be downloaded from: the service names them, and it could name the router.

The check is on the address that is connected to, not on the name: a name may mean one thing now
and another then.
"""

import ipaddress
import socket
from typing import TypeAlias

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_AddressInfo: TypeAlias = tuple[
    int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int]
]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # but for :: and ::1, which are addresses of their own


class PrivateAddress(OSError):
    """A connection to a loopback, private, link-local or otherwise not public address was refused.

    The words are the same for each address, so that a connector that tried several still raises this class.
    """

    def __init__(self) -> None:
        super().__init__("the address is not public")


def public_socket(info: _AddressInfo) -> socket.socket:
    """Make the socket for one resolved address, or raise PrivateAddress: a `socket_factory` for aiohttp."""
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise PrivateAddress
    return socket.socket(family, kind, protocol)


def is_public(host: str) -> bool:
    """Tell whether an address, written in digits, is one of the public internet."""
    return _is_public(ipaddress.ip_address(host))


def may_be_public(host: str) -> bool:
    """Tell whether a host, a name or digits, may be public: all one can say where a proxy looks it up."""
    name = host.rstrip(".").lower()
    try:
        return is_public(_plain(name))
    except ValueError:
        return name != "localhost" and not name.endswith(".localhost")


def _plain(host: str) -> str:
    """Write an IPv4 address as four decimals: to a resolver 2130706433, 0x7f.1 and 0177.1 are 127.0.0.1."""
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return host


def _is_public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return _is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one leads to, if it is of a kind that does."""
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
