"""An item's row: what is told of it, and that nothing in it opens anything."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from batchup.core.items import Failure, Outcome, SavedFile
from batchup.report.document import Row
from batchup.report.rows import LONGEST, Pictures, address, row_of, time_s, web_address

SIGNED = "https://bucket.example/a.png?X-Amz-Signature=abcdef&X-Amz-Expires=60"
FILE = SavedFile("images/a/b.jpg.png", 5000, "ab" * 32, 640, 480, "https://files.example/0.png")
SAVED = Outcome(
    id="a/b.jpg",
    state="saved",
    prediction_id="p-1",
    files=(FILE,),
    attempts=2,
    cost_usd=0.01,
    predict_time_s=41.2345,
    created_at=100.0,
    settled_at=150.0,
    saved_at=151.04,
    input={"scale_factor": 4, "image": "a/b.jpg", "prompt": "sharp"},
)


def row(outcome: Outcome, pictures: Pictures | None = None, **job_input: Any) -> Row:
    return row_of(outcome, pictures or Pictures(), job_input=job_input, media={"image", "mask"}, speed=2.0)


def as_json(one: Row) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(one))
    return found


def test_a_saved_item_tells_all_of_itself() -> None:
    """A row has the item's figures, its pictures' addresses and the parameters that differ from the job's."""
    pictures = Pictures(
        before="b", after="c", input="d", outputs=["e"], input_width=320, input_height=240, gain=1.4
    )
    assert as_json(row(SAVED, pictures, scale_factor=2, prompt="sharp")) == {
        "id": "a/b.jpg",
        "state": "saved",
        "before": "b",
        "after": "c",
        "input": "d",
        "output": "e",
        "name": "b.jpg.png",
        "width": 640,
        "height": 480,
        "bytes": 5000,
        "input_width": 320,
        "input_height": 240,
        "cost_usd": 0.01,
        "time_s": 41.234,
        "gain": 1.4,
        "attempts": 2,
        "prediction_id": "p-1",
        "created_at": 100.0,
        "saved_at": 151.0,
        "parameters": {"scale_factor": 4},
    }


def test_what_is_not_known_is_left_out() -> None:
    """A row of an item that was only just touched is its id and its state."""
    assert as_json(row(Outcome(id="x", state="outstanding"))) == {"id": "x", "state": "outstanding"}


def test_several_outputs_are_listed() -> None:
    """An item with more than one output has them all, but for those that cannot be shown."""
    second = replace(FILE, path="images/a/b.jpg~1.png", bytes=70)
    found = row(replace(SAVED, files=(FILE, second, second)), Pictures(outputs=["x", "y", None]))
    assert [(one.href, one.name, one.bytes) for one in found.files] == [
        ("x", "b.jpg.png", 5000),
        ("y", "b.jpg~1.png", 70),
    ]
    assert (found.output, found.bytes) == ("x", 5140)


def test_lengths_are_in_the_services_time() -> None:
    """Without the service's own figure a length is from creation to settling, as fast as its time runs."""
    assert time_s(SAVED, 8.0) == 41.234
    assert time_s(replace(SAVED, predict_time_s=None), 8.0) == 400
    assert time_s(replace(SAVED, predict_time_s=None, settled_at=None)) is None


def test_a_failure_says_what_to_do() -> None:
    """A row that failed has the cause in stable words, the service's own, and what to do."""
    failure = Failure("prediction_failed", f"cannot fetch {SIGNED}", "INPUT_DOWNLOAD_ERROR")
    found = row(Outcome(id="x", state="failed", failure=failure)).failure
    assert found is not None
    assert found.code == "INPUT_DOWNLOAD_ERROR"
    assert found.cause
    assert found.what_to_do
    assert "abcdef" not in found.message


def test_nothing_in_a_row_opens_anything() -> None:
    """Signed addresses and passwords are cut out of every parameter, at any depth, and out of words."""
    given = {
        "image": SIGNED,
        "mask": SIGNED,
        "style": {"refs": [SIGNED, "https://me:pw-1234@host/x"]},
        "webhook": "https://h.example/?token=abcdef",
    }
    failure = Failure("prediction_failed", "sent X-API-Key: abcdef to https://me:pw-1234@host/")
    outcome = Outcome(id="x", state="failed", failure=failure, input=given)
    words = msgspec.json.encode(row(outcome, Pictures(input=web_address(SIGNED)))).decode()
    assert "abcdef" not in words
    assert "pw-1234" not in words
    assert "https://bucket.example/a.png" in words


def test_a_long_parameter_is_cut() -> None:
    """A parameter that is a book, or a whole file, is shown by its beginning."""
    found = row(Outcome(id="x", state="failed", input={"extra": "data:image/png;base64," + "A" * 9000}))
    assert len(found.parameters["extra"]) == LONGEST + 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://shop.example/a.jpg?w=640", "https://shop.example/a.jpg?w=640"),
        ("HTTP://shop.example/a.jpg", "HTTP://shop.example/a.jpg"),
        ("https://shop.example/a.jpg?token=secret", "https://shop.example/a.jpg"),
        ("javascript:alert(1)//https://", None),
        ("in/a.jpg", None),
        ("data:image/png;base64,AA", None),
        (17, None),
    ],
)
def test_only_addresses_on_the_web_are_links(value: object, shown: str | None) -> None:
    """An input's link is an address of the web, without what would open it, and nothing that runs."""
    assert web_address(value) == shown


def test_a_path_is_an_address() -> None:
    """Whatever a file is called, its address is plain ASCII and leads to it."""
    assert address("images/a b#1?.png") == "images/a%20b%231%3F.png"
    assert address("../in/ä'\"<>.jpg") == "../in/%C3%A4%27%22%3C%3E.jpg"
    assert address("c:/x") == "c%3A/x"
    assert address("caf\udce9.jpg") == "caf%E9.jpg"
