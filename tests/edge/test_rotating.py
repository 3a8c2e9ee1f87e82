"""A log in parts: bounded, in order by its names, whole whatever ends its writer, and read as one."""

import json
import os
import resource
from pathlib import Path
from threading import Thread

import msgspec
import pytest
from edge.nights import BEGAN_AT, RUN, log_of, status_of, summary_of, write_night

from batchup.core.calendar import Calendar
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import NAME as CHECKPOINT
from batchup.edge.exports.targets import refuse_precious
from batchup.edge.older import note_end, note_missing
from batchup.edge.page.described import pace_of
from batchup.edge.page.run_ends import last_busy
from batchup.edge.telling.pace_source import pace_of_file
from batchup.edge.telling.rotating import (
    Position,
    RotatingFile,
    end_of,
    full_parts,
    lines_after,
    part_of,
    parts_of,
)
from batchup.edge.telling.runlog import CONTINUED, NAME, RunLog
from batchup.edge.traces import refuse_if_emptied
from batchup.errors import DataProblem, UsageProblem

SMALL = 1000  # bytes of a part


def written(path: Path) -> list[str]:
    """Return all lines of a log in the order in which a shell names its files: `run.log*`."""
    named = sorted(path.parent.glob(f"{path.stem}*"))
    return [line for part in named for line in part.read_text().splitlines()]


def cut(log: Path, *sizes: int) -> None:
    """Cut a log into parts of so many lines, and a rest."""
    lines = log.read_bytes().splitlines(keepends=True)
    for number, size in enumerate(sizes, 1):
        part_of(log, number).write_bytes(b"".join(lines[:size]))
        lines = lines[size:]
    log.write_bytes(b"".join(lines))


def test_a_full_part_gets_the_next_number(tmp_path: Path) -> None:
    """No part is larger than it may be, no line is lost or doubled, and names sort as they were written."""
    log = RotatingFile(tmp_path / NAME, SMALL)
    said = [f"{number:04} {'x' * (number % 97)}" for number in range(200)]
    for line in said:
        log.write(line)
    log.close()
    parts = parts_of(tmp_path / NAME)
    assert len(parts) > 9
    assert [part.name for part in parts[:2]] == ["run.log.000001.jsonl", "run.log.000002.jsonl"]
    assert all(part.stat().st_size <= SMALL for part in parts)
    assert written(tmp_path / NAME) == said


def test_the_oldest_part_goes(tmp_path: Path) -> None:
    """However long it is written to, a log takes no more room than its parts, and its end is there."""
    log = RotatingFile(tmp_path / NAME, SMALL, kept=3)
    said = [f"{number:05}" for number in range(2000)]
    for line in said:
        log.write(line)
    log.close()
    assert len(parts_of(tmp_path / NAME)) == 4
    assert sum(part.stat().st_size for part in parts_of(tmp_path / NAME)) <= 4 * SMALL
    found = written(tmp_path / NAME)
    assert found == said[-len(found) :]


@pytest.mark.parametrize("before", [0, 3])
def test_a_kill_between_two_steps_loses_nothing(tmp_path: Path, before: int) -> None:
    """A log that was renamed and not begun anew, and parts that were not dropped yet, are gone on with."""
    path = tmp_path / NAME
    for number in range(1, 4):
        part_of(path, number).write_text(f"old {number}\n")
    log = RotatingFile(path, SMALL, kept=3)
    for number in range(before):
        log.write(f"new {number}")
    log.close()
    if before:
        path.rename(part_of(path, 4))
    again = RotatingFile(path, 20, kept=3)
    for number in range(before, before + 5):
        again.write(f"new {number}")
    again.close()
    assert written(path)[-before - 5 :] == [f"new {number}" for number in range(before + 5)][-before - 5 :]
    assert len(full_parts(path)) == 3


def test_a_torn_line_and_a_long_one_have_their_place(tmp_path: Path) -> None:
    """What a killed run left of its last line is ended, and a line longer than a part is a part by itself."""
    path = tmp_path / NAME
    path.write_text("torn")
    log = RotatingFile(path, 10)
    for line in ("a" * 50, "b"):
        log.write(line)
    log.close()
    assert written(path) == ["torn", "a" * 50, "b"]
    assert log.problem is None


def test_a_log_that_was_taken_away_is_begun_anew(tmp_path: Path) -> None:
    """Whoever removes the log while it is written to gets another one, when that is full at the latest."""
    path = tmp_path / NAME
    log = RotatingFile(path, 10)
    log.write("123456")
    path.unlink()
    log.write("789012")
    log.close()
    assert (written(path), log.problem) == (["789012"], None)


def test_a_link_is_left_to_whoever_made_it(tmp_path: Path) -> None:
    """A log that is a link, to a file or a device, is written to where it lies and never renamed."""
    (tmp_path / "elsewhere").write_text("")
    path = tmp_path / NAME
    path.symlink_to(tmp_path / "elsewhere")
    log = RotatingFile(path, 10)
    for number in range(9):
        log.write(f"{number:08}")
    log.close()
    assert (tmp_path / "elsewhere").stat().st_size == 81
    assert parts_of(path) == [path]


