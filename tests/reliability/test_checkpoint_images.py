"""Checkpoints cut, garbled and put together wrongly: a run refuses them, or finds what was once true."""

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import warm
from reliability.conftest import Column, Record
from reliability.processes import Host, clean_environment, whole_pictures
from reliability.test_failpoints import RUN, make_job

from batchup.core.calendar import Calendar
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.claim import claim
from batchup.edge.database.schema import full_path
from batchup.edge.exports import results
from batchup.errors import BatchupError, DataProblem, DiskProblem
from batchup.job import Job
from batchup.simulator import SimulatorSettings

FAMILY = "cut and garbled checkpoint images"
PASS = "refused in one sentence, or a prefix of the truth; saved ⇒ the file is there"
SECONDS = 20
pytestmark = pytest.mark.reliability

COUNT = {"ci": 3000, "long": 60_000}
DECISIVE = ("fingerprint", "state", "attempt", "prediction_id", "hashes", "sent_at", "urls", "input")
SECTOR = 512
BESIDE = ("run.log.jsonl", "results.jsonl")
WAYS = (
    "cut",
    "cut_both",
    "zeroed",
    "noise",
    "bits",
    "old_tail",
    "swapped",
    "no_wal",
    "other_wal",
    "doubled",
    "empty",
)


@dataclass(frozen=True)
class Image:
    """What a killed run left: its database, its log, and all rows that were ever committed."""

    name: str
    db: bytes
    wal: bytes
    versions: dict[str, list[dict[str, Any]]]  # of each item, by its id
    files: dict[str, set[tuple[str, str]]]  # of each item that was saved: path and hash
    outputs: frozenset[str]
    beside: dict[str, bytes]  # other files of the output folder, as they were at the time


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job whose address is answered by a simulator while the images are made."""
    return tmp_path_factory.mktemp("images") / "job" / "job.toml"


@pytest.fixture(scope="module")
def images(job: Path) -> Iterator[list[Image]]:
    """Kill one job four times, and keep a picture of each: log only, both, both and longer, no log."""
    host = Host()
    settings = SimulatorSettings(
        durations="lognormal:24s:0.5", speed=60, concurrency=4, rate_count=30, rate_period_s=60
    )
    with host.serving(settings) as service:
        make_job(job.parent, service.url)
        pictures = [
            picture(job, name, nth)
            for name, nth in (("log only", 5), ("both", 4), ("longer", 6), ("whole", 0))
        ]
    whole = pictures[-1]  # what any of them shows was true of this job at some time
    yield [
        replace(image, versions=whole.versions, files=whole.files, outputs=whole.outputs)
        for image in pictures
    ]
    host.close()


def picture(job: Path, name: str, nth: int) -> Image:
    """Run until a create has been answered for the nth time, or to the end, and take what is there then."""
    history = job.with_name("history.jsonl")
    command = [
        sys.executable,
        str(RUN),
        "send.create.after",
        "SIGKILL",
        str(nth),
        "--",
        "run",
        str(job),
        "-q",
    ]
    environ = clean_environment(job.parent / "state", FAILPOINT_HISTORY=str(history))
    done = warm.run(command, env=environ, timeout=90)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    folder = job.with_name("points.out")
    log = folder / "checkpoint.db-wal"
    versions, files = dict[str, list[dict[str, Any]]](), dict[str, set[tuple[str, str]]]()
    for line in history.read_text().splitlines():
        tables = json.loads(line)
        ids = {row["n"]: row["id"] for row in tables["items"]}
        for row in tables["items"]:
            versions.setdefault(row["id"], []).append(row)
        for row in tables["files"]:
            owner = ids[row["item"]]
            files.setdefault(owner, set()).add((full_path(row["path"], owner), row["sha256"]))
    return Image(
        name,
        (folder / "checkpoint.db").read_bytes(),
        log.read_bytes() if log.exists() else b"",
        versions,
        files,
        frozenset(whole_pictures(folder)),
        {name: (folder / name).read_bytes() for name in BESIDE if (folder / name).exists()},
    )


def spoilt(rng: Random, image: Image, others: list[Image]) -> tuple[str, bytes, bytes]:
    """Return a way to spoil an image, and what is left of its two files."""
    way, other = rng.choice(WAYS), rng.choice(others)
    db, wal = image.db, image.wal
    if way == "no_wal":
        return way, db, b""
    if way == "other_wal":
        return way, db, other.wal
    if way == "cut_both":
        return way, db[: rng.randrange(len(db) + 1)], wal[: rng.randrange(len(wal) + 1)]
    if wal and rng.random() < 0.6:
        return way, db, spoilt_bytes(rng, way, bytearray(wal), other.wal)
    return way, spoilt_bytes(rng, way, bytearray(db), other.db), wal


def spoilt_bytes(rng: Random, way: str, data: bytearray, other: bytes) -> bytes:
    """Spoil one file."""
    size = max(1, len(data))
    match way:
        case "cut":
            del data[rng.randrange(size) :]
        case "zeroed" | "noise":
            for _ in range(rng.choice((1, 1, 2, 8))):
                at = rng.randrange(0, size, SECTOR)
                part = len(data[at : at + SECTOR])
                data[at : at + part] = bytes(part) if way == "zeroed" else rng.randbytes(part)
        case "bits":
            for _ in range(rng.choice((1, 1, 2, 5, 50))):
                data[rng.randrange(size)] ^= 1 << rng.randrange(8)
        case "old_tail":
            at = rng.randrange(size)
            data[at:] = other[at:]
        case "swapped":
            a, b = (rng.randrange(0, size, SECTOR) for _ in range(2))
            first, second = bytes(data[a : a + SECTOR]), bytes(data[b : b + SECTOR])
            data[a : a + len(second)], data[b : b + len(first)] = second, first
        case "doubled":
            data += data[rng.randrange(size) :]
        case _:
            data.clear()
    return bytes(data)


def look(folder: Path, job: Path) -> None:
    """Open the checkpoint as a run does, and read all that decisions and reports rest on."""
    loaded = Job.load(job, overrides={"output.dir": str(folder)}, environ={"A_KEY": "a-secret-key"})
    with Checkpoint(folder / "checkpoint.db", Calendar(1.8e9, 1.0), loaded.input) as checkpoint:
        claim(checkpoint, loaded)
        checkpoint.sightings()
        checkpoint.money()
        checkpoint.unsettled()
        with checkpoint.problems():
            ids = [str(row[0]) for row in checkpoint.db.execute("SELECT id FROM items")]
            checkpoint.remembered(ids)
            list(results.outcomes(checkpoint))


def lies(folder: Path, image: Image) -> list[str]:
    """Return what the checkpoint says now and never was so."""
    found = []
    with closing(sqlite3.connect(folder / "checkpoint.db")) as db:
        db.row_factory = sqlite3.Row
        items = {row["n"]: dict(row) for row in db.execute("SELECT * FROM items")}
        for row in items.values():
            found += _lies_of_item(row, image)
        for row in db.execute("SELECT item, path, sha256 FROM files"):
            if row["item"] not in items:
                continue  # nobody's: replaced as soon as there is an item of this number
            owner = str(items[row["item"]]["id"])
            path = full_path(row["path"], owner)
            if (path, row["sha256"].hex()) not in image.files.get(owner, set()):
                found.append(f"{path} as a file of {owner}")
            elif path not in image.outputs:
                found.append(f"{path} is not there")
        saved = {row["id"] for row in items.values() if row["state"] == "saved"}
        have = {items[row[0]]["id"] for row in db.execute("SELECT item FROM files") if row[0] in items}
        found += [f"{name} is saved without a file" for name in sorted(saved - have)]
        if not items:
            found.append("nothing, and that is believed")
    return found


def _lies_of_item(row: dict[str, Any], image: Image) -> list[str]:
    def as_kept(value: Any) -> Any:
        return value.hex() if isinstance(value, bytes) else value

    now = [as_kept(row[name]) for name in DECISIVE]
    known = image.versions.get(row["id"])
    if known is None:
        return [f"an item {row['id']!r}"]
    if now not in ([version[name] for name in DECISIVE] for version in known):
        return [f"{row['id']} as {row['state']}"]
    return []


def lay_out(folder: Path, image: Image, db: bytes, wal: bytes) -> None:
    """Make the output folder that a run finds."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in {**image.beside, "checkpoint.db": db, "checkpoint.db-wal": wal}.items():
        if data or name == "checkpoint.db":
            (folder / name).write_bytes(data)


