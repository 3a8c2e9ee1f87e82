"""Answers of the service gone wrong in many ways, by seed: the same seed, the same bytes."""

import json
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

Spoil = Callable[[Random, bytes], bytes]

ODD_TOKENS = (
    b"NaN", b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"0.1e", b"01", b"-0", b"1" * 5000,
    b"-" + b"9" * 40,
    b"nul", b"True", b"undefined", b"'x'", b'"\\ud800"', b'"\\udfff\\ud800"', b'"\xed\xa0\x80"', b'"\xff"',
    b'"\\u0000"', b'"\x00"', b'"\x1f"', b'"\\x41"', b'"', b"", b" ", b"[]", b"{}", b"[[]]", b"null", b"true",
    b'""', b'"null"', b'"\xf0\x9f\x98\x80"', b'"../../etc"', b'"%2e%2e"', b'"id with spaces"',
    b'"."', b'".."',
    b'"' + b"x" * 129 + b'"', b'"' + b"y" * 70_000 + b'"', b"/**/1", b"1//", b'{"": {"": []}}',
)  # fmt: skip
DEPTHS = (5, 31, 33, 200, 400, 600, 950, 5_000)
CUTS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\r\n", b"<html>", b")]}',\n", b"HTTP/1.1 200 OK\r\n\r\n")
_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null')
_KEY = re.compile(rb'"([A-Za-z_]+)"\s*:')


def spoilt(rng: Random, body: bytes) -> bytes:
    """Return a body with one to three things wrong with it."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        body = rng.choice(SPOILS)(rng, body)
    return body


def _cut(rng: Random, body: bytes) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def _flip(rng: Random, body: bytes) -> bytes:
    if not body:
        return body
    at = rng.randrange(len(body))
    return body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :]


def _odd_value(rng: Random, body: bytes) -> bytes:
    return _at_a_match(rng, body, _VALUE, rng.choice(ODD_TOKENS))


def _deep_value(rng: Random, body: bytes) -> bytes:
    depth, (left, right) = rng.choice(DEPTHS), rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return _at_a_match(rng, body, _VALUE, left * depth + b"1" + right * depth)


def _other_key(rng: Random, body: bytes) -> bytes:
    names = [b"id", b"status", b"output", b"data", b"items", b"error", b"", b"prediction_id", b"\\u0069d"]
    return _at_a_match(rng, body, _KEY, b'"' + rng.choice(names) + b'":')


def _twin_key(rng: Random, body: bytes) -> bytes:
    found = [match[0] for match in _KEY.finditer(body)]
    at = body.find(b"{") + 1
    if not found or not at:
        return body
    return body[:at] + rng.choice(found) + rng.choice(ODD_TOKENS) + b"," + body[at:]


def _around(rng: Random, body: bytes) -> bytes:
    around = (b"[%s]", b'{"data": %s}', b'{"id": %s}', b"%s,", b"%s\n%s" % (body, b"%s"), b'"%s"')
    return rng.choice(around).replace(b"%s", body)


def _before(rng: Random, body: bytes) -> bytes:
    return rng.choice(CUTS) + body


def _other_type(rng: Random, body: bytes) -> bytes:
    """Change one value of the tree to one of another type, or leave it out."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return body
    places = list(_places(tree))
    if not places:
        return rng.choice((b"null", b"0", b"[]", b'"x"'))
    holder, key = rng.choice(places)
    if rng.random() < 0.3:
        del holder[key]
    else:
        holder[key] = rng.choice((None, True, 0, -1, 1.5, "", "x", [], {}, [[]], {"a": None}, [holder[key]]))
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys: Any = ()
    if isinstance(tree, dict):
        keys = list(tree)
    elif isinstance(tree, list):
        keys = range(len(tree))
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


def _at_a_match(rng: Random, body: bytes, pattern: re.Pattern[bytes], new: bytes) -> bytes:
    found = list(pattern.finditer(body))
    if not found:
        return body
    match = rng.choice(found)
    return body[: match.start()] + new + body[match.end() :]


SPOILS: tuple[Spoil, ...] = (
    _cut, _flip, _odd_value, _odd_value, _deep_value, _other_key, _twin_key, _around, _before, _other_type,
    _other_type,
)  # fmt: skip


def strictly(body: bytes) -> Any:
    """Decode JSON as RFC 8259 and UTF-8 have it, by the standard library; ValueError for anything else."""
    try:
        return json.loads(
            body.decode(),
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise ValueError("too deep") from None


def depth_of(value: Any) -> int:
    """Return how many objects and lists lie around the innermost value; not by recursion."""
    deepest, level = 0, [value]
    while level := [
        inner
        for outer in level
        if isinstance(outer, dict | list)
        for inner in (outer.values() if isinstance(outer, dict) else outer)
    ]:
        deepest += 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    json.dumps(pairs, ensure_ascii=False).encode()  # half a surrogate pair is no text
    return dict(pairs)


def _no_number(text: str) -> float:
    raise ValueError(text)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(text)
    return value


def _whole(text: str) -> float:
    return int(text) if len(text) < 20 else _finite(text)
