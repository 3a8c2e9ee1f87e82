"""Kinds of option that several commands share."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from batchup.cli.instants import next_instant
from batchup.settings.units import parse_duration


class Length(click.ParamType[float]):
    """A length of time such as 30s, 15min or 7h; its value is in seconds."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, or say what is missing."""
        if isinstance(value, int | float):
            return float(value)
        try:
            return parse_duration(str(value))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


class Instant(click.ParamType[datetime]):
    """A time of day, local or with an offset, or a full ISO date and time: the next such instant."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it as the next such instant from now on."""
        if isinstance(value, datetime):
            return value
        text = str(value)
        try:
            return next_instant(text, datetime.now().astimezone())
        except ValueError:
            self.fail(
                f'expected a time such as 06:00, 06:00+02:00 or 2026-01-31T06:00, got "{text}"', param, ctx
            )


def known_slugs(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Return the models that begin so, of those that are known without asking: for the tab key."""
    from batchup.cli.asking import asked_job  # noqa: PLC0415 -h stays quick
    from batchup.edge.models.catalogue import known_models  # noqa: PLC0415 -h stays quick

    slugs = (row["slug"] for row in known_models(asked_job(None, "each-upscaler")).models)
    return [slug for slug in slugs if slug.startswith(begun)]


JOB_FILE = click.argument("job", type=click.Path(path_type=Path), metavar="JOB")
DEBUG = click.option("--debug", is_flag=True, help="Show where in the code a problem arose.")
