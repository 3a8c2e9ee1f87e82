"""What is wrong with a job file is said at once, each with its place and what to do."""

import os
from pathlib import Path

import pytest

from batchup.errors import ConfigProblem
from batchup.job import Job

MINIMAL = 'manifest = "products.jsonl"\nmodel = "each-upscaler"\n'


RATE = 'expected a rate such as "60/min", "1/s", "60/3s" or "unlimited"'


def problem_of(path: Path, **sources: dict[str, str]) -> str:
    with pytest.raises(ConfigProblem) as caught:
        Job.load(path, overrides=sources.get("flags", {}), environ=sources.get("environ", {}))
    return caught.value.message


def problems(tail: str) -> list[str]:
    with pytest.raises(ConfigProblem) as caught:
        Job.from_toml(MINIMAL + tail)
    assert caught.value.exit_code == 78
    return caught.value.message.splitlines()


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    """One reading names every problem, each with file and line, variable or flag, and what was expected."""
    path = tmp_path / "x.toml"
    path.write_text(
        'manifest = "m.jsonl"\n\n[limits]\n# a comment\nconcurency = 5\nrate = "60"\n'
        "[polling]\ntimeout = 15\n"
    )
    message = problem_of(
        path,
        environ={"BATCHUP_LIMITS_MAX_ATTEMPTS": "many"},
        flags={"limits.max_spend": "-1", "run.on_in_doubt": "hope"},
    )
    assert message.splitlines() == [
        f'{path}:5: limits.concurency: unknown key; did you mean "concurrency"?',
        f'{path}:6: limits.rate: {RATE}, got "60"',
        f'{path}:8: polling.timeout: add a unit: "15s", "15min", "15h" or "15ms"',
        'BATCHUP_LIMITS_MAX_ATTEMPTS: limits.max_attempts: expected a whole number from 1 to 20, got "many"',
        "--max-spend: limits.max_spend: expected an amount in USD above 0, got -1.0",
        '--on-in-doubt: run.on_in_doubt: expected "reconcile" or "hold" or "resubmit", got "hope"',
        f'{path}: model: missing; add a line such as model = "each-upscaler"',
    ]


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ("[limits]\nconcurrency = 0", "limits.concurrency: expected a whole number from 1 to 10000, got 0"),
        (
            "[limits]\nconcurrency = true",
            "limits.concurrency: expected a whole number from 1 to 10000, got True",
        ),
        (
            "[limits]\nconcurrency = '5'",
            'limits.concurrency: expected a whole number from 1 to 10000, got "5"',
        ),
        ("[limits]\nconcurrency = 10001", "got 10001"),
        ("[limits]\nopen_creates = 0", "limits.open_creates: expected a whole number from 1 to 100, got 0"),
        ("[limits]\nopen_creates = 101", "from 1 to 100, got 101"),
        ("[limits]\nmax_attempts = 21", "from 1 to 20, got 21"),
        ("[limits]\nmax_spend = 0", "limits.max_spend: expected an amount in USD above 0, got 0.0"),
        ("[limits]\nmax_spend = nan", "got nan"),
        ("[limits]\nmax_spend = inf", "got inf"),
        ("[limits]\nmax_spend = true", "got True"),
        (f"[limits]\nmax_spend = {10**400}", "got inf"),
        ("[limits]\nrate = 60", "limits.rate: expected a rate"),
        ("[polling]\nexpected = '53'", 'add a unit: "53s"'),
        ("[polling]\nexpected = '0s'", "expected a length above 0s"),
        ("[polling]\nexpected = '53m'", 'unknown unit "m"; use ms, s, min or h'),
        ("[polling]\nexpected = 'soon'", 'expected a length such as "53s"'),
        ("[polling]\nexpected = false", 'expected a length such as "53s", got False'),
        ("[polling]\nlist = 'on'", 'polling.list: expected "auto" or "off", got "on"'),
        ("[run]\non_change = 1", 'run.on_change: expected "error" or "keep" or "redo", got 1'),
        ("[output]\nmax_pixels = 0", "output.max_pixels: expected a whole number from 1"),
        ("[output]\nallow_private = 'yes'", 'expected true or false, got "yes"'),
        ("[output]\ndir = ' '", "output.dir: expected a folder or a bucket, but it is empty"),
        ("[output]\ndir = 'https://h/p'", "outputs cannot go to https://; name a folder, or a bucket"),
        ("[output]\ndir = 's3://'", "expected a bucket and plain folders in it, such as s3://bucket/prefix"),
        ("[output]\ndir = 's3:/b/p'", 'did you mean "s3://b/p"?'),
        ("[output]\ndir = 'GS:b'", 'did you mean "gs://b"? A folder of that name is ./GS:b'),
        ("[output]\ndir = 's3://b/a/../c'", "expected a bucket and plain folders in it"),
        ("[output]\ndir = 's3://b/a?x=1'", "expected a bucket and plain folders in it"),
        ("[output]\nstate = 'a'", "output.state: is only for an [output] dir in a bucket"),
        ("[output]\ndir = 's3://b'\nstate = 's3://b'", "a checkpoint cannot lie in a bucket"),
        ("[output]\ndir = 's3://b'\nstate = ' '", "output.state: expected a folder, but it is empty"),
        ("[output]\nname = '{stem}.png'", "output.name: expected it to end in .{ext}"),
        ("[output]\nmetadata = 1", "output.metadata: expected true or false"),
        ("[service]\nauth = 'basic'", 'expected "x-api-key" or "bearer"'),
        ("[columns]\nid = 3", "columns.id: expected a column's name, got 3"),
        ("[columns]\nid = ''", "columns.id: expected a column's name, but it is empty"),
        (
            "[input]\nwhen = 2026-01-01",
            'input.when: a date is no JSON value; write it in quotes: "2026-01-01"',
        ),
        ("[input]\ndeep = [{ a = nan }]", "input.deep: nan is no JSON value"),
        (
            "[service]\nurl = 'simulator'\n[simulator]\nspeed = 0",
            "simulator.speed: expected a factor above 0",
        ),
        (
            "[service]\nurl = 'simulator'\n[simulator]\nseed = -1",
            "simulator.seed: expected a whole number from 0",
        ),
        ("[service]\nurl = 'simulator'\n[simulator]\ndurations = 'x'", "simulator.durations: "),
        (
            "[service]\nurl = 'simulator'\n[simulator]\nfaults = { create_lost = 1.5 }",
            "simulator.faults.create_lost: expected a share from 0 to 1, got 1.5",
        ),
        (
            "[service]\nurl = 'simulator'\n[simulator]\nfaults = { create_lots = 0.5 }",
            'simulator.faults.create_lots: unknown fault; did you mean "create_lost"?',
        ),
    ],
)
def test_a_value_out_of_bounds_is_named(tail: str, said: str) -> None:
    """A value of a wrong type or out of its bounds is quoted, with what was expected."""
    [problem] = problems(tail)
    assert said in problem


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ("[limit]\nrate = '1/s'", 'limit: unknown key; did you mean "limits"?'),
        ("[xyz]", "xyz: unknown key"),
        ("[limits]\ntimeout = '1s'", "limits.timeout: unknown key; it belongs under [polling]"),
        ("[limits]\nmodel = 'x'", "limits.model: unknown key; it belongs at the top of the file"),
        ("[output]\nfoo = 1", "output.foo: unknown key"),
        (
            "[service]\nurl = 'simulator'\n[simulator]\nfault = 1",
            'simulator.fault: unknown key; did you mean "faults"?',
        ),
    ],
)
def test_an_unknown_key_names_the_nearest(tail: str, said: str) -> None:
    """A key that is not known is an error that names the nearest known one, or the table it belongs to."""
    [problem] = problems(tail)
    assert problem.endswith(said)


