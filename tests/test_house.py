"""The rules of the house that no linter knows: of tests, of files, and of what lies at the top."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py"))
SOURCES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "batchup").rglob("*.py"))
TOP = {"batchup", "tests", "jobs", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "uv.lock"}
LONGEST_FILE = 350
MOCKS = {"unittest.mock", "mock", "pytest_mock"}
SLEEPS = {"sleep", "sleep_until", "sleep_forever"}


def undocumented(source: str) -> list[str]:
    """Name the tests that do not state their rule in one sentence."""
    return [node.name for node in all_tests(source) if not is_sentence(ast.get_docstring(node) or "")]


def all_tests(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def is_sentence(text: str) -> bool:
    """Tell whether a text is one sentence: a full stop at its end, and none before a capital letter."""
    return text.endswith(".") and "\n\n" not in text and not re.search(r"[.!?]\s+[A-Z]", text)


def mocked(source: str) -> list[str]:
    """Name the ways in which a test puts something in the place of the real thing."""
    return [
        name for name in names(source) if name in MOCKS or name.startswith("unittest.mock") or is_patch(name)
    ]


def is_patch(name: str) -> bool:
    return name in {"monkeypatch.setattr", "mocker", "MagicMock", "patch.object"}


def sleeping(source: str) -> list[str]:
    """Name the sleeps; a pure core needs none to be tested."""
    return [name for name in names(source) if name.split(".")[-1] in SLEEPS]


def names(source: str) -> Iterator[str]:
    """Yield each module imported and each name used, dotted where it is."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", TESTS)
def test_every_test_states_its_rule(path: str) -> None:
    """Every test says in one sentence which rule it shows."""
    assert undocumented(read(path)) == []


@pytest.mark.parametrize("path", TESTS)
def test_tests_use_real_parts(path: str) -> None:
    """No test mocks or patches what it tests."""
    assert mocked(read(path)) == []


@pytest.mark.parametrize("path", [path for path in TESTS if path.startswith("tests/core/")])
def test_the_core_is_tested_without_waiting(path: str) -> None:
    """No test of the core sleeps, since the core knows no clock."""
    assert sleeping(read(path)) == []


@pytest.mark.parametrize("path", SOURCES)
def test_files_are_small(path: str) -> None:
    """A file has one job, and fits in a reader's head."""
    assert len(read(path).splitlines()) <= LONGEST_FILE


def test_the_top_holds_what_users_touch() -> None:
    """At the top lie the package, its tests, its jobs, a few files everybody expects, and dot-files."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"],  # noqa: S607 whichever git there is
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    top = {path.split("/")[0] for path in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= TOP


def test_every_demo_picture_has_a_licence() -> None:
    """Each photograph of the demo is named beside its source and licence, and no other is."""
    folder = ROOT / "jobs/demo"
    pictures = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in {".jpg", ".png"}
    }
    named = re.findall(r"`([^`]+\.(?:jpg|png))`", (folder / "LICENSES.md").read_text(encoding="utf-8"))
    assert len(pictures) >= 24
    assert sorted(named) == sorted(pictures)


@pytest.mark.parametrize(
    "source",
    [
        "def test_a(): pass",
        "def test_a():\n    'No stop'",
        "class A:\n    async def test_a(self):\n        'One. Two.'",
        "def test_a():\n    '''One.\n\n    Two.'''",
    ],
)
def test_a_test_without_a_rule_is_found(source: str) -> None:
    """A missing docstring, half a sentence and two sentences are all told."""
    assert undocumented(source) == ["test_a"]


@pytest.mark.parametrize(
    "source",
    [
        "import unittest.mock",
        "from unittest import mock",
        "from unittest.mock import patch",
        "def f(monkeypatch): monkeypatch.setattr('a.b', 1)",
        "def f(mocker): mocker.patch('a.b')",
    ],
)
def test_a_mock_is_found(source: str) -> None:
    """Each way of mocking is told."""
    assert mocked(source)


@pytest.mark.parametrize(
    "source", ["from time import sleep", "import time\ntime.sleep(1)", "anyio.sleep_forever()"]
)
def test_a_sleep_is_found(source: str) -> None:
    """Each way of sleeping is told."""
    assert sleeping(source)
