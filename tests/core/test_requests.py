"""What requests ask for, in one word each."""

import pytest

from batchup.core.requests import (
    AskBalance,
    AskModel,
    Create,
    Inspect,
    ListPage,
    Poll,
    Presign,
    Request,
    Survey,
    asked_for,
)


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (Create("a", 1, {}), "create"),
        (Poll("a", "p1"), "poll"),
        (Inspect("p1"), "inspect"),
        (Presign("0", "image/png"), "presign"),
        (ListPage(0, 0.0, 1.0), "list"),
        (Survey(0.0, 1.0), "list"),
        (AskModel("m"), "account"),
        (AskBalance(), "account"),
    ],
)
def test_a_request_is_called_by_what_it_asks_for(request_: Request, word: str) -> None:
    """A look at a prediction that may be ours is no poll, and a question about the account no list."""
    assert asked_for(request_) == word
