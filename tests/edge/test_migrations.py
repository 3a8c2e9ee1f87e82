"""An older checkpoint becomes today's: after a copy, in one step, and whatever interrupts it is harmless."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item, SavedFile
from batchup.core.messages import Keep, Place
from batchup.core.redaction import is_signed
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database import migrations
from batchup.edge.database.schema import APPLICATION_ID, VERSION
from batchup.edge.exports.results import outcomes
from batchup.errors import DataProblem

SCHEMA_1 = """
CREATE TABLE defaults (n INTEGER PRIMARY KEY, input TEXT NOT NULL UNIQUE);
CREATE TABLE items (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    twin INTEGER NOT NULL,            -- 0, or how many ids that differ in case alone came before
    fingerprint BLOB NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    defaults INTEGER NOT NULL,        -- the job's parameters at the time
    input TEXT NOT NULL,              -- the item's own, as JSON
    hashes TEXT,                      -- of each value sent, while that may matter
    service_offset REAL,              -- the service's clock minus ours in seconds when it was sent
    sent_at REAL, created_at REAL, settled_at REAL, saved_at REAL,  -- Unix seconds
    prediction_id TEXT,
    urls TEXT,                        -- of outputs still to be fetched; none that carries a signature
    cost_usd REAL, predict_time_s REAL,
    failure TEXT,
    reported INTEGER NOT NULL DEFAULT 0   -- 1: as in results.jsonl, 2: there, but changed since
);
CREATE UNIQUE INDEX items_id ON items (id COLLATE NOCASE, twin);
CREATE INDEX items_unsettled ON items (state)
    WHERE state IN ('submitting', 'in_doubt', 'held', 'in_flight', 'succeeded');
CREATE INDEX items_unreported ON items (reported) WHERE reported <> 1;
CREATE TABLE files (
    item INTEGER NOT NULL, position INTEGER NOT NULL,
    path TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 BLOB NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, url TEXT NOT NULL,
    PRIMARY KEY (item, position)
) WITHOUT ROWID;
CREATE TABLE attempts (               -- earlier ones, each a prediction that was accepted
    item INTEGER NOT NULL, attempt INTEGER NOT NULL, prediction_id TEXT NOT NULL,
    created_at REAL, settled_at REAL, cost_usd REAL, failure TEXT
);
CREATE TABLE uploads (sha256 BLOB PRIMARY KEY, url TEXT NOT NULL, expires_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
"""
ROWS = """
INSERT INTO defaults VALUES (1, '{"scale_factor":2}');
INSERT INTO items VALUES (1, 'done', 0, zeroblob(32), 'saved', 2, 1, '{"image":"a.png"}', NULL, 0.5,
    100.0, 101.0, 150.0, 152.0, 'p2', NULL, 0.01, 48.5, NULL, 1);
INSERT INTO items VALUES (2, 'left', 0, zeroblob(32), 'in_doubt', 1, 1, '{"image":"b.png"}',
    '{"image":"h"}', 0.5,
    110.0, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    '{"kind":"no_answer","message":"lost","code":null,"retryable":true}', 0);
INSERT INTO files VALUES (1, 0, 'images/done.png', 10, zeroblob(32), 4, 3, 'https://cdn.example/a.png');
INSERT INTO attempts VALUES (1, 1, 'p1', 90.0, 95.0, 0.0, '{"kind":"prediction_failed","message":"no"}');
INSERT INTO uploads VALUES (zeroblob(32), 'https://up.example/1', 1e12);
INSERT INTO uploads VALUES (zeroblob(31), 'https://up.example/2?X-Amz-Signature=shown', 1e12);
INSERT INTO facts VALUES ('model', 'each-upscaler');
"""
KILLED = """
import json, os, signal, sqlite3, sys
from pathlib import Path
from batchup.edge.database import migrations

def migrate(path, last):
    seen = 0
    def count(statement):
        nonlocal seen
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)
    db = sqlite3.connect(path, isolation_level=None)
    migrations.add_functions(db)
    db.execute("PRAGMA journal_mode = WAL")
    db.set_trace_callback(count)
    migrations.migrate(db, path)

codes = []
for number, path in enumerate(sys.argv[1:], 1):
    pid = os.fork()
    if not pid:
        migrate(Path(path), number)
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(json.dumps(codes))
"""


def version_1(path: Path) -> Path:
    """Make a checkpoint as the first version made it, and used it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(SCHEMA_1)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
        db.executescript(ROWS)
    return path


def opened(path: Path) -> Checkpoint:
    return Checkpoint(path, Calendar(0.0), {"scale_factor": 2})


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def is_all_there(checkpoint: Checkpoint) -> bool:
    done, left = outcomes(checkpoint)
    (restored,) = checkpoint.unsettled()
    file = SavedFile("images/done.png", 10, "00" * 32, 4, 3, "https://cdn.example/a.png")
    assert (done.state, done.prediction_id, done.attempts, done.files) == ("saved", "p2", 2, (file,))
    assert (left.state, left.input) == ("in_doubt", {"scale_factor": 2, "image": "b.png"})
    assert restored.failure == Failure("no_answer", "lost", retryable=True)
    assert checkpoint.known_predictions(["p1", "p2", "p3"]) == {"p1", "p2"}
    assert checkpoint.uploads(["00" * 32], 0.0) == {"00" * 32: Place("https://up.example/1", 1e12)}
    return dict(checkpoint.db.execute("SELECT name, value FROM facts")) == {"model": "each-upscaler"}


