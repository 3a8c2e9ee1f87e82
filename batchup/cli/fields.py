"""`batchup fields [OUTPUT]`: what every field of batchup's JSON means."""

from typing import Any

import click

from batchup.cli.reference import PAGES
from batchup.settings.nearest import did_you_mean

EPILOG = """\b
Examples:
  batchup fields
  batchup fields run
  batchup fields results
"""


class _Output(click.Choice[str]):
    """The name of an output; of one that there is not, the nearest is said."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Find it, or say what may have been meant."""
        hint = did_you_mean(value, PAGES)
        if value not in PAGES and hint:
            self.fail(f"there is no output {value}{hint}", param, ctx)
        return super().convert(value, param, ctx)


@click.command(name="fields", epilog=EPILOG)
@click.argument("output", required=False, type=_Output(list(PAGES)), metavar="[OUTPUT]")
@click.pass_context
def command(ctx: click.Context, output: str | None) -> None:
    """Explain each field of OUTPUT, one of batchup's JSON outputs; without it, list the outputs there are.

    `a.b` is the field b of the object a, `a[].b` that of each object in the list a.
    """
    formatter = ctx.make_formatter()
    if output is None:
        formatter.write_dl([(name, page.about) for name, page in PAGES.items()])
    else:
        formatter.write_text(PAGES[output].about)
        formatter.write_paragraph()
        formatter.write_dl(list(PAGES[output].fields.items()))
        if PAGES[output].events:
            with formatter.section("Events"):
                formatter.write_dl(list(PAGES[output].events.items()))
    click.echo(formatter.getvalue(), nl=False)
