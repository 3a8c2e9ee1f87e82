"""How an executor is named."""

import pytest

from batchup import Job
from batchup.errors import ConfigProblem
from batchup.settings.executors import ExecutorAddress, parse_executor


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("threads", ExecutorAddress("threads")),
        ("processes", ExecutorAddress("processes")),
        ("processes:4", ExecutorAddress("processes", count=4)),
        ("ray:auto", ExecutorAddress("ray", "auto")),
        ("ray://auto", ExecutorAddress("ray", "auto")),
        ("ray://head.example.com:6379", ExecutorAddress("ray", "head.example.com:6379")),
        ("dask://10.0.0.1:8786", ExecutorAddress("dask", "10.0.0.1:8786")),
        ("dask://[::1]:8786", ExecutorAddress("dask", "[::1]:8786")),
    ],
)
def test_what_can_be_named(text: str, address: ExecutorAddress) -> None:
    """This process, others on this machine, and clusters by their address."""
    assert parse_executor(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "thread", "processes:", "processes:0", "processes:513", "processes:٣", "processes:x", "ray"),
        *("ray://", "ray://head", "ray:head:6379", "dask://auto", "dask://host:0", "dask://host:65536"),
        *("dask://user:word@host:1", "spark://host:1", "dask://a b:1"),
    ],
)
def test_what_cannot(text: str) -> None:
    """Whatever else is refused, with the forms that there are."""
    with pytest.raises(ValueError, match=r'"threads".*"dask://HOST:PORT"'):
        parse_executor(text)


def test_ray_client_is_told_from_ray() -> None:
    """The port of Ray Client, which the documentation of Ray names first, leads to the right one."""
    with pytest.raises(ValueError, match=r"Ray Client.*6379"):
        parse_executor("ray://head:10001")


def test_a_job_names_one() -> None:
    """It is a key of the job file, held to the same rules."""
    text = 'manifest = "a.txt"\nmodel = "m"\n[run]\nexecutor = "{}"'
    assert Job.from_toml(text.format("processes:2")).run.executor == "processes:2"
    assert Job.from_toml('manifest = "a.txt"\nmodel = "m"').run.executor == "threads"
    with pytest.raises(ConfigProblem, match=r"run\.executor.*expected \"threads\""):
        Job.from_toml(text.format("dusk://a:1"))
