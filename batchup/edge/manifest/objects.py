"""A folder or a glob in a bucket: each image is a row, its key below the folder the id."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from batchup.edge.manifest.media import is_image_name, is_unsendable_name
from batchup.edge.manifest.passed import HIDDEN, Passed
from batchup.edge.manifest.patterns import expand, fixed_part, has_braces, matches
from batchup.edge.manifest.rows import Reject, Row, read_id, shown
from batchup.edge.stores import Meta, Place, object_address, open_store
from batchup.errors import DataProblem

_SIGNS: Final = frozenset("*?[")


def is_pattern(key: str) -> bool:
    """Whether a key stands for several."""
    return not _SIGNS.isdisjoint(key) or has_braces(key)


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """What lies below a key of a bucket, or matches it; `outputs` is a prefix of ours that is passed over."""

    place: Place
    outputs: str | None = None

    @property
    def root(self) -> str:
        """The key that ids are relative to: empty, or with a slash at its end."""
        key = self.place.key
        if is_pattern(key):
            return fixed_part(key).rpartition("/")[0] + "/" if "/" in fixed_part(key) else ""
        return key if not key or key.endswith("/") else f"{key}/"

    def objects(self, is_wanted: Callable[[str], bool], passed: Passed | None = None) -> Iterator[Meta]:
        """Yield the objects whose name is wanted, in their store's order, hidden ones and our own aside.

        `passed` counts what is not yielded, but for our own.
        """
        passed = Passed() if passed is None else passed
        key = self.place.key
        prefix = fixed_part(key) if is_pattern(key) else self.root
        patterns = expand(key) if is_pattern(key) else []
        for meta in open_store(self.place.bucket).list_under(prefix):
            if patterns and not any(matches(pattern, meta.key) for pattern in patterns):
                continue
            relative = meta.key[len(self.root) :]
            if self._is_ours(meta.key):
                continue
            if any(part.startswith(".") for part in relative.split("/")):
                passed.note(HIDDEN)
            elif is_wanted(meta.key):
                yield meta
            elif not meta.key.endswith("/"):  # which stands for a folder
                passed.note_name(meta.key)

    def _is_ours(self, key: str) -> bool:
        return self.outputs is not None and key.startswith(self.outputs)

    def keys_of_files(self, suffixes: frozenset[str]) -> list[str]:
        """Return the keys of files by their endings, sorted."""
        found = self.objects(lambda key: PurePosixPath(key).suffix.lower() in suffixes)
        return sorted(meta.key for meta in found)


def read_objects(folder: StoredFolder, parameter: str, passed: Passed) -> Iterator[Row | Reject]:
    """Yield a row for each image, its line an ordinal; pictures that no model takes are rejects.

    What is no picture is counted by `passed`. Holds a page of the listing at a time. A folder with nothing in
    it is a DataProblem.
    """
    line = 0
    for line, meta in enumerate(folder.objects(_is_picture, passed), start=1):
        yield _row(line, meta, folder, parameter)
    if not line:
        raise DataProblem(f"There is no picture at {folder.place}.", remedy="Check the address.")


def count_objects(folder: StoredFolder) -> int:
    """Count what a folder will yield."""
    return sum(1 for _ in folder.objects(_is_picture))


def has_picture(folder: StoredFolder) -> bool:
    """Tell whether there is an image at all."""
    return next(folder.objects(_is_picture), None) is not None


def _is_picture(name: str) -> bool:
    return is_image_name(name) or is_unsendable_name(name)


def _row(line: int, meta: Meta, folder: StoredFolder, parameter: str) -> Row | Reject:
    relative = meta.key[len(folder.root) :]
    row_id = read_id(relative)
    if not isinstance(row_id, str):
        return Reject(line, None, "bad_id", f"The key {shown(ascii(meta.key))} is no id: {row_id}.")
    if is_unsendable_name(meta.key):
        kind = PurePosixPath(meta.key).suffix[1:].upper()
        message = f"The service takes no {kind}: convert {shown(relative)} to JPEG, PNG or WebP."
        return Reject(line, row_id, "unsupported_image", message)
    address = object_address(folder.place.bucket, meta.key)
    return Row(line, row_id, {parameter: address}, objects={parameter: meta})
