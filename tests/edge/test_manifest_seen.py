"""Which ids a manifest has given already."""

import threading

import pytest

from batchup.edge.feeding.seen import Conflict, Duplicate, Seen
from batchup.errors import DiskProblem

A, B = "aa" * 32, "bb" * 32


def test_the_same_id_is_a_duplicate_or_a_conflict() -> None:
    """An id with the same request is a duplicate, with another a conflict, both naming the first line."""
    with Seen() as seen:
        assert seen.check("x", A, 3) is None
        assert seen.check("y", A, 4) is None
        assert seen.check("x", A, 5) == Duplicate(3)
        assert seen.check("x", B, 6) == Conflict(3)
        assert seen.check("x", B, 7) == Conflict(3)
        assert seen.check("y", A, 8) == Duplicate(4)


def test_ids_are_told_apart_exactly() -> None:
    """Case, spaces and accents make another id."""
    with Seen() as seen:
        assert [seen.check(name, A, 1) for name in ("a", "A", "a ", "á", "a\u0301", "", "1", "01")] == [
            None
        ] * 8


def test_another_thread_may_go_on() -> None:
    """The thread that reads the manifest need not be the one that opened the memory."""
    found: list[object] = []
    with Seen() as seen:
        seen.check("x", A, 1)
        thread = threading.Thread(target=lambda: found.append(seen.check("x", A, 2)))
        thread.start()
        thread.join()
    assert found == [Duplicate(1)]


def test_many_ids_are_remembered() -> None:
    """More ids than are held in memory at once are all remembered."""
    with Seen() as seen:
        for number in range(60_000):
            assert seen.check(f"{'x' * 200}{number}", A, number) is None
        assert seen.check(f"{'x' * 200}7", A, 0) == Duplicate(7)


def test_a_full_disk_is_a_problem_of_the_disk() -> None:
    """Where the ids can no longer be kept the run ends, rather than to take a twin for new."""
    with Seen() as seen:
        seen._store.execute("PRAGMA max_page_count = 4")
        with pytest.raises(DiskProblem, match="full"):
            _fill(seen)


def _fill(seen: Seen) -> None:
    for number in range(25_000):
        seen.check(f"{'x' * 200}{number}", A, number)


def test_no_id_is_forgotten_while_the_table_grows() -> None:
    """An id is known from the row on that gave it first, whichever row makes the table grow."""
    with Seen() as seen:
        for line in range(1, 6000):  # it grows twice
            assert seen.check(f"id{line}", A, line) is None
            assert seen.check(f"id{line}", A, line) == Duplicate(line)
