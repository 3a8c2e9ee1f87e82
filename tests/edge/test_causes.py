"""Why items failed, from the checkpoint to what a person reads; every kind of failure has its words."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchup.cli.causes import SHOWN, cause_lines, more_causes
from batchup.core import causes
from batchup.core.calendar import Calendar
from batchup.core.causes import Cause
from batchup.core.items import Failure, Item
from batchup.core.messages import Keep
from batchup.core.states import State
from batchup.edge.causes import causes_of
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.exports.rejects import Rejects
from batchup.edge.exports.results import bring_up_to_date
from batchup.edge.manifest import Reject

pytestmark = pytest.mark.anyio
PACKAGE = Path(__file__).parents[2] / "batchup"
LARGE = Failure("http_400", "image 9000x9000 is too large", "400")
SIGNED = "https://store.example/a.jpg?X-Amz-Signature=s3cret"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Iterator[Checkpoint]:
    with Checkpoint(tmp_path / "checkpoint.db", Calendar(1e6), {"mask": SIGNED}) as found:
        yield found


def fail(checkpoint: Checkpoint, item_id: str, failure: Failure, attempt: int = 1) -> None:
    one = Item(item_id, 1, {"mask": SIGNED, "image": SIGNED}, {}, "01" * 32)
    checkpoint.keep([Keep(one, State.READY, State.FAILED, {"failure": failure, "attempt": attempt})])


async def test_causes_are_counted_over_the_whole_job(tmp_path: Path, checkpoint: Checkpoint) -> None:
    """What failed in any run is grouped together with this run's rejected rows."""
    for k in range(3):
        fail(checkpoint, f"a{k}", LARGE)
    fail(checkpoint, "b", Failure("no_output", "nothing"))
    rejects = Rejects(tmp_path)
    rejects.write(Reject(7, None, "bad_json", "Line 7 is no JSON."))
    rejects.write(Reject(9, "x", "bad_json", "Line 9 is no JSON."))
    rejects.close()
    found = await causes_of(checkpoint, rejects.causes.values(), 3)
    assert [(one.count, one.state, one.cause, one.example_item) for one in found] == [
        (3, "failed", "image too large", "a0"),
        (2, "rejected", "not JSON", "line 7"),
        (1, "failed", "paid, and without an output", "b"),
    ]


async def test_what_had_all_its_tries_is_left_to_no_further_run(checkpoint: Checkpoint) -> None:
    """As soon as the last try is used up, the advice is the command that gives more, and that alone."""
    down = Failure("http_503", "later", retryable=True)
    fail(checkpoint, "a", down, 9)
    told = [(one.count, one.what_to_do) for one in await causes_of(checkpoint, (), 3)]
    assert told == [(1, causes.NO_MORE)]
    fail(checkpoint, "b", down, 8)
    told = [(one.count, one.what_to_do) for one in await causes_of(checkpoint, (), 3)]
    assert told == [(2, causes.AGAIN)]
    fail(checkpoint, "c", down, 9)
    told = [(one.count, one.what_to_do) for one in await causes_of(checkpoint, (), 3)]
    assert told == [(3, causes.AGAIN)]


def test_the_file_of_rejects_stays_open_and_holds_nothing_back(tmp_path: Path) -> None:
    """A row costs one write, which a kill behind it does not undo; closed, the file is looked for anew."""
    rejects = Rejects(tmp_path)
    rejects.write(Reject(1, "a", "bad_json", "Line 1 is no JSON."))
    path = (tmp_path / "rejects.jsonl").rename(tmp_path / "other")
    for line in (2, 3):
        rejects.write(Reject(line, None, "bad_json", f"Line {line} is no JSON."))
        assert len(path.read_bytes().splitlines()) == line
    rejects.close()
    rejects.write(Reject(4, None, "bad_json", "Line 4 is no JSON."))
    rejects.close()
    assert [json.loads(line)["line"] for line in path.read_text().splitlines()] == [1, 2, 3]
    assert json.loads((tmp_path / "rejects.jsonl").read_text())["line"] == 4


def test_what_has_no_lines_is_told_by_rows(tmp_path: Path) -> None:
    """An example without an id is called a row where the manifest is a folder, a shard or Parquet."""
    rejects = Rejects(tmp_path, word="row")
    rejects.write(Reject(7, None, "missing_file", "The folder in/x cannot be listed: denied."))
    rejects.close()
    assert [one.example_item for one in rejects.causes.values()] == ["row 7"]


