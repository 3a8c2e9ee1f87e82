"""Every field of every JSON is explained, and none that is not there."""

import ast
import dataclasses
import json
import string
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from docs.parts import COMMANDS, command_of, invoke

import batchup
from batchup.cli import resolve
from batchup.cli.reference import PAGES
from batchup.core import lateness
from batchup.core.history import PastRun
from batchup.core.items import Failure, Outcome, SavedFile
from batchup.core.notice import as_json, trial
from batchup.core.schema_words import models_in
from batchup.core.summary import Summary
from batchup.edge.exports import results
from batchup.edge.exports.exporting import STATES
from batchup.edge.exports.rejects import NAME as REJECTS
from batchup.edge.exports.rejects import Rejects
from batchup.edge.manifest import Reject
from batchup.edge.mending.audit import Report
from batchup.edge.mending.repair import Repair
from batchup.edge.mending.resolving import Doubt
from batchup.edge.mending.verify import Flaw
from batchup.edge.telling import pace_log, runlog
from batchup.edge.telling.reporter import _SAID
from batchup.edge.telling.runlog import RunLog
from batchup.edge.telling.status import Status
from batchup.simulator import Address, Simulator, SimulatorSettings
from batchup.simulator.models import Model

PACKAGE = Path(batchup.__file__).parent
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BASES = {"named", "above", "dearest", "unknown"}
"""Words that are chosen among by a key, and no fields."""

SPELLED = {"outcome.state", "EVENT", "SETTLED", "STARTED", "CONTINUED"}
"""Events that are told by a name in the code."""

ELSEWHERE = {"summary"}
"""Fields of another page's object: explained there."""


def paths_of_type(kind: Any) -> set[str]:
    """Return the paths of all fields of a dataclass, as the pages spell them."""
    found = set()
    for name, hint in typing.get_type_hints(kind).items():
        if not any(field.name == name for field in dataclasses.fields(kind)):
            continue
        found.add(name)
        inner, is_list = inner_type(hint)
        if inner is not None and name not in ELSEWHERE:
            found |= {f"{name}{'[]' if is_list else ''}.{path}" for path in paths_of_type(inner)}
    return found


def inner_type(hint: Any) -> tuple[Any, bool]:
    """Return the dataclass that a hint is about, or None, and whether it is about a list of them."""
    if dataclasses.is_dataclass(hint):
        return hint, False
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin not in (tuple, list, types.UnionType, typing.Union):
        return None, False
    inner = next((found for part in parts if (found := inner_type(part)[0]) is not None), None)
    return inner, origin in (tuple, list)


def paths_of(value: Any, *free: str) -> set[str]:
    """Return the paths of all fields of a decoded object; those in `free` hold keys of others."""
    found: set[str] = set()
    for name, part in value.items():
        found.add(name)
        inner = part[0] if isinstance(part, list) and part else part
        if isinstance(inner, dict) and name not in free:
            dots = f"{name}[]" if isinstance(part, list) else name
            found |= {f"{dots}.{path}" for path in paths_of(inner)}
    return found


def written(page: str) -> set[str]:
    return set(PAGES[page].fields)


def told(*words: str) -> dict[str, Any]:
    """Run a command that prints one JSON object, and return it."""
    return dict(json.loads(invoke(*words, "--json").stdout.splitlines()[-1]))


def under(name: str, kind: Any) -> set[str]:
    return {f"{name}[].{path}" for path in paths_of_type(kind)}


def test_run() -> None:
    """The summary's fields are explained, with its books and causes."""
    assert written("run") == paths_of_type(Summary)


def test_status() -> None:
    """The fields of status.json are explained, the summary's on a page of their own; the command adds one."""
    assert written("status") == paths_of_type(Status) | {"later_run"}


def test_history() -> None:
    """The fields of a run that is over are explained, as `history --json` prints them."""
    assert written("history") == {"job", "runs"} | under("runs", PastRun)


def test_results() -> None:
    """The fields of a line of results.jsonl are explained, for a saved item and a failed one."""
    file = SavedFile("images/a.png", 1, "00", 1, 1, "https://example.com/a.png")
    outcome = Outcome("a", "failed", files=(file,), failure=Failure("gone", "no such prediction"))
    line = msgspec.to_builtins(results._line(outcome, "s3://bucket/nightly"))
    assert written("results") == paths_of(json.loads(msgspec.json.encode(line)), "input")
    assert paths_of_type(Outcome) <= written("results")


def test_rejects(tmp_path: Path) -> None:
    """The fields of a line of rejects.jsonl are explained."""
    rejects = Rejects(tmp_path)
    rejects.write(Reject(3, "a", "bad_row", "It does not fit."))
    rejects.close()
    assert written("rejects") == set(json.loads((tmp_path / REJECTS).read_text()))


def test_log(tmp_path: Path, finished: Path) -> None:
    """Every event and field that lines of a real log have is explained, and an item's events have its own."""
    log = RunLog(tmp_path / "run.log.jsonl", "r")
    log.info("something")
    log.close()
    shared = set(json.loads((tmp_path / "run.log.jsonl").read_text()))
    lines = list(map(json.loads, (finished / "job.out/run.log.jsonl").read_text().splitlines()))
    assert {line["event"] for line in lines} <= set(PAGES["log"].events)
    assert {name for line in lines for name in line} <= written("log")
    assert any(set(line) == shared | {"item", "attempt", "prediction_id"} for line in lines)


def test_log_events() -> None:
    """The events that the code logs, and their fields, are those that are explained, and no others."""
    calls = [call for path in PACKAGE.rglob("*.py") for call in logged_in(path)]
    events = {event for events, _ in calls for event in events} - SPELLED
    told_of = set(_SAID) | {pace_log.EVENT, lateness.SETTLED, runlog.STARTED, runlog.CONTINUED, *STATES}
    assert set(PAGES["log"].events) == events | told_of
    shared = {"ts", "level", "event", "run"}
    assert written("log") == shared | {name for _, names in calls for name in names}


