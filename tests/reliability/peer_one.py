"""One image through the service, as a shell loop calls it: `python peer_one.py URL FOLDER ID`."""

import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

POLL_S = 0.1
HEADERS = {"X-API-Key": "a-key", "Content-Type": "application/json"}


def asked(url: str, body: Any = None) -> Any:
    """Ask the service, again for as long as it says that this is too much."""
    data = None if body is None else json.dumps(body).encode()
    while True:
        try:
            with urlopen(Request(url, data=data, headers=HEADERS)) as answer:
                return json.load(answer)
        except HTTPError as error:
            if error.code != 429:
                raise
            time.sleep(POLL_S)


def main(url: str, folder: str, name: str) -> None:
    """Create, poll, save."""
    given = {"image": f"https://example.com/{name}.jpg", "scale_factor": 2}
    made = asked(f"{url}/prediction", {"model": "each-upscaler", "input": given})
    while True:
        shown = asked(f"{url}/prediction/{made['predictionID']}")
        if shown["status"] == "success":
            break
        time.sleep(POLL_S)
    with urlopen(shown["output"]) as answer:
        Path(folder, f"{name}.png").write_bytes(answer.read())


if __name__ == "__main__":
    main(*sys.argv[1:])
