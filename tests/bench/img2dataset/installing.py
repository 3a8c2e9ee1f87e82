"""img2dataset in a virtual environment of its own: it wants other versions than the tests do."""

import os
import subprocess
import sys
import venv
from pathlib import Path

PACKAGE = "img2dataset==1.47.0"


def installed(folder: Path | None = None) -> Path:
    """Return the Python that has img2dataset, which is installed first where it is not there."""
    folder = folder or _cache() / "batchup-bench" / "img2dataset"
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", PACKAGE, "setuptools<81"], check=True)
        (folder / "done").touch()
    return python


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


if __name__ == "__main__":
    print(installed(Path(sys.argv[1]) if sys.argv[1:] else None))
