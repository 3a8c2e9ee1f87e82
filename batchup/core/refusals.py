"""Answers that are not good ones, in our words: what a status means, how long to wait, which cap is named."""

import re
from collections.abc import Mapping

from batchup.core.exchange import Response
from batchup.core.failures import code_in, plain_body, words_in
from batchup.core.items import Failure, Json
from batchup.core.profile import Profile, number_after
from batchup.core.redaction import plain_words
from batchup.core.requests import Problem
from batchup.core.values import SenselessError, decode, http_date
from batchup.core.verdicts import Kind, Verdict, verdict


def refusal(profile: Profile, kind: Kind, raw: Response, now_unix: float) -> Problem:
    """Read an answer whose status is not a good one."""
    try:
        body = decode(raw.body)
    except SenselessError:
        body = None
    record: Mapping[str, Json] = body if isinstance(body, dict) else {}
    words = words_in(body) or (plain_body(raw.body) if body is None else "") or f"HTTP {raw.status}"
    if 300 <= raw.status < 400:
        where = raw.headers.get("location", "nowhere").partition("?")[0]
        words = plain_words(f"HTTP {raw.status} to {where}")
    found = verdict(kind, str(raw.status))
    is_throttled = found is Verdict.THROTTLED
    cap = number_after(profile.cap, words) if kind is Kind.CREATE and is_throttled else None
    code = code_in(body) or str(raw.status)
    failure = Failure(f"http_{raw.status}", words, code, retryable=found is not Verdict.PERMANENT)
    wait_s = _retry_after(raw, record, now_unix)
    if wait_s is None and is_throttled:
        wait_s = _clamped(number_after(profile.wait, words))
    return Problem(found, failure, wait_s, None if cap is None else max(1, int(cap)))


def problem(kind: Kind, condition: str, failure: Failure) -> Problem:
    """Say what a condition that has no status means for what was asked."""
    return Problem(verdict(kind, condition), failure, is_senseless=condition == "senseless")


def _retry_after(raw: Response, record: Mapping[str, Json], now_unix: float) -> float | None:
    """Read Retry-After as seconds or a date, or `retry_after` in the body, clamped to 1 s … 15 min."""
    text = str(raw.headers.get("retry-after") or record.get("retry_after") or "").strip()
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,9})?", text):
        return _clamped(float(text))
    at = http_date(text)
    if at is None:
        return None
    return _clamped(at - (http_date(raw.headers.get("date", "")) or now_unix))  # by the clock that named it


def _clamped(wait_s: float | None) -> float | None:
    return None if wait_s is None else min(900.0, max(1.0, wait_s))
