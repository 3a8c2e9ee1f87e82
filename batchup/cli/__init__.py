"""The `batchup` command: one subcommand a file, imported when it is used, so that `-h` is quick."""

import importlib
import signal
from typing import Any, ClassVar, NoReturn

import click

from batchup import __version__


class LazyCommands(click.Group):
    """Knows its subcommands by name and first line, and imports the one that is asked for."""

    known: ClassVar[dict[str, str]] = {
        "audit": "Name every prediction that was paid for and not claimed, by the service's list.",
        "check": "Validate a job and its manifest, and say what a run would do.",
        "resolve": "Decide about creates of which nobody knows whether they were accepted.",
        "plot": "Draw the pace of a run: requests, slots, how late ends were found.",
        "run": "Run a job; the same command again continues it.",
        "simulate": "Run the service's simulator, stand-alone.",
        "verify": "Hash every saved picture again, and fetch anew what is missing or wrong.",
        "status": "Say how a job stands, running or not.",
    }

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the command line; whoever interrupts even that finds the code of an interruption."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except KeyboardInterrupt:
            _leave()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; one that an interruption ends without a word ends as the signal would."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _leave()

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the alphabet."""
        return sorted(self.known)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        if cmd_name not in self.known:
            return None
        command: click.Command = importlib.import_module(f"batchup.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(self.known.items()))


def _leave() -> NoReturn:
    """End as an interruption does, 130 to a shell."""
    from batchup.edge.signals import reraise  # noqa: PLC0415 -h stays quick

    reraise(signal.SIGINT)


@click.command(
    cls=LazyCommands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`batchup COMMAND -h` explains a command. Exit codes are listed by `batchup run -h`.",
)
@click.version_option(__version__, prog_name="batchup")
def main() -> None:
    """Run a manifest of images through a paid, rate-limited prediction API, overnight.

    A run may be stopped, killed or cut off at any moment: the same command continues it, and buys nothing
    twice. Try it without a key: `batchup run jobs/demo.toml`.
    """
    from batchup.edge.handles import keep_standard_handles  # noqa: PLC0415 -h stays quick

    keep_standard_handles()
