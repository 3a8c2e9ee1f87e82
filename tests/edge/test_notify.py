"""Somebody elsewhere is told how real runs end: by a real mail server and a real HTTP one."""

import json
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from aiosmtpd.controller import Controller
from edge.bench import real, rows, running, simulated, web
from edge.nights import status_of
from edge.servers import Behaviour, Server, answer, free_port, serving

import batchup
from batchup import Job, Summary
from batchup.cli.supervising import supervised
from batchup.core.notice import EndKind, Trouble
from batchup.edge.lock import RunLock
from batchup.edge.notify.hung import tell_hung
from batchup.edge.notify.services import send
from batchup.edge.notify.teller import HURRIED_S, Teller
from batchup.edge.progress import SilentPrinter, make_printer
from batchup.edge.supervision.supervisor import Stall
from batchup.edge.telling.journal import graded
from batchup.edge.telling.rotating import PART_BYTES, parts_of
from batchup.edge.telling.runlog import NAME as LOG_NAME
from batchup.errors import ConfigProblem, DataProblem, KeyRefused, Locked

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # apprise's own import
]
SECRET = "s3cr3t-hook"
STALL = Stall("it stood still", ["here"], "r1", replace(status_of(None).now, total=5, saved=3))


class Printer(SilentPrinter):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        """Remember it."""
        self.lines.append(line)


class Mailbox:
    """What a mail server has taken."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 aiosmtpd's
        """Take a mail."""
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
def mail() -> Iterator[tuple[str, Mailbox]]:
    """Run a mail server; give apprise's address of it, and what it takes."""
    box, port = Mailbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield f"mailto://127.0.0.1:{port}?from=run@example.com&to=me@example.com&mode=insecure", box
    finally:
        controller.stop()


def lines(server: Server) -> list[str]:
    """Return the path of each request."""
    return [request.split(b" ")[1].decode() for request in server.requests]


def bodies(server: Server, path: str) -> list[Any]:
    """Return the JSON that was posted to a path."""
    found = [one.partition(b"\r\n\r\n")[2] for one in server.requests if one.split(b" ")[1] == path.encode()]
    return [json.loads(body) for body in found]


def table(server: Server, *more: str, webhook: bool = True, ping: bool = True) -> str:
    """Return a table that tells this server."""
    at = f"http://127.0.0.1:{server.port}/{SECRET}"
    ways = ([f'webhook = "{at}"'] if webhook else []) + ([f'ping = "{at}/ping"'] if ping else [])
    return "\n".join(["[notify]", *ways, *more])


def one_item(folder: Path, notify: str, *bad: dict[str, str]) -> Path:
    """Write a job of one item on the simulator, and of rows that are rejected."""
    rows(folder / "rows.jsonl", *web("a"), *bad)
    return simulated(folder, "rows.jsonl", more=notify, speed=1000)


async def test_a_run_that_ends_well_is_told_once(tmp_path: Path, mail: tuple[str, Mailbox]) -> None:
    """A run pings when it begins and ends, and sends one message by each way, with what happened."""
    address, box = mail
    with serving(answer("200 OK")) as server:
        job = one_item(tmp_path, table(server, f'apprise = "{address}"'))
        summary = await batchup.run(Job.load(job))
    assert summary.exit_code == 0
    assert lines(server)[0] == f"/{SECRET}/ping/start"
    assert sorted(lines(server)[1:]) == [f"/{SECRET}", f"/{SECRET}/ping"]
    (body,) = bodies(server, f"/{SECRET}")
    assert (body["kind"], body["title"]) == ("finished", "job: finished, 1 of 1 saved")
    assert (body["run"], body["summary"]["saved"]) == (summary.run, 1)
    (letter,) = box.mails
    assert (letter["subject"], letter["to"]) == ("job: finished, 1 of 1 saved", "me@example.com")
    text = letter.get_content()
    assert "What happened:\n- The run on" in text.replace("\r\n", "\n")
    assert "What to do:\n- Nothing." in text.replace("\r\n", "\n")
    log = (tmp_path / "job.out/run.log.jsonl").read_text()
    assert sorted(line["way"] for line in map(json.loads, log.splitlines()) if line["event"] == "told") == [
        "apprise", "ping", "webhook",
    ]  # fmt: skip
    assert SECRET not in log


