"""The fields of what `history --json` prints, and of a line of history.jsonl."""

from collections.abc import Mapping
from typing import Final

_RUN: Final[Mapping[str, str]] = {
    "run": "the run's id, as in run.log.jsonl",
    "began_at": "when it began, in Unix seconds",
    "ended_at": "when it ended or was last heard of, in Unix seconds; null while it goes on",
    "reason": "why it ended, as `batchup fields run` has it; cut_off if it was killed, running while it goes"
    " on; of these two the figures are as of status.json, without requests",
    "exit_code": "what it ended with; null without an end",
    "items": "items of the job after this run, and so are the next ones, as `batchup fields run` has them",
    "saved": "items whose outputs are in images/",
    "failed": "items that failed for good",
    "held": "items that wait for a person",
    "in_doubt": "items of which nobody knows yet whether they were bought",
    "outstanding": "items that are still to be done",
    "rejected": "rows of the manifest that could not be sent",
    "manifest_complete": "whether the manifest was read to its end",
    "saved_here": "items that this run saved",
    "failures": "items that failed or were held in this run, or are paid and were not fetched: how many, by"
    " cause",
    "creates": "creates of this run that were accepted",
    "polls": "polls of this run",
    "requests": "requests of every kind that this run sent to the service",
    "throttled": "answers 429 among theirs",
    "worst_window": "the most requests in any period of the rate",
    "rate_count": "requests that were allowed in a period when it began; null for any number",
    "rate_period_s": "that period, in seconds",
    "spend_usd": "what this run's predictions cost, in USD",
    "job_spend_usd": "what the job's predictions had cost by its end, in USD",
    "wall_s": "how long it took, in seconds",
    "per_minute": "items that it saved a minute, of the service's time; null of a run that was killed once it"
    " is known to have saved more than its last status says",
    "optimum_share": "its creates a minute, as a share of the most that polls of single predictions allow;"
    " null of a run too short to tell",
    "began_with": "what the job had by its checkpoint when the run began to work; null if it never did",
    "began_with.saved": "items saved by then",
    "began_with.spend_usd": "what the job's predictions had cost by then, in USD",
    "began_with.failed": "items that had failed by then",
}
HISTORY: Final[Mapping[str, str]] = {
    "job": "the job's name",
    "runs": "its runs, the oldest first; each is a line of history.jsonl in the output folder too",
    **{f"runs[].{name}": words for name, words in _RUN.items()},
}
