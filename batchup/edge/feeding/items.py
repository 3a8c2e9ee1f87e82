"""From a row of the manifest to an item: parameters merged, local images found, hashed and looked into."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from batchup.core.fingerprint import fingerprint, hashed_id
from batchup.core.items import Item, Json, LocalFile
from batchup.core.spelling import reserved_names
from batchup.edge.images.contents import Contents, mark_of
from batchup.edge.images.locating import MAX_FILE_BYTES, Locator, Refusal, check_file, of_store, unreadable
from batchup.edge.images.outgrowing import KIND as OUTGROWN
from batchup.edge.images.outgrowing import outgrowth
from batchup.edge.images.pictures import BadPicture
from batchup.edge.images.preparing import Glance, Recipe, check_input
from batchup.edge.manifest import Reject, Row, manifest_folder
from batchup.edge.manifest.media import IMAGE_PARAMETERS, MEDIA_PARAMETERS
from batchup.edge.manifest.rows import Member, read_id, shown, shown_path
from batchup.edge.manifest.spelled import as_path, is_file_address
from batchup.edge.manifest.told import told
from batchup.edge.stores import StoreProblem, is_store_address, split_address
from batchup.errors import ConfigProblem, DiskProblem
from batchup.job import Job

__all__ = ["MAX_FILE_BYTES", "Draft", "ItemMaker"]

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://", re.ASCII)
_USUAL_ADDRESS = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*/[!-~]*", re.ASCII)
_COLUMN: Final = "; name the column that it is in under [columns]"
_IMAGE_REQUIRED_BY: Final = {"each-upscaler": "image"}
_NONE: Final[Mapping[str, Member]] = {}
_NOWHERE: Final[Mapping[str, str]] = {}
_NO_DEFAULTS: Final[Mapping[str, Json]] = {}


@dataclass(frozen=True, slots=True)
class Draft:
    """An item but for the content of its images: `input` is merged, `paths` are those of local files.

    `members` are images inside an archive, `objects` the addresses of those in a bucket.
    """

    line: int
    id: str
    input: Mapping[str, Json]
    paths: Mapping[str, Path]
    members: Mapping[str, Member] = field(default_factory=lambda: _NONE)
    objects: Mapping[str, str] = field(default_factory=lambda: _NOWHERE)

    @property
    def has_images(self) -> bool:
        """Whether there are images that are looked into: on this machine, in an archive or in a bucket."""
        return bool(self.paths or self.members or self.objects)


class ItemMaker:
    """Turns rows into items, one at a time; holds nothing of them. Blocking: it reads files.

    Raises DataProblem when made, if the job's manifest is missing, and DiskProblem when files can no longer
    be opened.
    """

    def __init__(self, job: Job, contents: Contents, defaults: Mapping[str, Json] = _NO_DEFAULTS) -> None:
        self._job = job
        self.contents = contents
        self._defaults = defaults  # of the model's parameters
        self._locator = Locator(job, contents)
        self._folder = manifest_folder(job)
        self._job_folder = job.path.parent if job.path else job.base
        has_hook = job.webhook is not None
        self._reserved = reserved_names(job.service.spelling, job.model, has_hook=has_hook)

    def draft(self, row: Row) -> Draft | Reject:
        """Merge a row's parameters and find its files; their content is not read yet."""
        merged = {**self._job.input, **row.input}
        try:
            self._check_names(merged)
            self._check_image(merged)
            paths, objects = self._places(row, merged)
            self._check_uploads([*paths, *row.members])
            return Draft(row.line, self._id(row, paths, merged), merged, paths, row.members, objects)
        except Refusal as refusal:
            return Reject(row.line, row.id, refusal.kind, f"{self._told(row)}: {refusal.message}.")

    def _told(self, one: Row | Draft | Item) -> str:
        return told(self._job, one.line, one.id)

    def finish(self, draft: Draft) -> Item | Reject:
        """Read and hash the draft's files, unless they are known: it is an item then."""
        try:
            files = {name: self._located(draft, name) for name in self._images(draft)}
            self._check_uploads(name for name, file in files.items() if not file.can_sign)
        except Refusal as refusal:
            return Reject(draft.line, draft.id, refusal.kind, f"{self._told(draft)}: {refusal.message}.")
        request = fingerprint(self._job.model, draft.input, files)
        return Item(draft.id, draft.line, draft.input, files, request)

    def check(self, item: Item, *, is_fetching: bool = True, is_next: bool = False) -> Reject | None:
        """Decode an item's images, unless it is known what that finds: a broken one is never sent.

        Of one in a bucket the first bytes are read, unless `[prepare] check` is set, or it has to be fetched
        to be sent and `is_fetching`. With `is_next` the upload comes next, and what was fetched serves it.
        """
        for name, file in item.files.items():
            try:
                found = self._look(name, file, is_fetching=is_fetching, is_next=is_next)
                kind, _, words = found.partition(":")
            except Refusal as refusal:
                return Reject(item.line, item.id, refusal.kind, f"{self._told(item)}: {refusal.message}.")
            if not words:
                words = outgrowth(self._job, item, name, self.contents, self._defaults)
                kind = OUTGROWN
            if words:
                place = file.path if file.offset is None and not file.is_stored else item.input[name]
                message = f'{self._told(item)}: "{name}": {shown_path(place)} {words}.'
                return Reject(item.line, item.id, kind, message)
        return None

    def is_known(self, draft: Draft) -> bool:
        """Tell whether all its images are files that were looked into, so that an item is made at once."""
        is_here = not draft.members and not draft.objects
        return is_here and all(map(self._is_looked_into, draft.paths.values()))

    def _is_looked_into(self, path: Path) -> bool:
        glance = Glance(is_converted=Recipe.of(self._job.prepare).converts)
        try:
            digest = self.contents.get(str(path), mark_of(path.stat()))
        except OSError:
            return False
        most = self._job.output.max_pixels
        return digest is not None and self.contents.problem_of(digest, glance.rules, most) is not None

    @staticmethod
    def _images(draft: Draft) -> list[str]:
        """Name the parameters that are images here; one that was left out of the input is none any more."""
        return [
            name
            for part in (draft.paths, draft.members, draft.objects)
            for name in part
            if name in draft.input
        ]

    def _located(self, draft: Draft, name: str) -> LocalFile:
        if name in draft.paths:
            return self._locator.file(name, draft.paths[name])
        if name in draft.members:
            return self._locator.member(name, self._placed(draft.members[name]))
        return self._locator.object(name, draft.objects[name])

    def is_glanced_at(self, file: LocalFile) -> bool:
        """Whether only the first bytes of an image are read, unless it is fetched to be sent."""
        return file.is_stored and not self._job.prepare.check

    def _look(self, name: str, file: LocalFile, *, is_fetching: bool, is_next: bool) -> str:
        """Return what is wrong with an image, a kind of reject and words, or nothing."""
        digest, most = bytes.fromhex(file.content or file.sha256), self._job.output.max_pixels
        glance = Glance(
            is_whole=not self.is_glanced_at(file) or (is_fetching and not file.can_sign),
            is_converted=Recipe.of(self._job.prepare).converts,
            is_kept=is_next and not file.can_sign,
        )
        for one in dict.fromkeys((replace(glance, is_whole=True), glance)):
            known = self.contents.problem_of(digest, one.rules, most)
            if known is not None:
                return known
        problem = ""
        try:
            check_input(file, max_pixels=most, folder=_if_folder(self._job.output.dir), glance=glance)
        except BadPicture as bad:
            problem = f"{_KINDS.get(bad.kind, 'broken_image')}:{bad}"
            if _lacked_memory(bad):
                return problem  # it may be another time that there is enough
        except StoreProblem as trouble:
            raise of_store(name, trouble) from None
        except (OSError, DiskProblem) as trouble:
            error = trouble if isinstance(trouble, OSError) else trouble.__cause__
            raise unreadable(
                name, Path(file.path), error if isinstance(error, OSError) else OSError()
            ) from None
        self.contents.keep_problem(digest, glance.rules, most, problem)
        return problem

    def _placed(self, member: Member) -> Member:
        """Return a member with its archive's path as it can be opened."""
        if is_store_address(member.archive):
            return member
        archive = os.path.abspath(self._folder / member.archive)  # noqa: PTH100 - as below
        return Member(archive, member.name, member.offset, member.size)

    def _check_names(self, merged: Mapping[str, Json]) -> None:
        for name in sorted(self._reserved & merged.keys()):
            title = self._job.service.spelling.title
            where = "[input]" if name in self._job.input else "the row"
            words = f'"{name}" is no parameter: in a request to {title} it says what is bought, or how'
            raise Refusal("bad_row", f"{words}; take it out of {where}")

    def _check_image(self, merged: Mapping[str, Json]) -> None:
        needed = _IMAGE_REQUIRED_BY.get(self._job.model)
        if needed is None or needed in merged:
            return
        others = [name for name in IMAGE_PARAMETERS if name in merged]
        hint = (
            f'; to use "{others[0]}", write {needed} = "{others[0]}" under [columns]' if others else _COLUMN
        )
        raise Refusal("no_image", f'there is no "{needed}", which {self._job.model} needs{hint}')

    def _check_uploads(self, names: Iterable[str]) -> None:
        """Refuse images that would have to be uploaded to a service that takes no uploads."""
        spelling = self._job.service.spelling
        name = next(iter(names), None) if spelling.upload is None else None
        if name is not None:
            words = f'"{name}" would have to be uploaded, and {spelling.title} takes no uploads'
            raise Refusal("no_upload", f"{words}: write an https:// address, or one of a bucket that signs")

    def _places(self, row: Row, merged: Mapping[str, Json]) -> tuple[dict[str, Path], dict[str, str]]:
        """Return the paths of the images that are files, and the addresses of those in a bucket."""
        paths: dict[str, Path] = {}
        objects: dict[str, str] = {}
        for name in sorted(MEDIA_PARAMETERS & merged.keys() - row.members.keys()):
            value = merged[name]
            if isinstance(value, str) and is_store_address(value):
                _check_object(name, value)
                objects[name] = value
            elif _is_local(name, value):
                folder = self._folder if name in row.input else self._job_folder
                path = Path(os.path.abspath(folder / as_path(value)))  # noqa: PTH100 - resolve() would follow links, and their targets may change
                try:
                    check_file(name, path, path.stat())
                except (OSError, ValueError) as problem:  # a NUL in a path is a ValueError
                    raise unreadable(name, path, problem) from None
                paths[name] = path
        return paths, objects

    def _id(self, row: Row, paths: Mapping[str, Path], merged: Mapping[str, Json]) -> str:
        if row.id is not None:
            return row.id
        own = next((name for name in IMAGE_PARAMETERS if name in paths and name in row.input), None)
        if own is None:
            return hashed_id(fingerprint(self._job.model, merged, {}))
        path = paths[own]
        folder = os.path.abspath(self._folder)  # noqa: PTH100 - as above
        is_inside = path.is_relative_to(folder)
        row_id = read_id((path.relative_to(folder) if is_inside else path).as_posix())
        if not isinstance(row_id, str):
            raise Refusal("bad_id", f"the path {shown_path(ascii(str(path)))} is no id: {row_id}")
        return row_id