@pytest.mark.parametrize(
    ("on", "bad", "is_told"),
    [("failure", [], False), ("person", [{"id": "b"}], False), ("failure", [{"id": "b"}], True)],
)
async def test_only_what_was_asked_for_is_told(
    tmp_path: Path, on: str, bad: list[dict[str, str]], *, is_told: bool
) -> None:
    """A message goes out on the occasions that are named alone, and the pings go out always."""
    with serving(answer("200 OK")) as server:
        job = one_item(tmp_path, table(server, f'on = "{on}"'), *bad)
        summary = await batchup.run(Job.load(job))
    assert summary.exit_code == (3 if bad else 0)
    assert len(bodies(server, f"/{SECRET}")) == is_told
    ends = [path for path in lines(server) if "/ping" in path]
    assert ends == [f"/{SECRET}/ping/start", f"/{SECRET}/ping{'/fail' if bad else ''}"]


async def test_failures_are_told_once(tmp_path: Path) -> None:
    """A night that is cut short tells what failed in it, and neither later night tells that again."""
    with serving(answer("200 OK")) as server:
        rows(tmp_path / "rows.jsonl", {"id": "bad"}, *web("a", "b"))
        job = simulated(tmp_path, "rows.jsonl", more=table(server, 'on = "failure"'), speed=1000)
        codes = [(await batchup.run(Job.load(job), limit=limit)).exit_code for limit in (1, 1, None)]
    assert codes == [75, 3, 3]
    (body,) = bodies(server, f"/{SECRET}")
    assert (body["kind"], body["summary"]["exit_code"]) == ("failed", 75)
    ends = [path for path in lines(server) if "/ping" in path and not path.endswith("/start")]
    assert ends == [f"/{SECRET}/ping/fail", f"/{SECRET}/ping", f"/{SECRET}/ping"]


async def test_slack_gets_what_it_reads(tmp_path: Path) -> None:
    """With its format the webhook gets text alone, its title standing out."""
    with serving(answer("200 OK")) as server:
        job = one_item(tmp_path, table(server, 'webhook_format = "slack"', ping=False))
        await batchup.run(Job.load(job))
    (body,) = bodies(server, f"/{SECRET}")
    assert list(body) == ["text"]
    assert body["text"].startswith("*job: finished, 1 of 1 saved*\nWhat happened:\n- The run on ")


async def ended_by(job: Path, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await batchup.run(Job.load(job))


@pytest.mark.parametrize("spoilt", ["key", "manifest", "folder", "refused"])
async def test_a_run_that_cannot_begin_is_told(tmp_path: Path, spoilt: str) -> None:
    """A missing or refused key, a missing manifest and a folder that is none are told, with what to do."""
    service = answer("401 Unauthorized", b'{"error": "no"}')
    with serving(answer("200 OK")) as server, serving(service) as refusing:
        rows(tmp_path / "rows.jsonl", *web("a"))
        job = real(tmp_path, refusing.url, more=table(server))
        (tmp_path / "key").write_text("a-key-that-is-secret")
        text = job.read_text().replace("env:A_KEY", "file:nowhere" if spoilt == "key" else "file:key")
        job.write_text(text)
        if spoilt == "manifest":
            (tmp_path / "rows.jsonl").unlink()
        if spoilt == "folder":
            (tmp_path / "job.out").write_text("a file")
        kinds = {"key": ConfigProblem, "manifest": DataProblem, "refused": KeyRefused}
        await ended_by(job, kinds.get(spoilt, batchup.errors.OutputProblem))
    (body,) = bodies(server, f"/{SECRET}")
    assert body["kind"] == "person"
    assert body["summary"]["exit_code"] in {65, 73, 77, 78}
    assert body["to_do"][-1].endswith(f"batchup run {job}")
    assert lines(server).count(f"/{SECRET}/ping/fail") == 1
    assert b"a-key-that-is-secret" not in b"".join(server.requests)


async def test_a_job_that_another_run_holds_tells_nobody(tmp_path: Path) -> None:
    """A second run that may not begin neither pings nor sends a message: the first one will."""
    with serving(answer("200 OK")) as server:
        job = one_item(tmp_path, table(server))
        (tmp_path / "job.out").mkdir()
        with RunLock(tmp_path / "job.out", "another"):
            await ended_by(job, Locked)
    assert server.requests == []


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (answer("404 Not Found"), "the answer was 404 Not Found"),
        (None, "no connection: Connection refused"),
    ],
)
async def test_nobody_told_is_a_line_and_no_failure(
    tmp_path: Path, behaviour: Behaviour | None, said: str
) -> None:
    """A message that cannot be delivered is one line in the log and one said, each without its address."""
    printer = Printer()
    with serving(behaviour or answer("200 OK")) as server:
        port = server.port if behaviour else free_port()
        notify = table(Server(port), 'timeout = "300ms"', 'apprise = "json://127.0.0.1:9/s3cr3t-hook"')
        summary = await batchup.run(Job.load(one_item(tmp_path, notify)), printer=printer)
    assert summary.exit_code == 0
    told = sorted(line for line in printer.lines if line.startswith("notify: "))
    assert told[0].startswith("notify: apprise: ")
    assert told[1:] == [f"notify: the ping: {said}", f"notify: the webhook: {said}"]
    log = (tmp_path / "job.out/run.log.jsonl").read_text()
    events = [json.loads(line) for line in log.splitlines()]
    missed = {event["way"]: event["why"] for event in events if event["event"] == "not_told"}
    assert set(missed) == {"webhook", "apprise", "ping"}
    assert missed["webhook"] == said
    assert SECRET not in log + "".join(printer.lines) + (tmp_path / "job.out/status.json").read_text()