def test_a_name_that_cannot_be_given_costs_no_line(tmp_path: Path) -> None:
    """Where a part cannot be renamed the log goes on in it, remembers why, and tries again later."""
    path = tmp_path / f"{'n' * 244}.jsonl"
    log = RotatingFile(path, 10)
    for number in range(9):
        log.write(f"{number:08}")
    log.close()
    assert isinstance(log.problem, OSError)
    assert path.stat().st_size == 81


def test_a_finaliser_may_speak_while_a_line_is_written(tmp_path: Path) -> None:
    """What is said in the middle of writing, by the same thread, waits for nobody and is a line too."""
    log = RotatingFile(tmp_path / NAME, 10)

    def heading() -> str:
        log.write("meanwhile")
        return "heading"

    log.heading = heading

    def write() -> None:
        for line in ("12345678", "87654321"):
            log.write(line)

    writer = Thread(target=write, daemon=True)
    writer.start()
    writer.join(10)
    assert not writer.is_alive()
    log.close()
    assert sorted(written(tmp_path / NAME)) == ["12345678", "87654321", "heading", "meanwhile"]


def test_a_full_disk_costs_what_it_did_not_take_and_no_other_line(tmp_path: Path) -> None:
    """A line that was cut off is told of, and the first one that there is room for again stands by itself."""
    log = RotatingFile(tmp_path / NAME)
    log.write("before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        log.write("is cut off")
        assert isinstance(log.problem, OSError)
        log.write("is lost")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.write("after")
    log.close()
    assert written(tmp_path / NAME) == ["before", "is ", "after"]


def test_who_does_not_hold_the_folder_makes_no_parts(tmp_path: Path) -> None:
    """Of two that write to one log one makes parts, and what the other one adds is lost to nobody."""
    path = tmp_path / NAME
    log = RotatingFile(path, 20)
    log.write("first")
    other = RotatingFile(path, 0)
    for number in range(9):
        other.write(f"other {number}")
        log.write(f"first {number}")
    other.close()
    log.close()
    found = written(path)
    assert len(found) == 19
    assert len(set(found)) == 19
    assert len(parts_of(path)) > 2


def test_other_files_are_no_parts(tmp_path: Path) -> None:
    """Copies and archives that somebody lays beside a log are neither read nor removed."""
    path = tmp_path / NAME
    strangers = ("run.log.1.jsonl", "run.log.000001.jsonl.gz", "run.log.old.000001.jsonl", "run.log.txt")
    for name in strangers:
        (tmp_path / name).write_text("theirs\n")
    assert parts_of(path) == []
    log = RotatingFile(path, 10, kept=1)
    for number in range(9):
        log.write(f"{number:08}")
    log.close()
    assert all((tmp_path / name).read_text() == "theirs\n" for name in strangers)
    assert full_parts(tmp_path / "absent" / NAME) == []


def test_lines_after_a_place_are_those_that_came_since(tmp_path: Path) -> None:
    """Whatever was rotated or dropped since, all that may be new is read, and no more than asked for."""
    path = tmp_path / NAME
    log = RotatingFile(path, 20)
    log.write("000")
    noted = end_of(path)
    for number in range(1, 30):
        log.write(f"{number:03}")
    log.close()
    since = [line.decode().strip() for line in lines_after(path, noted, 10**6)]
    assert since == [f"{number:03}" for number in range(1, 30)][-len(since) :]
    assert (noted, len(since)) == (Position(1, 4), 29)
    assert list(lines_after(path, end_of(path), 10**6)) == []
    assert [line.decode().strip() for line in lines_after(path, noted, 12)] == ["027", "028", "029"]
    for odd in (Position(77, 4), Position(1, 4000), Position(0, 0)):
        assert len(list(lines_after(path, odd, 10**6))) == 30
    full_parts(path)[0][1].unlink()
    assert len(list(lines_after(path, noted, 10**6))) == 25


def test_a_part_of_a_run_says_which_run_goes_on(tmp_path: Path) -> None:
    """A part that is begun in the middle of a run begins with its job and when it began, at any level."""
    path = tmp_path / NAME
    log = RunLog(path, "r1", part_bytes=400, kept=2)
    log.begin("nightly", "each-upscaler")
    for number in range(20):
        log.info("created", item=f"i{number}", attempt=1, prediction_id=f"p{number}")
    log.close()
    heads = [json.loads(part.read_text().splitlines()[0]) for part in parts_of(path)]
    assert {(head["event"], head["run"], head["job"]) for head in heads} == {(CONTINUED, "r1", "nightly")}
    assert all(head["began_at"] <= head["ts"] for head in heads)
    quiet = RunLog(tmp_path / "quiet.jsonl", "r1", level="error", part_bytes=100)
    quiet.begin("nightly", "each-upscaler")
    for _ in range(3):
        quiet.error("bug", why="w" * 60)
    quiet.close()
    assert "nightly" not in "".join(written(tmp_path / "quiet.jsonl"))


def test_the_report_has_the_whole_run_of_a_log_in_parts(tmp_path: Path) -> None:
    """Plots are those of the run, wherever the log was cut; of a beginning that is gone the time is known."""
    night = write_night(tmp_path, [])
    log = night.folder / NAME
    log.write_bytes(log_of(5, "r0", 1000.0) + log_of(9))
    whole, began_at = pace_of(night.job, status_of(summary_of([])))
    assert began_at == BEGAN_AT
    cut(log, 3, 5, 4)
    assert pace_of(night.job, status_of(summary_of([]))) == (whole, BEGAN_AT)
    assert pace_of(night.job, None) == (whole, BEGAN_AT)
    named = pace_of_file(log, "r0", rate=None, concurrency=1)
    assert (named.title, named.end_s) == ("night · run r0", 40.0)
    log.write_bytes(b"")
    heading = {"ts": "2030-03-17T18:00:00.000Z", "level": "info", "event": CONTINUED, "run": RUN}
    heading |= {"job": "night", "model": "m", "began_at": "2030-03-17T17:46:40.000Z"}
    rest = log_of(9).splitlines(keepends=True)[4:]
    for _, part in full_parts(log):
        part.unlink()
    part_of(log, 9).write_bytes(msgspec.json.encode(heading) + b"\n" + b"".join(rest[:2]))
    log.write_bytes(msgspec.json.encode(heading) + b"\n" + b"".join(rest[2:]))
    pace, began_at = pace_of(night.job, status_of(summary_of([])))
    assert began_at == BEGAN_AT
    assert pace is not None
    assert (pace.title, pace.window.at_s) == (f"night · run {RUN}", [10.0 * k for k in range(3, 9)])


def test_the_last_run_that_did_something_is_found_in_any_part(tmp_path: Path) -> None:
    """A night with nothing to do shows the figures of the one before it, though its log has been rotated."""
    night = write_night(tmp_path, [])
    end = {
        "event": "run_ended",
        "run": "r0",
        "reason": "finished",
        "exit_code": 0,
        "requests": 7,
        "creates": 1,
    }
    end |= {"polls": 6, "throttled": 0, "worst_window": 7, "spend_usd": 0.5, "wall_s": 9.0}
    part_of(night.folder / NAME, 4).write_bytes(msgspec.json.encode(end) + b"\n")
    (night.folder / NAME).write_bytes(b"")
    busy = last_busy(night.folder, status_of(summary_of([], reason="nothing_to_do", requests=0)))
    assert busy is not None
    assert busy.run == "r0"


def test_an_emptied_checkpoint_is_refused_by_any_part(tmp_path: Path) -> None:
    """What was bought is told by the parts too: without a checkpoint that knows, a run does not begin."""
    (tmp_path / NAME).write_text('{"event":"run_started"}\n')
    refuse_if_emptied(tmp_path)
    part_of(tmp_path / NAME, 2).write_text('{"event":"created"}\n')
    with pytest.raises(DataProblem, match=r"run\.log\.000002\.jsonl tells of items"):
        refuse_if_emptied(tmp_path)


def test_a_part_is_not_written_over(tmp_path: Path) -> None:
    """A command's -o names no part of a job's log."""
    night = write_night(tmp_path, [])
    with pytest.raises(UsageProblem, match="record of a job"):
        refuse_precious(part_of(night.folder / NAME, 3), night.job)


def test_what_was_bought_since_a_copy_is_found_in_parts(tmp_path: Path) -> None:
    """An old checkpoint put back is told by the log what was bought since, though that went on in parts."""
    log = RunLog(tmp_path / NAME, "r1", part_bytes=300)

    def buy(*numbers: int) -> None:
        for number in numbers:
            log.info("created", item=f"i{number}", attempt=1, prediction_id=f"p{number}")

    with Checkpoint(tmp_path / CHECKPOINT, Calendar(0.0), {}) as checkpoint:
        buy(0, 1, 2)
        note_end(checkpoint, tmp_path)
        assert note_missing(checkpoint, tmp_path) == {}
        buy(3, 4, 5, 6)
        assert note_missing(checkpoint, tmp_path) == {f"p{number}": f"i{number}" for number in (3, 4, 5, 6)}
    log.close()
    assert len(parts_of(tmp_path / NAME)) > 2


def test_an_older_versions_note_is_of_the_first_part(tmp_path: Path) -> None:
    """A checkpoint from before logs had parts knows a size alone, and what is older is not looked at."""
    log = tmp_path / NAME
    line = '{"event":"created","item":"i%d","prediction_id":"p%d"}\n'
    with Checkpoint(tmp_path / CHECKPOINT, Calendar(0.0), {}) as checkpoint:
        log.write_text(line % (0, 0))
        checkpoint.db.execute("INSERT INTO facts VALUES ('log_bytes', ?)", (log.stat().st_size,))
        with log.open("a") as file:
            file.write(line % (1, 1))
        os.rename(log, part_of(log, 1))  # noqa: PTH104 as it is done
        log.write_text(line % (2, 2))
        assert note_missing(checkpoint, tmp_path) == {"p1": "i1", "p2": "i2"}
        checkpoint.db.execute("INSERT INTO facts VALUES ('log_part', 'garbled')")
        assert set(note_missing(checkpoint, tmp_path)) >= {"p1", "p2"}
