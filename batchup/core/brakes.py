"""Why nothing, or no create, is sent for a while: pauses, a shrunken cap, missing credit, a breaker.

None of these uses up an attempt, and each of them ends by itself, so that the run returns to full speed.
"""

from dataclasses import dataclass, field
from math import inf
from random import Random

from batchup.core.requests import Problem
from batchup.core.retry import backoff_s
from batchup.core.verdicts import Verdict

CAP_SILENCE_S = 90.0  # without creates after the service named its cap; shorter keeps its gate shut
GROWTH_COUNT = 10  # accepted creates after which a shrunken cap grows by one; a small one after fewer
BREAKER_COUNT = 3  # creates in a row whose answer is unknown
SILENT_S = 10.0  # nothing but failures for this long is worth a word
PATIENCE_S = 1800.0  # nothing but failures for this long ends the run
OUTAGE_S = 60.0  # nothing but failures for this long before a deadline is no end of its own
UPLOADS_GAP_S = 300.0  # two failed uploads further apart are no row of failures
SENSELESS_COUNT = 10  # answers in a row
_SIGNS_OF_LIFE = (Verdict.PERMANENT, Verdict.GONE, Verdict.NO_CREDIT)  # not a good answer, but a clear one


_NOT_ACCEPTED = frozenset({Verdict.IN_DOUBT, Verdict.NOTHING_CREATED})
"""What only a create can be told: it was sent, and there is no prediction to show for it."""