async def test_what_is_paid_and_not_fetched_is_told(checkpoint: Checkpoint) -> None:
    """It is outstanding, with the key to raise where that is why, else with what fetches it."""
    for item_id, kind in (("a", "too_large"), ("b", "connect")):
        one = Item(item_id, 1, {}, {}, "01" * 32)
        failure = Failure(kind, "download: no")
        checkpoint.keep([Keep(one, State.READY, State.SUCCEEDED, {"failure": failure, "attempt": 1})])
    found = {one.cause: (one.state, one.what_to_do) for one in await causes_of(checkpoint, (), 3)}
    assert found == {
        "the output is too large": ("outstanding", causes.RAISE),
        "the output's host cannot be reached": ("outstanding", causes.FETCH),
    }


async def test_results_say_what_to_do(tmp_path: Path, checkpoint: Checkpoint) -> None:
    """A failed line of the results carries the service's words and code, the cause and the advice."""
    fail(checkpoint, "a", LARGE)
    await bring_up_to_date(checkpoint, tmp_path)
    line = json.loads((tmp_path / "results.jsonl").read_text())
    failure = line["failure"]
    assert (failure["message"], failure["code"], failure["retryable"]) == (LARGE.message, "400", False)
    assert failure["cause"] == "image too large"
    assert failure["what_to_do"].startswith("Make the images smaller")


async def test_nothing_on_disk_opens_anything(tmp_path: Path, checkpoint: Checkpoint) -> None:
    """Signed addresses of inputs, in words and in rejected rows stand nowhere in the output folder."""
    fail(checkpoint, "a", Failure("http_400", f"cannot fetch {SIGNED}", "400"))
    rejects = Rejects(tmp_path)
    rejects.write(Reject(1, "r", "bad_url", f"Line 1: no address: {SIGNED} ."))
    rejects.close()
    await bring_up_to_date(checkpoint, tmp_path)
    line = json.loads((tmp_path / "results.jsonl").read_text())
    assert line["input"] == {"mask": "https://store.example/a.jpg", "image": "https://store.example/a.jpg"}
    assert_unseen(tmp_path, b"s3cret")


def assert_unseen(folder: Path, secret: bytes) -> None:
    assert len(list(folder.iterdir())) >= 3
    for path in folder.iterdir():
        assert secret not in path.read_bytes(), path


def test_lines_for_a_person_are_few() -> None:
    """The largest groups are told with an example and advice, the rest by number; no line is too wide."""
    many = [Cause("failed", f"c{k}", 20 - k, "Do. " * 30, "x" if k else None) for k in range(SHOWN + 2)]
    lines = cause_lines(many, width=60)
    assert [line for line in lines if "c" in line][:2] == ["       20  c0", "       19  c1, such as x"]
    assert lines[1].startswith("           Do. Do.")
    assert max(map(len, lines)) <= 60
    assert not any("c8" in line for line in lines)
    assert more_causes(many) == ["       23  more, of 2 other causes: see results.jsonl"]
    assert (cause_lines([]), more_causes(many[:SHOWN])) == ([], [])


def kinds(name: str, position: int) -> set[str]:
    """Return the words that stand at one place of the calls of this name, all over the package."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                given = [*node.args, *(word.value for word in node.keywords if word.arg == "kind")]
                if len(given) > position and isinstance(word := given[position], ast.Constant):
                    found.add(str(word.value))
    return {word for word in found if re.fullmatch("[a-z_]+", word)}


def test_every_kind_of_failure_has_its_words() -> None:
    """Each kind that the code gives a failure is named among the causes, with a sentence of advice."""
    given = kinds("Failure", 0) | kinds("BadPicture", 0) | kinds("_problem", 0)
    known = causes._PLAIN
    assert {"no_output", "held", "truncated", "timeout", "not_image"} <= given
    assert given - known.keys() - {"upload", "lost"} == set()
    for name, advice in [*known.values(), *causes._REJECTED.values()]:
        assert name
        assert re.fullmatch(r"[A-Z][^\n]*\.", advice)


def test_every_kind_of_reject_has_its_words() -> None:
    """Each kind that a row is rejected for is named, too."""
    given = kinds("Reject", 2) | kinds("_Refusal", 0)
    assert {"bad_row", "changed", "missing_file"} <= given
    assert given - causes._REJECTED.keys() == {"duplicate"}
