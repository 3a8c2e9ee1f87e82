"""What is decoded in one process: memory has a bound, whatever decodes, and however many threads do."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from edge.nights import picture
from PIL import Image

from batchup.edge.images.convertible import check_convertible
from batchup.edge.images.pictures import BadPicture, check_picture
from batchup.edge.images.preparing import Recipe, prepare
from batchup.edge.images.room import MOST_PIXELS, ROOM, Room
from batchup.edge.page.thumbnails import make_pair

MOST = 1_000_000


def test_a_large_picture_waits_for_the_others_and_they_for_it() -> None:
    """What fits is decoded side by side; what is larger than all there is waits until it is alone."""
    room, go_on, began = Room(10), Event(), [Event() for _ in range(3)]

    def decode(number: int, pixels: int) -> None:
        with room.taken(pixels):
            began[number].set()
            assert go_on.wait(10)

    with ThreadPoolExecutor(3) as threads:
        small = [threads.submit(decode, number, 5) for number in (0, 1)]
        assert began[0].wait(10)
        assert began[1].wait(10)
        large = threads.submit(decode, 2, 1000)
        assert not began[2].wait(0.05)
        go_on.set()
        for one in (*small, large):
            one.result(10)
    assert began[2].is_set()


def test_a_large_picture_is_not_passed_by_for_good() -> None:
    """Small ones that come after a large one that waits come after it, however many there are."""
    room, order = Room(10), list[str]()

    def decode(name: str, pixels: int) -> None:
        with room.taken(pixels):
            order.append(name)

    with ThreadPoolExecutor(2) as threads:
        with room.taken(1):
            large = threads.submit(decode, "large", 10)
            while not room._line:
                Event().wait(0.001)
            small = threads.submit(decode, "small", 1)
            while len(room._line) < 2:
                Event().wait(0.001)
            assert order == []
        large.result(10)
        small.result(10)
    assert order == ["large", "small"]


def test_nobody_waits_for_good_for_a_disk_that_does_not_answer() -> None:
    """Where place is given back by nobody for long, the others go on."""
    room = Room(10, patience_s=0.05)
    with room.taken(10), ThreadPoolExecutor(1) as threads:
        threads.submit(lambda: room.taken(3).__enter__()).result(10)
    assert not room._line


WAYS: dict[str, Callable[[Path], object]] = {
    "png": lambda path: check_picture(path, max_pixels=MOST),
    "gif": lambda path: check_picture(path, max_pixels=MOST),
    "webp": lambda path: check_picture(path, max_pixels=MOST),
    "jpeg": lambda path: prepare(path, Recipe(format="png"), path.with_name("made"), max_pixels=MOST),
    "bmp": lambda path: check_convertible(path, "BMP", max_pixels=MOST),
    "tiff": lambda path: make_pair(path, None, max_pixels=MOST),
}


@pytest.mark.parametrize("form", WAYS)
def test_all_that_decodes_shares_one_room(tmp_path: Path, form: str) -> None:
    """Outputs, inputs, what is prepared and what is shown wait for each other, and take nothing twice."""
    path = tmp_path / f"a.{form}"
    picture(tmp_path / "a.png", (40, 30))
    Image.open(tmp_path / "a.png").save(path)
    with ThreadPoolExecutor(1) as threads:
        with ROOM.taken(MOST_PIXELS):
            one = threads.submit(WAYS[form], path)
            while not ROOM._line and not one.done():
                Event().wait(0.001)
            assert not one.done()
        one.result(10)
    assert ROOM._free == MOST_PIXELS


@pytest.mark.parametrize("form", ["png", "bmp"])
def test_a_broken_picture_gives_its_room_back(tmp_path: Path, form: str) -> None:
    """Whatever a decoder raises, what waits for its place gets it."""
    path = tmp_path / f"a.{form}"
    Image.effect_noise((400, 300), 50).save(path)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(BadPicture):
        WAYS[form](path)
    assert ROOM._free == MOST_PIXELS


def test_frames_that_grow_take_all_there_is(tmp_path: Path) -> None:
    """A picture of several frames is decoded alone: none says how large its largest one is."""
    path = tmp_path / "a.gif"
    frames = [Image.new("L", (9, 9), shade) for shade in (1, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with ThreadPoolExecutor(1) as threads:
        with ROOM.taken(1):
            one = threads.submit(check_picture, path, max_pixels=MOST)
            while not ROOM._line and not one.done():
                Event().wait(0.001)
            assert not one.done()
        one.result(10)
