"""Profiles as files: what a job takes from one, and every mistake in one with its line."""

from pathlib import Path

import pytest

from batchup.errors import ConfigProblem
from batchup.job import Job, Service
from batchup.settings.profiles import load_profile, names, shipped

JOB = 'manifest = "m.jsonl"\nmodel = "{model}"\n{more}\n[service]\n{service}\n'
OWN = """title = "Mine"
url = "https://api.mine.example/v1"
key = "env:MY_KEY"
[[create]]
model = "{model}"
path = "run"
body = { model = "{model}" }
input = "input"
[prediction]
path = "run/{id}"
id = ["id"]
status = "status"
ok = ["done"]
bad = ["failed"]
output = ["output"]
error = ["error"]
cost = "cost"
[alive]
path = "health"
"""


def job(service: str, *, model: str = "a/b", more: str = "", base: Path = Path()) -> Job:
    return Job.from_toml(JOB.format(model=model, more=more, service=service), base=base)


def problems_of(folder: Path, text: str) -> list[str]:
    """Return what is wrong with a profile, its file left out of each line."""
    file = folder / "own.toml"
    file.write_text(text)
    with pytest.raises(ConfigProblem) as caught:
        load_profile(str(file))
    return [line.removeprefix(str(file)) for line in caught.value.message.splitlines()]


def test_the_shipped_ones_can_be_read() -> None:
    """Each profile that comes with the program is whole."""
    assert names() == ["eachlabs", "replicate"]
    assert [shipped(name).name for name in names()] == names()


def test_a_profile_gives_the_defaults() -> None:
    """Address, key and kind of key are the profile's where the job says nothing of them."""
    service = job('profile = "replicate"').service
    assert (service.url, service.key, service.auth) == (
        "https://api.replicate.com/v1",
        "env:REPLICATE_API_TOKEN",
        "bearer",
    )
    assert Service().key == "env:EACHLABS_API_KEY"
    assert Service().auth == "x-api-key"


def test_a_jobs_own_keys_win() -> None:
    """What the job says itself is taken, whatever its profile would have."""
    service = job(
        'profile = "replicate"\nurl = "http://127.0.0.1:9/v1"\nkey = "env:K"\nauth = "x-api-key"'
    ).service
    assert (service.url, service.key, service.auth) == ("http://127.0.0.1:9/v1", "env:K", "x-api-key")


def test_a_profile_of_ones_own_lies_beside_the_job(tmp_path: Path) -> None:
    """A path is relative to the job file's folder, and the profile's name is the file's."""
    (tmp_path / "own.toml").write_text(OWN)
    service = job('profile = "own.toml"', base=tmp_path).service
    assert (service.spelling.title, service.spelling.name) == ("Mine", "own")
    assert service.url == "https://api.mine.example/v1"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "replicat",
            'there is no profile "replicat"; use "eachlabs", "replicate", or the path of a .toml file',
        ),
        ("none.toml", "none.toml cannot be read: No such file or directory."),
        ("A B", 'expected a profile such as "replicate", or the path of a .toml file'),
    ],
)
def test_a_profile_that_is_not_there_is_said(name: str, words: str) -> None:
    """The line of the job file is named, and what there is instead."""
    with pytest.raises(ConfigProblem, match=r"job:5: service\.profile: ") as caught:
        job(f'profile = "{name}"')
    assert words in caught.value.message


def test_what_a_service_lacks_is_said_at_once(tmp_path: Path) -> None:
    """Everything a job asks of a service that has no such thing is told, with its line."""
    (tmp_path / "own.toml").write_text(
        OWN.replace('cost = "cost"\n', "").replace('"{model}"', '"{a}/{b}"', 1)
    )
    more = '[limits]\nmax_spend = 3\n[webhook]\nlisten = "127.0.0.1:0"\n[prepare]\ndelete_uploads = true'
    with pytest.raises(ConfigProblem) as caught:
        job('profile = "own.toml"', model="upscaler", more=more, base=tmp_path)
    lines = caught.value.message.splitlines()
    assert [line.split(":")[1:3] for line in lines if "public_url" not in line] == [
        ["2", " model"],
        ["4", " limits.max_spend"],
        ["8", " prepare.delete_uploads"],
        ["6", " webhook.listen"],
    ]


