"""The service's JSON and our words: nothing else knows its spelling.

`Response` and `Silence` are what the edge brings; `Wire.read` turns them into answers; `Wire.call_of` is what
the edge sends. How a service spells it is data, its `Profile`; what its own pages describe in several ways
is read in every way that any of them shows.
"""

from dataclasses import dataclass, replace

from batchup.core import spelling
from batchup.core.account import read_balance, read_card
from batchup.core.exchange import MOST_ROWS, PAGE, Call, Hook, Raw, Response, Silence
from batchup.core.items import Failure
from batchup.core.profile import Profile
from batchup.core.reading import read_good
from batchup.core.redaction import plain_words
from batchup.core.refusals import problem, refusal
from batchup.core.requests import (
    Answer,
    AskBalance,
    AskModel,
    BalanceTold,
    LookUp,
    ModelTold,
    Request,
)
from batchup.core.values import SenselessError, decode, http_date

__all__ = [
    "MOST_ROWS",
    "PAGE",
    "Call",
    "Hook",
    "Raw",
    "Response",
    "Silence",
    "Wire",
    "is_deleted",
    "service_offset_s",
]


@dataclass(frozen=True, slots=True)
class Wire:
    """One service's spelling of requests and answers."""

    profile: Profile

    def call_of(self, request: Request, model: str, hook: Hook | None = None) -> Call:
        """Spell a request in the service's words; a create asks to be called back at `hook`."""
        return spelling.call_of(self.profile, request, model, hook)

    def cancel_call(self, prediction_id: str) -> Call:
        """Spell the wish that a prediction be ended; what comes back says little, and a poll says more."""
        return spelling.cancel_call(self.profile, prediction_id)

    def delete_call(self, file_id: str) -> Call:
        """Spell the wish that an uploaded file be deleted."""
        return spelling.delete_call(self.profile, file_id)

    def read(self, request: Request, raw: Raw, now_unix: float) -> Answer:
        """Turn what came back for `request` into our words; never raises."""
        kind = request.kind
        if isinstance(request, AskModel | AskBalance):
            return self._read_look_up(request, raw, now_unix)
        if isinstance(raw, Silence):
            failure = Failure("no_answer", plain_words(raw.message), retryable=True)
            return problem(kind, "lost" if raw.was_sent else "unsent", failure)
        if not 200 <= raw.status < 300:
            return refusal(self.profile, kind, raw, now_unix)
        try:
            return read_good(self.profile, request, decode(raw.body))
        except SenselessError as found:
            failure = Failure("senseless", f"the service's answer makes no sense: {found}", retryable=True)
            return problem(kind, "senseless", failure)

    def _read_look_up(self, request: LookUp, raw: Raw, now_unix: float) -> Answer:
        """Read what was asked before spending; whatever is wrong with it is only a missing answer."""
        if isinstance(raw, Response) and raw.status == 429:
            return refusal(self.profile, request.kind, raw, now_unix)
        why = raw.message if isinstance(raw, Silence) else f"HTTP {raw.status}"
        if isinstance(raw, Response) and 200 <= raw.status < 300:
            try:
                body = decode(raw.body)
                if isinstance(request, AskModel):
                    return ModelTold(replace(read_card(body, request.slug), fetched_at=now_unix))
                return BalanceTold(read_balance(body))
            except SenselessError as found:
                why = f"the answer makes no sense: {found}"
        why = plain_words(why)
        return ModelTold(None, why) if isinstance(request, AskModel) else BalanceTold(None, why)


def is_deleted(raw: Raw) -> bool:
    """Tell whether an uploaded file is gone from the service, by what came back for its deletion."""
    return isinstance(raw, Response) and (200 <= raw.status < 300 or raw.status in (404, 410))


def service_offset_s(raw: Raw, now_unix: float) -> float | None:
    """Return the service's wall clock minus ours in seconds, by its Date header; None where it has none."""
    if isinstance(raw, Silence) or "date" not in raw.headers:
        return None
    at = http_date(raw.headers["date"])
    return None if at is None else at - now_unix
