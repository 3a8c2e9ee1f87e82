"""What a job may be called."""

import pytest

from batchup import Job
from batchup.errors import ConfigProblem


@pytest.mark.parametrize("escape", ["n", "u0000", "u007f", "u0085", "u009f", "u2028", "u2029"])
def test_a_name_is_one_line(escape: str) -> None:
    """It stands in logs, units and figures that are read by the line, so nothing that ends one is in it."""
    with pytest.raises(ConfigProblem, match=r"name: expected at most 100 characters, without .* control"):
        Job.from_toml(f'name = "a\\{escape}b"\nmanifest = "m.csv"\nmodel = "m"')


@pytest.mark.parametrize("name", ["nightly", "shop: nightly", "été 日本語 😀", "cookie", "x" * 100])
def test_a_name_is_otherwise_free(name: str) -> None:
    """Any language, spaces and signs may be in it."""
    assert Job.from_toml(f'name = "{name}"\nmanifest = "m.csv"\nmodel = "m"').name == name
