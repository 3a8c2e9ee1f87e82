"""The lines of a TOML file, and the job file that is the reference of every setting."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.job import Job, Webhook
from batchup.settings.known import SECTIONS, SETTINGS
from batchup.settings.scalars import plain_value
from batchup.settings.toml_source import key_lines

REFERENCE = Path(__file__).parent.parent / "jobs" / "each-upscaler.toml"
PARAMETERS = {
    "scale_factor", "creativity", "resemblance", "dynamic", "num_inference_steps", "sharpen", "tiling_width",
    "tiling_height", "sd_model", "scheduler", "handfix", "output_format", "seed", "downscaling",
    "downscaling_resolution", "pattern", "prompt", "negative_prompt", "mask", "lora_links", "custom_sd_model",
}  # fmt: skip


def uncommented() -> str:
    text = REFERENCE.read_text(encoding="utf-8")
    return re.sub(r"^#(?=[a-z_]+ = |\[)", "", text, flags=re.MULTILINE)


def test_the_reference_job_loads() -> None:
    """The job file for the real model loads as it is, for the real service."""
    job = Job.load(REFERENCE, environ={})
    assert (job.model, job.manifest, job.name) == ("each-upscaler", "products.jsonl", "each-upscaler")
    assert job.service.key == "env:EACHLABS_API_KEY"
    assert job.base == REFERENCE.parent


def test_the_reference_job_mentions_every_setting() -> None:
    """Every key that is known, and every parameter of the model, stands in the reference with a comment."""
    lines = key_lines(uncommented())
    known = {tuple(dotted.split(".")) for dotted in SETTINGS} | {("simulator", "faults")}
    known |= {("columns", "id"), ("columns", "image")} | {(section,) for section in SECTIONS}
    assert known <= lines.keys()
    assert {path[1] for path in lines if path[0] == "input" and len(path) > 1} == PARAMETERS
    texts = uncommented().splitlines()
    bare = [
        path
        for path, line in lines.items()
        if "#" not in texts[line - 1] and not texts[line - 1].startswith("[")
    ]
    assert [path for path in bare if path != ("model",)] == []


def test_the_reference_job_shows_the_defaults() -> None:
    """Each value shown in a comment loads, and is the default where there is one."""
    text = uncommented().replace('url = "https://api.eachlabs.ai/v1"', 'url = "simulator"')
    shown = Job.from_toml(text)
    plain = Job.from_toml(
        'name = "each-upscaler"\nmanifest = "m.csv"\nmodel = "m"\n[service]\nurl = "simulator"'
    )
    assert shown.limits.max_spend == 25.0
    assert shown.columns == {"id": "sku", "image": "photo_url"}
    assert {**vars_of(shown.limits), "max_spend": None} == vars_of(plain.limits)
    assert shown.webhook == Webhook(listen="127.0.0.1:8080", public_url="https://hooks.example.com/batchup")
    assert (shown.polling, shown.run, shown.output) == (plain.polling, plain.run, plain.output)
    assert shown.service == plain.service
    assert shown.simulator is not None
    assert plain.simulator is not None
    assert {**vars_of(shown.simulator), "faults": {}} == vars_of(plain.simulator)


def vars_of(part: object) -> dict[str, object]:
    return {name: getattr(part, name) for name in part.__slots__}  # type: ignore[attr-defined]


def test_lines_are_found_in_every_kind_of_statement() -> None:
    """A key's line is where its statement begins, whatever strings, arrays and comments are around it."""
    text = (
        "# [limits] \u2028 \x85\n"
        'a = """\n[b]\nc = 1\n"""\n'  # line 2
        "\n"
        "d = [ # x\n  1,\n\n  2,\n]\n"  # line 7
        "[e.f]\n"  # line 12
        '"g h" = 1\n'
        "i.j = { k = 1, l = { m = 2 } }\n"
        "[[n]]\no = 1\n"  # line 15
    )
    assert key_lines(text) == {
        ("a",): 2,
        ("d",): 7,
        ("e",): 12,
        ("e", "f"): 12,
        ("e", "f", "g h"): 13,
        ("e", "f", "i"): 14,
        ("e", "f", "i", "j"): 14,
        ("e", "f", "i", "j", "k"): 14,
        ("e", "f", "i", "j", "l"): 14,
        ("e", "f", "i", "j", "l", "m"): 14,
        ("n",): 15,
        ("n", "o"): 16,
    }


@given(
    st.lists(
        st.sampled_from(["#", "", "x{} = 1", "x{} = '''\n#\n'''", "x{} = [\n1,\n2]", "[t{}]"]), max_size=12
    )
)
def test_lines_agree_with_a_count(kinds: list[str]) -> None:
    """Any mix of statements is found on the lines on which a plain count puts them."""
    expected: dict[tuple[str, ...], int] = {}
    line = 1
    table: tuple[str, ...] = ()
    for number, kind in enumerate(kinds):
        name = kind.format(number)
        if name.startswith("["):
            table = (name.strip("[]"),)
            expected[table] = line
        elif name.startswith("x"):
            expected[*table, f"x{number}"] = line
        line += name.count("\n") + 1
    assert key_lines("\n".join(kind.format(number) for number, kind in enumerate(kinds))) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2), ("-3", -3), ("0.35", 0.35), ("0", 0), (" 4 ", 4), ("true", True), ("FALSE", False),
        ("007", "007"), ("1e5", "1e5"), ("+1", "+1"), (".5", ".5"), ("1.", "1."), ("1_000", "1_000"),
        ("nan", "nan"), ("yes", "yes"), ("12345678901234567890", "12345678901234567890"), ("", ""),
        ("\u0662", "\u0662"), (" x ", " x "), ("1,5", "1,5"), ("0x10", "0x10"),
    ],
)  # fmt: skip
def test_only_what_can_be_nothing_else_is_a_number(text: str, value: object) -> None:
    """Text becomes a number or a boolean only where it can mean nothing else."""
    assert plain_value(text) == value
    assert type(plain_value(text)) is type(value)
