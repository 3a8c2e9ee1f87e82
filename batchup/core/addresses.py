"""Where the results are: the addresses in a prediction's `output`, whatever shape it has."""

from collections.abc import Iterator

import msgspec

from batchup.core.items import Json

_KEYS = ("url", "image_url", "video_url", "audio_url", "image", "images", "output", "outputs", "data", "urls")
_DEEPEST = 6


def output_urls(output: Json) -> tuple[str, ...]:
    """Return the http(s) addresses in `output` in order, each once.

    A string, a string that holds JSON, a list or an object with one of the usual keys are all understood.
    """
    return tuple(dict.fromkeys(_walk(output, 0)))


def _walk(value: Json, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield from _in_text(value.strip(), depth)
    elif isinstance(value, list):
        for part in value:
            yield from _walk(part, depth + 1)
    elif isinstance(value, dict):
        for key in _KEYS:
            if key in value:
                yield from _walk(value[key], depth + 1)


def _in_text(text: str, depth: int) -> Iterator[str]:
    if text.startswith(("https://", "http://")):
        yield text
    elif text.startswith(("[", "{", '"')):
        try:
            inside = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return
        yield from _walk(inside, depth + 1)
