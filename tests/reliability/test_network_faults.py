"""Everything a network can do to each kind of request, in virtual time, and how the run ends."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import anyio
import pytest
from reliability.conftest import Record
from reliability.hostile_server import FAULTS, STOLEN, WAIT_S, Gateway, HostileLoop, Rule, hostile

from batchup import Job, run
from batchup.core.summary import Summary
from batchup.errors import BatchupError
from batchup.simulator import Simulator, SimulatorSettings

FAMILY = "network faults × {create, poll, list, download}"
PASS = "the class of section 4, the exit code, 0 twice"
SECONDS = 75
pytestmark = pytest.mark.reliability

ITEMS = 3
DOWN_S = 20.0
LONGEST_S = 6 * 3600.0  # of virtual time, for all runs of a cell
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 nothing of it is kept
JOB = """
name = "faults"
manifest = "rows.jsonl"
model = "each-upscaler"
[limits]
concurrency = 3
[polling]
expected = "20s"
list = "{surveys}"
[output]
max_pixels = 1_000_000
allow_private = true
[service]
url = "{url}/v1"
key = "env:A_KEY"
"""
SENSELESS = {"no_json", "empty", "huge", "deep", "nan", "other_shape", "gzip_bomb"}
LOST = {"reset_unread", "reset", "closed", "hang", "half_head", "half_body", "drip", "no_http", "long_head"}
BROKEN = {"500", "502", "503", "504"}
REDIRECTS = {"301", "302", "303", "307", "308"}
KEY = {"401", "403"}
RATE = {"429", "429_wait"}
EITHER = LOST - {"half_body", "drip", "reset_unread"} | SENSELESS | BROKEN | {"408"}
"""What a server or a proxy may do to a create that the service never got, or to one that it accepted."""


@dataclass
class Scene:
    """A simulator behind a gateway, and a job for it."""

    simulator: Simulator
    gateway: Gateway
    folder: Path
    spares: list[Gateway] = field(default_factory=list)

    def write_job(self, *, surveys: str = "off", url: str = "") -> None:
        """Write the job file."""
        text = JOB.format(url=url or self.gateway.origin, surveys=surveys)
        (self.folder / "faults.toml").write_text(text)

    async def run(self) -> Summary:
        """Run the job and return how it went, whatever ended it."""
        job = Job.load(self.folder / "faults.toml")
        try:
            return await run(job)
        except BatchupError as problem:
            return problem.summary or Summary(job="", run="", reason=str(problem), exit_code=-1)

    async def run_until(self, route: str, count: int) -> None:
        """Run the job and leave once so many requests of a route came: what is in flight is on record."""
        self.gateway.waited_for = route, count
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.run)
            await self.gateway.is_reached.wait()
            await anyio.sleep(1.0)
            tasks.cancel_scope.cancel()

    def results(self) -> list[dict[str, Any]]:
        """Return the lines of results.jsonl."""
        path = self.folder / "faults.out" / "results.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def noted(self, event: str) -> int:
        """Count the lines of the log that tell of an event."""
        lines = (self.folder / "faults.out" / "run.log.jsonl").read_text().splitlines()
        return sum(1 for line in lines if json.loads(line)["event"] == event)

    def check(self) -> None:
        """Check what holds in any cell: nothing twice, the limits, the key nowhere else."""
        stats = self.simulator.stats()
        assert stats["duplicate_creates"] == 0
        assert stats["creates"] <= ITEMS
        assert stats["max_in_flight"] <= 3
        assert self.gateway.worst_window() <= 60
        assert not [seen for seen in self.gateway.log if seen.path.startswith(STOLEN)]


@asynccontextmanager
async def staged(*rules: Rule) -> AsyncIterator[Scene]:
    """Set the scene, in a folder that is gone afterwards."""
    simulator = Simulator(SimulatorSettings(durations="fixed:20s", use_threads=False))
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        rows = [{"id": f"i{k}", "image": f"https://example.com/{k}.jpg"} for k in range(ITEMS)]
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        async with simulator.listen() as address:
            port = int(address.url.removesuffix("/v1").rpartition(":")[2])
            async with hostile(port, *rules) as gateway:
                scene = Scene(simulator, gateway, folder)
                scene.write_job()
                yield scene
                for spare in scene.spares:
                    await spare.drop_all()


def play(story: Callable[[], Awaitable[None]]) -> None:
    """Run a story in virtual time."""

    async def told() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, HostileLoop)
        await loop.mind_threads()
        with anyio.fail_after(LONGEST_S):
            await story()

    with asyncio.Runner(loop_factory=HostileLoop) as runner:
        runner.run(told())


@pytest.fixture(autouse=True)
def _own_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("A_KEY", "a-secret-key")
    monkeypatch.setenv("NO_PROXY", "*")


# ---------------------------------------------------------------- what each means (RELIABILITY section 4)


def codes(route: str, fault: str) -> tuple[set[int], set[int]]:
    """Return what a run may end with where a fault strikes once, and where it strikes always."""
    if route == "download":
        return _download_codes(fault)
    if fault in KEY:
        return {77}, {77}
    if route == "survey" and fault not in KEY:
        return {0}, {0}  # a convenience: polls do without
    if fault in REDIRECTS:
        return {78}, {78}
    if fault == "wrong_type":
        return {0}, {0}
    if route == "create":
        return _create_codes(fault)
    if route == "poll":
        return {0}, {76} if fault in SENSELESS else {3} if fault in {"404", "410"} else {69}
    is_refused = fault.startswith("4") and fault not in RATE | {"408"}  # there is no list
    if is_refused:
        return {4}, {4}
    if fault[0] == "5" or fault == "408":
        return {0}, {4}  # it answers, and cannot tell
    if fault in SENSELESS:
        return {0}, {4, 76}
    return {0}, {4, 69}  # 4 if its tries are used up while polls still work, else it is taken for an outage


def _create_codes(fault: str) -> tuple[set[int], set[int]]:
    if fault == "404":
        return {78}, {78}
    if fault == "402":
        return {0}, {79}
    if fault in {"400", "410", "413", "422"}:
        return {3}, {3}
    if fault in {"half_body", "drip"}:
        return {0}, {0}  # accepted, each of them, and found in the list
    return {0}, {69, 76} if fault in SENSELESS else {69}


def _download_codes(fault: str) -> tuple[set[int], set[int]]:
    if fault in {"403", "404", "410"}:
        return {0}, {3}
    if fault in REDIRECTS:
        return {0}, {4}  # followed, without a key, but not for ever
    if fault in {"400", "401", "402", "413", "422", "huge"}:
        return {4}, {4}
    return ({0}, {0}) if fault == "wrong_type" else ({0}, {4})


def means_doubt(fault: str) -> bool:
    """Tell whether a create that ended so may have been accepted."""
    return fault in EITHER | {"half_body", "drip", "reset_unread"}


def rules_for(cell: "Cell", *, most: float) -> list[Rule]:
    """Strike a route; for the list to be asked about a doubt, the first create's answer is lost."""
    route, fault = cell.route, cell.fault
    if route == "list":
        return [Rule("create", "reset", passes_on=True, most=1), Rule("list", fault, most=most)]
    skip = 1 if (route, fault) == ("create", "402") and most == 1 else 0  # with something in flight
    struck = "list" if route == "survey" else route
    return [Rule(struck, fault, passes_on=cell.passes_on, skip=skip, most=most)]


