"""Manifests that are not on this machine: copied into the output folder when a run begins, and read there.

So a manifest from standard input, the web or a bucket can be counted, is one state of itself all night, and
a run that was killed goes on where it was. A copy that has not changed is left as it is.
"""

import hashlib
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

import msgspec

from batchup.core.redaction import plain_words
from batchup.edge.detached import begin
from batchup.edge.files import disk_problems
from batchup.edge.manifest.json_lines import read_json_lines
from batchup.edge.manifest.magic import LONGEST, is_binary, refuse_no_text
from batchup.edge.manifest.media import MEDIA_PARAMETERS, is_image_name
from batchup.edge.manifest.packed import Text
from batchup.edge.manifest.rows import Columns, Reject
from batchup.edge.manifest.text_list import read_text_list
from batchup.edge.manifest.watch import ManifestWatch
from batchup.edge.stores import StoreProblem, open_store, split_address
from batchup.errors import DataProblem, UsageProblem
from batchup.job import Job

FOLDER: Final = "manifest"
"""Where in the output folder the copies are."""
STDIN: Final = "-"

_CHUNK: Final = 1 << 20
_OURS: Final = 0o600
_OTHERS: Final = 0o077
_FIRST_ROWS: Final = 50  # of what is piped: one of them has to be one
_HEAD: Final = 4096  # bytes of it that are looked at
_SEPARATOR: Final = re.compile(rb"[,;\t|]")
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")  # UTF-16 begins so
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]")  # for the name of a copy
_WEB: Final = ("http://", "https://")
_LONGEST_S: Final = 6 * 3600.0
_STALL_S: Final = 60.0
_MOST_BYTES: Final = 1 << 42
_UNFINISHED: Final = (".part", ".web")
_LEFT_S: Final = 86_400.0
_MAGIC: Final = {b"\x1f\x8b": ".gz", b"\x28\xb5": ".zst"}


class Mark(msgspec.Struct, frozen=True):
    """What a copy was made of: the etag its store gave it, if any, and the hash of its bytes."""

    etag: str | None
    sha256: str


def is_web_address(manifest: str) -> bool:
    """Whether a manifest is at an http(s) address."""
    return manifest.lower().startswith(_WEB)


def file_name(address: str) -> str:
    """Return the name of the file at an address."""
    return PurePosixPath(unquote(urlsplit(address).path)).name


def copy_of(job: Job) -> Path:
    """Return where the copy of a job's manifest lies, or will."""
    if job.manifest == STDIN:
        return job.output.dir / FOLDER / "stdin"
    digest = hashlib.blake2b(job.manifest.encode(), digest_size=6).hexdigest()
    name = _UNFIT.sub("-", file_name(job.manifest))
    return job.output.dir / FOLDER / f"{digest}-{name[-80:]}"


def make_copy(job: Job, is_wanted: Callable[[], bool] = lambda: True) -> Path:
    """Bring the copy of a job's manifest up to date and return where it is. Blocking; it uses the network.

    Where it `is_wanted` no more when all has come, whoever waited is gone, and another run may hold the
    folder: nothing is replaced. Raises DataProblem then and where the manifest cannot be had, UsageProblem
    where standard input is a terminal, and DiskProblem.
    """
    path = copy_of(job)
    with disk_problems(path.parent):
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        _remove_unfinished(path.parent)
    if job.manifest == STDIN:
        _copy_stdin(path, is_wanted)
    elif is_web_address(job.manifest):
        _copy_web(job, path, is_wanted)
    else:
        _copy_object(job.manifest, path, is_wanted)
    return path


def _remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed have left: what nobody has written to for a day."""
    for suffix in _UNFINISHED:
        for left in folder.glob(f"*.[0-9]*{suffix}"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _LEFT_S:
                    left.unlink()


def existing_copy(job: Job) -> Path:
    """Return the copy of a job's manifest, made now if there is none yet; errors as `make_copy`."""
    path = copy_of(job)
    return path if path.is_file() else make_copy(job)


