"""Why a run ended, in a few words for a person: on the terminal, and elsewhere."""

from typing import Final

REASONS: Final = {
    "finished": "finished",
    "nothing_to_do": "nothing to do",
    "signal": "stopped by a signal",
    "stopped": "stopped by its button",
    "deadline": "stopped, as its time was up",
    "item_limit": "stopped after as many items as it was allowed",
    "spend_limit": "max_spend is reached",
    "usage": "the command cannot be understood",
    "config": "a setting is wrong or missing",
    "data": "the manifest or the checkpoint cannot be used",
    "key_refused": "the service refused the key",
    "no_credit": "the account is out of credit",
    "unavailable": "the service is unavailable",
    "manifest_late": "the manifest did not come in time",
    "protocol": "the service's answers make no sense",
    "disk": "the disk does not take what is written",
    "bug": "a bug in batchup",
}
"""By the summary's `reason`."""


def reason_in_words(reason: str) -> str:
    """Say why a run ended; a reason that is not known here by its own name."""
    return REASONS.get(reason, reason.replace("_", " "))
