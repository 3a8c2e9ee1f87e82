"""JSON Lines: an object a line is a row, and everything else a reject with its line."""

from pathlib import Path

import pytest

from batchup.edge.manifest import Reject, Row, count_rows, read_manifest
from batchup.job import Job


def read(folder: Path, content: bytes | str, more: str = "") -> list[Row | Reject]:
    data = content.encode() if isinstance(content, str) else content
    (folder / "m.jsonl").write_bytes(data)
    job = Job.from_toml(f"manifest = 'm.jsonl'\nmodel = 'each-upscaler'\n{more}", base=folder)
    found = list(read_manifest(job))
    assert count_rows(job) == len(found)
    return found


def test_every_key_but_the_id_is_a_parameter(tmp_path: Path) -> None:
    """A row's id is apart, and all its other keys are parameters; those that are null are absent."""
    text = (
        '{"id": "sku-1", "image": "https://x/1.png", "scale_factor": 4, "seed": null}\n{"image": "a.jpg"}\n'
    )
    assert read(tmp_path, text) == [
        Row(1, "sku-1", {"image": "https://x/1.png", "scale_factor": 4}),
        Row(2, None, {"image": "a.jpg"}),
    ]


def test_an_input_object_holds_the_parameters(tmp_path: Path) -> None:
    """With an `input` object nothing beside it is a parameter; an `input` of another type is one itself."""
    text = '{"id": "a", "input": {"image": "x", "id": "p", "n": null}, "price": 3}\n{"input": "x"}\n'
    assert read(tmp_path, text) == [Row(1, "a", {"image": "x", "id": "p"}), Row(2, None, {"input": "x"})]


def test_columns_say_which_key_is_what(tmp_path: Path) -> None:
    """A mapped key takes its parameter's name, and hides a key that has that name by itself."""
    text = '{"sku": 7, "photo_url": "p", "image": "thumb", "id": "other", "x": 1}\n{"photo_url": "p"}\n'
    assert read(tmp_path, text, "[columns]\nid = 'sku'\nimage = 'photo_url'") == [
        Row(1, "7", {"image": "p", "x": 1}),
        Reject(2, None, "bad_id", 'Line 2 has no "sku", which [columns] makes the id.'),
    ]


@pytest.mark.parametrize(
    ("value", "made"),
    [('"a/b c"', "a/b c"), ("12", "12"), ("12.0", "12"), ("1.5", "1.5"), ("null", None), ('"é"', "é")],
)
def test_ids_are_strings(tmp_path: Path, value: str, made: str | None) -> None:
    """An id is a string, or a number that is made one; null is no id."""
    assert read(tmp_path, f'{{"id": {value}}}') == [Row(1, made, {})]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('""', "an id has 1 to 512 characters, this one 0"),
        ('"' + "x" * 513 + '"', "this one 513"),
        ('"a\\u0000"', "no control characters"),
        ('"a\\nb"', "no control characters"),
        ('"a\\u0085"', "no control characters"),
        ("true", "a string or a number, not True"),
        ("[1]", "a string or a number, not [1]"),
        ("{}", "a string or a number, not {}"),
    ],
)
def test_what_is_no_id_is_rejected(tmp_path: Path, value: str, said: str) -> None:
    """An id that is empty, too long, of another type or not printable rejects its row."""
    [reject] = read(tmp_path, f'{{"id": {value}, "image": "x"}}')
    assert isinstance(reject, Reject)
    assert (reject.line, reject.kind) == (1, "bad_id")
    assert said in reject.message
    assert reject.message.isprintable()


@pytest.mark.parametrize(
    ("raw", "kind", "said"),
    [
        (b"{", "bad_json", "truncated"),
        (b'{"a": 1} x', "bad_json", "trailing"),
        (b'{"a": NaN}', "bad_json", "invalid character"),
        (b'{"a": 1e999}', "bad_json", "out of range"),
        (b'{"a": Infinity}', "bad_json", "invalid character"),
        (b'{"a": "\x00"}', "bad_json", "invalid character"),
        (b'{"a": "\\ud800 and more"}', "bad_json", "surrogate"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "bad_json", '"c" is given twice'),
        (b'{"a": 1, "\\u0061": 2}', "bad_json", '"a" is given twice'),
        (b'[{"image": "x"}]', "bad_json", 'it is [{"image": "x"}], not an object'),
        (b"3", "bad_json", "it is 3, not an object"),
        (b"null", "bad_json", "it is null, not an object"),
        (b'"x"', "bad_json", "not an object"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "bad_json", "nested more than 32 deep"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "bad_json", "nested more than 32 deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "bad_json", ""),
        (b'{"a": "\xff"}', "encoding", "not UTF-8 (byte 0xff at position 8)"),
        (b'{"a": "' + b"x" * (1 << 20) + b'"}', "too_long", "longer than 1 MiB"),
    ],
)
def test_a_bad_line_is_a_reject_and_the_next_is_read(
    tmp_path: Path, raw: bytes, kind: str, said: str
) -> None:
    """A line that is not one JSON object is rejected with its number, and the lines after it are read."""
    first, bad, last = read(tmp_path, b'{"image": "1"}\r\n' + raw + b'\n\n  \n{"image": "5"}')
    assert first == Row(1, None, {"image": "1"})
    assert last == Row(5, None, {"image": "5"})
    assert isinstance(bad, Reject)
    assert (bad.line, bad.id, bad.kind) == (2, None, kind)
    assert said in bad.message
    assert "Line 2 " in bad.message
    assert len(bad.message) < 250
    assert bad.message.isprintable()


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """A manifest saved by a Windows editor reads as any other."""
    assert read(tmp_path, b'\xef\xbb\xbf{"image": "1"}\r\n') == [Row(1, None, {"image": "1"})]


def test_an_empty_manifest_has_no_rows(tmp_path: Path) -> None:
    """A manifest without a line is no problem: there is nothing to do."""
    assert read(tmp_path, b"") == []
    assert read(tmp_path, b"\xef\xbb\xbf\n\n") == []


def test_a_row_as_long_as_the_bound_is_read(tmp_path: Path) -> None:
    """A line of exactly 1 MiB is read, one byte more is not, with any line end."""
    row = b'{"prompt": "' + b"x" * ((1 << 20) - 14) + b'"}'
    assert len(row) == 1 << 20
    for end in (b"\n", b"\r\n", b""):
        [whole] = read(tmp_path, row + end)
        assert isinstance(whole, Row)
        [longer] = read(tmp_path, row + b" x" + end)
        assert isinstance(longer, Reject)