# ---------------------------------------------------------------- the cells

ROUTES = ("create", "poll", "list", "survey", "download")


@dataclass(frozen=True)
class Cell:
    """A fault of a route; `passes_on`: the service gets the request, and its answer is replaced."""

    route: str
    fault: str
    passes_on: bool = False

    def __str__(self) -> str:
        return f"{self.route}-{self.fault}" + ("-accepted" if self.passes_on else "")


CELLS = [Cell(route, fault) for route in ROUTES for fault in FAULTS]
CELLS += [Cell("create", fault, passes_on=True) for fault in sorted(EITHER)]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_fault_that_strikes_once(cell: Cell, record: Record) -> None:
    """One bad answer ends a run only where the page says so, and costs nothing."""
    route, fault = cell.route, cell.fault

    async def story() -> None:
        async with staged(*rules_for(cell, most=1)) as scene:
            scene.write_job(surveys="auto" if route == "survey" else "off")
            summary = await scene.run()
            assert scene.gateway.rules[-1].count == 1, "the fault never struck"
            assert summary.exit_code in codes(route, fault)[0], summary
            scene.check()
            if route == "create" and fault not in REDIRECTS | KEY | {"404"}:
                assert (scene.noted("in_doubt") > 0) == means_doubt(fault)
            if fault == "429_wait" and route != "download":
                check_wait(scene.gateway)
            if summary.exit_code == 0:
                assert (summary.saved, scene.simulator.stats()["creates"]) == (ITEMS, ITEMS)
            elif summary.exit_code == 3:
                (failed,) = [line for line in scene.results() if line["state"] == "failed"]
                assert failed["failure"]["message"] == f"the gateway says {fault}"
            else:
                await heal(scene)

    play(story)
    record(cells=1, twice=0)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_fault_that_strikes_always(cell: Cell, record: Record) -> None:
    """A fault that stays ends the run with its code, and once it is gone the next run goes on."""

    async def story() -> None:
        async with staged(*rules_for(cell, most=inf)) as scene:
            scene.write_job(surveys="auto" if cell.route == "survey" else "off")
            summary = await scene.run()
            expected = {0} if cell.passes_on else codes(cell.route, cell.fault)[1]
            assert summary.exit_code in expected, summary
            scene.check()
            await heal(scene, code=3 if summary.exit_code == 3 else 0)

    play(story)
    record(cells=1, twice=0)