def test_a_key_above_its_table_names_the_table() -> None:
    """A key of a table that stands at the top of the file is told where it belongs."""
    with pytest.raises(ConfigProblem, match=r"job:1: rate: unknown key; it belongs under \[limits\]"):
        Job.from_toml('rate = "60/min"\n' + MINIMAL)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("ftp://b/k.jsonl", "ftp:// cannot be read; use s3://, gs://, az:// or https://"),
        ("hdfs://b/*", "hdfs:// cannot be read"),
        ("shards.tar.gz", "a packed tar: unpack it to a .tar"),
        ("s3://b/shards.tgz", "a packed tar: unpack it to a .tar"),
        ("https://x/photos.zip?sig=1", "an archive that is not read: unpack it into a folder"),
        ("m.csv.xz", "packed in a way that is not read: unpack it, or pack it as .gz or .zst"),
    ],
)
def test_manifests_that_cannot_be_read_are_refused(manifest: str, said: str) -> None:
    """A manifest at a place or in a packing that cannot be read is refused when the job is loaded."""
    with pytest.raises(ConfigProblem, match=f"manifest: {said}"):
        Job.from_toml(f'manifest = "{manifest}"\nmodel = "each-upscaler"')


def test_a_manifest_table_is_refused() -> None:
    """The table [manifest] is refused, and says how to write it instead."""
    said = r"job:2: manifest: expected a name such as manifest = .*, not the table \[manifest\]"
    with pytest.raises(ConfigProblem, match=said):
        Job.from_toml('model = "m"\n[manifest]\npath = "x"\n')
    with pytest.raises(ConfigProblem, match="manifest: expected a file, a folder or a glob"):
        Job.from_toml('model = "m"\nmanifest = 3\n')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "a/b"\n' + MINIMAL, "job:1: name: expected at most 100 characters, without slashes"),
        ('name = ".."\n' + MINIMAL, "name: expected at most 100 characters"),
        ('manifest = "m.csv"\nmodel = "a b"', "job:2: model: expected a model's slug"),
        (
            'manifest = " "\nmodel = "a"',
            "job:1: manifest: expected a file, a folder or a glob, but it is empty",
        ),
    ],
)
def test_names_at_the_top_are_checked(text: str, said: str) -> None:
    """The job, its model and its manifest have names that can be used."""
    with pytest.raises(ConfigProblem, match=said):
        Job.from_toml(text)


