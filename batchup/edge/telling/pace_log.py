"""The pace of a run in its log: a line every ten seconds of the run's clock, and one when it ends."""

from typing import Final

import anyio

from batchup.edge.pool import Pool
from batchup.edge.telling.reporter import Reporter

EVENT: Final = "pace"
EVERY_S: Final = 10.0  # of the run's clock


async def keep_pace_log(pool: Pool, reporter: Reporter) -> None:
    """Log the pace until cancelled, and once more then."""
    clock = pool.tools.clock
    sent_before = 0
    try:
        while True:
            sent_before = log_pace(pool, reporter, sent_before)
            await anyio.sleep(clock.real_s(EVERY_S - clock.now() % EVERY_S))
    finally:
        log_pace(pool, reporter, sent_before)


def log_pace(pool: Pool, reporter: Reporter, sent_before: int) -> int:
    """Log how things stand, and return how many requests the run has sent; `sent_before` were so by then.

    `window` counts what was sent in the period of the rate (a minute where there is none) up to now.
    """
    board, rate, clock = pool.batch.board, reporter.rate, pool.tools.clock
    period_s = 60.0 if rate is None else rate.period_s
    sent = board.tally.requests
    reporter.log.info(
        EVENT,
        t_s=round(clock.now(), 3),
        requests=sent - sent_before,
        window=pool.tools.gate.sent_lately(clock.monotonic(), clock.real_s(period_s)),
        period_s=period_s,
        rate=None if rate is None else rate.count,
        slots=board.running_count,
        concurrency=board.policy.concurrency,
    )
    return sent
