"""The live view's options, which two commands have, and serving a job that no run of ours works on."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import click

from batchup.edge.live.access import DEFAULT, address_of
from batchup.errors import UsageProblem
from batchup.job import Job


def serve_option(words: str) -> Callable[[Any], Any]:
    """Return the option `--serve`; `words` say what it does, and where is added."""
    return click.option(
        "--serve",
        metavar="[HOST:PORT]",
        is_flag=False,
        flag_value=DEFAULT,
        help=f"{words} The address, with a secret in it, is printed on standard error."
        f"  [without an address: {DEFAULT}; port 0: any free one]",
    )


SERVE_ANYWHERE = click.option(
    "--serve-anywhere",
    is_flag=True,
    help="Let --serve take an address that other machines reach. Whoever has the printed address sees the"
    " pictures and can stop the run; nothing is encrypted on its way.",
)


def refuse_idle_anywhere(serve: str | None, *, is_anywhere: bool) -> None:
    """Raise UsageProblem for `--serve-anywhere` where nothing is served."""
    if is_anywhere and serve is None:
        raise UsageProblem("--serve-anywhere does nothing without --serve.", remedy="Give both, or neither.")


class ServingCommand(click.Command):
    """A command whose `--serve` may stand before the job file without an address."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the command line."""
        return super().make_context(info_name, spelled_out(args), parent, **extra)


def spelled_out(args: Sequence[str]) -> list[str]:
    """Give a `--serve` that is followed by a job file the address that it has without one."""
    given = list(args)
    for place, (word, following) in enumerate(pairwise(args)):
        if word == "--serve" and (following.endswith(".toml") or Path(following).is_file()):
            given[place] = f"--serve={DEFAULT}"
    return given


def serve_job(job: Job, typed: Path, address: str, *, is_anywhere: bool) -> None:
    """Serve a job as its folder has it until interrupted; `typed` is the job file as it was typed."""
    host, port = address_of(address, is_anywhere=is_anywhere)
    asyncio.run(_serve(job, typed, host, port))


async def _serve(job: Job, typed: Path, host: str, port: int) -> None:
    from batchup.edge.live.standing import serve_folder  # noqa: PLC0415 aiohttp would make -h slow

    with anyio.CancelScope() as serving:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
        await serve_folder(job, host, port, str(typed), say_address)


def say_address(url: str) -> None:
    """Say where the live view is."""
    click.echo(f"live: {url}", err=True)
