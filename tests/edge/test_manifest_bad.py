"""Thirty manifests that somebody spoiled, each with the exact words that say so."""

import contextlib
import gzip
import io
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import zstandard
from edge.archives import DEVICE, LINK, parquet, tar, tar_of_kind

from batchup.edge.manifest import Reject, count_rows, read_manifest
from batchup.errors import BatchupError, ConfigProblem
from batchup.job import Job

LINES: Final = b'{"image": "a.jpg"}\n' * 3
WIDE: Final = zstandard.ZstdCompressor(
    compression_params=zstandard.ZstdCompressionParameters(window_log=28, strategy=1)
)
GOOD: Final = tar([("1.jpg", b"x" * 600), ("2.jpg", b"y")])


def packed_wide() -> bytes:
    made = WIDE.compressobj()
    return bytes(made.compress(LINES) + made.flush())


def broken_header() -> bytes:
    """The second member's header is not one any more."""
    return GOOD[:1536] + b"garbage" + GOOD[1543:]


def long_header() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = tarfile.GNUTYPE_LONGNAME, 100_000
        archive.addfile(info, io.BytesIO(b"x" * 100_000))
    return made.getvalue()


UNPACK: Final = "Make it again, or unpack it."
CAT: Final = "Put them together into one file, as `cat` does."
HELD: Final = (
    'The column "image" of {} holds the images themselves.\n'
    "Write their paths or addresses into a column, or the images into tar shards."
)
NOT_TAR: Final = "The manifest {} is no tar."
TOLD: Final[list[tuple[str, bytes, str, list[str]]]] = [
    ("m.jsonl", '{"image": "a"}\n'.encode("utf-16"), "", ["The manifest {} is UTF-16; save it as UTF-8."]),
    (
        "m.jsonl",
        b'{"image": "\xe4.jpg"}\n',
        "",
        ["Line 1 is not UTF-8 (byte 0xe4 at position 12); save the manifest as UTF-8."],
    ),
    (
        "m.jsonl",
        b'\xef\xbb\xbf{"image": "a.jpg"\n',
        "",
        ["Line 1 is not a JSON object: Input data was truncated."],
    ),
    (
        "m.jsonl",
        b'{"id": "a\\u0000b", "image": "a.jpg"}\n',
        "",
        ["Line 1: an id has no control characters, as 'a\\x00b' has."],
    ),
    (
        "m.jsonl",
        b'["a.jpg"]\n',
        "",
        ['Line 1 is not a JSON object: it is ["a.jpg"], not an object in braces.'],
    ),
    (
        "m.jsonl",
        b'{"image": "a.jpg", "image": "b.jpg"}\n',
        "",
        ['Line 1 is not a JSON object: "image" is given twice.'],
    ),
    ("m.jsonl", b'{"a":' * 40 + b"1" + b"}" * 40, "", ["Line 1 is nested more than 32 deep."]),
    ("m.jsonl", b'{"image": "' + b"x" * (1 << 20) + b'"}\n', "", ["Line 1 is longer than 1 MiB."]),
    ("m.jsonl.gz", gzip.compress(LINES, mtime=0)[:-12], "", [f"The manifest {{}} is cut short.\n{UNPACK}"]),
    ("m.jsonl.gz", LINES, "", [f"The manifest {{}} is damaged, or not gzip.\n{UNPACK}"]),
    (
        "m.csv.zst",
        zstandard.compress(b"image\na.jpg\n")[:-3],
        "",
        [f"The manifest {{}} is cut short.\n{UNPACK}"],
    ),
    ("m.csv.zst", b"image\na.jpg\n", "", [f"The manifest {{}} is damaged, or not Zstandard.\n{UNPACK}"]),
    ("m.jsonl.zst", zstandard.compress(b"x" * (1 << 24)), "", ["Line 1 is longer than 1 MiB."]),
    (
        "m.jsonl.zst",
        packed_wide(),
        "",
        ["The manifest {} needs more than 128 MiB to unpack.\nPack it with less."],
    ),
    ("m.csv", b"", "", ["The manifest {} is empty; its first row must name the columns."]),
    (
        "m.csv",
        b"PAR1\x15\x04",
        "",
        ["The manifest {} is a Parquet file, and no text.\nName it .parquet."],
    ),
    (
        "m.txt",
        b"\xff\xd8\xff\xe0\x00\x10JFIF",
        "",
        ["The manifest {} is a JPEG picture, and no text.\nName a manifest: JSON Lines, CSV or a list."],
    ),
    (
        "m.txt",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        "",
        ["The manifest {} is a WebP picture, and no text.\nName a manifest: JSON Lines, CSV or a list."],
    ),
    (
        "m.csv",
        bytes(100),
        "",
        [
            (
                "The manifest {} begins with zero bytes, and is no text.\n"
                "It was probably damaged when a machine went down: write it again."
            ),
        ],
    ),
    (
        "m.csv",
        b"id,image\ra,a.jpg\rb,b.jpg\r",
        "",
        [
            (
                "The lines of the manifest {} end in CR alone, as of an old Mac.\n"
                "Save it with line ends of Unix (LF) or Windows (CR LF)."
            ),
        ],
    ),
    (
        "m.csv",
        b"id,image\na,a.jpg\rb,b.jpg\n",
        "",
        ["Line 2 is not valid CSV: a cell without quotes has a carriage return (CR) in it."],
    ),
    ("m.csv", b"id,image,image\n1,a,b\n", "", ['The manifest {} has two columns named "image"; rename one.']),
    (
        "m.csv",
        b'image,prompt\n"a.jpg,x\nb.jpg,y\n',
        "",
        ["Lines 2 to 3 are not valid CSV (unexpected end of data); is a quote left open?"],
    ),
    ("m.csv", b"image\na.jpg,b,c\n", "", ["Line 2 has 3 cells, the header 1; is a quote missing?"]),
    (
        "m.tsv",
        b"image\tsku\na.jpg\t1\n",
        "[columns]\nid = 'skuu'",
        ['The manifest {} has no column "skuu", as [columns] says; did you mean "sku"?'],
    ),
    (
        "m.txt",
        b"a.jpg\n\xff\xfe.jpg\n",
        "",
        ["Line 2 is not UTF-8 (byte 0xff at position 1); save the manifest as UTF-8."],
    ),
    (
        "m.parquet",
        b"PAR1 and no more",
        "",
        ["The manifest {} is no Parquet file, or damaged.\nWrite it again."],
    ),
    (
        "m.parquet",
        parquet({"image": [{"bytes": b"\xff\xd8", "path": "a.jpg"}]}),
        "",
        [HELD],
    ),
    (
        "m.parquet",
        parquet({"image": ["a.jpg"], "creativity": [float("nan")]}),
        "",
        ["Row 1: nan is no JSON value."],
    ),
    ("m.tar", LINES * 40, "", [NOT_TAR]),
    ("m.tar", b"", "", [NOT_TAR]),
    (
        "m.tar",
        GOOD[:1000],
        "",
        ["The archive {} is cut short: '1.jpg' would end behind its last byte; make it again."],
    ),
    ("m.tar", GOOD[:1536], "", ["The archive {} is cut short: its end mark is missing; make it again."]),
    (
        "m.tar",
        broken_header(),
        "",
        ["The archive {} is damaged: what should be a header is none; make it again."],
    ),
    (
        "m.tar",
        long_header(),
        "",
        ["The archive {} has a header of 100000 bytes, which no tool writes; make it again."],
    ),
    ("m.tar", tar_of_kind("1.jpg", LINK), "", ["1 of m.tar: 1.jpg is a link, not a file."]),
    ("m.tar", tar_of_kind("1.jpg", DEVICE), "", ["1 of m.tar: 1.jpg is a device, not a file."]),
    ("m.tar", tar([("/etc/1.jpg", b"x")]), "", ["/etc/1 of m.tar: its name is absolute."]),
    ("m.tar", tar([("a/../1.jpg", b"x")]), "", ['a/../1 of m.tar: its name has ".." in it.']),
    (
        "m.tar",
        tar([("1.jpg", b"x"), ("1.png", b"x")]),
        "",
        ['1 of m.tar: it has several images (jpg, png): say under [columns] which, as in image = "jpg".'],
    ),
    ("m.tar", tar([("1.jpg", b"x"), ("1.jpg", b"x")]), "", ["1 of m.tar: there are two members 1.jpg."]),
    (
        "m.tar",
        tar([("1.jpg", b"x"), ("1.json", b"[1]")]),
        "",
        ["1 of m.tar: it is [1], not an object in braces."],
    ),
    (
        "m.tar",
        tar([("1.heic", b"x")]),
        "",
        ["1 of m.tar: the service takes no HEIC: convert 1.heic to JPEG, PNG or WebP."],
    ),
]


