"""Guards that no behaviour shows until the power fails: what is synced, and what is never waited for."""

import ast
import json
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchup.edge import pool

ROOT = Path(__file__).parents[2]
WITNESS = """
import json, os, sys
from pathlib import Path

real, seen = os.fsync, []

def fsync(handle):
    seen.append(["sync", os.path.basename(os.readlink(f"/proc/self/fd/{handle}"))])
    real(handle)

def hear(event, arguments):
    if event == "os.rename":
        seen.append(["rename", *(os.path.basename(str(name)) for name in arguments[:2])])

os.fsync = fsync
sys.addaudithook(hear)
folder = Path(sys.argv[1])
"""


def witnessed(folder: Path, script: str) -> list[list[str]]:
    """Run a script in a process that notes what is synced and renamed, in order."""
    code = f"{WITNESS}\n{textwrap.dedent(script)}\nprint(json.dumps(seen))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_an_output_is_synced_before_it_has_its_name_and_its_folder_after(tmp_path: Path) -> None:
    """Bytes, then the name, then the folder with the name: a power cut leaves a whole file or none."""
    seen = witnessed(
        tmp_path,
        """
        import http.server, io, threading, anyio
        from PIL import Image
        from batchup.edge.outputs import Outputs, OutputSettings

        body = io.BytesIO()
        Image.effect_noise((24, 16), 9).save(body, "PNG")

        class Host(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body.getvalue())))
                self.end_headers()
                self.wfile.write(body.getvalue())
            def log_message(self, *_):
                pass

        host = http.server.HTTPServer(("127.0.0.1", 0), Host)
        threading.Thread(target=host.serve_forever, daemon=True).start()

        async def main():
            settings = OutputSettings(folder=folder / "out", max_pixels=10_000, allow_private=True)
            async with Outputs(settings) as outputs:
                await outputs.save("a", [f"http://127.0.0.1:{host.server_port}/x"], is_twin=False)

        anyio.run(main)
        """,
    )
    part, named, folder = ["sync", "a.part"], ["rename", "a.part", "a.png"], ["sync", "images"]
    assert [one for one in seen if one in (part, named, folder)] == [part, named, folder]
    assert seen.index(["sync", "out"]) < seen.index(part)  # the folder's own name


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            "write_atomic(folder / 'f', b'x')",
            [["sync", "f.tmp"], ["rename", "f.tmp", "f"], ["sync", "THE FOLDER"]],
        ),
        ("write_atomic(folder / 'f', b'x', durable=False)", [["rename", "f.tmp", "f"]]),
        (
            "write_lines(folder / 'f', [b'x'])",
            [["sync", "f.tmp"], ["rename", "f.tmp", "f"], ["sync", "THE FOLDER"]],
        ),
        ("append_lines(folder / 'f', [b'x'])", [["sync", "f"], ["sync", "THE FOLDER"]]),
    ],
)
def test_files_are_synced_before_they_are_relied_on(
    tmp_path: Path, call: str, expected: list[list[str]]
) -> None:
    """A file that must outlive a power cut is synced, then named, and then its folder is."""
    seen = witnessed(
        tmp_path, f"from batchup.edge.files import append_lines, write_atomic, write_lines\n{call}"
    )
    wanted = [[word.replace("THE FOLDER", tmp_path.name) for word in one] for one in expected]
    assert seen == wanted


def nodes(source: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(source))


def test_nothing_is_awaited_between_an_answer_and_its_commit() -> None:
    """Behind the line that sends a request nothing is awaited until the core has heard of its answer."""
    source = Path(pool.__file__).read_text(encoding="utf-8")
    (exchange,) = [
        node
        for node in nodes(source)
        if isinstance(node, ast.AsyncFunctionDef) and "client.send(" in ast.unparse(node)
    ]
    waits = (ast.Await, ast.AsyncWith, ast.AsyncFor, ast.Yield)
    awaited = [node for node in ast.walk(exchange) if isinstance(node, waits)]
    assert [ast.unparse(node) for node in awaited if "client.send(" not in ast.unparse(node)] == []
    assert len([node for node in awaited if isinstance(node, ast.Await)]) == 1
    fed = [
        node.lineno
        for node in ast.walk(exchange)
        if isinstance(node, ast.Expr) and "self.feed(" in ast.unparse(node)
    ]
    assert max(fed) > max(getattr(node, "lineno", 0) for node in awaited)


BARE = {"create_task", "ensure_future", "wait_for", "gather", "run_coroutine_threadsafe"}
OURS = {"gather"}  # what the report is made of; asyncio's is not imported by name
KNOWN = {"api.py": ["ensure_future"]}  # a stream's run, held by the stream and waited for when it is left


def test_no_task_is_bare_and_nothing_waits_by_wait_for() -> None:
    """Tasks live in task groups, so that none is collected or forgotten, and cancellation comes by scopes."""
    for path in sorted((ROOT / "batchup").rglob("*.py")):
        if "simulator" in path.parts:
            continue
        called = [
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for node in nodes(path.read_text(encoding="utf-8"))
            if isinstance(node, ast.Call) and ast.unparse(node.func) not in OURS
        ]
        assert [name for name in called if name in BARE] == KNOWN.get(path.name, []), path


@pytest.mark.parametrize(
    ("library", "floor"), [("aiohttp", (3, 14, 3)), ("anyio", (4, 14, 2)), ("pillow", (11,))]
)
def test_floors_keep_out_what_was_mended_later(library: str, floor: tuple[int, ...]) -> None:
    """Releases with a fault that costs money or hangs a run cannot be installed beside batchup."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (least,) = [
        match[1] for line in project["dependencies"] if (match := re.match(rf"{library}>=([0-9.]+)", line))
    ]
    assert tuple(map(int, least.split("."))) >= floor
