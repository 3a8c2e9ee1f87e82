"""`batchup status`: words for a job that runs, was cut off or has ended, from `status.json` alone."""

import io
import json
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from edge.bench import simulated

from batchup import Job
from batchup.cli import main
from batchup.cli.screen import USUAL_ROWS, Screen
from batchup.cli.standing import SHOWN, Standing, line_of, lines_of
from batchup.cli.status import LOOK_EVERY_S, _shower, follow
from batchup.core.in_flight import Running
from batchup.core.picture import NightPlan
from batchup.core.snapshot import Snapshot
from batchup.core.summary import Summary
from batchup.edge.lock import RunLock
from batchup.edge.telling.status import NAME, Status

NOW = Snapshot(
    elapsed_s=3600.0,
    total=1000,
    saved=400,
    failed=2,
    held=0,
    in_doubt=1,
    rejected=0,
    skipped=10,
    duplicates=0,
    in_flight=10,
    saving=2,
    per_minute=11.2,
    eta_s=3130.0,
    requests_last_minute=58,
    rate_limit=60,
    spend_usd=4.12,
    job_spend_usd=4.3,
    note=None,
    concurrency=10,
    max_spend_usd=25.0,
    next_poll_s=1.3,
)
RUNNING = tuple(
    Running(id=f"sku-{k}", prediction_id=f"p{k}", attempt=1, age_s=60.0 - k, expected_s=5.0 + k)
    for k in range(10)
)
END = Summary(
    job="job", run="r", reason="signal", exit_code=130, items=1000, saved=400, outstanding=600, wall_s=9.0
)


def status(**changes: Any) -> Status:
    given: dict[str, Any] = {
        "job": "job",
        "run": "r",
        "pid": 1,
        "host": "elsewhere",
        "is_running": True,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "now": NOW,
        "summary": None,
        "running": RUNNING,
    }
    return Status(**{**given, **changes})