@pytest.mark.parametrize("name", ["limits", "input", "columns", "service"])
def test_a_table_must_be_a_table(name: str) -> None:
    """A value where a table belongs is an error of one line."""
    with pytest.raises(ConfigProblem, match=f"job:1: {name}: expected a table"):
        Job.from_toml(f"{name} = 3\n{MINIMAL}")


@pytest.mark.parametrize("url", ["http://localhost:8080/v1", "http://127.0.0.1:1/v1", "http://[::1]:1/v1/"])
def test_plain_http_is_for_this_machine(url: str) -> None:
    """Plain http is accepted where the key does not leave the machine."""
    job = Job.from_toml(f"{MINIMAL}[service]\nurl = '{url}'")
    assert job.service.url == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://api.eachlabs.ai/v1", "use https"),
        ("http://10.0.0.1/v1", "use https"),
        ("http://localhost.example.com", "use https"),
        ("ftp://x/v1", "expected an address"),
        ("api.eachlabs.ai", "expected an address"),
        ("https://", "expected an address"),
        ("https://a b/", "expected an address"),
        ("https://me:secret@x/v1", "without user"),
        ("https://x/v1?key=1", "without user, query"),
        ("http://[::1/v1", "service.url"),
        ("", "is empty"),
    ],
)
def test_addresses_that_would_show_the_key_are_refused(url: str, said: str) -> None:
    """The service's address is https, without secrets of its own."""
    [problem] = problems(f"[service]\nurl = '{url}'")
    assert said in problem


@pytest.mark.parametrize(
    "key", ["smk_1234567890", "env:", "env:smk_1234567890", "file:", "vault:x", "env:A-B"]
)
def test_a_key_itself_is_refused_and_not_repeated(key: str) -> None:
    """What is not the place of a key is refused without being shown."""
    [problem] = problems(f"[service]\nkey = '{key}'")
    assert "say where the key is found" in problem
    assert "smk_" not in problem
    assert "vault" not in problem


