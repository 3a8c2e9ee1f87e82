"""The picture that an item was made from, where it is on this machine."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from batchup.core.items import Json
from batchup.edge.manifest import manifest_folder
from batchup.edge.manifest.media import IMAGE_PARAMETERS
from batchup.edge.manifest.spelled import as_path, is_file_address
from batchup.errors import DataProblem
from batchup.job import Job
from batchup.settings.homes import from_home

FETCHED: Final = "report/inputs"
"""Where in the output folder copies of inputs on the web lie, if somebody asked for them."""


class Inputs:
    """Finds the input of an item as the manifest's reader did; a manifest that is gone hides none of them."""

    def __init__(self, job: Job) -> None:
        self._usual = job.input
        self._fetched = job.output.dir / FETCHED
        self._job_folder = job.path.parent if job.path else job.base
        try:
            self.folder = manifest_folder(job)
        except DataProblem:
            self.folder = (job.base / from_home(job.manifest)).parent

    def path_of(self, parameters: Mapping[str, Json]) -> Path | None:
        """Return the path of the picture in an item's parameters; None where it is not a file here.

        One on the web is here if a report has fetched it.
        """
        name = image_name(parameters)
        value = None if name is None else parameters[name]
        if name is None or not isinstance(value, str) or value.startswith("data:"):
            return None
        if "://" in value and not is_file_address(value):
            path = self._copy_of(value)
            return path if path.is_file() else None
        is_usual = self._usual.get(name) == value
        folder = self._job_folder if is_usual else self.folder
        return Path(os.path.abspath(folder / as_path(value)))  # noqa: PTH100 - resolve() would follow links, unlike the reader

    def elsewhere(self, parameters: Mapping[str, Json]) -> tuple[str, Path] | None:
        """Return the address of a picture on the web, and where its copy is to be; None if that is there."""
        name = image_name(parameters)
        value = None if name is None else parameters[name]
        if not isinstance(value, str) or not value.lower().startswith(("https://", "http://")):
            return None
        path = self._copy_of(value)
        return None if path.is_file() else (value, path)

    def _copy_of(self, url: str) -> Path:
        digest = hashlib.blake2b(url.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return self._fetched / digest


def image_name(parameters: Mapping[str, Json]) -> str | None:
    """Name the parameter that holds the picture an item is about, None where none does."""
    return next((name for name in IMAGE_PARAMETERS if name in parameters), None)
