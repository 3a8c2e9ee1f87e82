"""What waits to be written down, in one synced transaction, and what may be done only then.

With one create open at a time everything is written at once. With more, what happens within a moment is
written together: a disk that syncs a few hundred times a second carries thousands of changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from batchup.core.messages import (
    Command,
    Download,
    End,
    Keep,
    KeepSightings,
    KeepUpload,
    Note,
    Put,
    RereadKey,
    SignAddress,
    Tell,
)
from batchup.core.requests import Create, Poll, Request

GROUP_S: Final = 0.03  # real seconds for which changes are gathered

Change: TypeAlias = Keep | KeepUpload | KeepSightings
Effect: TypeAlias = Put | SignAddress | Download | Tell | Note | RereadKey | End | Callable[[], None]


@dataclass(slots=True)
class Pending:
    """Changes in their order, and behind them the commands and requests that depend on them."""

    changes: list[Change] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    bought: list[Note] = field(default_factory=list)  # what to say of each id, should it not be written
    _items: set[str] = field(default_factory=set)  # whose state is not on disk yet

    def add(self, commands: Sequence[Command], bought: Note | None) -> None:
        """Take in what follows from an event."""
        for command in commands:
            if isinstance(command, Keep | KeepUpload | KeepSightings):
                self.changes.append(command)
            else:
                self.effects.append(command)
            if isinstance(command, Keep):
                self._items.add(command.item.id)
        if bought is not None:
            self.bought.append(bought)

    def holds_back(self, request: Request) -> bool:
        """Tell whether a request must not go out before what is here is on disk."""
        return isinstance(request, Create | Poll) and request.item_id in self._items