def test_a_job_made_in_python_is_held_to_the_same() -> None:
    """A job that is no file has the same bounds."""
    made = job('profile = "replicate"')
    with pytest.raises(ConfigProblem, match="model: expected a model of Replicate"):
        Job(
            name="n",
            manifest="m",
            model="x",
            base=Path(),
            output=made.output,
            service=made.service,
        )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('[alive]\npath = "health"\n', "", ["own.toml: list: missing"]),
        ('title = "Mine"', 'titel = "Mine"', [':1: titel: unknown key; did you mean "title"?']),
        ('key = "env:MY_KEY"', 'key = "smk_123"', [":3: key: say where the key is found"]),
        ('"https://api.mine.example/v1"', '"http://api.mine.example"', [":2: url: use https"]),
        ('"https://api.mine.example/v1"', '"simulator"', [":2: url: expected the service's own address"]),
        ('title = "Mine"', 'auth = "basic"', [':1: auth: expected "x-api-key" or "bearer", got "basic"']),
        ('title = "Mine"', "title = 7", [":1: title: expected a text, got 7"]),
        ('title = "Mine"', 'retention = "1"', [":1: retention: add a unit"]),
        ('path = "run/{id}"', 'path = "/run"', [":10: prediction.path: expected a path under"]),
        ('path = "run/{id}"', 'path = "a/../{id}"', [":10: prediction.path: expected a path under"]),
        ('path = "run/{id}"', 'path = "run/{no}"', [":10: prediction.path: nothing is known for {no}"]),
        ('status = "status"\n', "", [":9: prediction.status: missing; expected a place"]),
        ('status = "status"', 'status = "a..b"', [":12: prediction.status: expected a place"]),
        ('ok = ["done"]', 'ok = "done"', [":13: prediction.ok: expected a list of texts"]),
        ('ok = ["done"]', "ok = []", [":13: prediction.ok: expected a list of texts"]),
        ('ok = ["done"]', 'ok = ["failed"]', [':12: prediction.status: the word "failed" has two']),
        ("[[create]]", "[create]", [":4: create: expected a table [[create]]"]),
        ("[[create]]", "[x]", [": create: missing; expected a table [[create]]", ":4: x: unknown key"]),
        (
            "[prediction]",
            "[predict]",
            [": prediction: missing; expected a table [prediction]", ":9: predict:"],
        ),
        ("[alive]", '[throttle]\ncap = "many"\n[alive]', [":19: throttle.cap: expected words with {n}"]),
        ("[alive]", '[cancel]\nmethod = "PATCH"\npath = "x"\n[alive]', [":19: cancel.method: expected"]),
        (
            "[alive]",
            '[balance]\npath = "x"\nquery = { a = 1 }\n[alive]',
            [":20: balance.query: expected a table"],
        ),
        (
            "[alive]",
            '[webhook]\nurl = "u"\nsecret = "s"\nsignature = "none"\n[alive]',
            [":21: webhook.signature"],
        ),
        (
            "[alive]",
            '[webhook]\nurl = "u"\nsecret = "s"\nsignature = "address"\n[alive]',
            [":20: webhook.secret: with the"],
        ),
        ("[alive]", '[upload]\npath = "u"\nput_url = "p"\n[alive]', [":18: upload.public_url: missing"]),
        (
            'model = "{model}"\npath',
            'model = "{a}/{a}"\npath',
            ["create.model: expected names in braces, each once"],
        ),
    ],
)
def test_each_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, told: list[str]) -> None:
    """What is wrong in a profile is named by its line and key, and what should be there."""
    assert old in OWN
    found = problems_of(tmp_path, OWN.replace(old, new, 1))
    for words in told:
        assert any(words.removeprefix("own.toml") in line for line in found), found


def test_a_list_has_to_be_one_that_shows_a_window(tmp_path: Path) -> None:
    """A list that cannot be asked for a stretch of time would show that something is absent which is not."""
    listing = '[list]\npath = "all"\nquery = { o = "{offset}" }\nrows = [1]\n'
    text = OWN + listing + 'id = "i"\nstatus = "s"\ncreated_at = "c"\n'
    assert [line.split("; ")[0] for line in problems_of(tmp_path, text)] == [
        ":22: list.query: nothing in it is {from}: a create in doubt could not be looked for",
        ":22: list.query: nothing in it is {to}: a create in doubt could not be looked for",
        ':22: list.query: nothing in it is "{limit}": 100 rows a page',
        ":23: list.rows: expected a list of texts",
    ]


def test_a_list_of_what_is_no_table_is_told(tmp_path: Path) -> None:
    """The ways to create are tables, and nothing else."""
    (line,) = problems_of(
        tmp_path, "create = [1]\n" + OWN.replace(OWN[OWN.index("[[c") : OWN.index("[pred")], "")
    )
    assert line == ":1: create: expected a table [[create]]"


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Nobody mends a profile one line at a time."""
    text = OWN.replace('input = "input"', "input = 3").replace('bad = ["failed"]', "").replace("health", "/x")
    assert len(problems_of(tmp_path, text)) == 3


def test_what_is_no_toml_is_told(tmp_path: Path) -> None:
    """A mistake of spelling has its line too."""
    assert problems_of(tmp_path, "title = ")[0].startswith(":1: not valid TOML")
    (tmp_path / "own.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigProblem, match="it is no UTF-8 text"):
        load_profile(str(tmp_path / "own.toml"))
