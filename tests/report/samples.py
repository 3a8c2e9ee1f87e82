"""Documents to draw: a small job with real pictures and odd names, and one of ten thousand items."""

import shutil
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image, ImageFilter

from batchup.core.causes import Cause
from batchup.report.document import (
    Document,
    Fault,
    Histogram,
    Mode,
    Output,
    Plots,
    Row,
    Run,
    Series,
    Totals,
)

DEMO = Path(__file__).parent.parent.parent / "jobs/demo"
PHOTOS = sorted(path for path in DEMO.rglob("*") if path.suffix in {".jpg", ".png"})
BEGAN_AT = 1_795_000_000.0
MODERATED = Fault(
    cause="refused by moderation",
    message="Input was flagged by the content policy (category: graphic).",
    code="MODERATION",
    what_to_do="The service refuses what these pictures show; take them out of the manifest.",
)
TOO_LARGE = Fault(
    cause="image too large",
    message="Image exceeds the maximum of 64 megapixels: 9504 × 6336.",
    what_to_do="Make the images smaller or the scale factor lower, then run with --rerun-failed.",
)
DOUBT = Fault(
    cause="nobody can tell whether it was bought",
    message="The create was sent and its answer never came.",
    what_to_do="Decide with `batchup resolve`; until then nothing is bought for them again.",
)
NASTY = [
    "<img src=x onerror=\"console.log('run')\">",
    "</script><script>console.log('run')</script><!--",
    'photos/O\'Neil "quoted" & co #1?.jpg',
    "été/😀 日本\u2028语.png",
]
PARAMETERS = {"scale_factor": 2, "output_format": "png", "face_enhance": False}
SETTINGS = {
    "Service": "https://api.eachlabs.ai/v1",
    "Concurrency": "10 in flight",
    "Rate": "60 a minute",
    "Most it may spend": "$25.00",
    "Output folder": "nightly.out",
}


def small(folder: Path, mode: Mode = "file", *, photos: int = 12) -> Document:
    """Return a job of `photos` photographs, whose pictures it writes to `folder`, and some that failed."""
    rows = [_saved(folder, path, k, mode) for k, path in enumerate(PHOTOS[:photos])]
    rows.insert(1, _failed(NASTY[0], MODERATED))
    rows.insert(5, _failed("catalogue/2026/spring/outdoor/jacket-with-a-long-name-0042.jpg", TOO_LARGE))
    rows.append(Row(id=NASTY[1], state="failed", failure=MODERATED, attempts=2))
    rows.append(Row(id="sku-held", state="held", failure=DOUBT, attempts=1))
    rows.append(Row(id="sku-waits", state="outstanding", input="https://example.com/photos/waits.jpg"))
    return _document(rows, mode, "nightly")


def large(folder: Path, count: int = 10_000) -> Document:
    """Return a job of `count` items, which share a few thumbnails that are written to `folder`."""
    rng = Random(7)
    shown = [_thumbnails(path) for path in PHOTOS[:6]]
    for k, pair in enumerate(shown):
        for name, picture in zip(("before", "after"), pair, strict=True):
            picture.save(folder / f"{name}-{k}.jpg", quality=70)
    rows = [_generated(k, rng, len(shown)) for k in range(count)]
    return _document(rows, "file", "ten-thousand")


def plots(*, minutes: int = 89) -> Plots:
    """Return the plots of a night of that many minutes, plausibly uneven."""
    rng = Random(3)
    at_s = [60.0 * k for k in range(minutes)]
    saved = [0.0, *(max(0.0, rng.gauss(11.0, 1.2)) for _ in at_s[1:])]
    fine = [2.0 * k for k in range(minutes * 30)]
    window = [float(min(60, int(k * 2), 52 + rng.randrange(9))) for k, _ in enumerate(fine)]
    slots = [float(min(10, k, 8 + rng.randrange(3))) for k, _ in enumerate(fine)]
    counts = [1, 4, 18, 61, 128, 183, 196, 158, 107, 69, 38, 19, 9, 4, 2, 1]
    return Plots(
        throughput=Series(at_s, saved, [None] * minutes, 60.0),
        durations=Histogram([20.0 + 5 * k for k in range(17)], counts, 53.4, 51.9, 78.1),
        requests=Series(fine, window, [60.0] * len(fine), 60.0),
        slots=Series(fine, slots, [10.0] * len(fine)),
    )