async def test_addresses_that_are_missing_are_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an address is not where it should be the run says so before it begins, and goes on."""
    monkeypatch.setenv("ODD_HOOK", f"ftp://{SECRET}")
    monkeypatch.setenv("ODD_SERVICES", SECRET)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    printer = Printer()
    notify = '[notify]\nwebhook = "env:ODD_HOOK"\napprise = "env:ODD_SERVICES"\nping = "credential:ping"'
    summary = await batchup.run(Job.load(one_item(tmp_path, notify)), printer=printer)
    assert summary.exit_code == 0
    said = {line.split(": ")[1]: line.split(": ", 2)[2] for line in printer.lines[:3]}
    assert said == {
        "the webhook": "The address of the webhook in env:ODD_HOOK cannot be used: expected an address that"
        ' begins with "https://".',
        "apprise": "The address of apprise in env:ODD_SERVICES cannot be used: it holds no addresses as"
        " apprise spells them.",
        "the ping": "There is no address in credential:ping. To be told, add LoadCredential=ping:PATH to the"
        " systemd unit.",
    }


@pytest.mark.parametrize("kind", ["env", "file", "credential"])
async def test_an_address_is_found_where_the_job_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A variable, a file and a credential of systemd's may hold an address."""
    with serving(answer("200 OK")) as server:
        address = f"http://127.0.0.1:{server.port}/{SECRET}\n"
        (tmp_path / "hook").write_text(address)
        monkeypatch.setenv("hook", address)
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        rows(tmp_path / "rows.jsonl", *web("a"))
        job = Job.load(one_item(tmp_path, f'[notify]\nwebhook = "{kind}:hook"'))
        teller = Teller(job, "r", SilentPrinter())
        await teller.trial()
    assert lines(server) == [f"/{SECRET}"]
    assert (teller.told, teller.problems) == (["webhook"], {})


async def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A file that is not there, and one that is no text, say so; the address of neither is known."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    notify = '[notify]\nwebhook = "file:nowhere"\nping = "file:binary"'
    teller = Teller(Job.load(one_item(tmp_path, notify)), "r", SilentPrinter())
    assert [why.rpartition(": ")[2] for why in teller.problems.values()] == [
        "No such file or directory.", "it is no text.",
    ]  # fmt: skip


async def test_a_message_that_was_not_taken_is_a_warning(tmp_path: Path) -> None:
    """Under systemd it stands out among the lines that only say how the run goes."""
    reader, writer = os.pipe()
    printer = make_printer(quiet=False, progress=False, stream=graded(writer))
    Teller(Job.load(one_item(tmp_path, '[notify]\nwebhook = "file:nowhere"')), "r", printer)
    assert os.read(reader, 1000).startswith(b"<4>notify: the webhook: ")
    os.close(reader)
    os.close(writer)


