"""Tar shards in the layout of webdataset: members of one key, such as `0001.jpg` and `0001.json`, are a row.

The image stays where it is: a row says in which archive, from which byte on, and how long it is.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from batchup.core.items import Json
from batchup.edge.manifest.json_lines import decode_object
from batchup.edge.manifest.media import MEDIA_PARAMETERS, is_image_name, is_unsendable_name
from batchup.edge.manifest.passed import HIDDEN, NO_ENDING, NO_IMAGE, Passed
from batchup.edge.manifest.rows import (
    MAX_ROW_BYTES,
    Columns,
    Member,
    Reject,
    Row,
    is_utf8,
    make_row,
    read_id,
    shown,
)
from batchup.edge.manifest.tar_file import TarMember, TarProblem, TarReader
from batchup.errors import DataProblem
from batchup.settings.scalars import plain_value

_KEY_COLUMN: Final = "__key__"


class Archive(Protocol):
    """A tar that can be read from anywhere in it; `name` is its path or its address."""

    @property
    def name(self) -> str:
        """Its path on this machine, or its address."""

    @property
    def short(self) -> str:
        """Its name without a folder, for texts."""

    def open(self) -> AbstractContextManager[tuple[BinaryIO, int]]:
        """Open it; yields the file and its size in bytes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the members of a sample become: `parameter` takes the image, `columns` names others by ending."""

    parameter: str
    columns: Columns


@dataclass(slots=True)
class _Sample:
    """The members of one key, in their order."""

    key: str
    members: dict[str, TarMember]
    problem: str = ""


def read_shards(archives: Sequence[Archive], wanted: Wanted, passed: Passed) -> Iterator[Row | Reject]:
    """Yield a row or a reject for each sample with an image, in the archives' order; lines are ordinals.

    A damaged archive is a reject behind its rows, in place of the sample that it broke, and the next is read;
    one that is alone and no tar at all is a DataProblem. `passed` counts samples without an image.
    """
    line = 0
    for archive in archives:
        with archive.open() as (file, size):
            reader = TarReader(file, size)
            try:
                for sample in _samples(reader, passed):
                    line += 1
                    yield _row(line, archive, reader, sample, wanted)
            except TarProblem as problem:
                if problem.is_none and len(archives) == 1:
                    raise DataProblem(f"The manifest {archive.name} {problem.words}.") from None
                line += 1
                message = f"The archive {shown(archive.name)} {problem.words}; make it again."
                yield Reject(line, None, "bad_archive", message)


def count_shards(archives: Sequence[Archive]) -> int:
    """Count what the archives will yield."""
    count = 0
    for archive in archives:
        with archive.open() as (file, size):
            try:
                count += sum(1 for _ in _samples(TarReader(file, size), Passed()))
            except TarProblem as problem:
                if problem.is_none and len(archives) == 1:
                    raise DataProblem(f"The manifest {archive.name} {problem.words}.") from None
                count += 1
    return count


def _samples(reader: TarReader, passed: Passed) -> Iterator[_Sample]:
    """Yield the samples that have an image, or something that looks like one and cannot be read."""
    sample = _Sample("", {})
    for member in reader.members():
        key, extension = _split(member.name)
        if not extension:
            passed.note(NO_ENDING if key else HIDDEN)
            continue
        if key != sample.key:
            if _counts(sample, passed):
                yield sample
            sample = _Sample(key, {})
        if extension in sample.members and not sample.problem:
            sample.problem = f"there are two members {shown(member.name)}"
        sample.members[extension] = member
    if _counts(sample, passed):
        yield sample


def _split(name: str) -> tuple[str, str]:
    """Part a name at the first dot of its last segment, as webdataset does; a hidden one has no key."""
    folder, slash, last = name.rpartition("/")
    stem, _, extension = last.partition(".")
    return (f"{folder}{slash}{stem}", extension.lower()) if stem else ("", "")


def _counts(sample: _Sample, passed: Passed) -> bool:
    found = any(_is_picture(extension) for extension in sample.members)
    if sample.members and not found:
        passed.note(NO_IMAGE)
    return found


def _is_picture(extension: str) -> bool:
    return is_image_name(f"x.{extension}") or is_unsendable_name(f"x.{extension}")


def _row(line: int, archive: Archive, reader: TarReader, sample: _Sample, wanted: Wanted) -> Row | Reject:
    where = f"{shown(sample.key)} of {shown(archive.short)}"
    key = read_id(sample.key) if is_utf8(sample.key) else ValueError("it is not UTF-8")
    if isinstance(key, ValueError) or key is None:
        return Reject(line, None, "bad_id", f"The key {shown(ascii(sample.key))} is no id: {key}.")
    if found := sample.problem or _bad_name(sample.key) or _bad_member(sample):
        return Reject(line, key, "bad_member", f"{where}: {found}.")
    try:
        pictures = _pictures(sample, wanted)
        record = _record(reader, sample, wanted)
    except (ValueError, RecursionError) as problem:
        words = problem if isinstance(problem, ValueError) else "its JSON is nested too deep"
        return Reject(line, key, "bad_row", f"{where}: {words}.")
    row = make_row(line, record, wanted.columns, where=where)
    if isinstance(row, Reject):
        return row
    members = {
        parameter: Member(archive.name, member.name, member.offset, member.size)
        for parameter, member in pictures.items()
    }
    texts = {parameter: f"{archive.short}/{member.name}" for parameter, member in pictures.items()}
    own_id = key if row.id is None else row.id
    return Row(line, own_id, {**row.input, **texts}, members)


def _bad_name(key: str) -> str:
    if key.startswith("/"):
        return "its name is absolute"
    return 'its name has ".." in it' if ".." in key.split("/") else ""


def _bad_member(sample: _Sample) -> str:
    for extension, member in sample.members.items():
        if member.refused:
            return f"{shown(member.name)} is {member.refused}, not a file"
        if is_unsendable_name(f"x.{extension}"):
            kind = extension.upper()
            return f"the service takes no {kind}: convert {shown(member.name)} to JPEG, PNG or WebP"
    return ""


def _pictures(sample: _Sample, wanted: Wanted) -> dict[str, TarMember]:
    """Tell which parameter each image of a sample is; ValueError where that is not clear."""
    named = wanted.columns.parameters
    images = {ext: member for ext, member in sample.members.items() if is_image_name(f"x.{ext}")}
    found = {named[ext]: member for ext, member in images.items() if ext in named}
    rest = {ext: member for ext, member in images.items() if ext not in named}
    for extension in list(rest):
        parameter = extension.partition(".")[0]  # 0001.mask.png
        if parameter in MEDIA_PARAMETERS and parameter not in found:
            found[parameter] = rest.pop(extension)
    if wanted.parameter in found or not rest:
        return found
    if len(rest) > 1:
        example = f'{wanted.parameter} = "{next(iter(rest))}"'
        names = ", ".join(rest)
        raise ValueError(f"it has several images ({names}): say under [columns] which, as in {example}")
    return {**found, wanted.parameter: next(iter(rest.values()))}


def _record(reader: TarReader, sample: _Sample, wanted: Wanted) -> dict[str, Json]:
    """Read what a sample says beside its images: its JSON, and the texts that [columns] asks for."""
    columns = wanted.columns
    record: dict[str, Json] = {}
    if "json" in sample.members:
        record = decode_object(_text_of(reader, sample.members["json"]))
    for extension in columns.parameters.keys() & sample.members.keys():
        if extension != "json" and not is_image_name(f"x.{extension}"):
            text = _text_of(reader, sample.members[extension]).decode().strip()
            record[extension] = plain_value(text) if extension == "cls" else text
    if columns.id == _KEY_COLUMN:
        record[_KEY_COLUMN] = sample.key
    elif not columns.is_id_named:
        record.pop(columns.id, None)
    return record


def _text_of(reader: TarReader, member: TarMember) -> bytes:
    if member.size > MAX_ROW_BYTES:
        raise ValueError(f"{shown(member.name)} is longer than {MAX_ROW_BYTES >> 20} MiB")
    return reader.read(member)
