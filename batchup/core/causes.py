"""Why items failed, in a few groups: a stable word for each cause, how many, and what to do about it.

The service's words differ from item to item by numbers, names and addresses; what is the same to a person is
one cause here. The words themselves stay as they are beside it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from batchup.core.failures import LONGEST
from batchup.core.items import Failure

MOST: Final = 20  # groups that are told
_MOST_KEPT: Final = 500  # groups that are told apart while counting
_GIST: Final = 90  # characters
_LOOKED_AT: Final = 500  # characters that a gist is taken from

AGAIN: Final = (
    "Run the same command again: each run gives such items one more try; when they have none left,"
    " `batchup rerun` gives more."
)
NO_MORE: Final = "No further run tries these by itself; `batchup rerun` or --rerun-failed does."
"""What to do about items that another try may help, and that have had all of theirs."""

EXHAUSTED: Final = "exhausted"
"""The kind of failure of an item that no run tries again by itself, though another try may help."""

OUTSTANDING: Final = "outstanding"
RAISE: Final = "Raise [output] max_pixels and run the same command again; nothing is bought twice."
"""What to do about outputs that no run will fetch as the job file is."""

FETCH: Final = "Run the same command again: they are paid, and fetched anew."
"""What to do about other outputs that are still to be fetched."""

_MENDED: Final = "then run with --rerun-failed."
_LOOK: Final = f"Read the service's words in results.jsonl, mend what they name, {_MENDED}"


@dataclass(frozen=True, slots=True)
class Cause:
    """A group of items with one cause, and one of them as `example_item`.

    `state` is failed, held, rejected, or outstanding for outputs that are paid and could not be fetched.
    """

    state: str
    cause: str
    count: int
    what_to_do: str
    example_item: str | None


@dataclass(frozen=True, slots=True)
class _Known:
    """A cause that the service names in many words: it is known by its code or by what the words say."""

    cause: str
    words: re.Pattern[str]
    what_to_do: str
    codes: frozenset[str] = frozenset()


def _known(cause: str, words: str, what_to_do: str, *codes: str) -> _Known:
    return _Known(cause, re.compile(words, re.IGNORECASE), what_to_do, frozenset(codes))


_THING: Final = r"\b(?:image|picture|photo|input|file|payload|body|resolution|dimensions?|(?:mega)?pixels?)\b"
_PICTURE: Final = r"\b(?:image|picture|photo|file)\b"
_KNOWN: Final = (
    _known(
        "refused by moderation",
        r"moderat|nsfw|content polic|safety|inappropriate",
        "The service refuses what these pictures show; take them out of the manifest.",
    ),
    _known(
        "image too large",
        rf"{_THING}.*(?:too (?:large|big)|exceed|larger than|maximum)|too (?:large|big).*{_THING}"
        "|too many pixels",
        f"Make the images smaller or the scale factor lower, {_MENDED}",
        "413",
    ),
    _known(
        "image too small",
        rf"{_THING}.*(?:too small|smaller than|minimum)|too small.*{_THING}",
        "Take these images out of the manifest, or use larger ones.",
    ),
    _known(
        "image not reachable for the service",
        r"(?:fail|could not|cannot|can't|unable|not).{0,40}(?:download|fetch|retriev|reach|access|load)"
        r".{0,60}(?:url|image|input|file|link)"
        r"|(?:url|image|link).{0,40}not (?:reachable|accessible|fetchable)",
        f"See that the addresses in the manifest open without a login and have not expired, {_MENDED}",
        "PROVIDER_REJECTED",
        "INPUT_DOWNLOAD_ERROR",
    ),
    _known(
        "not a usable image",
        r"(?:unsupported|invalid|corrupt|damaged|cannot identify|decode|unreadable|not an?|this is no)"
        rf".*{_PICTURE}"
        rf"|{_PICTURE}.*(?:unsupported|corrupt|damaged|decode|not supported|truncated)"
        "|is cut short or damaged|does not decode|cannot be prepared",
        f"Open some of these files; replace the broken or odd ones, {_MENDED}",
    ),
    _known("timed out at the service", r"timed? ?out|deadline exceeded", AGAIN, "EXECUTION_TIMEOUT"),
    _known(
        "the provider was too busy",
        r"rate limit|too many requests|overloaded|at capacity",
        AGAIN,
        "PROVIDER_RATE_LIMIT",
    ),
)
_FILE: Final = re.compile(r"[/\\][^/\\]*\.\w")
_SPOKEN: Final = frozenset({"prediction_failed", "provider_failed", "upload_failed"})
"""Kinds whose words are the service's, as are those of every `http_...`."""

