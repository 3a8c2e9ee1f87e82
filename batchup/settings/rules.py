"""What single settings must fulfil beyond their type, and what of them is not built yet.

Every rule raises ValueError with the end of a sentence that says what to do.
"""

import datetime as dt
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from batchup.settings.hosts import is_loopback, is_wildcard, parse_listen
from batchup.settings.nearest import did_you_mean

_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,100}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}", re.ASCII)
_KEY = re.compile(r"env:(?!smk_)[A-Za-z_][A-Za-z0-9_]*|file:.+|credential:[A-Za-z0-9._-]+", re.ASCII)
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://", re.ASCII)
_UNBUILT_SUFFIXES: Final = {
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".tar": "tar",
    ".tgz": "tar",
    ".gz": "compressed",
    ".zst": "compressed",
    ".bz2": "compressed",
    ".xz": "compressed",
    ".zip": "zip",
}
_WRITE_PUBLIC_URL: Final = (
    "write the address at which the service reaches this machine, such as "
    'public_url = "https://hooks.example.com/batchup"'
)


def _refused(text: str) -> ValueError:
    """Make the one kind of exception all readers raise, for a wrong type as for a wrong value."""
    return ValueError(text)


def check_name(name: str) -> None:
    """Check that a job's name can be a folder's: no separators or control characters, at most 100."""
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise ValueError("expected at most 100 characters, without slashes")


def check_model(model: str) -> None:
    """Check that a model is named by its slug."""
    if not _MODEL.fullmatch(model):
        raise ValueError('expected a model\'s slug such as "each-upscaler"')


def read_manifest_name(raw: object) -> str:
    """Read the manifest's name; the table `[manifest]` is not built yet."""
    if isinstance(raw, Mapping):
        raise _refused('[manifest] as a table is not built yet; write manifest = "products.jsonl"')
    if not isinstance(raw, str):
        raise _refused(f'expected a file, a folder or a glob such as "products.jsonl", got {raw}')
    return raw


def check_manifest(name: str) -> None:
    """Check that it can be read so far: files, folders and globs of this machine."""
    if not name.strip():
        raise ValueError("expected a file, a folder or a glob, but it is empty")
    if name == "-":
        raise ValueError("a manifest from standard input is not built yet; save it as a file")
    if found := _ADDRESS.match(name):
        raise ValueError(f"manifests at {found[1]}:// are not built yet; copy it to this machine")
    for suffix, kind in _UNBUILT_SUFFIXES.items():
        if name.lower().endswith(suffix):
            raise ValueError(
                f"{kind} manifests are not built yet; use JSON Lines, CSV, TSV, a list or a folder"
            )


def check_output_dir(folder: str | Path) -> None:
    """Check that outputs go to a folder of this machine."""
    if not str(folder).strip():
        raise ValueError("expected a folder, but it is empty")
    if found := _ADDRESS.match(str(folder)):
        raise ValueError(f"outputs to {found[1]}:// are not built yet; name a folder of this machine")


def check_no_dedupe(is_on: bool) -> None:  # noqa: FBT001 - a check gets the value and nothing else
    """Check that images that are equal under different ids are made once each."""
    if is_on:
        raise ValueError("true is not built yet; leave it out or write false")


def check_profile(name: str) -> None:
    """Check that it is the one service whose spelling is known so far."""
    if name != "eachlabs":
        raise ValueError('profiles other than "eachlabs" are not built yet')


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
