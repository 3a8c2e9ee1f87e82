"""Manifests, waits and ids that nobody meant: no traceback, the right line, and names that stay inside."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner
from core.spoken import WIRE
from hypothesis import given, settings
from hypothesis import strategies as st
from reliability.conftest import Column, Record
from reliability.garbage import depth_of, spoilt, strictly
from reliability.odd_words import IDS, SOON, TWINS, WAITS

from batchup.cli import main
from batchup.core.names import EXTENSIONS, PART, output_path
from batchup.core.requests import Create, ListPage, Poll, Presign, Problem
from batchup.core.wire import Response
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.images.contents import Contents
from batchup.edge.manifest import Reject, Row, count_rows, read_manifest
from batchup.edge.manifest.rows import MAX_ROW_BYTES
from batchup.errors import DataProblem
from batchup.job import Job

FAMILY = "fuzz: manifests, Retry-After, ids as file names"
PASS = "no traceback, the right line number, names contained and distinct"
SECONDS = 15
pytestmark = pytest.mark.reliability

CORPUS = Path(__file__).parent / "corpus" / "manifests"
read = WIRE.read
COUNT = {"ci": 1, "long": 40}
NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT
JOB = "manifest = '{}'\nmodel = 'each-upscaler'\n[service]\nurl = 'simulator'\n"
GOOD_LINE = b'{"id": "a-7", "image": "https://x.example/1.png", "scale_factor": 2, "prompt": "a, b"}'
LONGEST_NAME = 255  # bytes, on every file system that matters


class Reader:
    """Reads whatever bytes as a manifest of one kind, all the way to items."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        self.path.touch()
        self.job = Job.from_toml(f"manifest = '{name}'\nmodel = 'each-upscaler'", base=str(folder))
        self.maker = ItemMaker(self.job, Contents(None))

    def read(self, content: bytes) -> list[Row | Reject]:
        """Return the rows, and check what holds for every manifest."""
        self.path.write_bytes(content)
        rows = list(read_manifest(self.job))
        assert count_rows(self.job) == len(rows)
        for row in rows:
            if isinstance(row, Row):
                draft = self.maker.draft(row)
                made = self.maker.finish(draft) if isinstance(draft, Draft) else draft
                assert made.line == row.line
                assert not isinstance(made, Reject) or is_one_line(made.message)
            else:
                assert is_one_line(row.message)
        return rows

    def items(self, content: bytes) -> list[list[Any]]:
        """Return each row's line, and whether it is an item or why not, in a word."""
        found: list[list[Any]] = []
        for row in self.read(content):
            draft = self.maker.draft(row) if isinstance(row, Row) else row
            made = self.maker.finish(draft) if isinstance(draft, Draft) else draft
            found.append([made.line, made.kind if isinstance(made, Reject) else "row"])
        return found


def is_one_line(text: str) -> bool:
    return bool(text) and text.isprintable()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


# ---------------------------------------------------------------- manifests


def expected() -> dict[str, Any]:
    return dict(json.loads((CORPUS / "expected.json").read_text()))


@pytest.mark.parametrize("name", expected())
def test_the_corpus(name: str, folder: Path, record: Record) -> None:
    """Each hand-made manifest gives the rows and rejects that are written down for it, on those lines."""
    content = (CORPUS / name).read_bytes()
    try:
        found: Any = Reader(folder, name).items(content)
    except DataProblem as problem:
        assert is_one_line(problem.message)  # noqa: PT017 - which of the two is written down
        found = "unusable"
    record(manifests=1)
    assert found == expected()[name]