@pytest.mark.parametrize(
    "listen",
    ["8080", ":8080", "localhost", "h:", "h:65536", "h:-1", "h:http", "::1:80", "[::1]", "[1.2.3.4]:1",
     "[:]:1", "a b:1", "http://h:1", "h:1/x", "*:1", "h:٣"],
)  # fmt: skip
def test_what_no_server_can_listen_at_is_refused(listen: str) -> None:
    """Webhooks are received at a host and a port, an IPv6 host in brackets."""
    [problem] = problems(f"[service]\nurl = 'simulator'\n[webhook]\nlisten = '{listen}'")
    assert problem.startswith('job:6: webhook.listen: expected "HOST:PORT" such as "0.0.0.0:8080"')
    assert problem.endswith(f'got "{listen}"')


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("hooks.example.com", "expected an address such as"),
        ("ftp://hooks.example.com", "expected an address such as"),
        ("https://hooks.example.com/a b", "expected an address such as"),
        ("http://hooks.example.com/", "use https: over plain http the secret could be read"),
        ("http://10.0.0.1/", "use https"),
        ("https://me@hooks.example.com/", "without user, query or fragment"),
        ("https://:x@hooks.example.com/", "without user"),
        ("https://hooks.example.com/?a=1", "without user, query"),
        ("https://hooks.example.com/?", "without user, query"),
        ("https://hooks.example.com/#a", "without user, query or fragment"),
        ("https://hooks.example.com:99999/", "Port out of range"),
        ("https://hooks.example.com:0/", "port is not 0"),
        ("https://[::1/", "Invalid IPv6 URL"),
        (" ", "but it is empty"),
    ],
)
def test_public_addresses_that_would_show_the_secret_are_refused(url: str, said: str) -> None:
    """The address of the webhooks is https, without secrets of its own, or on this machine."""
    [problem] = problems(f"[webhook]\nlisten = '0.0.0.0:1'\npublic_url = '{url}'")
    assert problem.startswith("job:5: webhook.public_url: ")
    assert said in problem


def test_webhooks_need_an_address_the_service_reaches() -> None:
    """With a service out there, no address or one of this machine is a problem that says what to write."""
    advice = (
        "write the address at which the service reaches this machine, such as "
        'public_url = "https://hooks.example.com/batchup"'
    )
    assert problems("[webhook]\nlisten = '0.0.0.0:1'") == [f"job:3: webhook.public_url: missing; {advice}"]
    assert problems("[webhook]\nlisten = '0.0.0.0:1'\npublic_url = 'http://localhost:1/'") == [
        f"job:5: webhook.public_url: the service cannot reach this machine by that; {advice}"
    ]


@pytest.mark.parametrize("url", ["simulator", "http://127.0.0.1:8080/v1"])
def test_webhooks_of_a_service_here_stay_here(url: str) -> None:
    """Without a public address nothing but this machine's own may be listened at, or every one of them."""
    tail = f"[service]\nurl = '{url}'\n[webhook]\nlisten = "
    for listen in ("127.0.0.1:0", "localhost:1", "0.0.0.0:1", "[::1]:0", "[::]:0"):
        assert Job.from_toml(f"{MINIMAL}{tail}'{listen}'").webhook is not None
    for listen in ("192.168.1.5:1", "a-host:1"):
        [problem] = problems(f"{tail}'{listen}'")
        assert problem.startswith("job:6: webhook.listen: without a public_url the secret would cross")
    public = "'192.168.1.5:1'\npublic_url = 'https://hooks.example.com'"
    assert Job.from_toml(f"{MINIMAL}{tail}{public}").webhook is not None


@pytest.mark.parametrize("tail", ["[webhook]", "[webhook]\npublic_url = 'https://hooks.example.com'"])
def test_a_webhook_table_says_where_to_listen(tail: str) -> None:
    """The table without its address is a problem that says which line to add."""
    missing = 'job:3: webhook.listen: missing; add a line such as listen = "0.0.0.0:8080"'
    assert problems(tail) == [missing]


def test_a_problem_of_the_webhooks_is_told_once(tmp_path: Path) -> None:
    """What is wrong with an address hides what would follow of it, and a variable is named as its source."""
    assert len(problems("[webhook]\nlisten = 'x'")) == 1
    assert len(problems("[webhook]\nlisten = '0.0.0.0:1'\n[service]\nurl = 'x'")) == 1
    assert problems("[webhook]\nurl = 'https://x'") == [
        "job:4: webhook.url: unknown key; it belongs under [service]"
    ]
    path = tmp_path / "x.toml"
    path.write_text(MINIMAL)
    far = problem_of(path, environ={"BATCHUP_WEBHOOK_LISTEN": "0.0.0.0:1"})
    assert far.startswith(f"{path}: webhook.public_url: missing; write the address")
    near = {"BATCHUP_WEBHOOK_LISTEN": "10.0.0.1:1", "BATCHUP_SERVICE_URL": "simulator"}
    assert problem_of(path, environ=near).startswith("environment: webhook.listen: without a public_url")


def test_a_simulator_table_needs_the_simulator() -> None:
    """Settings of the simulator beside a real address are a contradiction."""
    [problem] = problems("[simulator]\nspeed = 2")
    assert problem == 'job:3: [simulator]: is only for [service] url = "simulator"; remove one of them'
    with pytest.raises(ConfigProblem, match=r"\[simulator\]: is only for"):
        Job.from_toml(MINIMAL + '[service]\nurl = "http://127.0.0.1:1/v1"\n[simulator]\nspeed = 2')