@pytest.mark.parametrize(("name", "content", "more", "told"), TOLD)
def test_a_spoiled_manifest_is_told_in_exact_words(
    tmp_path: Path, name: str, content: bytes, more: str, told: list[str]
) -> None:
    """What is wrong with a manifest, or with a row of it, is one sentence that names it."""
    (tmp_path / name).write_bytes(content)
    job = Job.from_toml(f"manifest = '{name}'\nmodel = 'each-upscaler'\n{more}", base=tmp_path)
    assert words(lambda: [row.message for row in read_manifest(job) if isinstance(row, Reject)]) == [
        sentence.format(tmp_path / name) for sentence in told
    ]
    with contextlib.suppress(BatchupError):
        assert len(list(read_manifest(job))) == count_rows(job)


def words(read: Callable[[], list[str]]) -> list[str]:
    try:
        return read()
    except BatchupError as problem:
        return [str(problem)]


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ("none.jsonl", "There is no {}/none.jsonl; check `manifest` in the job file, or --manifest."),
        ("s-{0..2}.tar", "There is no {}/s-0.tar; check `manifest` in the job file, or --manifest."),
        ("s-*.tar", "There is nothing at s-*.tar.\nCheck `manifest`, or --manifest."),
        (
            "*.csv",
            f"A pattern of tables or lists is not read: *.csv.\n{CAT}",
        ),
        (
            "s-{1..999999999}.tar",
            "s-{{1..999999999}}.tar stands for more than 100,000 files.\nName a folder.",
        ),
    ],
)
def test_names_that_mean_nothing_are_told(tmp_path: Path, manifest: str, told: str) -> None:
    """A name behind which there is no manifest is one sentence, before anything is read."""
    job = Job.from_toml(f"manifest = '{manifest}'\nmodel = 'each-upscaler'", base=tmp_path)
    assert words(lambda: [str(row) for row in read_manifest(job)]) == [told.format(tmp_path)]


