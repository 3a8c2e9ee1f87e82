"""The key: where it is looked for, and what is said when it is not there."""

from pathlib import Path

import pytest

from batchup.edge.secret import exposed_key, read_key
from batchup.errors import ConfigProblem
from batchup.job import Service


def test_a_key_is_read_from_its_variable() -> None:
    """`env:NAME` is that variable, without the newline it was pasted with."""
    assert read_key(Service(), {"EACHLABS_API_KEY": "smk_1\n"}) == "smk_1"


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an environment given, the process's own is read."""
    monkeypatch.setenv("MY_KEY", "smk_2")
    assert read_key(Service(key="env:MY_KEY")) == "smk_2"


def test_a_key_is_read_from_its_file(tmp_path: Path) -> None:
    """`file:PATH` is the file's text, `credential:NAME` that of systemd's file."""
    (tmp_path / "k").write_text(" smk_3 \n")
    assert read_key(Service(key=f"file:{tmp_path}/k"), {}) == "smk_3"
    assert read_key(Service(key="credential:k"), {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "smk_3"


def test_the_simulator_needs_no_key() -> None:
    """A job on the simulator starts without any key."""
    assert read_key(Service(url="simulator"), {}) == "simulator"


@pytest.mark.parametrize(
    ("key", "environ", "said"),
    [
        ("env:EACHLABS_API_KEY", {}, "set it with `export EACHLABS_API_KEY=...`"),
        ("env:EACHLABS_API_KEY", {"EACHLABS_API_KEY": " "}, "set it with `export EACHLABS_API_KEY=...`"),
        (
            "file:/none/key",
            {},
            r"The key file /none/key cannot be read \(No such file or directory\): put the key",
        ),
        ("file:{folder}/empty", {}, "empty is empty: put the key into"),
        ("file:{folder}/binary", {}, r"cannot be read \(it is no text\)"),
        ("credential:k", {}, "LoadCredential=k:PATH"),
        ("credential:k", {"CREDENTIALS_DIRECTORY": "/none"}, "LoadCredential=k:PATH"),
    ],
)
def test_a_missing_key_says_what_to_do(tmp_path: Path, key: str, environ: dict[str, str], said: str) -> None:
    """A key that is not where it should be is one sentence with the remedy, and exit 78."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigProblem, match=said) as caught:
        read_key(Service(key=key.format(folder=tmp_path)), environ)
    assert caught.value.exit_code == 78


@pytest.mark.parametrize("key", ["smk 1", "smk_1\nX-Evil: 1", "smk_é", "smk_\x00"])
def test_what_no_header_can_hold_is_refused_and_not_shown(key: str) -> None:
    """A key with spaces, newlines or other letters is refused without being repeated."""
    with pytest.raises(ConfigProblem, match="copy it again") as caught:
        read_key(Service(), {"EACHLABS_API_KEY": key})
    assert "smk" not in str(caught.value)


@pytest.mark.parametrize(("mode", "is_told"), [(0o600, False), (0o640, True), (0o604, True), (0o400, False)])
def test_a_key_file_that_others_can_read_is_told(tmp_path: Path, mode: int, *, is_told: bool) -> None:
    """The group and everybody else are others; the sentence says what to type."""
    file = tmp_path / "k"
    file.write_text("smk_3")
    file.chmod(mode)
    words = exposed_key(Service(key=f"file:{file}"))
    assert (words is not None) is is_told
    assert words is None or f"chmod 600 {file}" in words


@pytest.mark.parametrize("service", [Service(), Service(key="file:/no/where"), Service(url="simulator")])
def test_a_key_elsewhere_is_nobody_elses(service: Service) -> None:
    """A variable, a file that is not there and the simulator's key have no readers to warn of."""
    assert exposed_key(service) is None
