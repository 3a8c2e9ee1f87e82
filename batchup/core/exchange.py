"""One HTTP exchange as the core sees it: what the edge is to send, and what came back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from batchup.core.items import Json

PAGE: Final = 100  # rows of a page of executions, the most the service gives
SECRET: Final = "batchup-secret"  # noqa: S105 - the name of it in an address
MOST_ROWS: Final = 1000  # of all pages of one stretch of time; what is beyond cannot be asked for


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: status, headers with lower-case names, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing came back. `was_sent` is False only where it is certain that the service saw nothing."""

    was_sent: bool
    message: str


Raw: TypeAlias = Response | Silence


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP exchange as the client makes it: method, path under the service's URL, query, JSON body."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Json = None
    is_hurried: bool = False  # something else is done at once if no answer comes soon


@dataclass(frozen=True, slots=True)
class Hook:
    """Where the service is to tell of a prediction's end, and the secret that proves it."""

    url: str
    secret: str = field(repr=False)

    @property
    def in_address(self) -> str:
        """The secret as the query of an address, for a service that takes none beside it."""
        return f"{SECRET}={self.secret}"
