"""From what a prediction shows back to the item it may be of: uploaded addresses stand for contents."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from batchup.core.fingerprint import fingerprint
from batchup.core.items import Json, LocalFile
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.download import Downloader, DownloadProblem
from batchup.edge.items import MAX_FILE_BYTES
from batchup.edge.manifest.media import MEDIA_PARAMETERS
from batchup.edge.service import may_be_private
from batchup.job import Job

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


def _addresses(shown: Mapping[str, Json]) -> dict[str, str]:
    return {name: value for name, value in shown.items() if isinstance(value, str) and "://" in value}


def _fingerprint(model: str, shown: Mapping[str, Json], contents: Mapping[str, str]) -> str | None:
    files = {name: LocalFile("", sha256, 0, "") for name, sha256 in contents.items()}
    try:
        return fingerprint(model, shown, files)
    except ValueError:
        return None


def _content_at(checkpoint: Checkpoint, address: str) -> str | None:
    with checkpoint.problems():
        row = checkpoint.db.execute("SELECT sha256 FROM uploads WHERE url = ?", (address,)).fetchone()
    return None if row is None else bytes(row[0]).hex()