@dataclass(slots=True)
class Brakes:
    """What holds requests back. Instants are of the run's clock."""

    concurrency: int
    cap: int = 0  # predictions in flight the service lets us have; at most `concurrency`
    resume_at: float = 0.0
    creates_resume_at: float = 0.0
    is_waiting_for_settle: bool = False
    is_out_of_credit: bool = False
    is_probing: bool = False  # refused for room or credit: one create at a time until one is accepted
    doubt_count: int = 0  # creates in a row without an answer
    failure_count: int = 0  # refused or unsent requests in a row
    senseless_count: int = 0
    accepted_count: int = 0  # since the cap shrank
    failing_since: float | None = None  # nothing has worked since then
    failed_at: float = 0.0  # the last time that something did not
    has_worked: bool = False  # something has, in this run
    silence_told: float | None = None  # since when nothing works, as the log was told
    creates_failing_since: float | None = None  # creates were tried since then, and none was accepted
    uploads_failing_since: float | None = None  # files are sent since then: none arrived, no create did
    upload_failed_at: float = 0.0
    failed_contents: set[str] = field(default_factory=set)  # hashes of what has failed since then
    has_got_through: bool = False  # a file has arrived, or a create was accepted, in this run
    reason: str | None = None
    last_words: str | None = None  # of the last bad answer, while nothing works

    def __post_init__(self) -> None:
        self.cap = self.concurrency

    def creates_from(self, now: float) -> float:
        """Return the instant from which a create may be sent; inf while only an event can allow it."""
        if self.is_out_of_credit or self.doubt_count >= BREAKER_COUNT:
            return inf
        return max(now, self.resume_at, self.creates_resume_at)

    def why(self, now: float) -> str | None:
        """Say in words why nothing is being created now, or why nothing has worked for a while, if so."""
        if self.creates_from(now) > now:
            return self.reason
        return f"nothing has worked lately: {self.last_words}" if self.failing_s() >= SILENT_S else None

    def failing_s(self) -> float:
        """Return how far apart the first and the last failure are since something worked; 0 without any."""
        return 0.0 if self.failing_since is None else self.failed_at - self.failing_since

    def worked(self) -> None:
        """The service gave a good answer: an open breaker closes."""
        self.failing_since, self.last_words, self.has_worked = None, None, True
        self.failure_count = self.senseless_count = 0
        if self.doubt_count >= BREAKER_COUNT:
            self.doubt_count = 0

    def accepted(self) -> None:
        """A create was accepted: a shrunken cap grows back, one by one."""
        self.doubt_count = 0
        self.creates_failing_since = None
        self.uploaded()
        self.is_waiting_for_settle = self.is_probing = False
        if self.cap < self.concurrency:
            self.accepted_count += 1
            if self.accepted_count >= min(GROWTH_COUNT, self.cap + 1):  # all that run, and one more
                self.cap, self.accepted_count = self.cap + 1, 0

    def uploaded(self) -> None:
        """The bytes of a local file are at the service; an accepted create is as good a sign."""
        self.uploads_failing_since, self.has_got_through = None, True
        self.failed_contents.clear()

    def upload_failed(self, sha256: str, now: float) -> bool:
        """They are not; tell whether that has gone on for so long that the store must be down.

        One content that fails alone, where others got through, is given up after its tries.
        """
        if now - self.upload_failed_at > UPLOADS_GAP_S:
            self.uploads_failing_since = None  # nothing was tried in between
            self.failed_contents.clear()
        self.upload_failed_at = now
        self.uploads_failing_since = _earlier(self.uploads_failing_since, now)
        self.failed_contents.add(sha256)
        is_one_alone = self.has_got_through and len(self.failed_contents) == 1
        return now - self.uploads_failing_since >= PATIENCE_S and not is_one_alone

    def allow(self, concurrency: int) -> None:
        """Another number of predictions in flight is allowed; a cap the service named stays."""
        is_shrunken = self.cap < self.concurrency
        self.concurrency = concurrency
        self.cap = min(self.cap, concurrency) if is_shrunken else concurrency

    def hold_creates(self, until: float) -> None:
        """Send no create before this instant, for the reason that was given last."""
        self.creates_resume_at = max(self.creates_resume_at, until)

    def settled(self) -> None:
        """A prediction settled: what waits for room or for credit may try once more."""
        self.is_out_of_credit = False
        if self.is_waiting_for_settle:
            self.is_waiting_for_settle, self.creates_resume_at = False, 0.0

    def failed(self, problem: Problem, now: float, rng: Random, *, speed: float = 1.0) -> None:
        """Take in a bad answer that concerns everybody; a wait it names is in real seconds."""
        if problem.verdict in _SIGNS_OF_LIFE:
            self.worked()
            self.creates_failing_since = None
        else:
            self.failing_since, self.failed_at = _earlier(self.failing_since, now), now
            self.last_words = problem.failure.message
        if problem.verdict in _NOT_ACCEPTED:
            self.creates_failing_since = _earlier(self.creates_failing_since, now)
        self.failure_count += 1
        self.senseless_count = self.senseless_count + 1 if problem.is_senseless else 0
        match problem.verdict:
            case Verdict.IN_DOUBT:
                self.doubt_count += 1
                self.reason = "creates go unanswered"
            case Verdict.NOTHING_CREATED:
                self.creates_resume_at = now + backoff_s(self.failure_count, rng)
                self.reason = f"the service cannot be reached: {problem.failure.message}"
            case Verdict.NO_CREDIT:
                self.is_out_of_credit = self.is_probing = True
                self.reason = f"no credit: {problem.failure.message}"
            case Verdict.THROTTLED if problem.cap is not None:
                self._shrink(problem.cap, now)
                self.reason = f"the service's cap: {problem.failure.message}"
            case Verdict.THROTTLED:
                if problem.retry_after_s is None:
                    wait = backoff_s(self.failure_count, rng, first_s=10.0)
                else:
                    wait = problem.retry_after_s * speed
                self.resume_at = max(self.resume_at, now + wait)
                self.reason = f"asked to wait: {problem.failure.message}"
            case _:
                pass

    def is_hopeless(self, now: float) -> bool:
        """Tell whether nothing has worked for so long that waiting on is pointless."""
        return any(
            since is not None and now - since >= PATIENCE_S
            for since in (self.failing_since, self.creates_failing_since)
        )

    def is_everybodys(self) -> bool:
        """Tell whether the last failure followed another, and nothing worked in between: it is no item's."""
        return self.failing_s() > 0

    def is_out(self) -> bool:
        """Tell whether the service is away: what a deadline ends then has not come to an end of its own.

        With less than PATIENCE_S left an outage would else last until the deadline, and nobody be told of it.
        What counts is how far apart failures came: one alone, and nothing asked after it, is no outage. But a
        run in which nothing has ever worked needs no more than that one.
        """
        has_never_worked = self.failing_since is not None and not self.has_worked
        return has_never_worked or self.failing_s() >= OUTAGE_S

    def is_nonsense(self) -> bool:
        """Tell whether the service's answers have long stopped making sense."""
        return self.senseless_count >= SENSELESS_COUNT

    def _shrink(self, named: int, now: float) -> None:
        self.cap = min(self.cap, named)
        self.accepted_count = 0
        self.is_waiting_for_settle = self.is_probing = True
        self.creates_resume_at = now + CAP_SILENCE_S


def _earlier(since: float | None, now: float) -> float:
    return now if since is None else since