_PLAIN: Final = {
    "abandoned": ("abandoned by a person", "Run with --rerun-failed to make them after all; that buys them."),
    "bad_url": ("the output's address is none", AGAIN),
    "cancelled": (
        "cancelled at the service",
        "Somebody cancelled them; run with --rerun-failed to make them.",
    ),
    "changed": (
        "the output is not what it was",
        "Run `batchup verify --fix`: it asks the service for it again.",
    ),
    "connect": ("the output's host cannot be reached", AGAIN),
    "disk": ("the disk did not take it", "Make room, then run the same command again."),
    "empty": ("an empty image", f"Replace these files, {_MENDED}"),
    "encoded": ("the output came compressed", AGAIN),
    "exhausted": ("attempted as often as allowed", NO_MORE),
    "gone": (
        "the service does not know the prediction any more",
        "It may have been paid: see `batchup audit`; --rerun-failed buys it again.",
    ),
    "held": (
        "nobody can tell whether it was bought",
        "Decide with `batchup resolve`; until then nothing is bought for them again.",
    ),
    "http": ("the output's host refuses it", AGAIN),
    "internal": ("a bug in batchup", "Please report it with run.log.jsonl; --rerun-failed tries them again."),
    "no_address": ("the service shows no output for now", AGAIN),
    "no_answer": ("the service did not answer", AGAIN),
    "no_original": (
        "what it shares is not on the disk any more",
        "Run `batchup verify --fix`, then the same command again; [run] dedupe = false buys it.",
    ),
    "no_output": (
        "paid, and without an output",
        "Ask the service about these predictions; --rerun-failed buys them again.",
    ),
    "not_image": ("the output is not a picture", AGAIN),
    "output_expired": (
        "paid, and the output has expired",
        "Run sooner after a night was cut short; --rerun-failed buys them again.",
    ),
    "prediction_failed": ("the prediction failed", _LOOK),
    "private_address": (
        "the output is at a private address",
        "If that is right, set [output] allow_private = true and run the same command again.",
    ),
    "provider_failed": ("the provider failed", "Run with --rerun-failed; if it stays so, ask the service."),
    "redirects": ("the output's host redirects without end", AGAIN),
    "senseless": ("the service's answer made no sense", AGAIN),
    "stopped": ("the run was stopped", "Run the same command again."),
    "store": ("the bucket did not take the output", AGAIN),
    "timeout": ("the output's host is too slow", AGAIN),
    "too_large": ("the output is too large", RAISE),
    "truncated": ("the output came incomplete", AGAIN),
    "unsupported": ("not a usable image", f"Convert these files to PNG, JPEG or WebP, {_MENDED}"),
    "upload_failed": ("the upload failed", AGAIN),
    "worker_lost": ("the workers that fetched the output were lost", AGAIN),
}
"""What each kind of failure is called, and what to do."""

UNKNOWN: Final = "a parameter that the model does not have"
"""The cause of rows that bring more than the model takes: all rows of a table, as a rule."""

_LEAVE_OUT: Final = 'Set [run] on_unknown = "drop" to leave such columns out, or mend their names.'
_REJECTED: Final = {
    "bad_archive": ("a damaged tar shard", "Write these shards again."),
    "bad_member": ("a sample of a shard that does not fit", "Mend these samples of the shards."),
    "bad_id": ("an id that cannot be one", "Give these rows other ids."),
    "bad_json": ("not JSON", "Mend these lines of the manifest."),
    "bad_row": ("a row that does not fit", "Mend these rows of the manifest."),
    "bad_url": ("not an address on the web", "Mend the addresses in these rows."),
    "broken_image": (
        "a broken image",
        "Replace these files: nothing was bought for them.",
    ),
    "changed": (
        "the request changed after it was saved",
        'Set [run] on_change = "keep" or "redo", or give these rows other ids.',
    ),
    "duplicate_id": ("an id that was there already", "Give these rows ids of their own."),
    "encoding": ("not UTF-8", "Save the manifest as UTF-8."),
    "invalid_input": (
        "a parameter that the model does not take",
        "Mend these values; `batchup models` shows what a model takes.",
    ),
    "missing_file": ("a file that cannot be read", "See that these files are there and readable."),
    "no_image": ("a row without an image", "Name the column under [columns], or add the image."),
    "too_large": ("a file larger than the service takes", "Make these files smaller."),
    "too_long": ("a row that is too long", "Split or mend these rows."),
    "too_many_pixels": (
        "an image of too many pixels, or one that would become so large",
        "Make these images smaller or enlarge them less, or raise [output] max_pixels.",
    ),
    "no_upload": (
        "an image on this machine",
        "The service takes no uploads: use https:// addresses, or a bucket that signs.",
    ),
    "unsupported_image": (
        "not a picture",
        "Convert these files to PNG, JPEG or WebP ([prepare] format does BMP, TIFF and AVIF), or drop them.",
    ),
}


