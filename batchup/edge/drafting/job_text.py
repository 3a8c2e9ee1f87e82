"""A new job file's text: each parameter of the model with its type, bounds, default and meaning."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from batchup.core.items import Json
from batchup.core.schema_words import SHOWN, Parameter, bounds

_WIDTH: Final = 110
_COLUMN: Final = 32  # where the words behind a setting begin
_KEPT: Final = "\u00a0"  # a space at which no line ends
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_HEAD: Final = """\
# {title}
#
#   export EACHLABS_API_KEY=...
#   batchup check {name} --forecast
#   batchup run {name} --limit 20 --max-spend 5
#
# A line that begins with `#` and a key shows the default: take the `#` away to change it.
# `batchup run -h` has the flags, which win over this file.

"""
_DROPPING: Final = (
    'on_unknown = "drop"             # columns that the model does not know are left out; default: "error"'
)
_REFUSING: Final = (
    '#on_unknown = "error"           # columns the model has no parameter for: "error" rejects,'
    ' "drop", "send"'
)
_TAIL: Final = """
[run]
{unknown}
#dedupe = true                  # equal images under different ids are bought once; false buys each by itself
#on_change = "error"            # an item was saved and its request changed since: "error", "keep", "redo"
#executor = "threads"           # where uploads and downloads are made; or "processes:4", "ray://auto", "dask://HOST:8786"

[limits]
#concurrency = 10               # predictions in flight
#rate = "60/min"                # all requests to the service together: N/s, N/min, N/h, or "unlimited"
#max_attempts = 3               # an item's, in one run
#max_spend = 25.00              # USD, the whole job's, over all its runs; default: no cap

[output]
#dir = "{stem}.out"{pad}# default: "<name>.out" beside this file; or a bucket such as "s3://bucket/prefix"
#name = "{{id}}.{{ext}}"            # what outputs are called; or "{{folder}}/{{stem}}@2x.{{ext}}"
#metadata = false               # put a JSON file beside each output: item, parameters, prediction, cost, hash
#max_pixels = 128_000_000       # width times height; larger images and outputs are refused

# What is done to images before they are uploaded; those on the web pass through. Nothing, unless it is asked
# for here: before the first run, as another preparation makes another request of what is saved already.
[prepare]
#max_side = 4096                # pixels of the longer side; default: as large as it is
#format = "webp"                # or "jpeg", "png"; of BMP, TIFF and AVIF, too; default: as it is
#quality = 92                   # 1 to 100, of a JPEG or WebP that has to be made
#orient = false                 # turn the pixels as the camera was held
#check = false                  # fetch and decode images in a bucket, too, before they are bought
#delete_uploads = false         # delete uploads from the service when the run is over

[service]
#key = "env:EACHLABS_API_KEY"   # where the key is: "env:NAME", "file:PATH" or "credential:NAME"; never itself
#url = "https://api.eachlabs.ai/v1"  # or "simulator": one on this machine that costs nothing
#profile = "eachlabs"           # how the service spells it: or "replicate", or the path of a .toml file
"""


def job_text(
    *,
    name: str,
    manifest: str,
    model: str,
    parameters: Sequence[Parameter],
    notes: Sequence[str],
    columns: Mapping[str, str],
    from_manifest: Sequence[str],
    is_dropping: bool = False,
) -> str:
    """Return the text of a job file called `name`, its manifest relative to it.

    `notes` are sentences about the model; `columns` maps parameters (and `id`) to the manifest's columns;
    `from_manifest` are the parameters that each row brings; `is_dropping` leaves out what no model takes.
    """
    stem = name.removesuffix(".toml")
    lines = [
        _setting("manifest", manifest, "what to make: a row, or a picture of the folder, is an item"),
        _setting("model", model, f"`batchup models {model}` says more of it"),
        "",
        "[input]",
        "# What every item is made with; an item's own parameters win.",
        *(part for note in notes for part in _comment(note)),
        *(line for one in parameters for line in _parameter(one, one.name in from_manifest)),
        "",
        "[columns]",
        *_columns(columns),
    ]
    unknown = _DROPPING if is_dropping else _REFUSING
    head = _HEAD.format(title=f"Made by `batchup init` for the model {model}.", name=shown_path(name))
    pad = " " * max(1, _COLUMN - len(f'#dir = "{stem}.out"'))
    return head + "\n".join(lines) + "\n" + _TAIL.format(stem=_inside(stem), pad=pad, unknown=unknown)


def shown_path(name: str) -> str:
    """Return a file's name as it is typed in a shell, on one line."""
    return name if re.fullmatch(r"[\w./+-]+", name) else "'" + re.sub(r"[\x00-\x1f]", "?", name) + "'"


