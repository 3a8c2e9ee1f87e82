"""The run's log: whole lines of JSON, no secrets, and never the reason for a run to end."""

import datetime as dt
import logging
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.edge.telling.redact import MASK, Redactor
from batchup.edge.telling.runlog import RunLog

KEY = "smk_live\"51H'x/é+=\\end"


def lines(path: Path) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def test_an_event_is_one_line_of_json(tmp_path: Path) -> None:
    """A line has the instant in UTC, the level, the event, the run, and the fields given."""
    path = tmp_path / "run.log.jsonl"
    log = RunLog(path, "r1")
    log.info("created", item="a\nb", attempt=1, prediction_id="p1")
    log.warning("slow")
    log.error("lost", run="mine")
    log.close()
    first, second, third = lines(path)
    instant = dt.datetime.fromisoformat(str(first.pop("ts")))
    assert abs(dt.datetime.now(dt.UTC) - instant) < dt.timedelta(minutes=1)
    assert first == {
        "level": "info",
        "event": "created",
        "run": "r1",
        "item": "a\nb",
        "attempt": 1,
        "prediction_id": "p1",
    }
    assert (second["level"], third["level"]) == ("warning", "error")
    assert (third["run"], third["run_"]) == ("r1", "mine")


def test_the_level_is_a_floor(tmp_path: Path) -> None:
    """Events below the level are not written, and a level that does not exist is refused."""
    path = tmp_path / "log"
    for level, count in (("debug", 2), ("info", 1), ("error", 0)):
        path.unlink(missing_ok=True)
        log = RunLog(path, "r", level=level)
        log.debug("x")
        log.info("y")
        log.close()
        assert (len(lines(path)) if path.exists() else 0) == count
    with pytest.raises(ValueError, match="loud"):
        RunLog(path, "r", level="loud")


def test_an_embedding_program_keeps_its_logging(tmp_path: Path) -> None:
    """Nothing is added to the root logger, and nothing reaches it."""
    before = list(logging.getLogger().handlers)
    log = RunLog(tmp_path / "log", "r")
    log.error("x")
    assert logging.getLogger().handlers == before
    assert not [name for name in logging.root.manager.loggerDict if name.startswith("batchup")]
    log.close()


def test_what_json_cannot_spell_is_logged_anyhow(tmp_path: Path) -> None:
    """Paths, half surrogate pairs, huge numbers and knots become text, and no event is lost."""
    path = tmp_path / "log"
    log = RunLog(path, "r")
    knot: list[object] = []
    knot.append(knot)
    log.info("a", path=tmp_path, bad="\ud800", big=10**100, knot=knot)
    log.info("\udfff")
    log.close()
    assert [line["run"] for line in lines(path)] == ["r", "r"]


def test_a_torn_line_is_ended(tmp_path: Path) -> None:
    """What a killed run left of its last line does not spoil the first line of the next."""
    path = tmp_path / "log"
    path.write_bytes(b'{"whole": 1}\n{"torn": ')
    log = RunLog(path, "r")
    log.info("x")
    log.close()
    assert path.read_bytes().splitlines()[1] == b'{"torn": '
    assert msgspec.json.decode(path.read_bytes().splitlines()[2])["event"] == "x"


def test_a_full_disk_is_remembered_and_raises_nothing() -> None:
    """A log that cannot be written is no reason to end a run, but somebody may ask."""
    log = RunLog(Path("/dev/full"), "r")
    before = log.problem
    log.info("x")
    log.info("y")
    assert before is None
    assert isinstance(log.problem, OSError)
    log.close()
    log.info("after the end")


def test_a_missing_folder_is_remembered(tmp_path: Path) -> None:
    """A log that cannot be opened raises nothing, and is written as soon as it can be."""
    path = tmp_path / "later" / "log"
    log = RunLog(path, "r")
    log.info("x")
    path.parent.mkdir()
    log.info("y")
    log.close()
    assert log.problem is not None
    assert [line["event"] for line in lines(path)] == ["y"]


def test_no_secret_is_written(tmp_path: Path) -> None:
    """Keys, header values, signed addresses and passwords stay out, wherever they turn up."""
    path = tmp_path / "log"
    log = RunLog(path, "r", [KEY, "another-secret"])
    event = f"event {KEY}"
    log.info(
        event,
        error=repr({"X-API-Key": "k1-secret", "Authorization": "Bearer t1-secret", "Accept": "*/*"}),
        text="GET /x HTTP/1.1\r\nAuthorization: Bearer t2-secret\r\nX-Api-Key: k2-secret\r\nHost: h",
        headers={"authorization": "Bearer t3-secret", "x-webhook-secret": "w-secret", "n": 1},
        nested=msgspec.json.encode({"x-api-key": "k4-secret", "url": "https://h/p?s=u0-secret"}).decode(),
        url="https://user:p-secret@cdn.example/a/b.png?X-Amz-Signature=u1-secret#u2-secret",
        escaped="see https://h/p?a=1\\u0026Signature=u3-secret and more",
        cut="b.png&X-Amz-Credential=u4-secret&x=1",
        shape="the key smk_Abc-secret is refused",
        late="another-secret",
        key=KEY,
    )
    log.close()
    text = path.read_text()
    assert "secret" not in text.replace("x-webhook-secret", "")
    assert "51H" not in text
    (line,) = lines(path)
    assert line["url"] == f"https://{MASK}@cdn.example/a/b.png?{MASK}"
    assert line["headers"] == {"authorization": MASK, "x-webhook-secret": MASK, "n": 1}
    assert str(line["text"]).endswith("Host: h")
    assert str(line["escaped"]).endswith(" and more")


def test_a_secret_that_begins_another_hides_both() -> None:
    """Of two secrets of which one begins the other no rest is left to read."""
    redactor = Redactor(["secret", "secret-and-more"])
    assert redactor("a secret-and-more b secret") == f"a {MASK} b {MASK}"


def test_harmless_text_is_left_alone() -> None:
    """What only resembles a secret stays readable, and so do all texts where there are no secrets."""
    for text in (
        "is it done? yes",
        "https://h/p and so?",
        "author: somebody",
        "a/b.png",
        "signature is wrong",
    ):
        assert Redactor(["", "ab"])(text) == text


@given(st.dictionaries(st.text(), st.text() | st.sampled_from(["https://h/p?", "Cookie: a", "smk_1\\"])))
def test_taking_secrets_out_leaves_json(fields: dict[str, str]) -> None:
    """Whatever a line says, it is still JSON after secrets were taken out of it."""
    text = msgspec.json.encode({"x-api-key": fields, "url": f"https://h/p?{fields}"}).decode()
    msgspec.json.decode(Redactor(["{", '"'])(text))


@given(st.text(min_size=4, max_size=40))
def test_a_key_is_found_however_it_is_spelled(secret: str) -> None:
    """A secret given by value is in no line, neither raw nor as JSON spells it."""
    line = msgspec.json.encode({"event": f"refused <{secret}>"}).decode()
    spelled = msgspec.json.encode(secret).decode()[1:-1]
    assert f"<{spelled}>" not in Redactor([secret])(line)


def test_a_line_is_one_write(tmp_path: Path) -> None:
    """Lines of two writers of one file do not mix, as each is written at once and at the end."""
    path = tmp_path / "log"
    first, second = RunLog(path, "1"), RunLog(path, "2")
    for number in range(20):
        first.info("x", number=number, filler="f" * 5000)
        second.info("y", number=number, filler="g" * 5000)
    first.close()
    second.close()
    assert [line["run"] for line in lines(path)] == ["1", "2"] * 20
