"""`batchup models`: what the service says of its models, what is kept of it, and what came with batchup."""

import json
import socket
import time
from functools import partial
from pathlib import Path

import anyio.to_thread
import msgspec
import pytest
from click.testing import CliRunner, Result
from edge.servers import answer, free_port, serving

from batchup.cli import main
from batchup.core.account import ModelCard
from batchup.edge.models import account, catalogue
from batchup.job import Service
from batchup.simulator import Simulator, SimulatorSettings

FAR = "https://service.example/v1"


def told(home: Path, *words: str, **environ: str) -> Result:
    given = {"XDG_CACHE_HOME": str(home / "cache"), "XDG_STATE_HOME": str(home / "state"), "COLUMNS": "110"}
    return CliRunner(env={"EACHLABS_API_KEY": None, **given, **environ}).invoke(main, ["models", *words])


def asking(home: Path, url: str, *words: str) -> Result:
    return told(home, *words, BATCHUP_SERVICE_URL=url, EACHLABS_API_KEY="a-secret-key")


def kept(home: Path, url: str, slug: str) -> Path:
    """Return where a description of a service's model is kept."""
    path = account.cache_path({"XDG_CACHE_HOME": str(home / "cache")}, url, slug)
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def keep_list(home: Path, fetched_at: float) -> Path:
    path = kept(home, FAR, "")
    path = path.with_name(path.name.replace("model-", "models-"))
    path.write_bytes(
        msgspec.json.encode(catalogue.Listing(({"slug": "kept-one", "title": "K"},), fetched_at))
    )
    return path


@pytest.mark.anyio
async def test_the_service_lists_its_models(tmp_path: Path) -> None:
    """With a key the service is asked, under the gate, and what it says is kept for those who cannot ask."""
    async with Simulator(SimulatorSettings(speed=100)).listen() as address:
        done, one, unknown, offline, again = [
            await anyio.to_thread.run_sync(partial(asking, tmp_path, address.url, *words))
            for words in ([], ["gfpgan"], ["gfpgam"], ["--offline"], ["gfpgan", "--offline"])
        ]
    assert (done.exit_code, done.stderr) == (0, "")
    assert "real-esrgan                     Real-ESRGAN, image-to-image" in done.stdout
    assert done.stdout.endswith("5 models, as the service says now\n")
    assert "price: 0.003 USD a prediction, as the service says now" in one.stdout
    assert (unknown.exit_code, 'did you mean "gfpgan"?' in unknown.stderr) == (2, True)
    assert "5 models, as the service said 0 min ago" in offline.stdout
    assert "the service was not asked, as --offline asks" in offline.stderr
    assert "0.003 USD a prediction, as the service said 0 min ago" in again.stdout


def test_without_a_key_what_is_there_is_shown(tmp_path: Path) -> None:
    """Nobody is asked: the bundled model is listed, and with it what was kept of this service alone."""
    kept(tmp_path, FAR, "mine").write_bytes(msgspec.json.encode(ModelCard(slug="mine", fetched_at=1.0)))
    kept(tmp_path, "https://other.example/v1", "theirs").write_bytes(
        msgspec.json.encode(ModelCard(slug="theirs"))
    )
    kept(tmp_path, FAR, "broken").write_bytes(b"{")
    done = told(tmp_path, BATCHUP_SERVICE_URL=FAR)
    assert (done.exit_code, "export EACHLABS_API_KEY" in done.stderr) == (0, True)
    said = "2 models, of which a description was kept or came with batchup; the service has more"
    assert done.stdout == f"mine\neach-upscaler\n{said}\n"
    assert told(tmp_path).stdout.startswith("each-upscaler\n1 model, ")


@pytest.mark.parametrize("is_fresh", [True, False])
def test_the_list_is_kept_for_a_day(tmp_path: Path, *, is_fresh: bool) -> None:
    """A list of today is not asked for again; an older one is, and still shown where nobody answers."""
    keep_list(tmp_path, time.time() - (3600 if is_fresh else 90_000))
    port = free_port()
    done = asking(tmp_path, FAR) if is_fresh else told(tmp_path, BATCHUP_SERVICE_URL=FAR)
    assert "kept-one       K\n" in done.stdout
    assert ("as the service said 60 min ago" if is_fresh else "as the service said 25 h ago") in done.stdout
    assert (done.stderr == "") is is_fresh
    silent = asking(tmp_path, f"http://127.0.0.1:{port}/v1")
    assert "the service does not list its models: " in silent.stderr


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        ("401 Unauthorized", b"{}", "HTTP 401, it refuses the key"),
        ("500 Oh", b"", "HTTP 500"),
        ("200 OK", b"{}", "no list of models"),
        ("200 OK", b"[", "not JSON"),
    ],
)
def test_an_answer_that_is_none_is_told(tmp_path: Path, status: str, body: bytes, said: str) -> None:
    """What the service does not tell is said in a line, and the key is in none of it."""
    with serving(answer(status, body)) as server:
        done = asking(tmp_path, server.url)
        one = asking(tmp_path, server.url, "nobody")
    assert (done.exit_code, f"the service does not list its models: {said}" in done.stderr) == (0, True)
    assert (one.exit_code, "Nothing is known of a model nobody: the service does not" in one.stderr) == (
        69,
        True,
    )
    assert "a-secret-key" not in done.output + one.output


