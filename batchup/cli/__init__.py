"""The `batchup` command: one subcommand a file, imported when it is used, so that `-h` is quick."""

import importlib
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, NoReturn

import click

from batchup import __version__

EPILOG = """`batchup COMMAND -h` explains a command, `batchup run -h` the exit codes and the environment.

\b
Examples:
  batchup run jobs/demo.toml
  batchup init photos/
  batchup check photos.toml --forecast
  batchup run photos.toml --stop-at 06:00

\b
Completion by the tab key, a line for ~/.bashrc or ~/.zshrc:
  eval "$(_BATCHUP_COMPLETE=bash_source batchup)"
  eval "$(_BATCHUP_COMPLETE=zsh_source batchup)"
and for ~/.config/fish/completions/batchup.fish:
  _BATCHUP_COMPLETE=fish_source batchup | source
"""


class LazyCommands(click.Group):
    """Knows its subcommands by name and first line, and imports the one that is asked for."""

    known: ClassVar[dict[str, str]] = {
        "audit": "Name every prediction that was paid for and not claimed, by the service's list.",
        "check": "Validate a job and its manifest, and say what a run would do.",
        "fields": "Explain every field of batchup's JSON outputs.",
        "history": "Show the last runs side by side: saved, failed, spend, pace, how they ended.",
        "report": "Write one page of what a job has made: before and after, failures, figures.",
        "init": "Write a job file for a folder or manifest, every parameter of the model explained.",
        "monitoring": "Print a Grafana dashboard, Prometheus' alerts, or the list of metrics.",
        "models": "List the service's models, or show one: parameters, bounds, defaults, price.",
        "notify": "Say who is told how a run ended, or try it: webhook, mail and the like, pings.",
        "rerun": "Make failed items ready again, all of them or those of a cause; sends nothing.",
        "resolve": "Decide about creates of which nobody knows whether they were accepted.",
        "plot": "Draw the pace of a run: requests, slots, how late ends were found.",
        "results": "Write out what became of each item: JSON Lines, CSV, Parquet, or a manifest.",
        "run": "Run a job; the same command again continues it.",
        "schedule": "Have a job run every night by systemd, cron or Kubernetes, and say when it starts.",
        "simulate": "Run the service's simulator, stand-alone.",
        "verify": "Hash every saved picture again, and fetch anew what is missing or wrong.",
        "status": "Say how a job stands, running or not.",
    }

    groups: ClassVar[dict[str, tuple[str, ...]]] = {
        "Run a job": ("models", "init", "check", "run", "schedule"),
        "See how it went": ("status", "history", "report", "results", "plot", "notify"),
        "Put things right": ("rerun", "resolve", "audit", "verify"),
    }
    """Which commands are listed together, in this order; all the others are listed at the end."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the command line; whoever interrupts even that finds the code of an interruption."""
        try:
            with _no_interruption_lost():
                from batchup.cli.failing import drop_lost_words_at_the_end  # noqa: PLC0415 -h stays quick
            drop_lost_words_at_the_end()
            return super().make_context(info_name, args, parent, **extra)
        except KeyboardInterrupt:
            _leave()
        except OSError as error:
            _end(error)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; one that an interruption ends without a word ends as the signal would."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # now, while there are words for what it does not take
        except click.ClickException as problem:
            _show(problem)
        except KeyboardInterrupt:
            _leave()
        except OSError as error:
            _end(error)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the alphabet."""
        return sorted(self.known)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        if cmd_name not in self.known:
            return None
        with _no_interruption_lost():
            command: click.Command = importlib.import_module(f"batchup.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand; of one that there is not, say which may have been meant."""
        from batchup.settings.nearest import did_you_mean  # noqa: PLC0415 -h stays quick

        if args[0] not in self.known and (hint := did_you_mean(args[0], self.known)):
            ctx.fail(f"There is no command {args[0]}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        grouped = {name for names in self.groups.values() for name in names}
        others = tuple(name for name in self.list_commands(ctx) if name not in grouped)
        for title, names in {**self.groups, "And besides": others}.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.known[name]) for name in names if name in self.known])


@contextmanager
def _no_interruption_lost() -> Iterator[None]:
    """Raise a Ctrl-C as itself: of one that meets an import Python may make another error, or nothing."""
    came: list[int] = []

    def interrupt(number: int, _frame: object) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if is_ours:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except Exception:
        if not came:
            raise
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt


def _leave() -> NoReturn:
    """End as an interruption does, 130 to a shell."""
    from batchup.edge.signals import reraise  # noqa: PLC0415 -h stays quick

    reraise(signal.SIGINT)


def _show(problem: click.ClickException) -> NoReturn:
    """End as click does, in words that a journal takes for those of an error."""
    from batchup.edge.telling.journal import said_as  # noqa: PLC0415 -h stays quick

    with suppress(OSError), said_as("error"):
        problem.show()
    sys.exit(problem.exit_code)


def _end(error: OSError) -> NoReturn:
    """End in words where what is printed cannot be written, whichever command prints it."""
    from batchup.cli.failing import end_by_the_system  # noqa: PLC0415 -h stays quick

    end_by_the_system(error, debug=False)


@click.command(
    cls=LazyCommands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)
@click.version_option(__version__, prog_name="batchup")
def main() -> None:
    """Run a manifest of images through a paid, rate-limited prediction API, overnight.

    A run may be stopped, killed or cut off at any moment: the same command continues it, and buys nothing
    twice. Try it without a key: `batchup run jobs/demo.toml`.
    """
    from batchup.cli.failing import stand_in_for_closed_streams  # noqa: PLC0415 -h stays quick
    from batchup.edge.handles import keep_standard_handles  # noqa: PLC0415 -h stays quick
    from batchup.edge.telling.journal import speak_to_the_journal  # noqa: PLC0415 -h stays quick

    keep_standard_handles()
    stand_in_for_closed_streams()
    speak_to_the_journal()
