"""What a store says of its objects."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Meta:
    """An object as a store describes it: its size in bytes, and an etag that changes with its content."""

    key: str
    size: int
    etag: str | None
    modified_at: datetime | None