def never(_connection: socket.socket, _request: bytes) -> bool:
    """Answer nothing."""
    return True


@pytest.mark.anyio
async def test_a_service_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list is a comfort: after a while what is known without it is shown."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with serving(never) as server:
        job = catalogue.job_of(Service(url=server.url), "m")
        found = await catalogue.look_for_all(job, "a-secret-key", longest_s=0.2)
    assert found.problems == ["the service was not heard in time"]
    assert found.listing is not None
    assert found.listing.models == ({"slug": "each-upscaler"},)


def test_without_a_ledger_nothing_is_asked(tmp_path: Path) -> None:
    """Where no permit can be had the service is not asked, and what is known is shown with the reason."""
    (tmp_path / "state").write_text("in the way")
    with serving(answer("200 OK")) as server:
        for words in ([], ["each-upscaler"]):
            done = asking(tmp_path, server.url, *words)
            assert (done.exit_code, "the service was not asked: " in done.stderr) == (0, True)
            assert "each-upscaler" in done.stdout
    assert server.requests == []


def test_a_long_list_is_read_to_its_end(tmp_path: Path) -> None:
    """A full page is followed by the next one, and the pages have an end even where the service has none."""
    page = json.dumps([{"slug": f"m{k}"} for k in range(catalogue.PAGE)]).encode()
    with serving(answer("200 OK", page, keep=True)) as server:
        done = asking(tmp_path, server.url, "--json")
    assert len(json.loads(done.stdout)["models"]) == catalogue.PAGES * catalogue.PAGE
    assert b"offset=500" in server.requests[1]


def test_one_model_is_explained(tmp_path: Path) -> None:
    """Each parameter has type, bounds, default and meaning, and whose word the bounds are is said."""
    done = told(tmp_path, "each-upscaler", "--offline")
    assert "bounds not confirmed by the service" in " ".join(done.stdout.split())
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "num_inference_steps integer 1 to 100 18 more steps, more time" in lines
    assert any(line.startswith("image string an address (required) the picture to work on") for line in lines)
    assert any(line.startswith("scheduler: DPM++ 2M Karras, ") for line in lines)
    assert max(map(len, done.stdout.splitlines())) <= 110
    plain = json.loads(told(tmp_path, "each-upscaler", "--offline", "--json").stdout)
    assert (plain["source"], plain["price_usd"], plain["fetched_at"]) == ("bundled", None, None)
    steps = next(one for one in plain["parameters"] if one["name"] == "num_inference_steps")
    assert (steps["low"], steps["high"], steps["default"]) == (1, 100, 18)


def test_what_the_service_does_not_explain_batchup_does(tmp_path: Path) -> None:
    """A description that the service gives goes before ours, which fills in where it gives none."""
    schema = {"properties": {"creativity": {"type": "number"}, "sharpen": {"description": "Theirs."}}}
    card = ModelCard(slug="each-upscaler", request_schema=schema, source="cache", fetched_at=time.time())
    kept(tmp_path, FAR, "each-upscaler").write_bytes(msgspec.json.encode(card))
    done = asking(tmp_path, FAR, "each-upscaler")
    assert "how much detail is invented: try 0.3 to 0.9" in done.stdout
    assert "Theirs." in done.stdout
    card = ModelCard(slug="bare", source="cache", fetched_at=time.time())
    kept(tmp_path, FAR, "bare").write_bytes(msgspec.json.encode(card))
    assert "nobody says what its parameters are" in asking(tmp_path, FAR, "bare").stdout


def test_a_job_names_whom_to_ask(tmp_path: Path) -> None:
    """With --job its service is meant; the simulator plays its models and is asked by nobody."""
    text = 'manifest = "rows.jsonl"\nmodel = "gfpgan"\n[service]\nurl = "simulator"\n'
    (tmp_path / "job.toml").write_text(text)
    done = told(tmp_path, "--job", str(tmp_path / "job.toml"))
    assert (done.stderr, "5 models, which the simulator plays" in done.stdout) == ("", True)
    one = told(tmp_path, "real-esrgan", BATCHUP_SERVICE_URL="simulator")
    assert "as the simulator plays it" in one.stdout


@pytest.mark.parametrize("words", [["each upscaler"], ["--job", "nowhere.toml"]])
def test_what_cannot_be_asked_about_is_78(tmp_path: Path, words: list[str]) -> None:
    """A slug that is none, and a job file that is not there, are told in a sentence."""
    done = told(tmp_path, *words)
    assert (done.exit_code, "Traceback" in done.output) == (78, False)


def test_nothing_is_kept_where_nothing_can_be(tmp_path: Path) -> None:
    """Without a place for it, or with one that takes nothing, the list is shown all the same."""
    (tmp_path / "cache").write_text("in the way")
    with serving(answer("200 OK", b'[{"slug": "m"}]')) as server:
        assert "1 model, as the service says now" in asking(tmp_path, server.url).stdout
        done = told(
            tmp_path,
            XDG_CACHE_HOME="",
            HOME="",
            BATCHUP_SERVICE_URL=server.url,
            EACHLABS_API_KEY="a-secret-key",
        )
    assert "1 model, as the service says now" in done.stdout or "was not asked" in done.stderr