def test_version_1_becomes_todays_with_all_that_was_in_it(tmp_path: Path) -> None:
    """Items, files, attempts, uploads and facts are there, each row sealed, and the file is of today's."""
    path = version_1(tmp_path / "checkpoint.db")
    with opened(path) as checkpoint:
        assert is_all_there(checkpoint)
        tables = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
        found = list(checkpoint.db.execute(tables))
    with opened(tmp_path / "new.db") as new:
        assert found == list(new.db.execute(tables))
    assert version_of(path) == VERSION
    with opened(path) as again:
        assert is_all_there(again)


def test_the_file_as_it_was_is_kept(tmp_path: Path) -> None:
    """Beside it lies a copy of the old version, whole in one file, with what was only in its log."""
    path = version_1(tmp_path / "checkpoint.db")
    with opened(path):
        pass
    copy = tmp_path / "checkpoint.db.v1"
    assert version_of(copy) == 1
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert [row[0] for row in db.execute("SELECT id FROM items ORDER BY n")] == ["done", "left"]
    assert sorted(found.name for found in tmp_path.iterdir()) == ["checkpoint.db", "checkpoint.db.v1"]


def test_a_migration_killed_at_any_statement_is_made_up_for(tmp_path: Path) -> None:
    """Killed before any of its statements it leaves the old version, and the next opening migrates that."""
    paths = [version_1(tmp_path / f"{statement}.db") for statement in range(1, 80)]
    command = [sys.executable, "-c", KILLED, *map(str, paths)]
    codes = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    killed = codes.index(0)
    assert killed > 30, "there are as many statements in it"
    assert set(codes[:killed]) == {-signal.SIGKILL}
    assert {version_of(path) for path in paths[:killed]} == {1}
    for path in paths[:killed:4]:
        with opened(path) as checkpoint:
            assert is_all_there(checkpoint)
        assert version_of(path) == VERSION


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    """A disk that takes no more leaves the checkpoint as it was, for the version that made it too."""
    path = version_1(tmp_path / "checkpoint.db")
    (tmp_path / "checkpoint.db.v1.tmp").mkdir()
    with pytest.raises(Exception, match=r"checkpoint\.db\.v1"):
        opened(path)
    assert version_of(path) == 1
    (tmp_path / "checkpoint.db.v1.tmp").rmdir()
    with opened(path) as checkpoint:
        assert is_all_there(checkpoint)


def test_a_migrated_item_goes_on(tmp_path: Path) -> None:
    """What was left unsettled by the old version is changed by the new one as any other."""
    path = version_1(tmp_path / "checkpoint.db")
    with opened(path) as checkpoint:
        item = Item("left", 1, {"scale_factor": 2, "image": "b.png"}, {}, "00" * 32)
        checkpoint.keep([Keep(item, State.IN_DOUBT, State.IN_FLIGHT, {"prediction_id": "p9"})])
        assert checkpoint.remembered(["left"])["left"].state is State.IN_FLIGHT
        assert checkpoint.known_predictions(["p9"]) == {"p9"}


def version_2(path: Path) -> Path:
    """Make a checkpoint of the second version."""
    version_1(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrations.add_functions(db)
        db.create_function("is_signed", 1, is_signed)
        db.execute("BEGIN")
        migrations.run(db, migrations.TO_2)
        db.execute("PRAGMA user_version = 2")
        db.execute("COMMIT")
    return path


def test_version_2_becomes_todays(tmp_path: Path) -> None:
    """So does the version before, and its copy is of it."""
    path = version_2(tmp_path / "checkpoint.db")
    with opened(path) as checkpoint:
        assert is_all_there(checkpoint)
        assert checkpoint.money() == (0.01, 0.01)
    assert version_of(tmp_path / "checkpoint.db.v2") == 2


@pytest.mark.parametrize(
    ("garbled", "told"),
    [
        ("UPDATE items SET fingerprint = zeroblob(31) WHERE id = 'done'", "row of 'done' is garbled"),
        ("UPDATE files SET bytes = 11", "row of 'done' is garbled"),
    ],
)
def test_a_garbled_row_of_version_2_stays_one(tmp_path: Path, garbled: str, told: str) -> None:
    """What was not as it was written is not sealed anew on its way to today's version."""
    path = version_2(tmp_path / "checkpoint.db")
    with closing(sqlite3.connect(path)) as db:
        db.execute(garbled)
        db.commit()
    with opened(path) as checkpoint, pytest.raises(DataProblem, match=told):
        list(outcomes(checkpoint))


def test_a_garbled_upload_of_version_2_is_made_again(tmp_path: Path) -> None:
    """It is not in today's version."""
    path = version_2(tmp_path / "checkpoint.db")
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE uploads SET url = 'https://elsewhere.example'")
        db.commit()
    with opened(path) as checkpoint:
        assert list(checkpoint.db.execute("SELECT * FROM uploads")) == []


def test_uploads_at_signed_addresses_are_dropped(tmp_path: Path) -> None:
    """An address that opens something by itself is in the new version no more, in no byte of its file."""
    path = version_1(tmp_path / "checkpoint.db")
    with opened(path) as checkpoint:
        assert list(checkpoint.db.execute("SELECT url FROM uploads")) == [("https://up.example/1",)]
    assert b"X-Amz-Signature" not in path.read_bytes()


def test_a_migrated_file_is_sealed(tmp_path: Path) -> None:
    """What the old version knew of a saved file is under a seal in the new one."""
    with opened(version_1(tmp_path / "checkpoint.db")) as checkpoint:
        checkpoint.db.execute("UPDATE files SET path = 'images/other.png'")
        with pytest.raises(DataProblem, match="garbled"):
            list(outcomes(checkpoint))
