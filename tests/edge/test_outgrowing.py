"""Pictures whose outputs would be refused are rejects, before anything is bought for them."""

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from edge.test_manifest_items import Cache, job_of
from PIL import Image

from batchup.core.account import ModelCard
from batchup.core.items import Json
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.images.contents import Contents
from batchup.edge.images.outgrowing import defaults_of
from batchup.edge.images.pictures import size_in
from batchup.edge.manifest import Reject, Row


def made(form: str, **options: object) -> bytes:
    into = io.BytesIO()
    Image.radial_gradient("L").resize((64, 48)).convert("RGB").save(into, format=form, **options)
    return into.getvalue()


def checked(maker: ItemMaker, **parameters: Json) -> Reject | None:
    """Let a row of the manifest be looked into."""
    draft = maker.draft(Row(7, None, dict(parameters)))
    assert isinstance(draft, Draft)
    item = maker.finish(draft)
    assert not isinstance(item, Reject)
    return maker.check(item)


JPEG, PNG, LOSSY = made("JPEG"), made("PNG"), made("WEBP")
BOUND = "[output]\nmax_pixels = 12288\n"  # 64 x 48, enlarged by two


@pytest.mark.parametrize("data", [JPEG, PNG, LOSSY, made("WEBP", lossless=True), made("GIF")])
def test_an_output_that_would_be_refused_is_foreseen(tmp_path: Path, data: bytes) -> None:
    """The reject names the picture, the parameter and the key; a factor that fits passes."""
    (tmp_path / "a.jpg").write_bytes(data)
    maker = ItemMaker(job_of(tmp_path, BOUND), Cache())
    assert checked(maker, image="a.jpg", scale_factor=2) is None
    words = "is 64 x 48 pixels, and scale_factor = 3 makes 192 x 144 of it, more than [output] max_pixels"
    message = f'Line 7: "image": {tmp_path / "a.jpg"} {words} = 12288.'
    assert checked(maker, image="a.jpg", scale_factor=3) == Reject(7, "a.jpg", "too_many_pixels", message)


def test_the_models_own_factor_counts_where_none_is_given(tmp_path: Path) -> None:
    """What is left out is what the model's description says; a mask is not enlarged."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    job = job_of(tmp_path, "[output]\nmax_pixels = 10000\n")
    card = ModelCard(slug="m", request_schema={"properties": {"scale_factor": {"default": 2}, "odd": 1}})
    assert checked(ItemMaker(job, Cache(), defaults_of(card)), image="a.jpg") is not None
    assert checked(ItemMaker(job, Cache()), image="a.jpg") is None
    assert checked(ItemMaker(job, Cache(), {}), image="https://x.y/", mask="a.jpg", scale_factor=9) is None
    assert defaults_of(None) == defaults_of(ModelCard(slug="m", request_schema={"properties": 1})) == {}


def test_what_is_made_smaller_first_is_not_refused(tmp_path: Path) -> None:
    """What `[prepare]` sends is what is enlarged."""
    Image.new("L", (128, 96)).save(tmp_path / "a.png")
    for more, is_refused in (("", True), ("[prepare]\nmax_side = 64\n", False)):
        maker = ItemMaker(job_of(tmp_path, f"{BOUND}{more}"), Cache())
        assert (checked(maker, image="a.png", scale_factor=2) is not None) == is_refused


def test_the_size_of_a_content_is_read_once(tmp_path: Path) -> None:
    """It is kept beside what decoding found, and believed."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    for size, is_refused in (("64 48", False), ("64 49", True)):
        with closing(Contents(tmp_path / "contents.db")) as contents:
            maker = ItemMaker(job_of(tmp_path, BOUND), contents)
            found = checked(maker, image="a.jpg", scale_factor=2)
            assert (found is not None) == is_refused
        with closing(sqlite3.connect(tmp_path / "contents.db")) as db, db:
            assert db.execute("SELECT problem FROM looks WHERE problem = ?", (size,)).fetchone()
            db.execute("UPDATE looks SET problem = '64 49' WHERE problem <> ''")


def test_bytes_that_do_not_tell_are_left_to_others() -> None:
    """A head that is cut, or is none, has no size."""
    assert size_in(PNG) == size_in(LOSSY[:64]) == (64, 48)
    assert size_in(JPEG[:20]) is None
    assert size_in(b"a photo") is None