def cause_of(failure: Failure) -> str:
    """Return the cause in a few stable words, the same for all failures that are the same to a person."""
    if not _is_spoken(failure):
        return _PLAIN.get(failure.kind, (failure.kind.replace("_", " "), ""))[0]
    known = _known_of(failure)
    if known is not None:
        return known.cause
    label = _PLAIN.get(failure.kind, ("refused by the service", ""))[0]
    code = f" ({failure.code})" if failure.code and not failure.code.isdigit() else ""
    return f"{label}{code}: {gist(failure.message)}"


def what_to_do(failure: Failure) -> str:
    """Return in one sentence what a person can do about it."""
    known = _known_of(failure) if _is_spoken(failure) else None
    if known is not None:
        return known.what_to_do
    if failure.retryable and failure.kind != EXHAUSTED:
        return AGAIN
    return _PLAIN.get(failure.kind, ("", _LOOK))[1]


def rejected(kind: str, cause: str = "") -> tuple[str, str]:
    """Return the cause of a rejected row by its kind, or the one that is named; and what to do about it."""
    usual, what_to_do = _REJECTED.get(kind, (kind.replace("_", " "), "Mend these rows of the manifest."))
    return cause or usual, _LEAVE_OUT if cause == UNKNOWN else what_to_do


def group(failures: Iterable[tuple[str, str, Failure]]) -> tuple[Cause, ...]:
    """Group (state, item, failure), the largest group first; of more than 20 the rest is one, at the end.

    Memory does not grow with the number of failures.
    """
    found: dict[tuple[str, str], Cause] = {}
    for state, item_id, failure in failures:
        add(found, cause_of_one(state, item_id, failure))
    return largest(found.values())


def cause_of_one(state: str, item_id: str, failure: Failure, *, has_tries: bool = True) -> Cause:
    """Return the cause of one item; without `has_tries` no run tries it again by itself."""
    to_do = what_to_do(failure)
    if to_do == AGAIN and not has_tries:
        to_do = NO_MORE
    return Cause(state, cause_of(failure), 1, to_do, item_id)


def add(found: dict[tuple[str, str], Cause], one: Cause) -> None:
    """Count one more item of a cause."""
    if (one.state, one.cause) not in found and len(found) >= _MOST_KEPT:
        one = replace(one, cause="other causes", what_to_do="Look them up in results.jsonl.")
    key = (one.state, one.cause)
    so_far = found.get(key)
    if so_far is None:
        found[key] = one
        return
    to_do = one.what_to_do if so_far.what_to_do == NO_MORE else so_far.what_to_do  # some have tries left
    found[key] = replace(so_far, count=so_far.count + one.count, what_to_do=to_do)


def largest(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Return the causes by size, at most 20; the last one then stands for all the rest."""
    ordered = sorted(causes, key=lambda cause: (-cause.count, cause.state, cause.cause))
    if len(ordered) <= MOST:
        return tuple(ordered)
    kept, rest = ordered[: MOST - 1], ordered[MOST - 1 :]
    count = sum(cause.count for cause in rest)
    words = f"{len(rest)} other causes"
    return (*kept, Cause("", words, count, "Look them up in results.jsonl.", rest[0].example_item))


def gist(words: str) -> str:
    """Return what words say without what differs from item to item: numbers, names with them, addresses."""
    text = re.sub(r"[a-z][a-z0-9+.-]*://\S+", "<address>", words[:_LOOKED_AT], flags=re.IGNORECASE)
    text = re.sub(r"\S+", _without_file, text)
    text = re.sub(r"[\w-]*\d[\w.,:-]*", "#", text)
    text = " ".join(re.sub(r"#(?:\W{1,3}#)+", "#", text).split())
    return text if len(text) <= _GIST else f"{text[:_GIST]}…"


def _without_file(word: re.Match[str]) -> str:
    """Return `<file>` for a word with a path in it; one pattern for words and paths would take for ever."""
    return "<file>" if _FILE.search(word[0]) else word[0]


def _is_spoken(failure: Failure) -> bool:
    return failure.kind in _SPOKEN or failure.kind.startswith("http_")


@lru_cache(maxsize=256)  # asked twice for each failure: for its name and for the advice
def _known_of(failure: Failure) -> _Known | None:
    """Return the cause that the service's words or code name; what the words say goes before the code."""
    words = failure.message[:LONGEST]
    by_words = (one for one in _KNOWN if one.words.search(words))
    codes = {failure.code, failure.kind.removeprefix("http_")}
    by_code = (one for one in _KNOWN if codes & one.codes)
    return next(by_words, None) or next(by_code, None)
