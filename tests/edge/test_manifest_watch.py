"""A manifest that changes while it is read: what may be relied on, and what is read again."""

import os
from pathlib import Path

import pytest

from batchup.edge.manifest.watch import ManifestWatch

LINES = [f'{{"id": "i{k:05}", "image": "https://example.com/{k:05}.jpg"}}\n' for k in range(20_000)]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Return a manifest of a megabyte, made some time ago."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(LINES))
    os.utime(path, (1e9, 1e9))
    return path


def seen(watch: ManifestWatch) -> tuple[bool, bool]:
    """Return whether what was read is sound, and whether the file has changed."""
    return watch.is_sound(), watch.has_changed()


def test_a_manifest_that_stays_is_sound(manifest: Path) -> None:
    """Nothing is said of a file that nobody touched, of a folder, and of none."""
    assert seen(ManifestWatch(manifest)) == (True, False)
    assert seen(ManifestWatch(manifest.parent)) == (True, False)
    assert seen(ManifestWatch(None)) == (True, False)


def test_appended_rows_do_no_harm(manifest: Path) -> None:
    """Rows that are added leave the others where they were, again and again, and the end is told of."""
    watch = ManifestWatch(manifest)
    for _ in range(2):
        with manifest.open("a") as file:
            file.write(LINES[0])
        assert seen(watch) == (True, True)


def test_another_file_in_its_place_does_no_harm(manifest: Path) -> None:
    """Whoever has the old file open goes on reading the old file."""
    watch = ManifestWatch(manifest)
    (manifest.parent / "new").write_text("other")
    (manifest.parent / "new").replace(manifest)
    assert seen(watch) == (True, True)
    manifest.unlink()
    assert seen(watch) == (True, True)


@pytest.mark.parametrize("at", [0, 1, 10_000, 19_999])
def test_rows_that_move_in_place_are_not_relied_on(manifest: Path, at: int) -> None:
    """A row put in or taken out anywhere shifts the ones behind it, and what is read then is nobody's row."""
    for lines in ([*LINES[:at], "new\n", *LINES[at:]], [*LINES[:at], *LINES[at + 1 :]], LINES[:at]):
        watch = ManifestWatch(manifest)
        with manifest.open("r+") as file:
            file.truncate()
            file.writelines(lines)
        assert seen(watch) == (False, True)
        with manifest.open("r+") as file:
            file.truncate()
            file.writelines(LINES)
        os.utime(manifest, (1e9, 1e9))
