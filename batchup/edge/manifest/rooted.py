"""Rows of a manifest that is in a bucket or on the web: what they name beside it is there as well."""

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote, urljoin, urlsplit

from batchup.core.items import Json
from batchup.edge.manifest.media import IMAGE_PARAMETERS, MEDIA_PARAMETERS
from batchup.edge.manifest.rows import Reject, Row, read_id
from batchup.edge.stores import is_store_address, split_address


def rooted(rows: Iterator[Row | Reject], address: str, word: str) -> Iterator[Row | Reject]:
    """Yield rows whose images, where they are relative, have become addresses beside the manifest's.

    A row without an id has its image's relative path as its id, as it would on this machine. Where the
    manifest's address has a password in it, such rows are rejects: the service would be told the password.
    `word` is what a message calls a row, before its number.
    """
    is_secret = not is_store_address(address) and "@" in urlsplit(address).netloc
    for row in rows:
        yield row if isinstance(row, Reject) else _rooted(row, address, word, is_secret=is_secret)


def _rooted(row: Row, address: str, word: str, *, is_secret: bool) -> Row | Reject:
    found = {name: row.input[name] for name in MEDIA_PARAMETERS & row.input.keys() if _is_relative(row, name)}
    if not found:
        return row
    if is_secret:
        words = "is beside the manifest, whose address has a password in it; write its whole address"
        message = f'{word} {row.line}: "{min(found)}" {words}.'
        return Reject(row.line, row.id, "bad_url", message, row.next_offset)
    row_id = row.id
    own = next((found[name] for name in IMAGE_PARAMETERS if name in found), None)
    if row_id is None and own is not None:
        made = read_id(posixpath.normpath(own))
        row_id = made if isinstance(made, str) else None
    moved = {name: _beside(address, value) for name, value in found.items()}
    return replace(row, id=row_id, input={**row.input, **moved})


def _is_relative(row: Row, name: str) -> bool:
    value: Json = row.input[name]
    if name in row.members or not isinstance(value, str) or not value.strip():
        return False
    return "://" not in value and not value.startswith("data:")


def _beside(address: str, value: str) -> str:
    """Return the address of what a manifest's row names relative to it."""
    if not is_store_address(address):
        return urljoin(address, quote(value, safe="/:@!$&'()*+,;=~%"))
    place = split_address(address)
    folder = "" if value.startswith("/") else place.key.rpartition("/")[0]
    return f"{place.bucket}/{posixpath.normpath(posixpath.join(folder, value)).lstrip('/')}"