def check_wait(gateway: Gateway) -> None:
    """Check that nobody asked the service anything while it wanted to be left alone."""
    (struck_at,) = [
        seen.at for seen in gateway.log if seen.is_struck and seen.route == gateway.rules[-1].route
    ]
    # What was on its way already when the answer came is not meant.
    early = [seen for seen in gateway.log if struck_at + 0.5 < seen.at < struck_at + WAIT_S]
    assert [seen for seen in early if seen.path.startswith("/v1/")] == []


async def heal(scene: Scene, *, code: int = 0) -> None:
    """Let all be well and run again: everything that was bought is claimed, and nothing bought twice."""
    scene.gateway.rules.clear()
    summary = await scene.run()
    assert summary.exit_code == code, summary
    if code == 0:
        assert (summary.saved, scene.simulator.stats()["creates"]) == (ITEMS, ITEMS)
    scene.check()


# ---------------------------------------------------------------- connections that cannot be made


@dataclass(frozen=True)
class Outage:
    """A way in which no connection comes about, for what is asked first; it passes, or it stays."""

    route: str
    fault: str
    passes: bool

    def __str__(self) -> str:
        return f"{self.route}-{self.fault}-" + ("passes" if self.passes else "stays")


OUTAGES = [
    Outage(route, fault, passes)
    for route in ("create", "poll", "list", "download")
    for fault in ("refused", "dns", "tls")
    for passes in (True, False)
    if not (fault == "tls" and passes)
]


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
def test_a_connection_that_cannot_be_made(outage: Outage, record: Record) -> None:
    """What was surely not sent is sent again, no attempt is counted, and an outage that stays ends in 69."""

    async def story() -> None:
        rules = [Rule("create", "reset", passes_on=True, most=1)] if outage.route == "list" else []
        async with staged(*rules) as scene:
            if outage.route in ("poll", "list"):
                await scene.run_until("create", ITEMS if outage.route == "poll" else 1)
            mend = await break_api(scene, outage)
            if outage.passes:
                asyncio.get_running_loop().call_later(DOWN_S, lambda: asyncio.ensure_future(mend()))
            summary = await scene.run()
            assert summary.exit_code == (0 if outage.passes else 69), summary
            assert summary.held == 0
            if not outage.passes:
                await mend()
                await heal(scene)
            assert {line["attempts"] for line in scene.results()} == {1}
            assert scene.gateway.count("create") == ITEMS
            scene.check()

    async def download_story() -> None:
        async with staged() as scene:
            mend = await break_outputs(scene, outage)
            if outage.passes:
                asyncio.get_running_loop().call_later(DOWN_S, lambda: asyncio.ensure_future(mend()))
            summary = await scene.run()
            assert summary.exit_code == (0 if outage.passes else 4), summary
            assert scene.simulator.stats()["creates"] == ITEMS
            await mend()
            if outage.fault != "tls":
                await heal(scene)
            scene.check()

    play(download_story if outage.route == "download" else story)
    record(cells=1, twice=0)


async def break_api(scene: Scene, outage: Outage) -> Callable[[], Awaitable[None]]:
    """Let no connection to the API come about, and return what mends it."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, HostileLoop)
    match outage.fault:
        case "refused":
            scene.gateway.close()
        case "dns":
            loop.is_dns_down = True
            scene.write_job(url=scene.gateway.origin.replace("127.0.0.1", "service.localhost"))
        case _:
            scene.write_job(url=scene.gateway.origin.replace("http:", "https:"))

    async def mend() -> None:
        loop.is_dns_down = False
        if outage.fault == "refused":
            await scene.gateway.open()
        elif outage.fault == "tls":
            scene.write_job()

    return mend


async def break_outputs(scene: Scene, outage: Outage) -> Callable[[], Awaitable[None]]:
    """Let outputs be at a place to which no connection comes about, and return what mends it."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, HostileLoop)
    loop.is_dns_down = outage.fault == "dns"
    elsewhere = {"dns": "http://outputs.localhost", "tls": "https://127.0.0.1"}
    spare = Gateway(scene.gateway.service_port)
    await spare.open()
    if outage.fault == "refused":
        spare.close()
    scene.gateway.moves_outputs_to = f"{elsewhere.get(outage.fault, 'http://127.0.0.1')}:{spare.port}"
    scene.spares.append(spare)

    async def mend() -> None:
        loop.is_dns_down = False
        if not spare.is_open:
            await spare.open()

    return mend
