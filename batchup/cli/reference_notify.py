"""The fields of the object that the webhook of `[notify]` gets."""

from collections.abc import Mapping
from typing import Final

NOTIFY: Final[Mapping[str, str]] = {
    "text": "the whole message as plain text, where Slack and the like look for it",
    "title": "its first line: the job, and how the run ended",
    "kind": "finished (as it was meant to, or told to stop here), failed (not all went well, and the next run"
    " does what can be done) or person (nothing goes on before a person has done something)",
    "job": "the job's name",
    "run": "the run's id, as in run.log.jsonl; empty for a trial",
    "host": "the machine that it ran on",
    "happened": "what happened, in lines for a person",
    "left": "what is left, in such lines",
    "to_do": "what to do, in such lines",
    "summary": "the object of `batchup fields run`, null for a trial",
}