def _is_local(name: str, value: Json) -> bool:
    if not isinstance(value, str):
        raise Refusal("bad_row", f'"{name}" should be a path or an address, not {shown(value)}')
    if not value.strip():
        raise Refusal("bad_row", f'"{name}" is empty; leave it out instead')
    if value.startswith("data:"):
        return False
    found = _ADDRESS.match(value)
    if not found or is_file_address(value):
        return True
    if found[1].lower() not in {"http", "https"}:
        raise Refusal(
            "bad_url", f'"{name}" is at {found[1]}://; use https://, a bucket such as s3://, or a file'
        )
    _check_address(name, value)
    return False


def _check_address(name: str, value: str) -> None:
    if _USUAL_ADDRESS.fullmatch(value):
        return  # nearly all, and there are millions
    try:
        host = urlsplit(value).hostname
    except ValueError:
        host = None
    if not host or re.search(r"[\s\x00-\x1f\x7f]", value):
        raise Refusal("bad_url", f'"{name}" is no address: {shown(value)}')


_KINDS: Final = {"unsupported": "unsupported_image", "too_large": "too_many_pixels"}
"""Kinds of reject by what decoding found; any other is a broken image."""


def _check_object(name: str, address: str) -> None:
    try:
        key = split_address(address).key
    except ConfigProblem as problem:
        raise Refusal("bad_url", f'"{name}": {problem.message.rstrip(".")}') from None
    if not key or key.endswith("/"):
        raise Refusal("bad_url", f'"{name}" is a bucket or a folder in one, not an object: {shown(address)}')


def _lacked_memory(bad: BadPicture) -> bool:
    cause = bad.__cause__
    return isinstance(cause, MemoryError) or (cause is not None and isinstance(cause.__cause__, MemoryError))


def _if_folder(folder: Path) -> Path | None:
    """Return where temporary copies go: the output folder, if it is there already."""
    return folder if folder.is_dir() else None