def what_slips(folder: Path, job: Path, image: Image, db: bytes, wal: bytes) -> tuple[str, list[str]]:
    """Look into a spoilt folder: whether it was refused or read, and what went wrong with that."""
    lay_out(folder, image, db, wal)
    try:
        look(folder, job)
    except (DataProblem, DiskProblem) as problem:
        is_touched = not is_untouched(folder, db, wal)
        return "refused", [f"refused and touched: {problem.message}"] if is_touched else []
    except Exception as error:  # noqa: BLE001 whatever it is, a user would see a traceback
        kind = "ended as a bug" if isinstance(error, BatchupError) else "raised"
        return "raised", [f"{kind}: {type(error).__name__}: {error}"]
    return "read", lies(folder, image)


def test_images(job: Path, images: list[Image], tmp_path: Path, column: Column, record: Record) -> None:
    """What is cut or garbled is refused and left as it is, or read as what was once committed."""
    rng, counts, problems = Random("images"), Counter[str](), list[str]()
    memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else tmp_path  # noqa: S108 nothing of it is kept
    folder = memory / f"batchup-images-{os.getpid()}"
    try:
        for number in range(COUNT[column]):
            image = rng.choice(images)
            way, db, wal = spoilt(rng, image, images)
            end, slipped = what_slips(folder, job, image, db, wal)
            counts.update(("images", end))
            problems += [f"{number} {image.name} {way}: {words}" for words in slipped]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    record(images=counts.pop("images"), slipped_through=len(problems), detail=counts)
    print(dict(counts))
    assert "\n".join(problems) == ""


def is_untouched(folder: Path, db: bytes, wal: bytes) -> bool:
    """Tell whether the two files are as they were."""
    log = folder / "checkpoint.db-wal"
    return (folder / "checkpoint.db").read_bytes() == db and (
        log.read_bytes() if log.exists() else b""
    ) == wal