def toml_value(value: Json) -> str | None:
    """Write a JSON value as TOML; None where it cannot be."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return f'"{_inside(value)}"'
        case list():
            parts = [toml_value(part) for part in value]
            return None if None in parts else f"[{', '.join(str(part) for part in parts)}]"
        case dict():
            inner = {name: toml_value(part) for name, part in value.items()}
            if None in inner.values():
                return None
            return f"{{ {', '.join(f'{toml_key(name)} = {part}' for name, part in inner.items())} }}"
        case _:
            return None


def toml_key(name: str) -> str:
    """Write a key, in quotes where it needs them."""
    return name if _BARE.fullmatch(name) else f'"{_inside(name)}"'


def _inside(text: str) -> str:
    """Return a text as it stands between TOML's quotes; JSON's rules are the same, but for one character."""
    return msgspec.json.encode(text).decode()[1:-1].replace("\x7f", "\\u007f")


def _parameter(one: Parameter, is_in_rows: bool) -> Iterator[str]:  # noqa: FBT001 of two things, one is a name
    if is_in_rows:
        yield f"# {toml_key(one.name)} comes from the manifest"
        return
    value = one.default if one.default is not None else _example(one)
    words = _words(one)
    mark = "" if one.is_required else "#"
    written = toml_value(value) or '""'
    yield from _lines(f"{mark}{toml_key(one.name)} = {written}", words)
    if len(one.choices) > SHOWN:
        yield from _comment(f"    one of {_quoted(one.choices)}")


def _words(one: Parameter) -> str:
    allowed = f"{one.type}, {bounds(one)}".strip(", ")
    if one.choices:
        is_long = len(one.choices) > SHOWN
        allowed = f"{len(one.choices)} to choose from, below" if is_long else f"one of {_quoted(one.choices)}"
    facts = [allowed, "required" if one.is_required else ""]
    has_none = one.default is None and not one.is_required
    facts.append("no default: leave it out unless you mean it" if has_none else "")
    said = ", ".join(fact for fact in facts if fact)
    return f"{one.meaning} ({said})" if one.meaning and said else one.meaning or said


def _quoted(choices: Sequence[Json]) -> str:
    """Return choices as they are written in the file, each of which stays on one line."""
    return ", ".join((toml_value(choice) or "").replace(" ", _KEPT) for choice in choices)


def _example(one: Parameter) -> Json:
    """Return a value of the right kind, for a parameter without a default."""
    if one.choices:
        return one.choices[0]
    number = 1 if one.low is None else one.low
    examples: dict[str, Json] = {
        "number": number,
        "integer": int(number),
        "boolean": False,
        "array": [],
        "object": {},
    }
    return examples.get(one.type, "...")


def _setting(name: str, value: str, words: str) -> str:
    return "\n".join(_lines(f"{name} = {toml_value(value)}", words))


def _lines(setting: str, words: str) -> list[str]:
    """Put words behind a setting, or above it where the line would be too long."""
    line = f"{setting:<{_COLUMN - 1}} # {words.replace(_KEPT, ' ')}"
    return [line] if words and len(line) <= _WIDTH else [*_comment(words), setting]


def _comment(words: str) -> list[str]:
    indent = " " * (len(words) - len(words.lstrip()))
    lines = textwrap.wrap(
        words.strip(),
        _WIDTH,
        initial_indent=f"# {indent}",
        subsequent_indent=f"# {indent}",
        break_on_hyphens=False,
    )
    return [line.replace(_KEPT, " ") for line in lines]


def _columns(columns: Mapping[str, str]) -> Iterator[str]:
    yield "# Which column of the manifest is what, where its names differ; default: the names themselves."
    for name, column in columns.items():
        yield f"{toml_key(name)} = {toml_value(column)}"
    if "id" not in columns:
        yield from _lines(
            '#id = "sku"', "what names an item and its output; without ids the image's path does"
        )
