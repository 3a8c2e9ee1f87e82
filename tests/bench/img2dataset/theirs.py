"""img2dataset, as it is published: LIST FOLDER MODE; it runs under the Python that has it."""

import sys
from pathlib import Path
from typing import Any

PROCESSES, THREADS = 2, 32  # its threads only wait
MODES: dict[str, dict[str, Any]] = {
    "as it comes": {"resize_mode": "no"},  # decoded, and encoded anew
    "bytes as they are": {"resize_mode": "no", "disable_all_reencoding": True},  # not looked into
}


def main(urls: str, folder: str, mode: str) -> None:
    """Download a list of addresses into files."""
    from img2dataset import download  # type: ignore[import-not-found]  # noqa: PLC0415 another Python has it

    download(
        url_list=urls,
        input_format="txt",
        output_folder=folder,
        output_format="files",
        processes_count=PROCESSES,
        thread_count=THREADS,
        compute_hash="sha256",
        number_sample_per_shard=1000,
        retries=5,
        **MODES[mode],
    )
    print(len(list(Path(folder).rglob("*.jpg"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