@pytest.mark.parametrize("name", expected())
def test_the_command_explains_the_corpus(name: str, folder: Path) -> None:
    """`batchup check` of any of them ends with an exit code of its own, in words and not in a traceback."""
    (folder / name).write_bytes((CORPUS / name).read_bytes())
    (folder / "job.toml").write_text(JOB.format(name))
    done = CliRunner().invoke(main, ["check", str(folder / "job.toml")])
    assert "Traceback" not in done.output
    is_unusable, rows = expected()[name] == "unusable", expected()[name]
    # Nothing at all is no clean manifest: perhaps its disk is not mounted.
    is_clean = bool(rows) and not is_unusable and all(kind == "row" for _, kind in rows)
    assert done.exit_code == (65 if is_unusable else 0 if is_clean else 3), done.output


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_huge_row_is_told_and_passed_over(end: bytes, folder: Path, record: Record) -> None:
    """A row beyond the bound is one reject with its line, and the rows behind it have theirs."""
    huge = b'{"id": "b", "image": "' + b"x" * MAX_ROW_BYTES + b'"}'
    lines = [GOOD_LINE, huge, GOOD_LINE.replace(b"a-7", b"c"), b"x" * (3 * MAX_ROW_BYTES)]
    found = Reader(folder, "huge.jsonl").items(end.join(lines))
    assert found == [[1, "row"], [2, "too_long"], [3, "row"], [4, "too_long"]]
    cells = end.join([b"image,id", b"https://x/1.png," + b"x" * MAX_ROW_BYTES, b"https://x/2.png,b"])
    assert Reader(folder, "huge.csv").items(cells) == [[2, "too_long"], [3, "row"]]
    record(manifests=2)


PIECES = st.sampled_from(
    [GOOD_LINE, b'{"id": "a"', b"}", b"\n", b"\n", b"\r\n", b"\r", b'"', b",", b";", b"\t", b":",
    b"[", b"{", b"\xff",
     b"\x00", b"\xef\xbb\xbf", b'{"image": "https://x/1.png"}', b'{"id": 3, "image": 5}',
     b'{"image": "a\\u0000b"}',
     b"image,id\n", b"a.jpg", b"NaN", b"1e999", b"\\ud800", "é".encode(), b"#", b" ", b"[" * 3000,
     b'""', b"id",
     b'{"image": "../x/../../y"}', b"\x1a", b"\x0c", b"\x85", "\u2028".encode(), b"\\u0069d",
     b"-1", b"/", b"%2e"]
)  # fmt: skip
MANIFESTS = st.lists(PIECES | st.binary(max_size=6), max_size=25).map(b"".join)


BINARY = (
    b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF-",
    b"SQLite format 3\x00", b"\xff\xd8\xff", b"\x89PNG", b"II*\x00", b"MM\x00*", bytes(16),
)  # fmt: skip
"""How UTF-16, a picture, an archive and the like begin, and what a crash left of a file."""
PLAIN = (b"PAR1", b"GIF87a", b"GIF89a", b"BM")  # so may a name, which has none of these bytes behind it:
CONTROLS = frozenset(range(9))
INSIDE = ((8, b"WEBP"), (4, b"ftypavif"), (4, b"ftyphei"), (257, b"ustar"))


def is_refused(reader: Reader, content: bytes) -> bool:
    """Tell whether a content is no text by how it begins; it must then be refused, in one sentence."""
    head = content[:512]
    is_odd = not CONTROLS.isdisjoint(head)
    is_inside = any(head.startswith(magic, at) for at, magic in INSIDE)
    if not (head.startswith(BINARY) or (is_odd and (head.startswith(PLAIN) or is_inside))):
        return False
    with pytest.raises(DataProblem) as caught:
        reader.read(content)
    assert is_one_line(caught.value.message)
    return True


def test_what_is_no_text_is_refused(folder: Path, record: Record) -> None:
    """A picture or an archive that is called a manifest is told as such; a text that begins alike is read."""
    for name in ("binary.jsonl", "binary.txt"):
        reader = Reader(folder, name)
        assert all(is_refused(reader, start + bytes(32)) for start in (*BINARY, *PLAIN))
        for text in (b"BM1.png", b"GIF89a.png", b"PAR1.png", bytes(15), b"PK.png", b"%PD", b"\xff"):
            assert len(reader.read(text)) == 1
    record(manifests=2 * (len(BINARY) + len(PLAIN) + 7))


def must_be_row(line: bytes) -> bool:
    """Tell whether a line of JSON Lines is an object as RFC 8259 has it, by the standard library."""
    try:
        found = strictly(line)
        twins = json.loads(line, object_pairs_hook=lambda pairs: len(pairs) == len(dict(pairs)) or 1 / 0)
    except (ValueError, ZeroDivisionError, RecursionError):
        return False
    return isinstance(found, dict) and twins is not None and depth_of(found) <= 32