def text_of_stdin(path: Path) -> tuple[Text, bool]:
    """Return what came by standard input, and whether it is JSON Lines: it begins with a brace."""
    with path.open("rb") as file:
        packing = _MAGIC.get(file.read(2), "")
    text = Text(path, "standard input", packing)
    with text.open() as file:
        head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
    return text, head.startswith(b"{")


class CopyWatch(ManifestWatch):
    """Watches a copy, and whether what it was made of is still the same. Blocking; asks the store."""

    def __init__(self, path: Path, address: str) -> None:
        super().__init__(path)
        self._address = address
        self._made_of = _read_mark(path)

    def has_changed(self) -> bool:
        """Tell whether there is another manifest by now; a store that cannot be asked knows of none."""
        if super().has_changed():
            return True
        if self._made_of is None or self._made_of.etag is None:
            return False
        place = split_address(self._address)
        try:
            return open_store(place.bucket).head(place.key).etag != self._made_of.etag
        except StoreProblem as problem:
            return problem.kind == "missing"


def _copy_stdin(path: Path, is_wanted: Callable[[], bool]) -> None:
    """Copy what comes; nothing at all means what came the last time, so that a run can be repeated.

    What is no manifest, as its first rows show, replaces nothing: DataProblem.
    """
    stream = getattr(sys.stdin, "buffer", None)
    if sys.stdin is None or stream is None or sys.stdin.isatty():
        remedy = "Pipe the manifest into it, as in `cat rows.jsonl | batchup run JOB --manifest -`."
        raise UsageProblem("Standard input is a terminal, and no manifest.", remedy=remedy)
    unbuffered = getattr(stream, "raw", stream)  # whose lock nobody needs who ends while this still waits
    chunks = iter(partial(unbuffered.read, _CHUNK), b"")
    _write(path, chunks, is_wanted, keep_if_empty=True, look=_refuse_no_manifest)


def _refuse_no_manifest(path: Path) -> None:
    """Raise DataProblem where none of the first rows of what came can be one."""
    text, is_json = text_of_stdin(path)
    with text.open() as file:
        _refuse_other_kind(file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip())
    rows = read_json_lines(text, Columns.of({})) if is_json else read_text_list(text, "image")
    first = list(islice(rows, _FIRST_ROWS))
    if first and all(isinstance(row, Reject) for row in first):
        told = "" if not isinstance(first[0], Reject) else first[0].message
        remedy = "Pipe JSON Lines or a list into it. What came before, if anything did, is kept."
        raise DataProblem(f"Standard input is no manifest. {told}", remedy=remedy)


def _refuse_other_kind(head: bytes) -> None:
    """Raise DataProblem for what begins like a table or an array, or like no text at all."""
    kept = "What came before, if anything did, is kept."
    try:
        refuse_no_text("standard input", head)
    except DataProblem as problem:
        remedy = f"Save a table or an archive to a file, and name that as the manifest. {kept}"
        raise DataProblem(problem.message, remedy=remedy) from None
    if is_binary(head[:LONGEST]) and not head.startswith(_WIDE):  # of those another sentence tells
        raise DataProblem("Standard input is no text.", remedy=f"Pipe JSON Lines or a list into it. {kept}")
    if head.startswith(b"["):
        remedy = f"Pipe an object a line into it, as `jq -c '.[]'` makes them. {kept}"
        raise DataProblem("Standard input is a JSON array, and no JSON Lines.", remedy=remedy)
    if _is_header(head.partition(b"\n")[0].strip()):
        remedy = f"Save it to a file whose name ends in .csv, and name that as the manifest. {kept}"
        raise DataProblem("Standard input is a table; JSON Lines and lists are read from it.", remedy=remedy)


def _is_header(line: bytes) -> bool:
    """Tell whether a line names columns: it is one that is known, or several, and no picture's path."""
    cells = [cell.strip(b" \"'") for cell in _SEPARATOR.split(line)]
    if any(name.encode() in cells for name in ("id", *MEDIA_PARAMETERS)):
        return True
    is_other = b"://" in line or line.startswith((b"{", b"#"))
    return len(cells) > 1 and not is_other and not is_image_name(line.decode(errors="replace"))


