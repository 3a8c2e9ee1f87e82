"""`batchup models [SLUG]`: the service's models, or one of them with its parameters and price."""

import shutil
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from batchup.cli.asking import asked_job, key_of
from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, known_slugs
from batchup.core.account import ModelCard
from batchup.core.schema_words import SHOWN, Parameter, bounds, text_of
from batchup.errors import Unavailable, UsageProblem
from batchup.job import Job
from batchup.settings.nearest import did_you_mean

if TYPE_CHECKING:
    from batchup.edge.models.catalogue import Found, Listing

_LONGEST_DEFAULT = 44  # characters that are shown of it
_WIDEST = (24, 8, 26, 22)  # columns of a parameter's name, type, bounds and default
_NARROW = (20, 8, 24, 19)  # the same on a terminal of 80 columns, where the meaning is below
_ROOMY = 109
_INDENT = "    "
_LEAST_LAST = 24
_GAP = 2
_NARROWEST = 80

EPILOG = """`batchup fields models` explains what --json prints, `batchup fields model` that of one.

\b
Examples:
  batchup models
  batchup models each-upscaler --offline
  batchup init photos/ --model each-upscaler
"""


@click.command(name="models", epilog=EPILOG)
@click.argument("slug", required=False, metavar="[SLUG]", shell_complete=known_slugs)
@click.option(
    "--job",
    "job_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Ask the service of this job file.  [default: each::labs, its key in EACHLABS_API_KEY]",
)
@click.option("--offline", is_flag=True, help="Ask nobody: show what was kept and what came with batchup.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the text.")
@DEBUG
def command(slug: str | None, *, job_file: Path | None, offline: bool, as_json: bool, debug: bool) -> None:
    """List the service's models; with SLUG show that one: parameters, bounds, defaults, meaning and price.

    What the service says is kept for a day. Without a key nobody is asked: what was kept and what came with
    batchup is shown. Costs nothing. Exits with 2 for a model that nobody knows, with 69 where the service
    could not be asked about it.
    """
    with problems_end_the_command(debug=debug):
        job = asked_job(job_file, slug)
        key = key_of(job, is_offline=offline)
        text = _list(job, key, as_json=as_json) if slug is None else _show(job, key, as_json=as_json)
        click.echo(text)


def _list(job: Job, key: str | None, *, as_json: bool) -> str:
    import anyio  # noqa: PLC0415 -h stays quick

    from batchup.edge.models.catalogue import look_for_all  # noqa: PLC0415 -h stays quick

    found = anyio.run(partial(look_for_all, job, key))
    _say_problems(found)
    listing = found.listing
    if listing is None or as_json:
        return msgspec.json.encode(listing).decode()
    return "\n".join([*_table_of_models(listing.models), _whence_the_list(listing)])


def _show(job: Job, key: str | None, *, as_json: bool) -> str:
    import anyio  # noqa: PLC0415 -h stays quick

    from batchup.edge.models.catalogue import known_models, look_for_one, parameters  # noqa: PLC0415 -h stays quick

    found = anyio.run(partial(look_for_one, job, key))
    _say_problems(found)
    if found.card is None:
        raise _unknown(job, found, known_models(job))
    given = parameters(found.card)
    if as_json:
        return _as_json(found.card, given)
    return "\n".join([job.model, *_lines(found.card, given)])


def _say_problems(found: "Found") -> None:
    for line in found.problems:
        click.echo(line, err=True)


def _unknown(job: Job, found: "Found", listing: "Listing") -> UsageProblem | Unavailable:
    words = f"Nothing is known of a model {job.model}"
    if found.problems and not any("404" in line for line in found.problems):
        return Unavailable(f"{words}: {found.problems[0]}.", remedy="Try again later.")
    hint = did_you_mean(job.model, [row["slug"] for row in listing.models])
    return UsageProblem(f"{words}{hint or '.'}", remedy="`batchup models` lists those that are known.")


# ---------------------------------------------------------------- the list


def _table_of_models(rows: Sequence[Mapping[str, str]]) -> list[str]:
    width = max((len(row["slug"]) for row in rows), default=0)
    return [f"{row['slug']:<{width}}  {_about(row)}".rstrip() for row in rows]


def _about(row: Mapping[str, str]) -> str:
    return ", ".join(row[name] for name in ("title", "category") if row.get(name))


def _whence_the_list(listing: "Listing") -> str:
    from batchup.cli.prices import age  # noqa: PLC0415 -h stays quick

    count = "1 model" if len(listing.models) == 1 else f"{len(listing.models)} models"
    match listing.source:
        case "service":
            return f"{count}, as the service says now"
        case "cache":
            return f"{count}, as the service said {age(time.time() - listing.fetched_at)} ago"
        case "simulator":
            return f"{count}, which the simulator plays"
        case _:
            return f"{count}, of which a description was kept or came with batchup; the service has more"


# ---------------------------------------------------------------- one model


def _as_json(card: ModelCard, given: Sequence[Parameter]) -> str:
    told = {name: value for name, value in asdict(card).items() if name != "request_schema"}
    told["fetched_at"] = card.fetched_at or None
    return msgspec.json.encode({**told, "parameters": [asdict(one) for one in given]}).decode()


def _lines(card: ModelCard, given: Sequence[Parameter]) -> list[str]:
    from batchup.cli.prices import price_words  # noqa: PLC0415 -h stays quick

    said = [price_words(card), *([card.note] if card.note and card.source != "bundled" else [])]
    head = [part for line in said for part in textwrap.wrap(line, _width(), subsequent_indent="  ")]
    if not given:
        return [*head, "nobody says what its parameters are"]
    rows = [(one.name, one.type, bounds(one), _default(one), one.meaning) for one in given]
    table = _table([("parameter", "type", "allowed", "default", "meaning"), *rows])
    return [*head, "", *table, *_long_choices(given)]


def _long_choices(given: Sequence[Parameter]) -> list[str]:
    """Return all choices of the parameters that have too many for the table."""
    lines = [
        f"{one.name}: {', '.join(map(text_of, one.choices))}" for one in given if len(one.choices) > SHOWN
    ]
    wrapped = [part for line in lines for part in textwrap.wrap(line, _width(), subsequent_indent="  ")]
    return ["", *wrapped] if wrapped else []


def _default(one: Parameter) -> str:
    if one.default is None:
        return "(required)" if one.is_required else ""
    text = text_of(one.default)
    return text if len(text) <= _LONGEST_DEFAULT else f"{text[:_LONGEST_DEFAULT]}…"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines in columns; what is too wide goes on below, the last column has what is left."""
    if _width() < _ROOMY:
        return [line for row in rows for line in _row_and_meaning(row)]
    widths = [min(widest, max(len(row[k]) for row in rows)) for k, widest in enumerate(_WIDEST)]
    widths.append(max(_LEAST_LAST, _width() - sum(widths) - _GAP * len(widths)))
    return [line for row in rows for line in _row(row, widths)]


def _row_and_meaning(cells: Sequence[str]) -> list[str]:
    """Return a row for a narrow terminal: what a parameter means is below it, on lines of their own."""
    meaning = textwrap.wrap(cells[-1], _width(), initial_indent=_INDENT, subsequent_indent=_INDENT)
    return [*_row(cells[:-1], _NARROW), *meaning]


def _width() -> int:
    """Return how many characters a line may have."""
    return max(_NARROWEST, shutil.get_terminal_size((110, 24)).columns) - 1


def _row(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    wrapped = [textwrap.wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    gap = " " * _GAP
    return [
        gap.join(f"{part:<{width}}" for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in zip_longest(*wrapped, fillvalue="")
    ]