def test_any_json_lines(folder: Path, column: Column, record: Record) -> None:
    """Every line that is not blank is one row or one reject, with its number, and a row if it can be one."""
    reader, count = Reader(folder, "any.jsonl"), 1500 * COUNT[column]

    @settings(max_examples=count, deadline=None, database=None, derandomize=True)
    @given(MANIFESTS)
    def check(content: bytes) -> None:
        if not is_refused(reader, content):
            judge_json_lines(reader, content)

    check()
    record(manifests=count)


def judge_json_lines(reader: Reader, content: bytes) -> None:
    """Compare what was read with what the lines are."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    wanted = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    rows = reader.read(content)
    assert [row.line for row in rows] == [number for number, _ in wanted], content
    for row, (_, line) in zip(rows, wanted, strict=True):
        is_object = isinstance(row, Row) or row.kind not in {"bad_json", "encoding", "too_long"}
        assert is_object == must_be_row(line), line[:300]


def test_spoilt_json_lines(folder: Path, column: Column, record: Record) -> None:
    """A good manifest with something wrong in one of its lines loses no other line."""
    reader, count, rng = Reader(folder, "spoilt.jsonl"), 1500 * COUNT[column], Random("lines")
    for _ in range(count):
        lines = [GOOD_LINE.replace(b"a-7", b"a-%d" % k) for k in range(3)]
        lines[rng.randrange(3)] = spoilt(rng, GOOD_LINE)
        content = b"\n".join(lines)
        if not is_refused(reader, content):
            judge_json_lines(reader, content)
    record(manifests=count)


def test_any_csv(folder: Path, column: Column, record: Record) -> None:
    """A CSV of any bytes gives rows in the order of their lines, or is refused in one sentence."""
    reader, count = Reader(folder, "any.csv"), 1000 * COUNT[column]

    @settings(max_examples=count, deadline=None, database=None, derandomize=True)
    @given(st.booleans(), MANIFESTS)
    def check(has_header: bool, content: bytes) -> None:  # noqa: FBT001 - hypothesis calls it
        content = b"image,id,x\n" + content if has_header else content
        try:
            lines = [row.line for row in reader.read(content)]
        except DataProblem as problem:
            assert is_one_line(problem.message)  # noqa: PT017 - any bytes may or may not be a header
            return
        assert lines == sorted(set(lines))
        assert all(1 < line <= content.count(b"\n") + 2 for line in lines)

    check()
    record(manifests=count)


def test_rows_of_a_csv_have_their_lines(folder: Path, column: Column, record: Record) -> None:
    """Whatever stands in quotes, is blank or is broken before it, a row has the line on which it began."""
    reader, count, rng = Reader(folder, "rows.csv"), 600 * COUNT[column], Random("csv")
    for _ in range(count):
        content, wanted = make_csv(rng)
        assert reader.items(content) == wanted, content
    record(manifests=count)


def make_csv(rng: Random) -> tuple[bytes, list[list[Any]]]:
    """Make a CSV of good and bad rows, and what must come of it."""
    end = rng.choice((b"\n", b"\r\n"))
    content = rng.choice((b"", b"\xef\xbb\xbf")) + b"image,id,prompt" + end
    wanted: list[list[Any]] = []
    for k in range(rng.randrange(1, 7)):
        notes = (b"", b'"two\nlines"', b'"three\r\n\r\nlines"', b'"a ""word"""', b"plain")
        row, kind = rng.choice(
            (
                (b"https://x/1.png,a%d,%s" % (k, rng.choice(notes)), "row"),
                (b"https://x/1.png,a%d,%s,too,many" % (k, rng.choice(notes)), "bad_row"),
                (b"https://x/1.png,a%d,\xff%s" % (k, b"x"), "encoding"),
                (b"https://x/1.png,a\x07%d," % k, "bad_id"),
                (b"ftp://x/1.png,a%d," % k, "bad_url"),
                (b"", ""),
            )
        )
        if kind:
            wanted.append([content.count(b"\n") + 1, kind])
        content += row + end
    return content, wanted


