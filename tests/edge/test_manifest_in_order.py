"""Names in their order: the same order, however many there are, and memory that does not grow with them."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from batchup.edge.manifest.in_order import MOST_HELD, in_order
from batchup.edge.manifest.links import matching


def drawn(count: int) -> Iterator[tuple[str, bool]]:
    """Yield names as a listing does: in no order, some not UTF-8, each with whether it is a folder's."""
    random = Random(7)
    for k in range(count):
        sign = random.choice(["a", "Z", "é", "\udcff", "\ue000", "😀", "ÿ"])
        yield f"{random.random()}{sign}{k}", k % 3 == 0


@pytest.mark.parametrize("count", [0, 5, MOST_HELD - 1, MOST_HELD, MOST_HELD + 5])
def test_the_order_is_the_same_on_disk(count: int) -> None:
    """Names are sorted by their characters, each comes once, and each keeps what it is of."""
    twice = [*drawn(count), *drawn(min(count, 3))]
    assert list(in_order(twice)) == sorted(drawn(count))


def test_memory_does_not_grow_with_the_names() -> None:
    """A folder of many more names than are held takes no more memory than those do."""
    count = 5 * MOST_HELD // 2
    tracemalloc.start()
    try:
        found = sum(1 for _ in in_order((f"{k:09}.jpg", False) for k in range(count)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == count
    assert peak < 200 * MOST_HELD


def test_a_listing_is_not_held_for_a_pattern(tmp_path: Path) -> None:
    """What a folder has is matched as it is listed."""
    for k in range(2000):
        (tmp_path / f"{k:09}.jpg").touch()
    tracemalloc.start()
    try:
        found = sum(1 for _ in matching(tmp_path, "*.jpg"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == 2000
    assert peak < 100_000


def test_what_listing_meets_is_raised_before_the_first_name(tmp_path: Path) -> None:
    """A folder whose listing breaks off gives no names, in memory or on disk."""

    def broken(count: int) -> Iterator[tuple[str, bool]]:
        yield from drawn(count)
        raise OSError(5, "Input/output error", str(tmp_path))

    for count in (3, MOST_HELD + 3):
        with pytest.raises(OSError, match="Input/output"):
            in_order(broken(count))