async def test_a_full_log_is_left_to_the_run_that_holds_it(tmp_path: Path) -> None:
    """What is told after a run, or of one that never began, makes no new part: another run may be writing."""
    with serving(answer("200 OK")) as server:
        job = Job.load(one_item(tmp_path, table(server, ping=False)))
        job.output.dir.mkdir()
        log = job.output.dir / LOG_NAME
        log.touch()
        os.truncate(log, PART_BYTES)
        await Teller(job, "r", SilentPrinter()).ended(Summary(job="job", run="r", reason="bug", exit_code=70))
    assert parts_of(log) == [log]
    assert b'"event":"told"' in log.read_bytes()


async def test_no_secret_is_told(tmp_path: Path) -> None:
    """What a message repeats of the key, of an address or of a signed one is masked on the way out."""
    with serving(answer("200 OK")) as server:
        job = Job.load(one_item(tmp_path, table(server)))
        teller = Teller(job, "r", SilentPrinter())
        teller.hide("the-key")
        assert job.notify is not None
        words = f"the-key {job.notify.webhook} https://b/k?X-Amz-Signature=feed"
        summary = Summary(job="job", run="r", reason="bug", exit_code=70)
        await teller.ended(summary, Trouble(words))
    told = b"".join(one.partition(b"\r\n\r\n")[2] for one in server.requests)
    assert told.count(b"***") >= 6
    assert [secret for secret in (b"the-key", SECRET.encode(), b"feed") if secret in told] == []


async def test_a_bug_is_told_too(tmp_path: Path) -> None:
    """A run that ends by what nobody expected is told as a bug, and raises what it was."""
    with serving(answer("200 OK")) as server:
        job = Job.load(one_item(tmp_path, table(server)))

        async def run() -> None:
            raise LookupError("odd")

        teller = Teller(job, "r", SilentPrinter())
        with pytest.raises(LookupError, match="odd") as caught:
            async with teller.beginning():
                await run()
        await teller.failed(caught.value, 1.0)
    (body,) = bodies(server, f"/{SECRET}")
    assert body["happened"][1] == "A bug in batchup: LookupError: odd"
    assert body["summary"]["reason"] == "bug"


async def test_a_bug_of_the_telling_ends_nothing(tmp_path: Path) -> None:
    """What goes wrong in the telling itself is a line like any other."""
    with serving(answer("200 OK")) as server:
        printer = Printer()
        teller = Teller(Job.load(one_item(tmp_path, table(server))), "r", printer)
        summary = Summary(job="job", run="r", reason="finished", exit_code=0, wall_s=float("nan"))
        await teller.ended(summary)
    assert printer.lines == ["notify: message: a bug in batchup: ValueError"]
    assert server.requests == []


async def test_a_host_that_hangs_is_waited_for_briefly(tmp_path: Path) -> None:
    """A server that never answers costs a run no more than the time it is given, and nothing else."""
    done = threading.Event()

    def silent(_connection: socket.socket, _request: bytes) -> bool:
        return not done.wait(20)

    printer = Printer()
    with serving(silent) as server:
        address = f'apprise = "json://127.0.0.1:{server.port}/x"'
        job = one_item(tmp_path, table(server, 'timeout = "200ms"', address))
        summary = await batchup.run(Job.load(job), printer=printer)
        done.set()
    assert (summary.exit_code, summary.saved) == (0, 1)
    assert sorted(line for line in printer.lines if line.startswith("notify: ")) == [
        "notify: apprise: not done within 0.2 s",
        "notify: the ping: no answer within 0.2 s",
        "notify: the webhook: no answer within 0.2 s",
    ]


async def test_a_service_that_hangs_does_not_keep_the_process(tmp_path: Path) -> None:
    """It hangs in the one thread that no end waits for, and in none of its own."""
    asked, done = threading.Event(), threading.Event()

    def silent(_connection: socket.socket, _request: bytes) -> bool:
        asked.set()
        return not done.wait(30)

    with serving(silent) as server:
        job = one_item(tmp_path, f'[notify]\napprise = "json://127.0.0.1:{server.port}/x"\ntimeout = "60s"')
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Teller(Job.load(job), "r", SilentPrinter()).trial)
            await anyio.to_thread.run_sync(asked.wait, 60)
            (late,) = (thread for thread in threading.enumerate() if thread.name == "notify")
            frames = "".join(traceback.format_stack(sys._current_frames()[late.ident or 0]))
            done.set()
    assert late.daemon
    assert "custom_json.py" in frames


