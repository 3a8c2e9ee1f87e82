"""`batchup simulate`: the service simulator, stand-alone."""

import asyncio
import errno
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
import msgspec

from batchup.cli.failing import problems_end_the_command
from batchup.simulator.faults import FAULTS
from batchup.simulator.settings import (
    Engine,
    SimulatorSettings,
    WebhookBody,
    WebhookScheme,
    parse_fault,
    parse_length,
    parse_rate,
)

_T = TypeVar("_T")

_FAULTS = "\n".join(f"  {name:<18}{line}" for name, line in FAULTS.items())
_EPILOG = f"""\b
Faults:
{_FAULTS}

`batchup fields stats` explains what /stats answers; /stats/log has every request. A job with
`[service] url = "simulator"` has a simulator of its own, with the same durations and faults.

\b
Examples:
  batchup simulate
  batchup simulate --port 8700 --speed 20 --durations lognormal:53s:0.3
  batchup simulate --speed 20 --fault create_lost=0.02 --fault poll_5xx=0.1
"""


def _parsed(parse: Callable[[str], _T]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def read(_context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        try:
            return [parse(text) for text in value] if isinstance(value, tuple) else parse(value)
        except ValueError as problem:
            raise click.BadParameter(str(problem)) from problem

    return read


@click.command("simulate", epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address to listen on."
)
@click.option(
    "--port",
    metavar="PORT",
    default=0,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 is any that is free.",
)
@click.option(
    "--durations",
    metavar="KIND",
    default="lognormal:53s:0.3",
    show_default=True,
    help="How long predictions take: fixed:53s, lognormal:MEAN:CV or bimodal:MEAN:CV.",
)
@click.option(
    "--speed",
    metavar="FACTOR",
    default=1.0,
    show_default=True,
    help="How much faster its time runs, limits included.",
)
@click.option(
    "--seed",
    metavar="N",
    default=1,
    show_default=True,
    help="The same seed draws the same durations and faults.",
)
@click.option(
    "--engine",
    type=click.Choice(get_args(Engine)),
    default="lanczos",
    show_default=True,
    help="What makes images larger; neural is crisper: pip install 'batchup-runner[neural]'.",
)
@click.option("--concurrency", metavar="N", default=10, show_default=True, help="Predictions in flight.")
@click.option(
    "--rate",
    metavar="RATE",
    default="60/min",
    show_default=True,
    callback=_parsed(parse_rate),
    help="Requests under /v1: N/s, N/min, N/h, N/<duration> such as 60/3s, or unlimited.",
)
@click.option(
    "--fault",
    "faults",
    metavar="NAME=SHARE",
    multiple=True,
    callback=_parsed(parse_fault),
    help="What goes wrong in this share (0 to 1) of cases; may be repeated.",
)
@click.option(
    "--listing-lag",
    "listing_lag_s",
    metavar="LENGTH",
    default="0s",
    show_default=True,
    callback=_parsed(parse_length),
    help="How far the list of executions is behind: it shows all as it was so long ago.",
)
@click.option(
    "--list-output/--no-list-output",
    default=True,
    show_default=True,
    help="Whether the list's rows have outputs.",
)
@click.option(
    "--strangers",
    "list_strangers",
    metavar="N",
    default=0,
    show_default=True,
    help="Other people's rows in the list: N that are younger than two mean durations.",
)
@click.option(
    "--hold",
    "hold_s",
    metavar="LENGTH",
    default="0s",
    show_default=True,
    callback=_parsed(parse_length),
    help="How long a poll is held open while its prediction runs.",
)
@click.option(
    "--webhook-scheme",
    type=click.Choice(get_args(WebhookScheme)),
    default="verbatim",
    show_default=True,
    help="How callbacks show that they know the secret: they say it, sign the body, or sign time and body.",
)
@click.option(
    "--webhook-body",
    type=click.Choice(get_args(WebhookBody)),
    default="new",
    show_default=True,
    help="The callbacks' fields: today's, or those the service once had.",
)
@click.option(
    "--balance", metavar="USD", type=float, help="Credit, beyond which a create is answered 402.  [no limit]"
)
@click.option("--cost", metavar="USD", type=float, help="Price of a prediction.  [the model's own]")
@click.option("--key", metavar="KEY", help="The only key that is let in.  [any key]")
@click.option(
    "--state",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to remember everything in; without it, nothing outlives the process.",
)
def command(
    *,
    host: str,
    port: int,
    rate: tuple[int | None, float],
    faults: list[tuple[str, float]],
    state: Path | None,
    **plain: Any,
) -> None:
    """Serve a simulated prediction service until it is stopped (Ctrl-C).

    Prints one JSON line with its addresses when it listens. It enforces both limits, really upscales
    the images it is given, and counts what it sees: GET its "stats" address.
    """
    count, period_s = rate
    try:
        settings = SimulatorSettings(rate_count=count, rate_period_s=period_s, faults=dict(faults), **plain)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from problem
    if settings.engine == "neural":
        _load_network()
    try:
        asyncio.run(_serve(settings, state, host, port))
    except sqlite3.Error as problem:
        raise click.UsageError(f"cannot serve on {host}:{port}: {problem}") from problem
    except OSError as problem:
        raise click.UsageError(_why_not(problem, f"{host}:{port}")) from problem


def _why_not(problem: OSError, place: str) -> str:
    """Say in a sentence why nothing can be served at a place."""
    if problem.errno == errno.EADDRINUSE:
        return f"cannot serve on {place}: somebody listens there already; --port 0 takes any free port"
    why = os.strerror(problem.errno) if problem.errno and problem.errno > 0 else problem.strerror or problem
    return f"cannot serve on {place}: {why}"


def _load_network() -> None:
    """Load the neural engine, or end the command in words where it is not installed."""
    from batchup.simulator.neural import require  # noqa: PLC0415 - Pillow would make -h slow

    with problems_end_the_command():
        require()


async def _serve(settings: SimulatorSettings, state: Path | None, host: str, port: int) -> None:
    from batchup.simulator.server import Simulator  # noqa: PLC0415 - aiohttp would make -h slow

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Simulator(settings, state).listen(host, port) as address:
        click.echo(msgspec.json.encode(address).decode())
        sys.stdout.flush()
        await stop.wait()
