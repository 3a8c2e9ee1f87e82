"""The images that predictions are given: found, fetched or drawn, and looked at, while the prediction runs.

The simulator never leaves the machine: only loopback addresses are visited, any other is drawn.
"""

import asyncio
import base64
import binascii
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

import aiohttp

from batchup.settings.hosts import is_loopback
from batchup.simulator import pictures
from batchup.simulator.book import Book
from batchup.simulator.envelopes import input_not_loaded, input_too_large
from batchup.simulator.models import catalogue
from batchup.simulator.prediction import Prediction
from batchup.simulator.settings import SimulatorSettings
from batchup.simulator.store import Store
from batchup.simulator.uploads import Uploads

_T = TypeVar("_T")

_DRAWN = "drawn"
_FETCH_TIMEOUT_S = 10.0
_MAX_BYTES = 100 * 1024 * 1024


class MissingImageError(Exception):
    """There is no image at this address."""


class Inputs:
    """Looks at each prediction's image once, in the background, and enters in the book what came of it."""

    def __init__(self, settings: SimulatorSettings, store: Store, book: Book, uploads: Uploads) -> None:
        self._settings = settings
        self._store = store
        self._book = book
        self._uploads = uploads
        self._checks: dict[str, asyncio.Task[Prediction]] = {}
        self._threads = ThreadPoolExecutor(2, "simulator") if settings.use_threads else None

    async def close(self) -> None:
        """Give up what is under way; a prediction that was not looked at will be when it is asked for."""
        checks = list(self._checks.values())
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)
        if self._threads:
            self._threads.shutdown()

    def start(self, prediction: Prediction) -> asyncio.Task[Prediction]:
        """Begin to look at a prediction's image, unless that is under way."""
        task = self._checks.get(prediction.id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._check(prediction))
            self._checks[prediction.id] = task
            task.add_done_callback(lambda _: self._checks.pop(prediction.id, None))
        return task

    async def settled(self, prediction: Prediction, now: float) -> Prediction:
        """Return the prediction as it is, its image looked at if it has ended."""
        if prediction.is_checked or not prediction.is_ended(now):
            return prediction
        return await asyncio.shield(self.start(prediction))

    async def render(self, prediction: Prediction) -> bytes:
        """Make the prediction's output, again at each call; PictureError or MissingImageError where not."""
        model = catalogue()[prediction.model]
        data = self._load(prediction)
        scale, extension = model.scale(prediction.input), model.extension(prediction.input)
        most, engine = self._settings.max_pixels, self._settings.engine
        return await self._work(functools.partial(pictures.upscale, data, scale, extension, most, engine))

    async def _check(self, prediction: Prediction) -> Prediction:
        model = catalogue()[prediction.model]
        scale = model.scale(prediction.input)
        try:
            name = await self._find(str(prediction.input[model.simulated.image]))
            await self._look(name, scale)
        except pictures.TooLargeError as problem:
            return self._book.checked(prediction, None, input_too_large(prediction.model, str(problem)))
        except (MissingImageError, pictures.PictureError) as problem:
            return self._book.checked(prediction, None, input_not_loaded(prediction.model, str(problem)))
        return self._book.checked(prediction, name, None)

    async def _look(self, name: str, scale: float) -> None:
        most = self._settings.max_pixels
        if name == _DRAWN:
            pictures.check_size(pictures.DRAWN_SIZE, scale, most)
        else:
            await self._work(functools.partial(pictures.check, self._kept(name), scale, most))

    async def _find(self, address: str) -> str:
        sha256 = self._uploads.content_of(address)
        if sha256 is not None:
            return sha256
        if address.startswith("data:"):
            return self._store.keep_image(_decode(address))
        if _is_loopback(address):
            return self._store.keep_image(await _fetch(address))
        return _DRAWN

    def _load(self, prediction: Prediction) -> bytes:
        if prediction.image == _DRAWN:
            return pictures.draw(str(prediction.input[catalogue()[prediction.model].simulated.image]))
        return self._kept(prediction.image or "")

    def _kept(self, sha256: str) -> bytes:
        data = self._store.image(sha256) if sha256 else None
        if data is None:
            raise MissingImageError("there is no file at this address")
        return data

    async def _work(self, work: Callable[[], _T]) -> _T:
        if self._threads is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _is_loopback(address: str) -> bool:
    try:
        return is_loopback(urlsplit(address).hostname or "")
    except ValueError:
        return False


async def _fetch(address: str) -> bytes:
    timeout = aiohttp.ClientTimeout(total=_FETCH_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(address, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise MissingImageError(f"the image's address answered {answer.status}")
            data = await answer.content.read(_MAX_BYTES)
            while chunk := await answer.content.read(_MAX_BYTES - len(data)):
                data += chunk
            return data
    except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
        raise MissingImageError("the image's address did not answer") from problem


def _decode(address: str) -> bytes:
    head, _, body = address.partition(",")
    try:
        return base64.b64decode(body, validate=True) if head.endswith(";base64") else unquote_to_bytes(body)
    except binascii.Error as problem:
        raise MissingImageError("the data URI cannot be decoded") from problem
