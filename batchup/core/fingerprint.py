"""What makes two requests the same: hashes of their content, never of their position or spelling."""

import hashlib
import math
from collections.abc import Mapping

import msgspec

from batchup.core.items import Json, LocalFile

FINGERPRINT_DIGITS = 24
"""96 bits: the chance that two of ten million requests differ and have the same is one in 10 ** 15."""

_PLAIN = frozenset({str, int, bool, type(None)})
"""Types of values that are spelled in one way alone."""

_INTEGRAL_BELOW = 2.0**63
"""Floats from here on stay floats: written out as integers they would be hundreds of digits long."""


def canonical(value: Json) -> bytes:
    """Spell a JSON value in the one canonical way: keys sorted, no spaces, and 2.0 as 2.

    Raises ValueError for what JSON cannot hold: infinities, NaN, lone surrogates.
    """
    return msgspec.json.encode(_normal(value), order="sorted")


def fingerprint(model: str, parameters: Mapping[str, Json], files: Mapping[str, LocalFile]) -> str:
    """Hash a logical request to 24 hex digits; a parameter in `files` counts by its image's content."""
    contents = {name: {"sha256": file.sha256} for name, file in files.items()}
    return _sha256({"model": model, "input": {**parameters, **contents}})[:FINGERPRINT_DIGITS]


def value_hash(value: Json) -> str:
    """Hash one value to 16 hex digits: enough to recognise what was sent without keeping it."""
    return _sha256(value)[:16]


def is_ours(sent: Mapping[str, str], shown: Mapping[str, Json]) -> bool | None:
    """Tell whether a prediction's input is the one that was sent: every key, by its hash.

    None where nobody can tell: what is shown is the same, and something that was sent is not shown.
    """
    if any(key in shown and value_hash(shown[key]) != hashed for key, hashed in sent.items()):
        return False
    return True if sent.keys() <= shown.keys() else None


def hashed_id(request_fingerprint: str) -> str:
    """Make the id of an item that was given none: the first 24 digits of its fingerprint."""
    return request_fingerprint[:24]


def _sha256(value: Json) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def _normal(value: Json) -> Json:
    if type(value) in _PLAIN:  # nearly all, and there are millions
        return value
    if isinstance(value, Mapping):
        return {key: inner if type(inner) in _PLAIN else _normal(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(inner) for inner in value]
    return _normal_number(value) if isinstance(value, float) else value


def _normal_number(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no JSON number")
    return int(value) if value.is_integer() and abs(value) < _INTEGRAL_BELOW else value
