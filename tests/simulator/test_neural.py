import io
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from simulator.bench import opened

from batchup import run_sync
from batchup.cli import main
from batchup.errors import ConfigProblem
from batchup.job import Job
from batchup.simulator import neural, pictures

MANY = 1_000_000
PHOTO = Path(__file__).parents[2] / "jobs/demo/coffee.jpg"


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Python as it is where the extra was not installed."""
    neural._network.cache_clear()
    monkeypatch.setitem(sys.modules, "pyanime4k", None)
    yield
    neural._network.cache_clear()


def photo() -> Image.Image:
    with Image.open(PHOTO) as image:
        return image.convert("RGB")


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()


def detail(image: Image.Image) -> float:
    """Return the mean absolute Laplacian of an image's brightness."""
    grey = np.asarray(image.convert("L"), float)
    inner = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(np.abs(inner).mean())


def test_a_photograph_gains_detail() -> None:
    """The network's picture is the same scene as Lanczos', with at least half as much fine detail again."""
    data = PHOTO.read_bytes()
    plain = opened(pictures.upscale(data, 2, "png", MANY))
    crisp = opened(pictures.upscale(data, 2, "png", MANY, "neural"))
    assert crisp.size == plain.size == (480, 320)
    apart = np.abs(np.asarray(plain, float) - np.asarray(crisp, float)).mean()
    assert detail(crisp) > 1.5 * detail(plain)
    assert 0 < apart < 5


@pytest.mark.parametrize(
    ("scale", "size"), [(0.5, (20, 15)), (1, (40, 30)), (1.5, (60, 45)), (2, (80, 60)), (3.1, (124, 93))]
)
@pytest.mark.parametrize("extension", ["png", "jpg", "webp"])
def test_any_scale_comes_out_at_its_exact_size(scale: float, size: tuple[int, int], extension: str) -> None:
    """Whatever the scale and format, the output has the size that was asked for."""
    data = encoded(photo().resize((40, 30)))
    assert opened(pictures.upscale(data, scale, extension, MANY, "neural")).size == size


@pytest.mark.parametrize("engine", ["lanczos", "neural"])
def test_transparency_is_kept_where_the_format_has_it(engine: str) -> None:
    """What was transparent is so in a PNG, from a palette too, and a JPEG is made without."""
    image = photo().resize((40, 30)).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 20, 30))
    for data in (encoded(image), encoded(image, "GIF")):
        larger = opened(pictures.upscale(data, 2, "png", MANY, engine))
        assert larger.mode == "RGBA"
        assert (larger.getpixel((5, 30)) or (0,))[3] == 0  # type: ignore[index]
        assert (larger.getpixel((70, 30)) or (0,))[3] == 255  # type: ignore[index]
        assert opened(pictures.upscale(data, 2, "jpg", MANY, engine)).mode == "RGB"


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (300, 1)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_no_image_is_too_thin(mode: str, size: tuple[int, int]) -> None:
    """A single pixel, row or column is made larger like any other image, and stays in its mode."""
    larger = neural.enlarge(photo().resize(size).convert(mode), (4 * size[0], 4 * size[1]))
    assert (larger.mode, larger.size) == (mode, (4 * size[0], 4 * size[1]))


def test_bands_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that is worked on in bands is the same to the pixel as in one piece."""
    image = photo()
    whole = neural.enlarge(image, (480, 320))
    monkeypatch.setitem(vars(neural), "BAND_PIXELS", image.width * 7)
    assert neural.enlarge(image, (480, 320)).tobytes() == whole.tobytes()


def test_threads_agree() -> None:
    """The same picture comes out of every thread, however many are at it."""
    image = photo()
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(lambda _: neural.enlarge(image, (480, 320)).tobytes(), range(12)))
    assert len(found) == 1


@pytest.mark.usefixtures("without_network")
def test_a_missing_engine_is_told_at_the_start() -> None:
    """Without the extra the command ends at once with 78 and the line that installs it."""
    done = CliRunner().invoke(main, ["simulate", "--engine", "neural"])
    assert (done.exit_code, done.stdout) == (78, "")
    assert "pip install 'batchup-runner[neural]'" in done.stderr


@pytest.mark.usefixtures("without_network")
def test_a_job_without_its_engine_buys_nothing(tmp_path: Path) -> None:
    """A run whose simulator lacks its engine ends with 78 before anything is sent."""
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "image": "https://example.com/a.jpg"}\n')
    settings = 'manifest = "rows.jsonl"\nmodel = "each-upscaler"\nservice.url = "simulator"\n'
    job = Job.from_toml(f'{settings}simulator.engine = "neural"\n', base=tmp_path)
    with pytest.raises(ConfigProblem, match="pip install") as caught:
        run_sync(job)
    assert caught.value.summary is None or caught.value.summary.creates == 0


def test_a_job_names_its_engine() -> None:
    """The job file knows both engines and no other, and takes Lanczos unless told."""
    text = 'manifest = "m.csv"\nmodel = "each-upscaler"\nservice.url = "simulator"\n'
    plain, crisp = Job.from_toml(text), Job.from_toml(f'{text}simulator.engine = "neural"\n')
    assert plain.simulator is not None
    assert crisp.simulator is not None
    assert (plain.simulator.engine, crisp.simulator.engine) == ("lanczos", "neural")
    with pytest.raises(ConfigProblem, match='expected "lanczos" or "neural"'):
        Job.from_toml(f'{text}simulator.engine = "bicubic"\n')
