"""`results.jsonl` for other programs: its lines as they are, or flat as CSV and Parquet, streamed.

It is read as the last run left it; the checkpoint is not looked at, so a run may go on meanwhile.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from batchup.core.items import Json
from batchup.core.values import rfc3339
from batchup.edge.files import disk_problems
from batchup.edge.traces import RESULTS
from batchup.errors import DataProblem
from batchup.job import Job

STATES: Final = ("saved", "failed", "held", "in_doubt", "outstanding")
_KINDS: Final = {bool: "boolean", int: "integer", float: "number"}


class Why(msgspec.Struct):
    """Why an item failed or was held, as a line tells it."""

    kind: str
    message: str
    code: str | None = None
    retryable: bool = False
    cause: str = ""
    what_to_do: str = ""


class Saved(msgspec.Struct):
    """A file of a line, and its `address` where it lies in a bucket."""

    path: str
    bytes: int
    sha256: str
    width: int
    height: int
    url: str
    address: str | None = None


class Result(msgspec.Struct):
    """One line of the file: an item and where it stands; instants are Unix seconds."""

    id: str
    state: str
    prediction_id: str | None = None
    files: tuple["Saved", ...] = ()
    attempts: int = 0
    cost_usd: float | None = None
    predict_time_s: float | None = None
    created_at: float | None = None
    settled_at: float | None = None
    saved_at: float | None = None
    failure: Why | None = None
    input: dict[str, Json] = {}
    shared_with: str | None = None


@dataclass(slots=True)
class Results:
    """A job's results as they were when the file was opened; `has_torn_end`: half a line follows, left out.

    `counts` are the items of each state, `parameters` what their inputs hold: a name and its kind, in the
    order in which they were met.
    """

    path: Path
    file: BinaryIO
    size: int
    has_torn_end: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    parameters: dict[str, str] = field(default_factory=dict)

    def lines(self, states: Collection[str] = ()) -> Iterator[tuple[bytes, Result]]:
        """Yield each line, without its end, and what it says; only items in these states, if some are named.

        DataProblem where a line is no result.
        """
        decoder, number = msgspec.json.Decoder(Result), 0
        self.file.seek(0)
        while self.file.tell() < self.size:
            with disk_problems(self.path, is_reading=True):
                line = self.file.readline()
            number += 1
            if not line.endswith(b"\n") and line.startswith(b"{"):  # a run is writing it, or was killed
                self.has_torn_end = True
                return
            result = self._decoded(decoder, line, number)
            if not states or result.state in states:
                yield line[:-1], result

    def _decoded(self, decoder: "msgspec.json.Decoder[Result]", line: bytes, number: int) -> Result:
        try:
            return decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise DataProblem(
                f"{self.path}:{number}: this is no result ({problem}).",
                remedy="Remove the file and run the job once more: it is written anew from the checkpoint.",
            ) from None

    def survey(self) -> None:
        """Read it once through, and count."""
        for _, result in self.lines():
            self.counts[result.state] += 1
            for name, value in result.input.items():
                if value is not None:
                    kind = _KINDS.get(type(value), "string")
                    self.parameters[name] = _common(self.parameters.get(name, kind), kind)


@contextmanager
def open_results(job: Job) -> Iterator[Results]:
    """Open a job's results, read once through; DataProblem where there are none, or a line is none."""
    path = job.output.dir / RESULTS
    if not path.is_file():
        remedy = f"Start it with `batchup run {job.path or job.name}`; they are written when it ends."
        raise DataProblem(f"{job.name} has no results yet: there is no {path}.", remedy=remedy)
    with ExitStack() as stack:
        with disk_problems(path, is_reading=True):
            file = stack.enter_context(path.open("rb"))
            results = Results(path, file, os.fstat(file.fileno()).st_size)
        results.survey()
        yield results


# ---------------------------------------------------------------- flat


FLAT: Final = {
    "id": "string",
    "state": "string",
    "prediction_id": "string",
    "path": "string",
    "bytes": "integer",
    "width": "integer",
    "height": "integer",
    "sha256": "string",
    "url": "string",
    "address": "string",
    "file_count": "integer",
    "attempts": "integer",
    "cost_usd": "number",
    "predict_time_s": "number",
    "created_at": "instant",
    "settled_at": "instant",
    "saved_at": "instant",
    "failure_cause": "string",
    "failure_kind": "string",
    "failure_code": "string",
    "failure_message": "string",
    "failure_retryable": "boolean",
    "failure_what_to_do": "string",
    "shared_with": "string",
}
"""The columns of CSV and Parquet and their kinds; those of the inputs follow as `input.NAME`."""


def columns_of(results: Results) -> dict[str, str]:
    """Return the columns and their kinds: string, integer, number, boolean or instant (Unix seconds)."""
    return {**FLAT, **{f"input.{name}": kind for name, kind in results.parameters.items()}}


def flat(result: Result, columns: Mapping[str, str]) -> dict[str, Any]:
    """Return a result as one row of these columns; of several files the first, and how many there are."""
    row: dict[str, Any] = dict.fromkeys(columns)
    row |= {name: getattr(result, name) for name in FLAT if hasattr(result, name)}
    row["file_count"] = len(result.files)
    if result.files:
        row |= {name: getattr(result.files[0], name) for name in _FILE}
        row["address"] = result.files[0].address
    if result.failure is not None:
        row |= {f"failure_{name}": getattr(result.failure, name) for name in Why.__struct_fields__}
    for name, value in result.input.items():
        is_text = columns.get(f"input.{name}") == "string" and value is not None
        row[f"input.{name}"] = _text(value) if is_text else value
    return row


_FILE: Final = ("path", "bytes", "width", "height", "sha256", "url")


def _text(value: Json) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _common(one: str, other: str) -> str:
    """Return the kind that holds values of both."""
    if one == other:
        return one
    return "number" if {one, other} == {"integer", "number"} else "string"


# ---------------------------------------------------------------- CSV


def csv_lines(results: Results, states: Collection[str] = ()) -> Iterator[bytes]:
    """Yield the lines of a CSV file without their ends: the columns' names, then a row an item.

    Instants are written in RFC 3339, UTC. What a spreadsheet would take for a formula has an apostrophe
    before it.
    """
    columns = columns_of(results)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")  # by which it knows what to quote
    yield _csv_line(buffer, writer, [defused(name) for name in columns])
    for _, result in results.lines(states):
        row = flat(result, columns)
        yield _csv_line(buffer, writer, [_cell(row[name], kind) for name, kind in columns.items()])


def _csv_line(buffer: io.StringIO, writer: Any, cells: Sequence[Any]) -> bytes:
    buffer.seek(0)
    buffer.truncate()
    writer.writerow(cells)
    return buffer.getvalue().removesuffix("\r\n").encode()


def _cell(value: Any, kind: str) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind == "instant":
        return rfc3339(value)
    return defused(value) if isinstance(value, str) else value


def defused(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
