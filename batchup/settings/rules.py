"""What single settings must fulfil beyond their type.

Every rule raises ValueError with the end of a sentence that says what to do.
"""

import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from batchup.settings.hosts import is_loopback, is_wildcard, parse_listen
from batchup.settings.nearest import did_you_mean

_NAME = re.compile(r"[^/\\\x00-\x1f\x7f-\x9f\u2028\u2029]{1,100}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}", re.ASCII)
_KEY = re.compile(r"env:(?!smk_|r8_)[A-Za-z_][A-Za-z0-9_]*|file:.+|credential:[A-Za-z0-9._-]+", re.ASCII)
_PROFILE = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://", re.ASCII)
_STORES: Final = ("s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss")
_PACKED: Final = {
    ".tar.gz": "a packed tar: unpack it to a .tar, as its images are read from where they are",
    ".tar.zst": "a packed tar: unpack it to a .tar, as its images are read from where they are",
    ".tgz": "a packed tar: unpack it to a .tar, as its images are read from where they are",
    ".zip": "an archive that is not read: unpack it into a folder",
    ".bz2": "packed in a way that is not read: unpack it, or pack it as .gz or .zst",
    ".xz": "packed in a way that is not read: unpack it, or pack it as .gz or .zst",
}
_WRITE_PUBLIC_URL: Final = (
    "write the address at which the service reaches this machine, such as "
    'public_url = "https://hooks.example.com/batchup"'
)


def _refused(text: str) -> ValueError:
    """Make the one kind of exception all readers raise, for a wrong type as for a wrong value."""
    return ValueError(text)


def check_name(name: str) -> None:
    """Check that a job's name can be a folder's, and is one line: no separators or control characters."""
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise ValueError("expected at most 100 characters, without slashes or control characters")


def check_model(model: str) -> None:
    """Check that a model is named by its slug."""
    if not _MODEL.fullmatch(model):
        raise ValueError('expected a model\'s slug such as "each-upscaler"')


def read_manifest_name(raw: object) -> str:
    """Read the manifest's name, which is a text and no table: rows are picked before they come here."""
    if isinstance(raw, Mapping):
        raise _refused('expected a name such as manifest = "products.jsonl", not the table [manifest]')
    if not isinstance(raw, str):
        raise _refused(f'expected a file, a folder or a glob such as "products.jsonl", got {raw}')
    return raw


def check_manifest(name: str) -> None:
    """Check that it is somewhere that can be read: a name of this machine, "-", or an address."""
    if not name.strip():
        raise ValueError("expected a file, a folder or a glob, but it is empty")
    if (found := _ADDRESS.match(name)) and found[1].lower() not in {"http", "https", *_STORES}:
        raise ValueError(
            f"{found[1]}:// cannot be read; use s3://, gs://, az:// or https://, or copy it to this machine"
        )
    path = urlsplit(name).path if found and found[1].lower().startswith("http") else name
    for suffix, words in _PACKED.items():
        if path.lower().endswith(suffix):
            raise ValueError(words)


def check_profile(name: str) -> None:
    """Check that it is the name of a profile, or the path of one; it is read later."""
    if not (_PROFILE.fullmatch(name) or name.endswith(".toml")):
        raise ValueError('expected a profile such as "replicate", or the path of a .toml file')


def check_url(url: str) -> None:
    """Check that the key crosses a network only under TLS; inside this machine plain http will do."""
    if url == "simulator":
        return
    _check_address(url, 'an address such as "https://api.eachlabs.ai/v1", or "simulator"', at_stake="key")


def _check_address(url: str, expected: str, *, at_stake: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", url):
        raise ValueError(f"expected {expected}")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("expected an address without user, query or fragment")
    if parts.port == 0:  # looking at it raises ValueError where it is no port
        raise ValueError("expected an address whose port is not 0")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(f"use https: over plain http the {at_stake} could be read on the way")


def check_listen(address: str) -> None:
    """Check that a server can be told to listen there: a host and a port, 0 for a free one."""
    parse_listen(address)


def check_public_url(url: str) -> None:
    """Check that the secret of the webhooks crosses a network only under TLS."""
    _check_address(url, 'an address such as "https://hooks.example.com/batchup"', at_stake="secret")


def webhook_problem(listen: str, public_url: str | None, service_url: str) -> tuple[str, str] | None:
    """Find out why the service could not reach the webhooks: the key to blame and what to write, or None."""
    is_near = service_url == "simulator" or is_loopback(urlsplit(service_url).hostname or "")
    if not is_near and public_url is None:
        return "webhook.public_url", f"missing; {_WRITE_PUBLIC_URL}"
    if not is_near and is_loopback(urlsplit(public_url or "").hostname or ""):
        return "webhook.public_url", f"the service cannot reach this machine by that; {_WRITE_PUBLIC_URL}"
    host, _ = parse_listen(listen)
    if public_url is None and not (is_loopback(host) or is_wildcard(host)):
        text = "without a public_url the secret would cross the network in plain http"
        return "webhook.listen", f'{text}; write "127.0.0.1:0", or a public_url'
    return None


def check_key(key: str) -> None:
    """Check that a key is named by where it is found; what looks like a key itself is not repeated."""
    if not _KEY.fullmatch(key):
        raise ValueError(
            'say where the key is found, "env:EACHLABS_API_KEY", "file:PATH" or "credential:NAME"; '
            "the key itself does not belong here"
        )


def check_durations(text: str) -> None:
    """Check that the simulator understands its distribution."""
    from batchup.simulator.durations import Durations  # noqa: PLC0415 - a real job never loads the simulator

    Durations.parse(text)


def check_fault(name: str) -> None:
    """Check that the simulator has the switch."""
    from batchup.simulator.faults import FAULTS  # noqa: PLC0415 - the same

    if name not in FAULTS:
        raise ValueError(f"unknown fault{did_you_mean(name, FAULTS)}; `batchup simulate -h` lists them")


def read_parameter(raw: Any) -> Any:
    """Read a model parameter: whatever JSON can say."""
    if isinstance(raw, dt.date | dt.time):
        raise _refused(f'a date is no JSON value; write it in quotes: "{raw}"')
    if isinstance(raw, float) and not math.isfinite(raw):
        raise _refused(f"{raw} is no JSON value")
    if isinstance(raw, dict):
        return {key: read_parameter(value) for key, value in raw.items()}
    if isinstance(raw, list):
        return [read_parameter(value) for value in raw]
    return raw
