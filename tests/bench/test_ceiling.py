"""The measure of the engine's own ceiling: both clients do the same, and a profile is told by area."""

import cProfile
from pathlib import Path

from bench.ceiling import areas, table
from bench.ceiling.scene import Load


def test_both_clients_do_the_same() -> None:
    """Every item is bought once and fetched by either, with as many requests; how fast is not asked."""
    load = Load(items=40, in_flight=20, open_creates=8, duration_s=0.3)
    result = table.measure(load, has_profile=False)
    assert abs(result.ours.requests_each - result.bare.requests_each) < 0.5
    assert min(result.share, result.loop_ms, result.ours.service_ms, result.bare.cpu_ms) > 0
    text = table.as_text(load, result)
    assert f"batchup reaches {result.share:.2f} of the bare loop" in text


def test_a_profile_is_told_by_area(tmp_path: Path) -> None:
    """What is built in counts for who called it, waiting counts for nobody, and each file has one area."""
    profiler, path = cProfile.Profile(), tmp_path / "profile"
    profiler.enable()
    sorted(str(k) for k in range(1000))
    profiler.disable()
    profiler.dump_stats(path)
    assert sum(areas.by_area(path).values()) > 0
    assert areas.dearest(path, 3)
    for file, area in (
        ("/x/batchup/core/choice.py", "deciding"),
        ("/x/batchup/core/reactions/polls.py", "reacting"),
        ("/x/batchup/edge/pool.py", "the loop of requests"),
        ("/x/aiohttp/client.py", "aiohttp"),
        ("/x/json/decoder.py", areas.OTHER),
    ):
        assert areas.area_of((file, 1, "f")) == area
