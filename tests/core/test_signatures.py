"""Who may say that a prediction has ended, and what is read of what they say."""

import hashlib
import hmac

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.core.signatures import FRESH_S, is_genuine, notified_id

SECRET = "a-secret"
BODY = b'{"exec_id":"p-1","flow_id":null,"status":"succeeded","output":"https://x/y.png","error":""}'
NOW = 1_790_000_000.0
NAMES = ["x-webhook-signature", "x-signature", "x-hub-signature-256"]


def signature(message: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def dated(at: str, body: bytes = BODY, secret: str = SECRET) -> dict[str, str]:
    signed = signature(at.encode() + b"." + body, secret)
    return {"x-webhook-timestamp": at, "x-webhook-signature": signed}


def is_taken(headers: dict[str, str], body: bytes = BODY, secret: str = SECRET) -> bool:
    return is_genuine(secret, headers, body, NOW)


def test_the_secret_itself_is_enough() -> None:
    """The first scheme sends the secret as it is, and nothing near it will do."""
    assert is_taken({"x-webhook-secret": SECRET})
    for wrong in ("", "a-secre", "a-secret ", "A-SECRET", "a-secret\0", "é", "\udcff", "\ud800"):
        assert not is_taken({"x-webhook-secret": wrong})


@pytest.mark.parametrize("name", NAMES)
def test_the_body_signed_is_enough(name: str) -> None:
    """The second scheme signs the body, under any of the usual names, with or without the word sha256."""
    assert is_taken({name: signature(BODY)})
    assert is_taken({name: f"sha256={signature(BODY).upper()}"})
    assert is_taken({name: f" {signature(BODY)} "})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at", ["1790000000", "1789999701", "1790000299.5", "1790000000123"])
def test_the_time_and_the_body_signed_are_enough(name: str, at: str) -> None:
    """The third scheme signs a time and the body; the time is in seconds or milliseconds."""
    assert is_taken({"x-webhook-timestamp": at, name: signature(at.encode() + b"." + BODY)})


def test_a_time_may_be_spelt_as_a_date() -> None:
    """A time in ISO 8601 is understood, and one without an offset is UTC."""
    assert is_taken(dated("2026-09-21T14:13:20Z"))
    assert is_taken(dated("2026-09-21T14:13:20.250"))
    assert not is_taken(dated("2026-09-21T14:13:20+05:00"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "value",
    ["", "sha256=", "0" * 64, signature(BODY)[:-1], signature(BODY, "other"), signature(b"{}"), "é\udcff"],
)
def test_a_wrong_signature_is_refused(name: str, value: str) -> None:
    """A signature that is forged, cut, of another secret or of another body proves nothing."""
    assert not is_taken({name: value})
    assert not is_taken({name: value, "x-webhook-timestamp": "1790000000"})


def test_nothing_proves_nothing() -> None:
    """Without any of the headers, and with an empty secret, nobody is believed."""
    assert not is_taken({})
    assert not is_taken({"x-webhook-timestamp": "1790000000"})
    assert not is_taken({"x-webhook-secret": ""}, secret="")
    assert not is_taken({"x-webhook-signature": signature(BODY, "")}, secret="")


def test_one_scheme_that_holds_is_enough() -> None:
    """Where several schemes are used at once, a wrong one beside a right one does no harm."""
    assert is_taken({"x-webhook-secret": SECRET, "x-webhook-signature": "0"})
    assert is_taken({"x-webhook-secret": "no", "x-webhook-signature": signature(BODY)})
    assert is_taken({"x-signature": "0", "x-hub-signature-256": signature(BODY)})
    assert is_taken({**dated("1790000000"), "x-webhook-signature": signature(BODY)})


def test_the_time_is_part_of_what_is_signed() -> None:
    """A captured signature is worth nothing under a fresher time or with another body."""
    old = dated("1789990000")
    assert not is_taken({**old, "x-webhook-timestamp": "1790000000"})
    assert not is_taken(dated("1790000000", b"{}"))


@pytest.mark.parametrize("off_s", [FRESH_S + 1, 86_400.0, -FRESH_S - 1])
def test_a_stale_delivery_is_refused(off_s: float) -> None:
    """A delivery is refused by its own time, old or to come, whatever else it shows."""
    stale = dated(str(int(NOW - off_s)))
    assert not is_taken(stale)
    assert not is_taken({**stale, "x-webhook-secret": SECRET})
    assert not is_taken({**stale, "x-signature": signature(BODY)})


def test_the_age_limit_is_kept_to_the_second() -> None:
    """A delivery of just the age limit is taken, old or to come."""
    assert is_taken(dated(str(int(NOW - FRESH_S))))
    assert is_taken(dated(str(int(NOW + FRESH_S))))


@pytest.mark.parametrize("at", ["", "soon", "nan", "-1", "1e9", "9" * 20, "9" * 60, "٣", "2026-09-21T25:00"])
def test_a_time_nobody_understands_dates_nothing(at: str) -> None:
    """A time that cannot be read makes its own scheme worthless and leaves the others as they are."""
    assert not is_taken(dated(at))
    assert is_taken({**dated(at), "x-webhook-secret": SECRET})
    assert is_taken({**dated(at), "x-signature": signature(BODY)})


@pytest.mark.parametrize("at", ["1790000000", "1789000000", "1789000000.5", "2026-09-20T14:13:20.5Z"])
def test_a_dated_message_is_not_shown_again_without_its_date(at: str) -> None:
    """What was signed with its time is not taken as a body that was signed by itself."""
    captured = dated(at)["x-webhook-signature"]
    assert not is_taken({"x-webhook-signature": captured}, f"{at}.".encode() + BODY)


@given(
    st.dictionaries(
        st.sampled_from([*NAMES, "x-webhook-secret", "x-webhook-timestamp"]), st.text(st.characters())
    ),
    st.binary(max_size=60),
)
def test_strangers_are_never_believed(headers: dict[str, str], body: bytes) -> None:
    """Whatever anybody sends who does not know the secret is refused, and raises nothing."""
    assert not is_taken(headers, body, SECRET * 4)


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"exec_id": "p-1", "flow_id": None, "status": "succeeded"}, "p-1"),
        ({"id": "p-2", "status": "success", "metrics": {}}, "p-2"),
        ({"predictionID": "p-3"}, "p-3"),
        ({"exec_id": "p-4", "id": "another"}, "p-4"),
        ({"exec_id": None, "id": "p-5"}, "p-5"),
        ({"exec_id": "A.b_c-9"}, "A.b_c-9"),
        ({"exec_id": "a" * 128}, "a" * 128),
        ({"exec_id": "a" * 129}, None),
        ({"exec_id": ".."}, None),
        ({"exec_id": "a/b"}, None),
        ({"exec_id": "%2e%2e"}, None),
        ({"exec_id": "p-1\n"}, None),
        ({"exec_id": "é"}, None),
        ({"exec_id": 7}, None),
        ({"exec_id": ["p-1"]}, None),
        ({"status": "success"}, None),
        ([{"id": "p-1"}], None),
        ("p-1", None),
        (None, None),
    ],
)
def test_the_id_is_read_of_either_body(record: object, found: str | None) -> None:
    """The prediction is found under the names both bodies use, and only an id that is safe in an address."""
    assert notified_id(msgspec.json.encode(record)) == found


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b"NaN", b'{"id": NaN}', b'{"id": "p-1"} x', b"[" * 100_000,
        b'{"a":' * 100_000, b'{"id": "\\ud800"}', b'{"id": 1e999999}', b"9" * 5_000, b'{"id": "\x00"}',
    ],
)  # fmt: skip
def test_garbage_names_nobody(body: bytes) -> None:
    """What is not JSON, too deep, or cut names no prediction, and raises nothing."""
    assert notified_id(body) is None


@given(st.binary(max_size=200) | st.text(st.characters(codec="utf-8")).map(str.encode))
def test_any_bytes_can_be_read(body: bytes) -> None:
    """Whatever the bytes, an id is a safe one or none."""
    found = notified_id(body)
    assert found is None or found.strip(".")
