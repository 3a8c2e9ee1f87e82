"""What a run is called."""

import secrets
from datetime import UTC, datetime


def new_run_id() -> str:
    """Return an id for a run that begins now: its second, and what tells it from others of that second."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
