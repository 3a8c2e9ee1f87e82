"""What listeners are told: the newest of everything, nothing twice, and never more than fits."""

import json
from typing import Any

import anyio
import pytest

from batchup.edge.live.hub import MOST_ROWS, ROWS_AT_ONCE, Hub, Listener
from batchup.report.document import Row

pytestmark = pytest.mark.anyio


def row(number: int, state: str = "saved") -> Row:
    return Row(id=f"i{number}", state=state)


def told(hub: Hub, listener: Listener) -> dict[str, Any]:
    """Return what is new to a listener, by event; `id` is the number that it was told."""
    found: dict[str, Any] = {}
    for block in hub.news(listener).decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        found[lines["event"]] = json.loads(lines["data"])
        found |= {"id": int(lines["id"])} if "id" in lines else {}
    return found


async def test_a_listener_is_told_what_is_new_and_once() -> None:
    """The newest of each event comes, what was overtaken does not, and then nothing until there is more."""
    hub, listener = Hub(), Listener()
    hub.put("status", {"n": 1})
    hub.put("status", {"n": 2})
    hub.put_row(row(1, "in_doubt"))
    hub.put_row(row(2))
    hub.put_row(row(1))
    got = told(hub, listener)
    assert got["status"] == {"n": 2}
    assert got["rows"] == [{"id": "i2", "state": "saved"}, {"id": "i1", "state": "saved"}]
    assert hub.news(listener) == b""
    hub.put("status", {"n": 2})
    assert hub.news(listener) == b""
    hub.put_row(row(3))
    assert told(hub, listener)["rows"] == [{"id": "i3", "state": "saved"}]


async def test_whoever_comes_again_is_told_what_it_missed() -> None:
    """By the number of its last event a listener gets the rows since then, and all else as it is."""
    hub, listener = Hub(), Listener()
    hub.put("plots", 1)
    hub.put_row(row(1))
    last = told(hub, listener)["id"]
    hub.put_row(row(2))
    again = told(hub, hub.listener(str(last), now=0.0))
    assert (again["plots"], [each["id"] for each in again["rows"]]) == (1, ["i2"])
    assert len(told(hub, hub.listener("²", now=0.0))["rows"]) == 2


async def test_a_new_listener_is_told_what_its_page_does_not_have() -> None:
    """Between a page and its first event nothing is lost, and what is on the page is not sent again."""
    hub = Hub()
    hub.put_row(row(1))
    hub.page_made(now=1000.0)
    hub.put_row(row(2))
    hub.page_made(now=1001.0)
    hub.put_row(row(3))
    assert [each["id"] for each in told(hub, hub.listener(None, now=1002.0))["rows"]] == ["i2", "i3"]
    assert len(told(hub, hub.listener(None, now=9000.0))["rows"]) == 3


async def test_many_rows_come_in_parts() -> None:
    """A listener that was away long gets the oldest first, under a number from which it could go on."""
    hub, listener = Hub(), Listener()
    for number in range(2 * ROWS_AT_ONCE + 1):
        hub.put_row(row(number))
    parts = []
    for _ in range(3):
        with anyio.fail_after(5):
            await hub.wait(listener)  # there is more, so it does not wait
        parts.append(told(hub, listener))
    assert [len(part["rows"]) for part in parts] == [ROWS_AT_ONCE, ROWS_AT_ONCE, 1]
    assert [part["rows"][0]["id"] for part in parts] == ["i0", "i1000", "i2000"]
    assert hub.news(listener) == b""
    rest = told(hub, hub.listener(str(parts[0]["id"]), now=0.0))
    assert rest["rows"][0]["id"] == "i1000"


async def test_memory_is_bounded() -> None:
    """Of more rows than a page holds the oldest are forgotten."""
    hub, listener = Hub(), Listener()
    for number in range(MOST_ROWS + 5):
        hub.put_row(row(number))
    assert told(hub, listener)["rows"][0]["id"] == "i5"
    assert len(hub._rows) == MOST_ROWS


async def test_nothing_is_missed_between_telling_and_waiting() -> None:
    """What comes while a listener is being told wakes it at once; without news it waits for the end."""
    hub, listener = Hub(), Listener()
    hub.put("status", 1)
    hub.news(listener)
    hub.put("status", 2)
    with anyio.fail_after(5):
        await hub.wait(listener)
    hub.news(listener)
    with anyio.move_on_after(0.05) as waited:
        await hub.wait(listener)
    assert waited.cancelled_caught
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hub.wait, listener)
        await anyio.wait_all_tasks_blocked()
        hub.end()
    assert hub.is_over
    await hub.wait_for_end()
