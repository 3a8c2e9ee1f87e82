"""What can end a run, and what each end means to the shell: one class, one exit code, one remedy.

An item that fails raises nothing: it is an outcome. These are the problems of the run as a whole.
The message says what is wrong, `remedy` what to do about it.
"""

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from batchup.core.summary import Summary


class BatchupError(Exception):
    """The root of everything batchup raises on purpose.

    `exit_code` is what the command exits with; `reason` is the word in the JSON summary.
    """

    exit_code: ClassVar[int] = 1
    reason: ClassVar[str] = "bug"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.summary: Summary | None = None  # how far the run came

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


def install(extra: str, missing: ImportError | None = None) -> str:
    """Say how to install an extra: from the index, and from a checkout's folder."""
    why = "" if missing is None else f" ({missing})"
    return f"pip install 'batchup-runner[{extra}]', or in a checkout's folder pip install '.[{extra}]'{why}"


class UsageProblem(BatchupError):
    """The command line cannot be understood."""

    exit_code = 2
    reason = "usage"


class Locked(BatchupError):
    """Another run holds the checkpoint; nothing was touched."""

    exit_code = 11
    reason = "locked"


class DataProblem(BatchupError):
    """The manifest or the checkpoint cannot be used."""

    exit_code = 65
    reason = "data"


class Unavailable(BatchupError):
    """The service did not answer for so long that waiting on is pointless."""

    exit_code = 69
    reason = "unavailable"


class ManifestLate(Unavailable):
    """The manifest had not come as a whole when the run's time was up."""

    reason = "manifest_late"


class InternalProblem(BatchupError):
    """A bug in batchup itself."""

    exit_code = 70
    reason = "bug"


class OutputProblem(BatchupError):
    """The output folder cannot be written."""

    exit_code = 73
    reason = "disk"


class DiskProblem(BatchupError):
    """Reading or writing failed, or the disk is full."""

    exit_code = 74
    reason = "disk"


class ProtocolProblem(BatchupError):
    """The service's answers make no sense any more."""

    exit_code = 76
    reason = "protocol"


class KeyRefused(BatchupError):
    """The service does not accept the key."""

    exit_code = 77
    reason = "key_refused"


class ConfigProblem(BatchupError):
    """The job file, the environment or a flag is wrong, or asks for what is not built."""

    exit_code = 78
    reason = "config"


class NoCredit(BatchupError):
    """The account has no credit left and nothing is in flight that could free some."""

    exit_code = 79
    reason = "no_credit"