def _copy_object(address: str, path: Path, is_wanted: Callable[[], bool]) -> None:
    place = split_address(address)
    store = open_store(place.bucket)
    etag = store.head(place.key).etag
    known = _read_mark(path)
    if known is not None and etag is not None and known.etag == etag and path.is_file():
        return
    _write(path, store.chunks(place.key), is_wanted, etag=etag)


def _copy_web(job: Job, path: Path, is_wanted: Callable[[], bool]) -> None:
    """Fetch it anew, as few servers say whether it is the same; an equal one leaves the copy as it is."""
    from batchup.edge.service import may_be_private  # noqa: PLC0415 - it loads the simulator

    part = _unfinished(path, ".web")
    try:
        with disk_problems(part):
            _private(part).close()
        # A thread of its own has no event loop yet, whoever calls; nobody waits for one that is given up.
        begin(partial(_fetch, job.manifest, part, is_private=may_be_private(job)), "manifest").result()
        with part.open("rb") as file:
            _write(path, iter(partial(file.read, _CHUNK), b""), is_wanted)
    finally:
        part.unlink(missing_ok=True)


def _fetch(address: str, target: Path, *, is_private: bool) -> None:
    import anyio  # noqa: PLC0415 - only a manifest on the web needs a client

    from batchup.edge.saving.download import Downloader, DownloadProblem  # noqa: PLC0415 - the same

    async def fetch() -> None:
        limits = {"timeout_s": _LONGEST_S, "stall_s": _STALL_S}
        async with Downloader(allow_private=is_private, **limits) as downloader:
            await downloader.fetch(address, target, max_bytes=_MOST_BYTES)

    try:
        anyio.run(fetch)
    except DownloadProblem as problem:
        words = problem.failure.message.removeprefix("download: ")
        message = f"The manifest {plain_words(address)} cannot be had: {words}."
        raise DataProblem(message, remedy="Check the address.") from None


def _write(
    path: Path,
    chunks: Iterator[bytes],
    is_wanted: Callable[[], bool],
    *,
    etag: str | None = None,
    keep_if_empty: bool = False,
    look: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write a copy, and what it was made of; an equal one stays untouched, as one that nothing comes for.

    `look` raises where what was written is not to take the copy's place.
    """
    part, known = _unfinished(path, ".part"), _read_mark(path)
    try:
        with disk_problems(path.parent):
            with _private(part) as file:
                digest = _pour(chunks, file)
                file.flush()
                os.fsync(file.fileno())
            if not is_wanted():
                raise DataProblem("Nobody waits for the manifest any more.")
            if keep_if_empty and not part.stat().st_size and path.is_file():
                return
            if known is None or known.sha256 != digest or not path.is_file():
                look(part)
                _mark_of(path).unlink(missing_ok=True)  # before, so that it never speaks of another file
                part.replace(path)
            elif path.stat().st_mode & _OTHERS:  # of an earlier version
                path.chmod(_OURS)
            _mark_of(path).write_bytes(msgspec.json.encode(Mark(etag, digest)))
    finally:
        part.unlink(missing_ok=True)


def _private(path: Path) -> BinaryIO:
    """Make a file that nobody else on this machine can read: rows may hold addresses that are signed."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OURS), "wb")


def _pour(chunks: Iterator[bytes], file: BinaryIO) -> str:
    hasher = hashlib.sha256()
    for chunk in chunks:
        hasher.update(chunk)
        file.write(chunk)
    return hasher.hexdigest()


def _mark_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.of")


def _read_mark(path: Path) -> Mark | None:
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(_mark_of(path).read_bytes(), type=Mark)
    return None


def _unfinished(path: Path, suffix: str) -> Path:
    """Return where a copy that is not whole lies: another place each time, as two threads may make one."""
    return path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}{suffix}")
