"""The three stores, each started once and only for those who ask for it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from stores.servers import StoreServer, azure_server, gcs_server, s3_server


def _kept(root: Path) -> Path:
    """Make the folder that npm installs into, once for all runs of the tests."""
    folder = root / ".pytest_cache" / "azurite"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """An S3 server with an empty bucket."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[StoreServer]:
    """An Azure server with an empty container; skipped where there is no Node."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node and npm are not installed")
    with azure_server(tmp_path_factory.mktemp("azure"), _kept(pytestconfig.rootpath)) as server:
        yield server


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """A Google server with an empty bucket."""
    with gcs_server(tmp_path_factory.mktemp("gcs")) as server:
        yield server