def standing(*, is_cut_off: bool = False, **changes: Any) -> Standing:
    found = status(**changes)
    return Standing(found, msgspec.json.encode(found).decode(), is_cut_off)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A job file."""
    return simulated(tmp_path, "rows.jsonl")


def written(path: Path, found: Status) -> None:
    """Put a status where a run would."""
    folder = path.with_suffix(".out")
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_bytes(msgspec.json.encode(found))


def asked(path: Path, *flags: str) -> tuple[int, str]:
    """Ask for the status, in this process."""
    done = CliRunner().invoke(main, ["status", str(path), *flags])
    return done.exit_code, done.output


def words(path: Path, found: Standing, width: int = 79) -> list[str]:
    return lines_of(found, Job.load(path), Path("job.toml"), width=width)


def test_a_running_job_is_told_at_a_glance(path: Path) -> None:
    """How far, how fast, when it ends, what it costs, what is in flight with its age and expected end."""
    lines = words(path, standing())
    assert lines[0].startswith("job: running, as of 20")
    assert lines[0].endswith(" s ago)")
    assert lines[1:] == [
        f"|{'█' * 16}{' ' * 24}| 402/1000, 40 %",
        "   400  saved, 10 of them before this run",
        "     2  failed",
        "     1  in doubt: nobody knows yet whether they were bought",
        "    10  in flight of 10 at most",
        "     2  saving",
        "ETA        52:10",
        "rate       11.2 saved a minute, 58/60 requests in the last one",
        "time       1:00:00",
        "spend      $4.12 this run, $4.30 the whole job, $25.00 at most",
        "next poll  in 1.3 s",
        "in flight  sku-0: 1:00 old, about 0:05 to go",
        *(f"           sku-{k}: 0:{60 - k} old, about 0:{5 + k:02} to go" for k in range(1, 10)),
    ]
    assert max(map(len, lines)) <= 79


def test_what_is_rare_is_told_where_it_is(path: Path) -> None:
    """A pause, a deadline, what is overdue and another attempt have their words, and many are counted."""
    odd = (
        Running(id="o" * 99, prediction_id="p", attempt=2, age_s=1000.0, is_overdue=True),
        Running(id="\x1b[2J", prediction_id="q", attempt=1, age_s=900.0),
    )
    now = replace(NOW, note="asked to wait", creates_end_s=60.0, in_flight=30, next_poll_s=None, held=1)
    text = "\n".join(words(path, standing(now=now, running=(*odd, *RUNNING))))
    for told in (
        "waiting    asked to wait",
        "ETA        52:10; nothing is created any more in 1:00",
        f"in flight  {'o' * 29}…: 16:40 old, overdue, attempt 2",
        "next poll  none is planned",
        "     1  held: decide with `batchup resolve`",
        f"... and {30 - SHOWN} more",
    ):
        assert told in text
    assert "\x1b" not in text
    plan = NightPlan(
        deadline_s=90.0, last_create_s=60.0, cutoff="drain", fits=False, count=7, left=591, nights_left=9
    )
    planned = " ".join("\n".join(words(path, standing(now=replace(NOW, plan=plan)))).split())
    assert (
        "plan about 7 of the 598 items that are left fit, 9 more nights like this one;"
        " the last create is in 1:00, the deadline is in 1:30" in planned
    )
    early = words(path, standing(now=replace(NOW, creates_end_s=9999.0, total=None)))
    assert "ETA        52:10" in early
    assert not any("█" in line for line in early)


def test_a_run_that_was_cut_off_says_what_to_type(path: Path) -> None:
    """A killed run has no end to be told, and nothing of it is to come."""
    lines = words(path, standing(is_cut_off=True))
    assert "cut off; `batchup run job.toml` continues" in lines[0]
    assert [line for line in lines if line.startswith(("ETA", "rate", "next poll", "in flight"))] == []
    assert not any("to go" in line or " old" in line for line in lines)
    assert "left       the next run polls what was in flight, and buys none of it again" in lines
    idle = replace(NOW, in_flight=0, saving=0)
    assert not any(line.startswith("left") for line in words(path, standing(is_cut_off=True, now=idle)))


def test_a_run_that_was_cut_off_is_3(path: Path) -> None:
    """A run that says it goes on and holds its lock no more has ended badly, even where nothing failed."""
    well = replace(NOW, failed=0, in_doubt=0)
    written(path, status(now=well, host=gethostname()))
    code, told = asked(path)
    assert (code, "cut off" in told) == (3, True)
    with RunLock(path.with_suffix(".out"), "r"):
        assert asked(path)[0] == 0


def test_a_bar_is_of_what_the_run_may_do(path: Path) -> None:
    """Under a limit the bar is full when that many are done, and how many there are is told beside it."""
    lines = words(path, standing(now=replace(NOW, goal=804)))
    assert lines[1].endswith("402/804 of 1000, 50 %")


def test_a_run_that_ended_has_its_table(path: Path) -> None:
    """After the end its table is shown, and what to type next."""
    lines = words(path, standing(is_running=False, summary=END, written_at="2026-01-31T06:00:00+00:00"))
    assert lines[0].startswith("job: ended (signal, exit 130), as of 2026-01-31T06:00:00+00:00 (")
    assert "   600  outstanding" in lines
    assert "next       batchup run job.toml" in lines


def test_a_status_without_an_instant_is_of_now(path: Path) -> None:
    """An instant that nobody can read is no reason to say nothing."""
    assert words(path, standing(written_at="soon"))[0] == "job: running, as of soon (0 s ago)"


def test_a_status_of_an_older_batchup_is_read(path: Path) -> None:
    """What older versions did not write has its default."""
    old = msgspec.to_builtins(status(is_running=False, summary=END))
    del old["running"]
    for name in ("concurrency", "max_spend_usd", "next_poll_s", "creates_end_s", "plan"):
        del old["now"][name]
    path.with_suffix(".out").mkdir()
    (path.with_suffix(".out") / NAME).write_text(json.dumps(old))
    code, out = asked(path)
    assert (code, "ended (signal" in out) == (3, True)  # something failed


@pytest.mark.parametrize("size", [1, 10_000_000])
def test_it_takes_no_time_at_any_size(path: Path, size: int) -> None:
    """The answer does not depend on how many items the job has: nothing else is read."""
    written(path, status(now=replace(NOW, total=size)))
    (path.with_suffix(".out") / "checkpoint.db").write_text("not to be touched")
    took = []
    for _ in range(3):
        began_at = time.perf_counter()
        assert asked(path)[0] == 3
        took.append(time.perf_counter() - began_at)
    assert min(took) < 0.2


def following(stages: list[Standing], show: Callable[[Standing], None]) -> Standing:
    """Follow a run that stands otherwise at each look."""
    left = iter(stages)
    waits: list[float] = []
    found = follow(lambda: next(left), show, waits.append)
    assert waits == [LOOK_EVERY_S] * (len(stages) - 1)
    return found


def test_it_is_watched_until_it_ends() -> None:
    """Each look is shown, and the last one is that of the end, or of a run that was cut off."""
    for last in (standing(is_running=False, summary=END), standing(is_cut_off=True)):
        shown: list[Standing] = []
        stages = [standing(), standing(), last]
        assert following(stages, shown.append) is last
        assert shown == stages


def test_who_has_seen_enough_may_go() -> None:
    """Ctrl-C ends the watching, and is no problem."""
    shown: list[Standing] = []

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    assert follow(standing, shown.append, interrupted).is_running
    assert len(shown) == 1


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def test_a_terminal_is_drawn_over(path: Path) -> None:
    """Each look is drawn in the place of the last, and the end is left there in full."""
    end = standing(is_running=False, summary=END)
    with redirect_stdout(Terminal()) as terminal:
        show = _shower(Job.load(path), path, is_watching=True, as_json=False)
        following([standing(), standing(), end], show)
    text = terminal.getvalue()
    height = len(words(path, standing()))
    assert text.count("running") == 2
    assert text.count(f"\x1b[{height}A") == 2
    assert text.split("\x1b[J")[-1].startswith("job: ended")
    assert text.count("\x1b[J") == 3


def test_elsewhere_a_line_is_printed_at_each_change(path: Path) -> None:
    """Without a terminal nothing is drawn over, and what stays the same is not said again."""
    same, other = standing(), standing(now=replace(NOW, saved=500))
    with redirect_stdout(io.StringIO()) as stream:
        show = _shower(Job.load(path), path, is_watching=True, as_json=False)
        following([same, same, other, standing(is_running=False, summary=END)], show)
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines[:2]] == ["job: running: 402/1000", "job: running: 502/1000"]
    assert lines[2].startswith("job: ended")
    assert "\x1b" not in stream.getvalue()


def test_json_is_a_line_at_each_change(path: Path) -> None:
    """With --watch and --json other programs read a line whenever the status is another one."""
    first, last = standing(), standing(is_running=False, summary=END)
    first = replace(first, text=first.text.replace(",", ",\n"))
    with redirect_stdout(Terminal()) as stream:
        show = _shower(Job.load(path), path, is_watching=True, as_json=True)
        following([first, first, last], show)
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["is_running"] for one in told] == [True, False]
    assert told[0]["running"][0]["id"] == "sku-0"


def test_watching_what_has_ended_is_a_look(path: Path) -> None:
    """The command shows a job that does not run once, with the code that it has without --watch."""
    written(path, status(is_running=False, summary=END, now=replace(NOW, failed=0, in_doubt=0)))
    assert asked(path, "--watch") == asked(path)
    assert asked(path, "--watch")[0] == 0
    assert json.loads(asked(path, "--json", "--watch")[1])["summary"]["reason"] == "signal"


def test_a_run_that_goes_on_is_told_by_its_lock(path: Path) -> None:
    """What the status says of a run on this host holds as long as its lock does."""
    written(path, status(host=gethostname()))
    assert "cut off" in asked(path)[1]
    with RunLock(path.with_suffix(".out"), "r"):
        assert "job: running" in asked(path)[1]


def test_letters_that_a_terminal_lacks_are_replaced(path: Path) -> None:
    """A terminal without block letters gets a bar all the same."""

    class Plain(Terminal):
        encoding = "ascii"

    with redirect_stdout(Plain()) as stream:
        _shower(Job.load(path), path, is_watching=False, as_json=False)(
            standing(running=(replace(RUNNING[0], id="größe"),))
        )
    assert "|################ " in stream.getvalue()
    assert "gr??e" in stream.getvalue()


def test_a_screen_is_never_scrolled() -> None:
    """Lines beyond the terminal's size are cut: what has scrolled away cannot be drawn over."""
    with redirect_stdout(Terminal()) as stream:
        Screen().draw(["x" * 200] * 100, 40)
    drawn = stream.getvalue().split("\x1b[K\n")
    assert len(drawn) == USUAL_ROWS
    assert drawn[0] == "\r" + "x" * 40


def test_one_line_says_how_it_stands() -> None:
    """Cut off, running and ended are told apart in one word."""
    assert line_of(standing(), "x") == "job: running: x"
    assert line_of(standing(is_cut_off=True), "x") == "job: cut off: x"
    assert line_of(standing(is_running=False, summary=END), "x") == "job: ended: x"
