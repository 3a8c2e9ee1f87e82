"""`batchup fields [OUTPUT]`: what every field of batchup's JSON means."""

import click

from batchup.cli.reference import PAGES

EPILOG = """\b
Examples:
  batchup fields
  batchup fields run
  batchup fields results
"""


@click.command(name="fields", epilog=EPILOG)
@click.argument("output", required=False, type=click.Choice(list(PAGES)), metavar="[OUTPUT]")
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
    click.echo(formatter.getvalue(), nl=False)