def test_one_damaged_shard_spares_the_others(tmp_path: Path) -> None:
    """Of several archives one that is no tar, or cut short, is a reject, and the others are read."""
    for name, content in (("a.tar", b"no tar" * 200), ("b.tar", GOOD[:2000]), ("c.tar", GOOD)):
        (tmp_path / name).write_bytes(content)
    job = Job.from_toml("manifest = '?.tar'\nmodel = 'each-upscaler'", base=tmp_path)
    assert [row.id for row in read_manifest(job)] == [None, None, "1", "2"]
    assert count_rows(job) == 4


LOADED: Final = {
    "pyarrow": "batchup.edge.manifest.parquet_rows",
    "obstore": "batchup.edge.stores.bucket",
}


@pytest.mark.parametrize(
    ("module", "manifest", "told"),
    [
        ("zstandard", "m.csv.zst", "The manifest {} needs zstandard.\npip install 'batchup-runner[zst]'"),
        (
            "pyarrow",
            "m.parquet",
            "A Parquet manifest needs pyarrow.\npip install 'batchup-runner[parquet]'",
        ),
        (
            "obstore",
            "s3://without-extra/m.tar",
            "s3://without-extra needs obstore.\npip install 'batchup-runner[cloud]'",
        ),
    ],
)
def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, manifest: str, told: str
) -> None:
    """What a kind of manifest needs beyond the core is said with the line that installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    if module in LOADED:
        monkeypatch.delitem(sys.modules, LOADED[module], raising=False)
        monkeypatch.delattr(LOADED[module], raising=False)
    (tmp_path / Path(manifest).name).touch()
    job = Job.from_toml(f"manifest = '{manifest}'\nmodel = 'each-upscaler'", base=tmp_path)
    with pytest.raises(ConfigProblem) as caught:
        list(read_manifest(job))
    assert str(caught.value).startswith(told.format(tmp_path / manifest))


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_bomb_is_read_in_bounded_memory(tmp_path: Path, packing: str) -> None:
    """A packed line of 256 MiB costs time and no memory: it is one reject."""
    name = tmp_path / f"m.txt.{packing}"
    with gzip.open(name, "wb", 1) if packing == "gz" else zstandard.open(name, "wb") as file:
        for _ in range(256):
            file.write(b"x" * (1 << 20))
        file.write(b"\nlast.jpg\n")
    job = Job.from_toml(f"manifest = '{name.name}'\nmodel = 'each-upscaler'", base=tmp_path)
    before = resident()
    rows = list(read_manifest(job))
    assert [type(row).__name__ for row in rows] == ["Reject", "Row"]
    assert resident() - before < 60 << 20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