def _document(rows: list[Row], mode: Mode, job: str) -> Document:
    by_state = {state: sum(row.state == state for row in rows) for state in ("saved", "failed", "held")}
    totals = Totals(
        items=len(rows) + 2,
        **by_state,
        outstanding=sum(row.state == "outstanding" for row in rows),
        rejected=2,
        spend_usd=round(sum(row.cost_usd or 0.0 for row in rows), 4),
        predict_s_mean=53.4,
        bytes=sum(row.bytes or 0 for row in rows),
    )
    run = Run(
        id="2026-11-23T02-10-04-7c1e",
        reason="finished",
        exit_code=4,
        began_at=BEGAN_AT,
        wall_s=5340.0,
        requests=5300,
        creates=1000,
        polls=4300,
        throttled=0,
        worst_window=60,
        spend_usd=9.98,
    )
    return Document(
        job=job,
        model="each-upscaler",
        made_at=BEGAN_AT + 5341,
        mode=mode,
        program="batchup 0.5",
        parameters=dict(PARAMETERS),
        settings=SETTINGS,
        run=run,
        totals=totals,
        causes=_causes(rows),
        next_command="batchup resolve nightly.toml",
        plots=plots(),
        items=rows,
        zip="nightly-report.zip",
    )


def _causes(rows: list[Row]) -> list[Cause]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.failure is not None:
            found.setdefault((row.state, row.failure.cause), []).append(row)
    causes = [
        Cause(state, cause, len(group), group[0].failure.what_to_do if group[0].failure else "", group[0].id)
        for (state, cause), group in found.items()
    ]
    return [*causes, Cause("rejected", "not JSON", 2, "Mend these lines of the manifest.", None)]


def _saved(folder: Path, photo: Path, k: int, mode: Mode) -> Row:
    before, after = _thumbnails(photo)
    item_id = NASTY[2 + k] if k < 2 else photo.relative_to(DEMO).as_posix()
    name = f"item-{k}.png"
    (folder / "images").mkdir(exist_ok=True)
    picture = Image.open(photo).convert("RGB")
    picture.save(folder / "images" / name)
    (folder / "inputs").mkdir(exist_ok=True)
    shutil.copy(photo, folder / "inputs" / f"{k}{photo.suffix}")
    facts: dict[str, Any] = {"bytes": (folder / "images" / name).stat().st_size}
    if k == 3:
        facts["files"] = [
            Output(href=f"images/item-{n}.png", name=f"item-3~{n}.png", bytes=9000, width=512, height=512)
            for n in (0, 1)
        ]
    return Row(
        id=item_id,
        state="saved",
        before=None if k == 4 else _inlined(before),
        after=_inlined(after),
        input="https://example.com/photos/5.jpg" if k == 5 else f"inputs/{k}{photo.suffix}",
        output=_inlined(picture) if mode == "single" else f"images/{name}",
        name=name,
        width=picture.width,
        height=picture.height,
        input_width=picture.width // 2,
        input_height=picture.height // 2,
        cost_usd=0.01 + 0.0004 * k,
        time_s=41.0 + 7 * ((k * 5) % 11),
        gain=1.2 + 0.3 * ((k * 7) % 12),
        attempts=1,
        prediction_id=f"prediction-{k:04}",
        created_at=BEGAN_AT + 60 * k,
        saved_at=BEGAN_AT + 60 * k + 55,
        parameters={"scale_factor": 4} if k == 2 else {},
        **facts,
    )


def _failed(item_id: str, failure: Fault) -> Row:
    before, _ = _thumbnails(PHOTOS[-1])
    return Row(
        id=item_id,
        state="failed",
        before=_inlined(before),
        failure=failure,
        attempts=3,
        created_at=BEGAN_AT + 100,
    )


def _generated(k: int, rng: Random, pictures: int) -> Row:
    is_failed = k % 97 == 13
    common: dict[str, Any] = {"id": f"sku-{k}", "before": f"before-{k % pictures}.jpg", "attempts": 1}
    common |= {"created_at": BEGAN_AT + k, "prediction_id": f"prediction-{k:06}"}
    if is_failed:
        return Row(state="failed", failure=rng.choice([MODERATED, TOO_LARGE]), **common)
    return Row(
        state="saved",
        after=f"after-{k % pictures}.jpg",
        output=f"after-{k % pictures}.jpg",
        name=f"sku-{k}.png",
        width=2048,
        height=1536,
        bytes=3_000_000 + rng.randrange(900_000),
        cost_usd=0.01,
        time_s=round(rng.lognormvariate(3.93, 0.3), 1),
        gain=round(1 + rng.random() * 4, 2),
        saved_at=BEGAN_AT + k + 60,
        **common,
    )


def _thumbnails(photo: Path) -> tuple[Image.Image, Image.Image]:
    """Return a picture as it was before, with less in it, and after, in one size."""
    after = Image.open(photo).convert("RGB")
    after.thumbnail((320, 320))
    least = (max(1, after.width // 4), max(1, after.height // 4))
    before = after.resize(least).resize(after.size, Image.Resampling.BICUBIC)
    return before.filter(ImageFilter.GaussianBlur(0.6)), after


def _inlined(picture: Image.Image) -> str:
    held = BytesIO()
    picture.save(held, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{b64encode(held.getvalue()).decode()}"