def test_unknown_variables_are_problems(tmp_path: Path) -> None:
    """A variable of our prefix that is no setting is an error; the key's own and a container's are not."""
    path = tmp_path / "x.toml"
    path.write_text(MINIMAL + '[service]\nkey = "env:BATCHUP_KEY"\n')
    harmless = {
        "BATCHUP_KEY": "smk_1",
        "BATCHUP_SERVICE_HOST": "10.0.0.1",
        "BATCHUP_SERVICE_PORT_HTTP": "80",
        "BATCHUP_PORT": "tcp://10.0.0.1:80",
        "BATCHUP_PORT_80_TCP_ADDR": "10.0.0.1",
        "BATCHUP_EMPTY": "",
    }
    assert Job.load(path, environ=harmless).service.key == "env:BATCHUP_KEY"
    assert problem_of(path, environ={"BATCHUP_LIMITS_RATES": "1/s"}) == (
        'BATCHUP_LIMITS_RATES: environment: unknown setting; did you mean "BATCHUP_LIMITS_RATE"?'
    )
    assert "use [input]" in problem_of(path, environ={"BATCHUP_INPUT_SEED": "1"})


def test_a_missing_job_file_names_its_neighbours(tmp_path: Path) -> None:
    """A job file that is not there is one sentence, with those that are."""
    assert problem_of(tmp_path / "a.toml") == f"There is no job file {tmp_path / 'a.toml'}."
    with pytest.raises(ConfigProblem) as caught:
        Job.load(tmp_path / "a.toml")
    assert caught.value.remedy == "Name another, or write one with `batchup init`."
    (tmp_path / "b.toml").touch()
    (tmp_path / "c.toml").touch()
    assert problem_of(tmp_path / "a.toml") == (
        f"There is no job file {tmp_path / 'a.toml'}; the folder has b.toml, c.toml."
    )
    assert problem_of(tmp_path) == f"{tmp_path} is a folder, not a job file; the folder has b.toml, c.toml."
    assert problem_of(tmp_path / "none" / "a.toml").startswith("There is no job file")


def test_an_unreadable_job_file_is_one_sentence(tmp_path: Path) -> None:
    """A job file of another encoding, or a name no file can have, is one sentence."""
    path = tmp_path / "x.toml"
    path.write_bytes(b'name = "\xff"\n')
    assert problem_of(path) == f"{path} is not UTF-8 text; save it as UTF-8."
    assert "cannot be read" in problem_of(Path("a\0b.toml"))
    assert "cannot be read" in problem_of(path / "below.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = \n", "job:2: not valid TOML: Invalid value"),
        ("a = 1\na = 2\n", "job:2: not valid TOML: Cannot overwrite a value"),
        ('a = 1\nb = """x\n', "job:2: not valid TOML: "),
        ("a = " + "[" * 5000, "nested too deeply"),
    ],
)
def test_a_syntax_error_names_its_line(text: str, said: str) -> None:
    """A text that is not TOML is one line with the place of the mistake."""
    with pytest.raises(ConfigProblem) as caught:
        Job.from_toml(text)
    assert caught.value.message.startswith("job:")
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_a_folder_that_cannot_be_written_down_is_told(tmp_path: Path) -> None:
    """A folder whose name is not UTF-8 is refused in a sentence: paths are kept as text."""
    odd = tmp_path / os.fsdecode(b"odd-\xff")
    for text, base in ((MINIMAL, odd), (f"{MINIMAL}[output]\ndir = 'out'\n", odd)):
        with pytest.raises(ConfigProblem) as caught:
            Job.from_toml(text, base=base)
        assert caught.value.message == f"The name of the folder {tmp_path}/odd-\\xff is not UTF-8."
    odd.mkdir()
    (tmp_path / "x.toml").write_text(MINIMAL)
    with pytest.raises(ConfigProblem, match=r"odd-\\xff/out is not UTF-8"):
        Job.load(tmp_path / "x.toml", overrides={"output.dir": str(odd / "out")}, environ={})


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    """A job file saved by a Windows editor loads, and its lines are counted right."""
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert Job.load(path, environ={}).model == "each-upscaler"
