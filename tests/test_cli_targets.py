"""What `-o` may write to: never over what a job needs, and into pipes and through links as they are."""

import os
import threading
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from edge.nights import Night, failed, saved, write_night

from batchup.cli import main
from batchup.edge.exports.targets import is_stream, writing
from batchup.edge.page.archive import write_archive
from batchup.job import Job


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Night:
    """A job that has run, another one's folder beside it, and a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    made = write_night(tmp_path, [saved(tmp_path, "a.jpg", 1), failed("b.jpg")])
    other = tmp_path / "other.out"
    for folder in (made.folder, other):
        (folder / "images").mkdir(parents=True, exist_ok=True)
        for name in ("checkpoint.db", "checkpoint.db-wal", "run.lock"):
            (folder / name).write_bytes(b"paid")
    (other / "results.jsonl").write_bytes(b"paid")
    (tmp_path / "rows.csv").write_text("id,image\na,a.jpg\n")
    (tmp_path / "link").symlink_to(made.folder / "checkpoint.db")
    return made


def told(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, words)])


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


PRECIOUS = (
    "night.toml",
    "link",
    "night.out/checkpoint.db",
    "night.out/checkpoint.db-wal",
    "night.out/../night.out/results.jsonl",
    "night.out/status.json",
    "night.out/run.log.jsonl",
    "night.out/run.lock",
    "night.out/images/a.png",
    "night.out/images/deep/new.png",
    "night.out/simulator/state.json",
    "other.out/checkpoint.db",
    "other.out/results.jsonl",
    "-",
)


@pytest.mark.parametrize("words", ["results", "results --failed", "report", "plot", "init --force --offline"])
def test_nothing_that_a_job_needs_is_written_over(night: Night, words: str) -> None:
    """Its file, and every file in an output folder, by whatever way it is named, is refused with 2."""
    command, *flags = words.split()
    source = "night.toml" if command != "init" else "in"
    before = everything(night.path.parent)
    for name in PRECIOUS:
        if command == "init" and name in {"night.toml", "night.out/simulator/state.json"}:
            continue  # a job file is what it writes, and it knows no job's folder but by its checkpoint
        done = told(command, source, *flags, "-o", name)
        assert (name, done.exit_code, "batchup: " in done.stderr) == (name, 2, True), done.output
        assert done.stderr.count("\n") == 2
    assert everything(night.path.parent) == before


def test_what_is_read_is_not_written_over(night: Night) -> None:
    """A manifest, the job's own or a named one, a log that is drawn, and an archive's place are safe."""
    night.path.write_text(night.path.read_text().replace('"in"', '"rows.csv"'))
    Path("more.jsonl").write_text("{}\n")
    Path("page.zip").symlink_to(night.folder / "checkpoint.db")
    before = everything(night.path.parent)
    for words in (
        ("results", "night.toml", "--failed", "-o", "rows.csv"),
        ("results", "night.toml", "--failed", "--manifest", "more.jsonl", "-o", "rows.csv"),
        ("results", "night.toml", "--failed", "--manifest", "more.jsonl", "-o", "./more.jsonl"),
        ("plot", "night.out/run.log.jsonl", "-o", "night.out/run.log.jsonl"),
        ("init", "rows.csv", "--offline", "--force", "-o", "rows.csv"),
        ("report", "night.toml", "--zip", "-o", "page.html"),
    ):
        assert (words, told(*words).exit_code) == (words, 2)
    assert everything(night.path.parent) == before


@pytest.mark.usefixtures("night")
def test_a_link_stays_one() -> None:
    """What a link leads to is replaced, and not the link."""
    Path("real").mkdir()
    Path("latest.csv").symlink_to("real/a.csv")
    Path("latest.html").symlink_to("real/a.html")
    assert told("results", "night.toml", "-o", "latest.csv").exit_code == 3
    assert told("report", "night.toml", "-o", "latest.html", "--zip").exit_code == 3
    assert (Path("latest.csv").is_symlink(), Path("latest.html").is_symlink()) == (True, True)
    assert Path("real/a.csv").read_text().startswith("id,")
    assert "latest.zip" in Path("real/a.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in Path("real").iterdir()) == ["a.csv", "a.html"]


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        ("results night.toml --format csv", b"id,state"),
        ("report night.toml --single-file", b"<!doctype html>"),
        ("plot night.toml", b"\x89PNG"),
        ("init in --offline", b"#"),
    ],
)
@pytest.mark.usefixtures("night")
def test_a_pipe_is_written_to(words: str, begins: bytes) -> None:
    """What is there and no file stays what it is, gets everything, and its name is not printed after it."""
    os.mkfifo("pipe")
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(Path("pipe").read_bytes()), daemon=True)
    reader.start()
    done = told(*words.split(), "-o", "pipe")
    reader.join(30)
    assert (done.exit_code in {0, 3}, done.stdout) == (True, ""), done.output
    assert (Path("pipe").is_fifo(), heard[0].lower().startswith(begins.lower())) == (True, True)


def test_an_archive_has_no_place_beside_a_pipe(night: Night) -> None:
    """`--zip` with a page that is no file is refused."""
    os.mkfifo("pipe")
    done = told("report", night.path, "--zip", "-o", "pipe")
    assert (done.exit_code, Path("pipe.zip").exists()) == (2, False)


def test_an_open_file_is_added_to(tmp_path: Path) -> None:
    """A handle's name is written through: what the shell's `>>` has kept is kept."""
    path = tmp_path / "all.csv"
    path.write_bytes(b"first\n")
    with path.open("ab") as file:
        handle = Path(f"/proc/self/fd/{file.fileno()}")
        with writing(handle) as stream:
            stream.write(b"second\n")
        assert (is_stream(handle), is_stream(path), is_stream(tmp_path)) == (True, False, False)
    assert path.read_bytes() == b"first\nsecond\n"


def test_an_archive_goes_through_a_link(tmp_path: Path) -> None:
    """The archive takes the place that the link leads to."""
    (tmp_path / "link.zip").symlink_to(tmp_path / "real.zip")
    write_archive(tmp_path / "link.zip", [("a", b"x")])
    assert zipfile.is_zipfile(tmp_path / "real.zip")
    assert (tmp_path / "link.zip").is_symlink()


def test_init_to_a_pipe_names_its_source_from_here(night: Night) -> None:
    """A job file that goes through a pipe finds its manifest from the folder that it is made in."""
    os.mkfifo("pipe")
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(Path("pipe").read_text()), daemon=True)
    reader.start()
    assert told("init", "in", "--offline", "-o", "pipe").exit_code == 0
    reader.join(30)
    assert Job.from_toml(heard[0], base=night.path.parent).manifest == "in"
