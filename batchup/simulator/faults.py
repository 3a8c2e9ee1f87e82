"""What can go wrong on purpose: the switches' names, and the seeded draws that decide when.

A fault never breaks the books: what was accepted is logged as accepted, whatever the client gets to see.
"""

import difflib
import random
from collections.abc import Mapping
from types import MappingProxyType

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "create_lost": "the create is accepted, and the connection drops",
        "create_5xx_after": "the create is accepted, and 500 is answered",
        "create_cut": "the create is accepted, and its answer breaks off",
        "create_no_id": "the create is accepted, and the answer names no prediction",
        "create_reset": "the connection drops before the create is accepted",
        "create_5xx": "500 to a create that is not accepted",
        "poll_5xx": "500 to a poll",
        "poll_reset": "the connection drops on a poll",
        "poll_cut_json": "a poll's JSON ends in the middle, its length is right",
        "poll_cut_body": "a poll's answer is shorter than its Content-Length says",
        "poll_404": "404 to a poll of a prediction that exists",
        "unknown_status": "a poll of a running prediction has a status nobody knows",
        "rate_429": "429 as a rate, with Retry-After, to any request",
        "rate_429_bare": "429 as a rate, without Retry-After, to any request",
        "slow": "any answer comes late, by 20 s of service time (slow_s)",
        "list_5xx": "500 to a list of executions",
        "list_reset": "the connection drops on a list of executions",
        "cancel_5xx": "500 to a cancel, which has happened",
        "model_404": "404 to who asks for a model",
        "model_unpriced": "a model is described without a price",
        "balance_404": "404 to who asks for the balance",
        "balance_5xx": "500 to who asks for the balance",
        "balance_hang": "the balance is told after ten minutes of service time",
        "presign_5xx": "500 to a presign",
        "put_5xx": "500 to an upload's PUT",
        "put_403": "403 to an upload's PUT, as after its expiry",
        "failed_prediction": "the prediction fails with an error that may be tried again",
        "failed_permanent": "the prediction is refused for its content, for good",
        "dead_output": "the prediction's output answers 404, for good",
        "output_5xx": "500 to a download of an output",
        "output_reset": "the connection drops on a download",
        "short_output": "a download has fewer bytes than its Content-Length says",
        "truncated_output": "a download is as long as it says, its image is cut off",
        "webhook_late": "a callback comes 20 s of service time late",
        "webhook_twice": "a callback comes twice",
        "webhook_forged": "a forged callback, of another prediction, before the end",
        "webhook_lost": "no callback comes",
    }
)
"""Each switch's name and, in a line, what it does; its share is from 0 (never) to 1 (always)."""


def check_faults(faults: Mapping[str, float]) -> None:
    """Raise ValueError with one sentence for an unknown switch or a share outside 0 to 1."""
    for name, share in faults.items():
        if name not in FAULTS:
            near = difflib.get_close_matches(name, FAULTS, n=1)
            hint = f', did you mean "{near[0]}"?' if near else f"; there are {', '.join(FAULTS)}"
            raise ValueError(f'"{name}" is no fault{hint}')
        if not 0 <= share <= 1:
            raise ValueError(f'the share of fault "{name}" is {share:g}: it must lie between 0 and 1')


class FaultDice:
    """Throws for faults: the same seed, name and number fall the same way, before and after a restart."""

    def __init__(self, seed: int, faults: Mapping[str, float]) -> None:
        self._seed = seed
        self._shares = {name: share for name, share in faults.items() if share > 0}

    def hits(self, name: str, number: int) -> bool:
        """Tell whether fault `name` strikes the `number`th request or prediction."""
        share = self._shares.get(name, 0)
        return share > 0 and self.rng(name, number).random() < share

    def rng(self, purpose: str, number: int) -> random.Random:
        """Return the generator of this purpose for this number."""
        return random.Random(f"{self._seed}:{purpose}:{number}")  # noqa: S311 - repeatable, not secret
