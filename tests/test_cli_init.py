"""`batchup init`: a job file that loads, passes `check`, and explains what every parameter does."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from edge.bench import photos, rows, run, web
from edge.servers import free_port

from batchup.cli import main
from batchup.core.schema_words import Parameter, parameters_of
from batchup.edge.drafting.job_text import job_text, shown_path, toml_key, toml_value
from batchup.edge.models.account import simulated
from batchup.edge.models.bundled import bundled
from batchup.job import Job

ENVIRON = {"EACHLABS_API_KEY": "a-secret-key"}


def told(*words: str, **environ: str) -> Result:
    return CliRunner(env={**ENVIRON, **environ}).invoke(main, list(words))


def init(*words: str, **environ: str) -> Result:
    return told("init", "--offline", *words, **environ)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_becomes_a_job(folder: Path) -> None:
    """The file is named after the folder, says the next two commands, passes `check`, and runs."""
    photos(folder / "photos", 2)
    done = init("photos/")
    assert (done.exit_code, done.stdout) == (0, "photos.toml\n")
    assert done.stderr.endswith(
        "next:\n  batchup check photos.toml --forecast\n  batchup run photos.toml --limit 20 --max-spend 5\n"
    )
    checked = told("check", "photos.toml", "--offline")
    assert (checked.exit_code, "photos: 2 items, 0 rejected rows" in checked.stdout) == (0, True)
    done_too = run(folder / "photos.toml", BATCHUP_SERVICE_URL="simulator", BATCHUP_SIMULATOR_SPEED="500")
    assert (done_too.code, done_too.summary["saved"]) == (0, 2)


def test_every_parameter_is_there_and_every_default_can_be_used(folder: Path) -> None:
    """Each parameter stands in [input] with what it means, and loads once its `#` is taken away."""
    init("--model", "each-upscaler")
    text = (folder / "each-upscaler.toml").read_text()
    card = bundled("each-upscaler")
    assert card is not None
    given = [one for one in parameters_of(card.request_schema) if one.name != "image"]
    assert Job.load("each-upscaler.toml").input == {}
    (folder / "all.toml").write_text(re.sub(r"^#(?=\w+ = )", "", text, flags=re.MULTILINE))
    every = Job.load("all.toml").input
    assert set(every) == {one.name for one in given}
    assert all(every[one.name] == one.default for one in given if one.default is not None)
    words = " ".join(re.sub(r"^# +", "", line) for line in text.splitlines())
    assert [one.name for one in given if one.meaning not in words] == []
    assert "bounds not confirmed by the service" in words.replace("bounds #", "bounds")
    assert "number, 0 to 1" in words
    assert max(len(line) for line in text.splitlines() if " = " not in line) <= 112


def test_the_other_tables_are_there_to_be_switched_on(folder: Path) -> None:
    """What may be done before and after a purchase stands in the file, each with its default."""
    nothing: dict[str, Any] = {"parameters": (), "notes": (), "columns": {}, "from_manifest": ()}
    text = job_text(name="a.toml", manifest="m", model="m", **nothing, is_dropping=True)
    assert text.count("[run]") == 1
    assert Job.from_toml(text, base=folder).run.on_unknown == "drop"
    init("--model", "each-upscaler")
    plain, shown = (folder / "each-upscaler.toml").read_text(), Job.load("each-upscaler.toml")
    free = re.compile(r"^#(?=(?:max_side|format|max_spend|on_unknown = .drop) )", re.MULTILINE)
    every = re.sub(r"^#(?=\w+ = )", "", free.sub("# ", plain), flags=re.MULTILINE)
    written = Job.from_toml(every, base=folder)
    assert (written.run, written.prepare, written.limits) == (shown.run, shown.prepare, shown.limits)
    assert (written.output.name, written.output.metadata) == (shown.output.name, shown.output.metadata)
    for name in ("dedupe", "executor", "name", "metadata", "max_side", "format", "delete_uploads"):
        assert f"\n#{name} = " in plain


def test_what_is_required_is_live(folder: Path) -> None:
    """A parameter that the model needs is set, to its default or to a value that it takes."""
    rows(folder / "rows.jsonl", {"id": "a", "image_url": "https://example.com/a.jpg"})
    model = "eachlabs-image-upscaler-pro-v1"
    init("rows.jsonl", "--model", model, BATCHUP_SERVICE_URL="simulator")
    assert Job.load("rows.toml").input == {"upscale_factor": 2, "output_format": "PNG"}
    assert simulated(model) is not None
    assert "Price: 0.02 USD a prediction" in (folder / "rows.toml").read_text()


@pytest.mark.parametrize(
    ("header", "row", "columns", "strangers"),
    [
        (["SKU", "photo_url"], ["7", "https://e.com/a.jpg"], {"image": "photo_url", "id": "SKU"}, ""),
        (["product_id", "n", "file"], ["7", "1", "a.jpg"], {"image": "file", "id": "product_id"}, "n"),
        (["id", "image", "prompt"], ["7", "a.jpg", "x"], {}, ""),
        (["link", "picture"], ["https://shop.example/7", "a.png"], {"image": "picture"}, "link"),
        (["title", "scale_factor"], ["A", "2"], {}, "title"),
        (["name", "url"], ["", "https://e.com/a"], {"image": "url"}, ""),
    ],
)
def test_columns_are_guessed(
    folder: Path, header: list[str], row: list[str], columns: dict[str, str], strangers: str
) -> None:
    """The image and the id are found by names and first values, and what the model does not know is told."""
    for name in {"a.jpg", "a.png"} & set(row):
        photos(folder / "made", 1)
        (folder / "made/p000.png").rename(folder / name)
    with (folder / "shop.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, row])
    done = init("shop.csv")
    job = Job.load("shop.toml")
    assert (done.exit_code, dict(job.columns), job.manifest) == (0, columns, "shop.csv")
    assert (f"which are left out: {strangers}." in done.stderr) is bool(strangers)
    is_usable = "image" in columns or "image" in header
    assert told("check", "shop.toml", "--offline").exit_code == (0 if is_usable else 3)


def test_many_strange_columns_are_counted(folder: Path) -> None:
    """Of many columns that the model does not know the first few are named."""
    rows(folder / "rows.jsonl", *web("a", **{f"column{k}": k for k in range(12)}))
    assert "column7 and 4 more." in init("rows.jsonl").stderr


def test_the_manifest_is_relative_to_the_job_file(folder: Path) -> None:
    """A job file in another folder finds the source from there; a whole path stays one."""
    photos(folder / "photos", 1)
    (folder / "jobs").mkdir()
    assert init("photos/*.png", "-o", "jobs/new.toml").exit_code == 0
    assert Job.load("jobs/new.toml").manifest == "../photos/*.png"
    assert told("check", "jobs/new.toml", "--offline").exit_code == 0
    assert init(str(folder / "photos"), "-o", "jobs/whole.toml").exit_code == 0
    assert Job.load("jobs/whole.toml").manifest == str(folder / "photos")
    assert init("photos/*.png").stdout == "photos.toml\n"
    (folder / "here").mkdir()
    assert init(".", "-o", "dot.toml").exit_code == 0
    assert told("check", "dot.toml", "--offline").stdout.startswith("dot: 1 items, ")


def test_what_is_there_is_left_alone(folder: Path) -> None:
    """A file that is there is never written over but with --force, and a folder that is not there is told."""
    path = folder / "each-upscaler.toml"
    path.write_text("mine")
    done = init()
    assert (done.exit_code, path.read_text(), "--force" in done.stderr) == (73, "mine", True)
    assert init("--force").exit_code == 0
    assert Job.load(path).model == "each-upscaler"
    missing = init("-o", "nowhere/a.toml")
    assert (missing.exit_code, "nowhere/a.toml cannot be written" in missing.stderr) == (73, True)


def test_without_a_source_what_is_missing_is_explained() -> None:
    """The manifest is a placeholder, which `init` says and `check` too."""
    done = init()
    assert (done.exit_code, "There is no products.jsonl yet" in done.stderr) == (0, True)
    checked = told("check", "each-upscaler.toml", "--offline")
    assert (checked.exit_code, "products.jsonl" in checked.stderr) == (65, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere.csv"], 65, "There is no nowhere.csv.\nName a folder"),
        (["nope/*.png"], 65, "nope"),
        (["odd.xyz"], 65, "unknown kind"),
        (["empty.csv"], 65, "is empty"),
        (["--model", "each upscaler"], 78, "slug"),
    ],
)
def test_a_source_that_is_none_is_told_and_nothing_written(
    folder: Path, words: list[str], code: int, said: str
) -> None:
    """What cannot be a manifest or a model makes no job file."""
    (folder / "odd.xyz").write_text("?")
    (folder / "empty.csv").write_text("")
    done = init(*words)
    assert (done.exit_code, said in done.stderr, list(folder.glob("*.toml"))) == (code, True, []), done.stderr


def test_a_model_that_nobody_knows_is_said() -> None:
    """A name nobody knows is 2, whether it is a slip, denied or not asked for; with --force it is written."""
    done = init("--model", "each-upscaller")
    assert (done.exit_code, 'did you mean "each-upscaler"?' in done.stderr) == (2, True)
    assert not Path("each-upscaller.toml").exists()
    assert init("--model", "each-upscaller", "--force").exit_code == 0
    assert Job.load("each-upscaller.toml").input == {}
    assert init("--model", "zzz", BATCHUP_SERVICE_URL="simulator").exit_code == 2
    assert init("--model", "zzz").exit_code == 2
    assert not Path("zzz.toml").exists()
    assert "parameters are not listed" in init("--model", "zzz", "--force").stderr
    url = f"http://127.0.0.1:{free_port()}/v1"
    asked = told("init", "--model", "yyy", BATCHUP_SERVICE_URL=url)
    assert (asked.exit_code, "the service does not describe yyy: it cannot be reached" in asked.stderr) == (
        2,
        True,
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "rows.csv",
            "a,b\n1,2\n",
            'None of a, b looks like a picture: name it under [columns], as in image = "',
        ),
        ("rows.jsonl", "{\n", "The first row cannot be used: Line 1"),
        ("rows.jsonl", "{}\n", "None of its columns looks like a picture"),
        ("empty/.keep", "", "There is nothing to be made in empty yet"),
    ],
)
def test_a_source_without_pictures_is_told(folder: Path, name: str, text: str, said: str) -> None:
    """What would make no item is said when the job file is written, and not by its first run."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    done = init(name.split("/", maxsplit=1)[0])
    assert (done.exit_code, said in done.stderr) == (0, True), done.stderr


