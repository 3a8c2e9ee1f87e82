"""The model's description in a run: the first item that is to be bought waits for it, and not for long."""

from collections.abc import Callable
from dataclasses import dataclass

import anyio
import anyio.to_thread

from batchup.core.messages import CardWanted, Note
from batchup.edge.client import HURRIED_SHARE
from batchup.edge.models.account import known_card
from batchup.edge.models.fitting import Fitting
from batchup.edge.pool import Pool
from batchup.job import Job

_LOOK_S = 0.01


@dataclass(slots=True)
class Describing:
    """What the items of one run are held against: the newest description there is.

    Without an answer of the service it is the one that is known without asking.
    """

    job: Job
    pool: Pool
    _fitting: Fitting | None = None
    _known: Fitting | None = None
    _is_asked: bool = False

    def known(self) -> Fitting:
        """Return what is known without asking: what items of earlier runs were held against."""
        if self._known is None:
            self._known = Fitting(self.job, known_card(self.job))
        return self._known

    async def newest(self) -> Fitting:
        """Return what an item to be bought is held against; ConfigProblem for a bad `[input]`."""
        asked = self.pool.batch.board.look_ups
        if self.job.simulator is None and not self._is_asked:
            self._is_asked = True
            await self._until_told(lambda: not asked.is_card_expected)
        is_told = self.job.simulator is None and asked.card is not None
        card = asked.card if is_told else self.known().card
        if self._fitting is None or self._fitting.card is not card:
            self._fitting = Fitting(self.job, card)
            await anyio.to_thread.run_sync(self._fitting.refuse_bad_job)
            if not self._fitting.is_known:
                self.pool.observer.note(Note("not_validated", "warning", {"model": self.job.model}))
        return self._fitting

    async def _until_told(self, is_told: Callable[[], bool]) -> None:
        """Have the service asked, and wait as long as a look-up may take, unless the run ends."""
        if is_told():
            return
        self.pool.feed(CardWanted())
        board, clock = self.pool.batch.board, self.pool.tools.clock
        until = clock.monotonic() + HURRIED_SHARE * clock.real_s(board.policy.request_timeout_s)
        while not is_told() and board.stop is None and clock.monotonic() < until:  # noqa: ASYNC110 - the core wakes nobody
            await anyio.sleep(_LOOK_S)
