"""From what a prediction shows back to an item whose input is kept without its signature."""

from pathlib import Path

import msgspec

from batchup.core.calendar import Calendar
from batchup.core.fingerprint import fingerprint
from batchup.core.items import Item, Json
from batchup.core.messages import Keep
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.desk import scratch
from batchup.edge.mending.audit import TABLES
from batchup.edge.mending.uploaded import note_places, signed_items, that_show_place_of

MODEL = "each-upscaler"
AT = "https://store.example/{}.jpg?X-Amz-Signature={}"


def submitted(id_: str, given: dict[str, Json]) -> Keep:
    item = Item(id_, 1, given, {}, fingerprint(MODEL, given, {}))
    sent = {"attempt": 1, "hashes": {}, "sent_at": 10.0}
    return Keep(item, State.READY, State.SUBMITTING, sent)


def test_what_was_signed_is_found_by_its_place(tmp_path: Path) -> None:
    """An item that is kept without its signature is found by the address, where nothing else differs."""
    shown: dict[str, dict[str, Json]] = {
        "p1": {"image": AT.format("a", 2), "scale_factor": 2},
        "p2": {"image": AT.format("a", 2), "scale_factor": 4},
        "p3": {"image": "https://store.example/a.jpg"},
        "p4": {"image": AT.format("b", 1), "scale_factor": 2},
        "p5": {"prompt": AT.format("a", 1)},
    }
    with Checkpoint(tmp_path / "checkpoint.db", Calendar(0.0), {"scale_factor": 2}) as checkpoint:
        checkpoint.keep(
            [
                submitted("signed", {"image": AT.format("a", 1), "scale_factor": 2}),
                submitted("open", {"image": "https://store.example/b.jpg", "scale_factor": 2}),
                submitted("local", {"image": "a.jpg", "scale_factor": 2}),
            ]
        )
        with scratch(checkpoint, TABLES) as db:
            for id_, given in shown.items():
                row = (id_, b"", msgspec.json.encode(given).decode())
                db.execute("INSERT INTO temp.strangers VALUES (?, ?, ?)", row)
                note_places(db, id_, given)
            ((id_, kept),) = signed_items(checkpoint, MODEL)
            assert (id_, kept["image"]) == ("signed", "https://store.example/a.jpg")
            assert that_show_place_of(db, kept) == ["p1", "p3"]