def test_a_missing_source_is_told_before_anybody_is_asked() -> None:
    """The service has nothing to say about a folder that is not there."""
    done = told("init", "nope/", BATCHUP_SERVICE_URL=f"http://127.0.0.1:{free_port()}/v1")
    assert (done.exit_code, done.stderr.splitlines()[0]) == (65, "batchup: There is no nope/.")


@pytest.mark.parametrize(
    "parameter",
    [
        Parameter(name="odd name", is_required=True, type="string", default='a "quoted"\n\x7f\\ one'),
        Parameter(name="n", is_required=True, type="number", low=0.5),
        Parameter(name="n", is_required=True, type="integer"),
        Parameter(name="n", is_required=True, type="boolean"),
        Parameter(name="n", is_required=True, default=[1, "a"], type="array"),
        Parameter(name="n", is_required=True, default={"a b": 1.5, "c": [True]}, type="object"),
        Parameter(name="n", is_required=True, default=[None]),
        Parameter(name="n", is_required=True, default={"a": None}),
        Parameter(name="n", is_required=True, choices=("a b", "c")),
        Parameter(name="n", is_required=True, meaning="many words " * 30),
    ],
)
def test_any_parameter_can_be_written(folder: Path, parameter: Parameter) -> None:
    """Whatever a schema has for a default, the file can be read, with the same value where TOML has it."""
    text = job_text(
        name="a b.toml",
        manifest="rows.jsonl",
        model="m",
        parameters=[parameter],
        notes=["A note."],
        columns={"id": "the id"},
        from_manifest=[],
    )
    job = Job.from_toml(text, base=folder)
    assert list(job.input) == [parameter.name]
    is_writable = parameter.default is not None and toml_value(parameter.default) is not None
    assert not is_writable or job.input[parameter.name] == parameter.default
    assert dict(job.columns) == {"id": "the id"}


@pytest.mark.parametrize(
    ("value", "text"), [("a/b.toml", "a/b.toml"), ("a b.toml", "'a b.toml'"), ("a\nb", "'a?b'")]
)
def test_names_are_shown_as_they_are_typed(value: str, text: str) -> None:
    """A name with spaces is quoted, and none breaks the line of a comment."""
    assert shown_path(value) == text


def test_values_without_a_spelling_are_none() -> None:
    """Nothing is what TOML cannot say, and a key that is no bare one has quotes."""
    values: list[Any] = [None, [None], {"a": None}, object()]
    assert [toml_value(value) for value in values] == [None] * 4
    assert (toml_key("a-b_1"), toml_key("a b")) == ("a-b_1", '"a b"')
