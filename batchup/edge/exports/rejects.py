"""`rejects.jsonl`: the rows of the manifest that could not be sent, each with its line and the reason."""

from pathlib import Path

import msgspec

from batchup.core.causes import Cause, add, rejected
from batchup.core.redaction import plain_words
from batchup.edge.files import disk_problems
from batchup.edge.manifest import Reject

NAME = "rejects.jsonl"


class Rejects:
    """Writes the file anew in each run, as the manifest is read; it is there only if there are any."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self.causes: dict[tuple[str, str], Cause] = {}  # what was rejected so far, by its kind
        with disk_problems(self._path):
            self._path.unlink(missing_ok=True)

    def write(self, reject: Reject) -> None:
        """Add one line."""
        message = plain_words(reject.message)
        line = {"line": reject.line, "id": reject.id, "kind": reject.kind, "message": message}
        with disk_problems(self._path), self._path.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")
        cause, what_to_do = rejected(reject.kind)
        add(self.causes, Cause("rejected", cause, 1, what_to_do, reject.id or f"line {reject.line}"))
