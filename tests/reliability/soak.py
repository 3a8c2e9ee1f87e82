"""Many nights in virtual time: the whole program, restarted each night, over a service that forgets early."""

import base64
import gc
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from PIL import Image
from reliability.whole import AtStep, Outcome, Plan, Scene, nobody

from batchup.simulator import arrival_log, book

NIGHTS = 16
QUARTERS = 4
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Mark:
    """How things stand at the end of a night: items saved, virtual seconds, processor seconds, bytes held."""

    saved: int
    at_s: float
    cpu_s: float
    bytes: int


class Soak(Scene):
    """A job of many items, so many each night, each of them within its row."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        super().__init__(plan, folder, state=folder.with_name("service"))
        self.marks: list[Mark] = []
        # The service is in this process too: what it holds must not pass for what the program holds.
        vars(arrival_log)["_KEPT"] = 1000
        vars(book)["_AT_HAND"] = 100

    def write_manifest(self) -> None:
        """Write rows that hold their images, each another."""
        with (self.folder / "items.jsonl").open("w") as file:
            for k in range(self.plan.item_count):
                file.write(json.dumps({"id": f"item{k}", "image": _picture(k)}) + "\n")

    async def run_all(self, at_step: AtStep, follow: object) -> Outcome:
        """Run one night after another, then the runs that bring in what is left."""
        a_night = -(-self.plan.item_count // NIGHTS)
        self._mark()
        for _ in range(NIGHTS):
            outcome = await self.run(at_step, limit=a_night)
            self._mark()
        return outcome if self._is_done(outcome) else await super().run_all(nobody, None)

    def _mark(self) -> None:
        gc.collect()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
        used = os.times()
        saved = self.service.book.statuses(self.service.clock.now()).get("success", 0)
        self.marks.append(Mark(saved, self.loop.time(), used.user + used.system, resident))

    def speeds(self) -> list[float]:
        """Return each night's items a virtual minute."""
        return [60 * (b.saved - a.saved) / (b.at_s - a.at_s) for a, b in pairwise(self.marks)]

    def costs_ms(self) -> list[float]:
        """Return each night's processor milliseconds an item."""
        return [1000 * (b.cpu_s - a.cpu_s) / (b.saved - a.saved) for a, b in pairwise(self.marks)]


def quarters(nights: Sequence[float]) -> list[float]:
    """Return the median night of each quarter: one bad night is bad luck, four are a drift."""
    length = NIGHTS // QUARTERS
    return [median(nights[k : k + length]) for k in range(0, NIGHTS, length)]


def _picture(number: int) -> str:
    data = io.BytesIO()
    Image.new("RGB", (4, 4), (number % 256, number // 256 % 256, number // 65536)).save(data, "PNG")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