def logged_in(path: Path) -> Iterator[tuple[set[str], set[str]]]:
    """Yield the events of each note and line of the log that a module makes, and the fields beside them."""
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, FUNCTIONS)]
    for function in functions:
        for call in ast.walk(function):
            if not isinstance(call, ast.Call) or not call.args or "simulator" in path.parts:
                continue
            is_line = ast.unparse(call.func).endswith(("log.info", "log.warning", "log.error"))
            if is_line or ast.unparse(call.func) == "Note":
                names = {one.arg for one in call.keywords if one.arg and is_line}
                yield set(texts_in(call.args[0])) or {ast.unparse(call.args[0])}, names | keys_in(function)


def texts_in(node: ast.AST) -> Iterator[str]:
    return (
        one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    )


def keys_in(function: ast.AST) -> set[str]:
    """Return what a function names its fields: what is spelled as a key and is no choice between words."""
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Dict):
            found |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            found |= set(texts_in(node.slice))
    return {name for name in found if isinstance(name, str)} - BASES


def test_check(copied: Path) -> None:
    """The fields that `check` prints are explained, the forecast's and the cost's too."""
    saved = told("check", "job.toml", "--forecast")
    (copied / "job.out").rename("away.out")
    odd = 'manifest = "odd.jsonl"\nmodel = "each-upscaler"\n[run]\non_unknown = "drop"\n'
    (copied / "odd.toml").write_text(odd + '[service]\nurl = "http://127.0.0.1:9/v1"\n')
    row = '{"id": "a", "image": "https://example.com/a.jpg", "creativity": 7, "price": 1}'
    (copied / "odd.jsonl").write_text(f'{row}\n{{"id": "b"}}\n')
    seen = paths_of(told("check", "job.toml", "--forecast")) | paths_of(saved)
    assert written("check") == seen | paths_of(told("check", "odd.toml", "--offline"))


@pytest.mark.usefixtures("copied")
def test_resolve() -> None:
    """The fields that `resolve` prints are explained, what was decided among them."""
    resolved = {name for words in resolve._DONE.values() for _, name, *_ in string.Formatter().parse(words)}
    decided = {f"resolved[].{name}" for name in {"id", "as", *filter(None, resolved)}}
    assert written("resolve") == set(told("resolve", "job.toml")) | under("items", Doubt) | decided


@pytest.mark.usefixtures("copied")
def test_audit() -> None:
    """The fields that `audit` prints are explained."""
    assert written("audit") == {"job"} | paths_of_type(Report)
    assert {path for path in written("audit") if "[" not in path} == set(told("audit", "job.toml"))


@pytest.mark.usefixtures("copied")
def test_verify() -> None:
    """The fields that `verify` prints are explained, flaws and repairs among them."""
    plain = set(told("verify", "job.toml"))
    assert written("verify") == plain | under("flaws", Flaw) | under("repairs", Repair)


@pytest.mark.usefixtures("copied")
def test_models() -> None:
    """The fields that `models` prints are explained, of the list and of one model."""
    row = dict.fromkeys(typing.get_type_hints(Model), "text")
    rows = {f"models[].{name}" for name in models_in([row])[0]}
    assert written("models") == set(told("models", "--offline")) | rows
    assert written("model") == paths_of(told("models", "each-upscaler", "--offline"))


@pytest.mark.usefixtures("copied")
def test_rerun() -> None:
    """The fields that `rerun` prints are explained."""
    assert written("rerun") == paths_of(told("rerun", "job.toml", "--dry-run"))


def test_notify() -> None:
    """The fields of what a webhook of `[notify]` gets are explained, the summary's on a page of their own."""
    assert written("notify") == set(as_json(trial("nightly", "host")))


@pytest.mark.anyio
async def test_simulator() -> None:
    """The fields of the simulator's line, of /stats and of /stats/log are explained."""
    simulator = Simulator(SimulatorSettings(speed=1000))
    given = {"model": "each-upscaler", "input": {"image": "https://example.com/a.jpg"}}
    async with simulator.listen() as address, aiohttp.ClientSession() as session:
        headers = {"X-API-Key": "k"}
        async with session.post(f"{address.url}/prediction/", json=given, headers=headers) as answer:
            assert answer.status < 300
        async with session.get(address.stats) as answer:
            stats = await answer.json()
        async with session.get(f"{address.stats}/log") as answer:
            log = await answer.json()
    assert written("simulate") == paths_of_type(Address)
    assert written("stats") == paths_of(
        stats, "by_route", "by_status", "webhooks_by_status", "extra", "by_fate"
    )
    assert written("stats-log") == paths_of(log)


def test_every_output_has_a_page() -> None:
    """Each command with --json has a page of its name or names another in its help, and so does no other."""
    for name in COMMANDS:
        command = command_of(name)
        prints = any("--json" in param.opts for param in command.params)
        if prints:
            assert name in PAGES
            assert f"`batchup fields {name}`" in (command.epilog or "")
    assert set(PAGES) - set(COMMANDS) == {"log", "model", "rejects", "stats", "stats-log"}


@pytest.mark.parametrize("page", list(PAGES))
def test_pages_are_shown(page: str) -> None:
    """`batchup fields` lists every output, and shows of each what it is and all of its fields."""
    assert f"\n{page} " in f"\n{invoke('fields').stdout}"
    text = invoke("fields", page).stdout
    assert [name for name in PAGES[page].fields if f"\n{name} " not in text] == []
    assert all(words and words[-1] not in ".;," for words in PAGES[page].fields.values())
