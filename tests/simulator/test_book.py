import time
from pathlib import Path

import pytest
from simulator.bench import bench

from batchup.simulator import book as books
from batchup.simulator.arrival_log import ArrivalLog
from batchup.simulator.book import Book
from batchup.simulator.clock import Clock
from batchup.simulator.prediction import Prediction
from batchup.simulator.store import Store

pytestmark = pytest.mark.anyio


def accept(book: Book, number: int = 0) -> Prediction:
    data = {"image": f"https://example.com/{number}.jpg"}
    return book.accept(model="each-upscaler", data=data, content=str(number), duration_s=50, cost=0.01)


async def test_what_is_no_longer_at_hand_is_read_again() -> None:
    """The books hold more than memory does: the oldest prediction is found as it was entered."""
    store = Store(None)
    book = Book(Clock(1), store)
    first = accept(book)
    for number in range(books._AT_HAND + 5):
        accept(book, number)
    assert len(book._at_hand) == books._AT_HAND
    assert first.id not in book._at_hand
    assert book.get(first.id) == first
    store.close()


async def test_a_fate_once_told_stays() -> None:
    """Neither a late look at the image nor a second cancel changes what has ended."""
    store = Store(None)
    book = Book(Clock(1), store)
    stopped = book.cancel(accept(book))
    assert (stopped.fate, stopped.is_checked) == ("cancelled", True)
    assert book.checked(stopped, None, {"error": "too late"}) == stopped
    assert book.cancel(stopped) == stopped
    failed = book.checked(accept(book), None, {"error": "none"})
    assert book.checked(failed, "drawn", None).fate == "error"
    store.close()


async def test_the_log_keeps_the_newest(tmp_path: Path) -> None:
    """Arrivals far behind the newest leave the log, in memory and on disk."""
    store = Store(tmp_path)
    log = ArrivalLog(store)
    for number in (1000, 201_000):
        log.add(number, float(number), "GET /v1/models")
    log.answered(1000, 200)
    log.answered(201_000, 200)
    for found in (log, ArrivalLog(store)):
        assert [(entry.number, entry.status) for entry in found] == [(201_000, 200)]
    store.close()


async def test_a_long_past_costs_a_list_nothing() -> None:
    """With thousands of predictions in the books, a page of the newest still takes milliseconds."""
    async with bench(durations="fixed:1s") as b:
        book = b.simulator._open.book
        for number in range(20_000):
            accept(book, number)
        before = time.process_time()
        for _ in range(10):
            page = (await b.get("/executions", limit="100"))[1]
        assert (len(page["executions"]), page["total_capped"]) == (100, True)
        assert time.process_time() - before < 1
