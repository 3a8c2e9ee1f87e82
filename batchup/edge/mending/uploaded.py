"""From what a prediction shows back to the item it may be of: uploaded addresses stand for contents.

An address that was signed differs from night to night, and the checkpoint has it without its query: what it
leads to is told by the rest of it.
"""

import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from batchup.core.audit import agree, is_address
from batchup.core.fingerprint import fingerprint
from batchup.core.items import Json, LocalFile
from batchup.core.redaction import plain_address
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import SEALED_UPLOAD, is_whole
from batchup.edge.feeding.items import MAX_FILE_BYTES
from batchup.edge.manifest.media import MEDIA_PARAMETERS
from batchup.edge.saving.download import Downloader, DownloadProblem
from batchup.edge.service import may_be_private
from batchup.job import Job

PLACES: Final = (
    "CREATE TEMP TABLE places (address TEXT, prediction_id TEXT, PRIMARY KEY (address, prediction_id))"
)
_CONTENT_AT: Final = (
    "SELECT sha256 FROM uploads"  # noqa: S608 names are ours
    f" WHERE url = ? AND {is_whole('uploads', SEALED_UPLOAD)}"
)
_TIMEOUT_S: Final = 120.0
_STALL_S: Final = 15.0


def fingerprint_of_shown(checkpoint: Checkpoint, model: str, shown: Mapping[str, Json]) -> str | None:
    """Return the fingerprint of the item that would send this input; None for what no item can send.

    An address at which a local image was uploaded counts as that image's content.
    """
    contents = {
        name: sha256
        for name, value in _addresses(shown).items()
        if (sha256 := _content_at(checkpoint, value)) is not None
    }
    return _fingerprint(model, shown, contents)


async def fingerprint_by_content(job: Job, shown: Mapping[str, Json]) -> str | None:
    """Return the same by what lies at the addresses now: the checkpoint may have forgotten its uploads.

    None where nothing can be fetched from one of them.
    """
    contents = {}
    limits = {"timeout_s": _TIMEOUT_S, "stall_s": _STALL_S}
    with tempfile.TemporaryDirectory(prefix="batchup-") as folder:
        async with Downloader(allow_private=may_be_private(job), **limits) as downloader:
            for name, value in _addresses(shown).items():
                if name not in MEDIA_PARAMETERS:
                    continue
                try:
                    fetched = await downloader.fetch(value, Path(folder) / "shown", max_bytes=MAX_FILE_BYTES)
                except DownloadProblem:
                    return None
                contents[name] = fetched.sha256
    return _fingerprint(job.model, shown, contents)


def note_places(db: sqlite3.Connection, prediction_id: str, shown: Mapping[str, Json]) -> None:
    """Note in PLACES which images a prediction shows, by their addresses without a signature."""
    rows = [(place, prediction_id) for place in _places(shown)]
    db.executemany("INSERT OR IGNORE INTO temp.places VALUES (?, ?)", rows)


def that_show_place_of(db: sqlite3.Connection, given: Mapping[str, Json]) -> list[str]:
    """Return the strangers that show an image of an item's input, and nothing else than the item has."""
    query = "SELECT prediction_id, input FROM temp.places JOIN temp.strangers USING (prediction_id)"
    rows = [row for place in _places(given) for row in db.execute(f"{query} WHERE address = ?", (place,))]
    return [id_ for id_, shown in rows if agree(given, msgspec.json.decode(shown))]


def _places(shown: Mapping[str, Json]) -> set[str]:
    return {plain_address(value) for name, value in _addresses(shown).items() if name in MEDIA_PARAMETERS}


def signed_items(checkpoint: Checkpoint, model: str) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield the items whose input is kept without a signature that was in it: id and what is kept."""
    query = "SELECT i.id, i.fingerprint, d.input, i.input FROM items i JOIN defaults d ON d.n = i.defaults"
    with checkpoint.problems():
        for id_, made_of, job, packed in checkpoint.db.execute(query):
            own = checkpoint.prefixes.whole(packed)
            if "://" not in own and "://" not in job:
                continue
            kept = {**msgspec.json.decode(job), **msgspec.json.decode(own)}
            if _fingerprint(model, kept, {}) != bytes(made_of).hex():
                yield id_, kept


def _addresses(shown: Mapping[str, Json]) -> dict[str, str]:
    return {name: value for name, value in shown.items() if is_address(value)}


def _fingerprint(model: str, shown: Mapping[str, Json], contents: Mapping[str, str]) -> str | None:
    files = {name: LocalFile("", sha256, 0, "") for name, sha256 in contents.items()}
    try:
        return fingerprint(model, shown, files)
    except ValueError:
        return None


def _content_at(checkpoint: Checkpoint, address: str) -> str | None:
    with checkpoint.problems():
        row = checkpoint.db.execute(_CONTENT_AT, (address,)).fetchone()
    return None if row is None else bytes(row[0]).hex()
