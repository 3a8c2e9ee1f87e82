"""Who is told of a run's end, and when: the table `[notify]` of a job."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from batchup.errors import ConfigProblem
from batchup.settings.known import validate

NOBODY: Final = 'nobody is told; add a line such as webhook = "env:HOOK_URL", apprise = ... or ping = ...'


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Who is told of a run's end, on which occasions, and how long that may take in real seconds.

    `on` are words of `finish` (each run's end), `failure` (not all went well) and `person` (nothing goes on
    before a person has done something); each includes those after it. `webhook` and `ping` are addresses,
    `apprise` one or more of that library's with white space between, each of them as it is or where it is
    found: env:NAME, file:PATH or credential:NAME. They are secrets: no `repr` shows them. The ping is sent
    on every occasion, when a run begins and when it ends.
    """

    on: Sequence[str] = ("finish",)
    webhook: str | None = field(default=None, repr=False)
    webhook_format: Literal["auto", "json", "slack"] = "auto"
    apprise: str | None = field(default=None, repr=False)
    ping: str | None = field(default=None, repr=False)
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", (self.on,) if isinstance(self.on, str) else tuple(self.on))
        validate("notify", self)
        if not self.addresses:
            raise ConfigProblem(f"notify: {NOBODY}")

    @property
    def addresses(self) -> dict[str, str]:
        """What is set of `webhook`, `apprise` and `ping`: each an address, or where it is found."""
        given = {"webhook": self.webhook, "apprise": self.apprise, "ping": self.ping}
        return {way: place for way, place in given.items() if place is not None}