def test_any_list(folder: Path, column: Column, record: Record) -> None:
    """Every line of a list that is neither blank nor a comment is one row or one reject with its number."""
    reader, count = Reader(folder, "any.txt"), 400 * COUNT[column]

    @settings(max_examples=count, deadline=None, database=None, derandomize=True)
    @given(MANIFESTS)
    def check(content: bytes) -> None:
        if is_refused(reader, content):
            return
        lines = enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
        wanted = [number for number, line in lines if line.strip() and not line.strip().startswith(b"#")]
        assert [row.line for row in reader.read(content)] == wanted

    check()
    record(manifests=count)


# ---------------------------------------------------------------- Retry-After


REQUESTS = [Create("a", 1, {}), Poll("a", "p"), Presign("a", "b"), ListPage(0, 0, 1)]


@pytest.mark.parametrize("request_", REQUESTS)
def test_every_wait_the_service_could_name(request_: Any, record: Record) -> None:
    """Seconds and dates are read and clamped to 1 s … 15 min, in header and body; garbage is none."""
    for text, wait in WAITS:
        for status in (429, 503):
            answer = read(request_, Response(status, {"retry-after": text}, b"{}"), NOW)
            assert isinstance(answer, Problem)
            assert answer.retry_after_s == wait, text
        body = json.dumps({"retry_after": text}).encode("utf-8", "surrogatepass")
        answer = read(request_, Response(429, {}, body), NOW)
        assert isinstance(answer, Problem)
        assert answer.retry_after_s in {wait, None}, text
    value: Any
    for value in (0, 0.5, 7, 1e9, -3, 10**400, True, [], {}, None, "7"):
        answer = read(request_, Response(429, {}, json.dumps({"retry_after": value}).encode()), NOW)
        assert isinstance(answer, Problem)
        assert answer.retry_after_s is None or 1.0 <= answer.retry_after_s <= 900.0
    for date, wait in SOON:
        headers = {"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT", "date": date}
        answer = read(request_, Response(429, headers, b"{}"), NOW)
        assert isinstance(answer, Problem)
        assert answer.retry_after_s == wait, date
    record(waits=2 * len(WAITS) + len(WAITS) + 11 + len(SOON))


# ---------------------------------------------------------------- ids as names of files


def test_ids_are_names_of_their_own_on_a_real_disk(tmp_path: Path, record: Record) -> None:
    """Every odd id gets a file of its own below the folder, beside those of all the others."""
    made: dict[str, str] = {}
    seen: set[str] = set()
    for item_id in (*IDS, *TWINS):
        is_twin = item_id.lower() in seen
        seen.add(item_id.lower())
        for index, extension in ((None, "png"), (0, "jpg"), (1, "jpg"), (None, PART)):
            path = output_path(item_id, index=index, extension=extension, is_twin=is_twin)
            assert made.setdefault(path.lower(), item_id) == item_id, path
            assert all(len(part.encode()) <= LONGEST_NAME for part in path.split("/"))
            file = tmp_path / "out" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x") as new:  # somebody else's would be there already
                new.write(ascii(item_id))
            assert file.resolve().is_relative_to((tmp_path / "out" / "images").resolve())
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == len(made) == 4 * len({*IDS, *TWINS})
    record(ids=len({*IDS, *TWINS}))


def test_any_ids(column: Column, record: Record) -> None:
    """Any two ids, however alike, have files that differ in more than case, below the folder."""
    count = 1000 * COUNT[column]
    letters = st.sampled_from("aAbB09./~-_\\ :%\x00\né\ud800İı\u212a")
    odd = st.text(letters, max_size=12) | st.sampled_from(IDS)

    @settings(max_examples=count, deadline=None, database=None, derandomize=True)
    @given(st.lists(odd | st.text(max_size=300), min_size=2, max_size=6, unique=True))
    def check(ids: list[str]) -> None:
        owners: dict[str, str] = {}
        seen: set[str] = set()
        for item_id in ids:
            is_twin = item_id.lower() in seen
            seen.add(item_id.lower())
            for extension in (*EXTENSIONS, PART):
                path = output_path(item_id, index=None, extension=extension, is_twin=is_twin)
                assert path.startswith("images/")
                assert ".." not in path.split("/")
                assert path.isascii()
                assert owners.setdefault(path.lower(), item_id) == item_id

    check()
    record(ids=count)
