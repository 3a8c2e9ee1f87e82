"""Every key a job file may hold, in one table: its kind and its bounds."""

from typing import Any, Final

from batchup.errors import ConfigProblem
from batchup.settings.executors import check_executor
from batchup.settings.hooks import check_hook, check_services, occasions, patience
from batchup.settings.outputs import check_output_dir, check_output_name, check_state
from batchup.settings.readers import (
    Setting,
    accept,
    choice,
    length,
    number,
    rate,
    secret,
    switch,
    text,
    whole,
)
from batchup.settings.rules import (
    check_durations,
    check_fault,
    check_key,
    check_listen,
    check_manifest,
    check_model,
    check_name,
    check_profile,
    check_public_url,
    check_url,
    read_manifest_name,
    read_parameter,
)

SECTIONS: Final = (
    "input",
    "columns",
    "limits",
    "polling",
    "run",
    "output",
    "prepare",
    "service",
    "webhook",
    "notify",
    "simulator",
)
FREE: Final[tuple[tuple[str, ...], ...]] = (("input",), ("columns",), ("simulator", "faults"))
"""Tables whose keys the user chooses."""

_MANY: Final = 2**63 - 1
_SHARE: Final = number("a share from 0 to 1", low=0, high=1)

SETTINGS: Final[dict[str, Setting]] = {
    "name": text("a name for the job", check_name),
    "manifest": Setting(read_manifest_name, check_manifest, is_text=True),
    "model": text('a model such as "each-upscaler"', check_model),
    "limits.concurrency": whole(1, 10_000),
    "limits.rate": rate(),
    "limits.open_creates": whole(1, 100),
    "limits.max_attempts": whole(1, 20),
    "limits.max_spend": number("an amount in USD above 0", above=0, high=1e12),
    "polling.expected": length("expected_s"),
    "polling.list": choice("auto", "off"),
    "polling.timeout": length("timeout_s"),
    "run.on_in_doubt": choice("reconcile", "hold", "resubmit"),
    "run.on_change": choice("error", "keep", "redo"),
    "run.on_unknown": choice("error", "drop", "send"),
    "run.dedupe": switch(),
    "run.allow_empty": switch(),
    "run.cutoff": choice("drain", "leave", "abort"),
    "run.executor": text("where uploads and downloads are made", check_executor),
    "output.dir": Setting(text("a folder or a bucket").read, check_output_dir, is_text=True),
    "output.state": Setting(text("a folder").read, check_state, None, is_text=True),
    "output.name": text('a template such as "{stem}@2x.{ext}"', check_output_name),
    "output.metadata": switch(),
    "output.allow_private": switch(),
    "output.allow_network": switch(),
    "output.max_pixels": whole(1, _MANY),
    "prepare.max_side": whole(64, 100_000),
    "prepare.format": choice("jpeg", "png", "webp"),
    "prepare.quality": whole(1, 100),
    "prepare.orient": switch(),
    "prepare.check": switch(),
    "prepare.delete_uploads": switch(),
    "service.url": text('an http(s) address or "simulator"', check_url),
    "service.key": secret("where the key is found", check_key),
    "service.auth": choice("x-api-key", "bearer"),
    "service.profile": text('a profile such as "replicate", or the path of one', check_profile),
    "service.request_timeout": length("request_timeout_s"),
    "service.listing_lag": length("listing_lag_s"),
    "service.settle": length("settle_s"),
    "webhook.listen": text('an address such as "0.0.0.0:8080"', check_listen),
    "webhook.public_url": text('an address such as "https://hooks.example.com/batchup"', check_public_url),
    "notify.on": occasions(),
    "notify.webhook": secret("an address, or where it is found", check_hook),
    "notify.webhook_format": choice("auto", "json", "slack"),
    "notify.apprise": secret("addresses, or where they are found", check_services),
    "notify.ping": secret("an address, or where it is found", check_hook),
    "notify.timeout": patience(),
    "simulator.durations": text('a distribution such as "lognormal:53s:0.3"', check_durations),
    "simulator.speed": number("a factor above 0, at most 1000000", above=0, high=1e6),
    "simulator.seed": whole(0, _MANY),
    "simulator.engine": choice("lanczos", "neural"),
}
SECRETS: Final = tuple(tuple(path.split(".")) for path, setting in SETTINGS.items() if setting.is_secret)
"""Settings whose values are secrets, or say where one is found."""

_PARAMETER: Final = Setting(read_parameter, accept)
_COLUMN: Final = text("a column's name")


def find_setting(path: tuple[str, ...]) -> Setting | None:
    """Find what is known of a key, by its path from the top of the file; None when nothing is."""
    match path:
        case ("input", _):
            return _PARAMETER
        case ("columns", _):
            return _COLUMN
        case ("simulator", "faults", name):
            return _fault(name)
        case _:
            return SETTINGS.get(".".join(path))


def _fault(name: str) -> Setting:
    def check(share: float) -> None:
        check_fault(name)
        _SHARE.check(share)

    return Setting(_SHARE.read, check)


def field_of(path: tuple[str, ...], setting: Setting) -> str:
    """Name a key's value as the job does: `timeout` is `timeout_s` there."""
    return setting.field or path[-1]


def validate(section: str, part: object) -> None:
    """Hold a part of a job to the bounds of its table, however it was made; else ConfigProblem."""
    problems = [
        f"{dotted}: {problem}"
        for dotted, setting in SETTINGS.items()
        if dotted.rpartition(".")[0] == section and setting.field is not None
        for problem in _problems(setting, getattr(part, setting.field or dotted.rpartition(".")[2]))
    ]
    if problems:
        raise ConfigProblem("\n".join(problems))


def _problems(setting: Setting, value: Any) -> list[str]:
    if value is None:
        return []
    try:
        setting.check(value)
    except ValueError as problem:
        return [str(problem)]
    return []