async def test_no_log_repeats_what_a_service_says(caplog: pytest.LogCaptureFixture) -> None:
    """What apprise logs of an address, in part or in whole, is kept from a program's own logging."""
    addresses = ["json://127.0.0.1:9/s3cr3t-hook", "slack://s3cr3t-hook", "xyz://s3cr3t-hook"]
    why = await send(addresses, title="t", body="b", kind=EndKind.FAILED, within_s=30.0)
    assert str(why).startswith("3 of 3 did not take it")
    assert [record for record in caplog.records if record.name == "apprise"] == []
    logging.getLogger("apprise").warning("somebody else's")
    assert caplog.messages[-1] == "somebody else's"


async def test_each_of_several_services_is_told(mail: tuple[str, Mailbox]) -> None:
    """Of several addresses each is tried, and those that took nothing are counted and named without them."""
    address, box = mail
    nobody = f"mailto://127.0.0.1:{free_port()}?from={SECRET}@example.com&mode=insecure"
    given = [f"nope://{SECRET}", nobody, address]
    why = await send(given, title="t", body="b", kind=EndKind.PERSON, within_s=20.0)
    assert why == "2 of 3 did not take it: an address that apprise does not understand, E-Mail"
    assert len(box.mails) == 1


async def test_without_its_library_apprise_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the extra is not installed a run goes on, and says what to install."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    job = Job.load(one_item(tmp_path, '[notify]\napprise = "json://127.0.0.1/x"'))
    [(way, why)] = Teller(job, "r", SilentPrinter()).problems.items()
    assert way == "apprise"
    assert why.startswith("Messages by apprise need its library. pip install 'batchup-runner[notify]'")
    why = str(await send(["json://127.0.0.1/x"], title="", body="", kind=EndKind.FAILED, within_s=5.0))
    assert why == "apprise failed with ModuleNotFoundError"


async def test_who_stops_a_run_is_not_kept_waiting(tmp_path: Path) -> None:
    """A run that has to stop and one that hangs give telling a few seconds, however long it has else."""
    released = threading.Event()
    with serving(lambda _connection, _request: not released.wait(60)) as server:
        job = Job.load(one_item(tmp_path, table(server, 'timeout = "60s"', ping=False)))
        teller = Teller(job, "r", SilentPrinter())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, tell_hung, job, STALL)
            await teller.ended(Summary(job="job", run="r", reason="signal", exit_code=143))
        released.set()
    assert teller.problems == {"webhook": f"no answer within {HURRIED_S:g} s"}
    bodies = [request.partition(b"\r\n\r\n")[2] for request in server.requests]
    hung, stopped = sorted(map(json.loads, bodies), key=lambda body: str(body["kind"]), reverse=True)
    assert (hung["kind"], hung["run"], hung["happened"][1]) == ("person", "r1", "it stood still")
    assert "3 of 5 in all" in hung["happened"][2]
    assert hung["to_do"][0].startswith("It was ended; nothing is lost or bought twice.")
    assert (stopped["kind"], stopped["title"]) == ("failed", "job: stopped by a signal")


def test_a_command_that_hangs_tells_it_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever watches over a run of the command tells of one that hangs elsewhere too."""
    told: list[Stall] = []
    supervised(told.append, told.append).on_stall(STALL)
    assert told == [STALL, STALL]
    assert "here" in capsys.readouterr().err


def test_a_signal_drops_what_is_not_told_yet(tmp_path: Path) -> None:
    """A signal while the end is told ends the telling at once, and not the run otherwise than it ended."""
    asked = threading.Event()

    def silent(_connection: socket.socket, _request: bytes) -> bool:
        asked.set()
        return not released.wait(60)

    released = threading.Event()
    with serving(silent) as server:
        job = one_item(tmp_path, table(server, 'timeout = "60s"', ping=False))
        with running(job, "--no-report") as process:
            assert asked.wait(60)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=30)
        released.set()
    assert (process.returncode, json.loads(out)["saved"]) == (0, 1)
    assert "a signal came before all were told" in (tmp_path / "job.out/run.log.jsonl").read_text()
