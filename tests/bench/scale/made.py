"""A manifest of any length, and a checkpoint in which all but its last line is saved, made without a run."""

import hashlib
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from batchup.core.calendar import Calendar
from batchup.core.fingerprint import fingerprint
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.columns import as_json
from batchup.edge.database.prefixes import Prefixes
from batchup.edge.database.schema import SEALED, SEALED_FILE, id_key, packed, row_checksum
from batchup.edge.database.totals import add_up, write

MODEL = "each-upscaler"
INPUT = {"output_format": "png", "scale_factor": 2}
JOB = """
name = "scale"
manifest = "items.jsonl"
model = "each-upscaler"
[input]
scale_factor = 2
output_format = "png"
[limits]
concurrency = 10
rate = "unlimited"
[polling]
expected = "1s"
[output]
dir = "out"
allow_private = true
[service]
url = "{url}"
key = "env:SCALE_KEY"
"""
_COLUMNS = [*SEALED, "checksum", "reported"]
_FILES = [*SEALED_FILE, "checksum"]
_BEGAN_MS = 1_790_000_000_000
_EACH_MS = 5455
_BATCH = 10_000


def image(n: int) -> str:
    return f"https://img.example/photos/{n:08d}.jpg"


def line(n: int) -> str:
    return f'{{"id":"sku-{n:08d}","image":"{image(n)}"}}\n'


def make_manifest(path: Path, count: int) -> None:
    with path.open("w") as file:
        for start in range(0, count, _BATCH):
            file.write("".join(line(n) for n in range(start, min(count, start + _BATCH))))


def make_checkpoint(path: Path, count: int) -> int:
    """Make a checkpoint of so many saved items; return how many bytes their URLs have."""
    with Checkpoint(path, Calendar(0.0), INPUT) as checkpoint:
        db = checkpoint.db
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA journal_mode = OFF")
        indexes = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        later = dict(indexes.fetchall())  # made at once they take a tenth of the time
        for name in later:
            db.execute(f"DROP INDEX {name}")
        prefixes, random, url_bytes = Prefixes(db), Random(1), 0
        for start in range(0, count, _BATCH):
            db.execute("BEGIN")
            numbers = range(start, min(count, start + _BATCH))
            rows = [_rows(n, random, prefixes) for n in numbers]
            _insert(db, "items", ["n", *_COLUMNS], [item for item, _, _ in rows])
            _insert(db, "files", _FILES, [file for _, file, _ in rows])
            url_bytes += sum(length for _, _, length in rows)
            db.execute("COMMIT")
        for sql in later.values():
            db.execute(sql)
        _note_end(db)
    return url_bytes


def _rows(n: int, random: Random, prefixes: Prefixes) -> tuple[tuple[Any, ...], tuple[Any, ...], int]:
    item_id, address = f"sku-{n:08d}", image(n)
    output = f"https://cdn.example/outputs/{uuid.UUID(int=random.getrandbits(128))}.png"
    given = {"image": address}
    request = bytes.fromhex(fingerprint(MODEL, {**INPUT, **given}, {}))
    prediction = packed(str(uuid.UUID(int=random.getrandbits(128))))
    settled = random.randrange(40_000, 66_000)
    instants = (_BEGAN_MS + n * _EACH_MS, 310, settled, settled + 2400)
    text = prefixes.pack(as_json(given), "input")
    item: tuple[Any, ...] = (item_id, id_key(item_id), 0, request, "saved", 1, 1, text, None, 120, *instants)
    item += (prediction, None, 10_000, settled - 1000, None, None)
    digest = hashlib.sha256(item_id.encode()).digest()
    size = random.randrange(800_000, 2_000_000)
    file = (n + 1, 0, "/.png", size, digest, 2048, 2048, prefixes.pack(output, "url"))
    length = len(address) + len(output)
    return (n + 1, *item, row_checksum(*item), 1), (*file, row_checksum(*file)), length


def _insert(db: sqlite3.Connection, table: str, names: list[str], rows: list[tuple[Any, ...]]) -> None:
    marks = ", ".join("?" * len(names))
    db.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)  # noqa: S608


def _note_end(db: sqlite3.Connection) -> None:
    """Leave it as a run does that has ended well, its results aside."""
    write(db, add_up(db))
    facts = [("service", "a simulator"), ("model", MODEL), ("results_bytes", 0), ("log_bytes", 0)]
    db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)


def ids(count: int) -> Iterator[str]:
    return (f"sku-{n:08d}" for n in range(count))
