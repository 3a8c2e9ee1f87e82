"""A job: the manifest and everything that was decided about how to run it, validated and frozen."""

import os
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, Self

from batchup.core.items import Json
from batchup.core.profile import Profile
from batchup.errors import ConfigProblem
from batchup.settings.environment import PREFIX
from batchup.settings.known import validate
from batchup.settings.notify import Notify
from batchup.settings.offers import lacks
from batchup.settings.outputs import BY_ID, check_bucket, check_folders, is_bucket
from batchup.settings.profiles import DEFAULT, load_profile
from batchup.settings.rules import webhook_problem
from batchup.settings.sources import Settings, read_settings
from batchup.settings.toml_source import TomlSource
from batchup.settings.units import Rate

__all__ = [
    "Job",
    "Limits",
    "Notify",
    "Output",
    "Polling",
    "Prepare",
    "Rate",
    "RunPolicy",
    "Service",
    "Simulation",
    "Webhook",
]

SIMULATOR: Final = "simulator"
_DEFAULT_RATE: Final = Rate(60, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may never exceed; `max_spend` in USD for the whole job, None for no cap."""

    concurrency: int = 10
    rate: Rate | None = _DEFAULT_RATE
    open_creates: int = 1
    max_attempts: int = 3
    max_spend: float | None = None

    def __post_init__(self) -> None:
        validate("limits", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling:
    """When to look at a prediction: the first guess and the item's timeout, in seconds.

    `list` says whether the service's list of executions may serve as a poll of everything in flight.
    """

    expected_s: float = 53.0
    list: Literal["auto", "off"] = "auto"
    timeout_s: float = 900.0

    def __post_init__(self) -> None:
        validate("polling", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """What to do with items in doubt, with saved items whose request has changed, and with equal requests.

    With `dedupe` items that ask for the same are bought once. `executor` says where uploads and downloads
    are made: threads, processes[:N], ray://ADDRESS or dask://ADDRESS. Without `allow_empty` it is an error
    when a manifest that had items has none any more. `cutoff` says what a deadline does with what is in
    flight: creates end early enough to drain it, or go on and it is left; aborted, running downloads too.
    """

    on_in_doubt: Literal["reconcile", "hold", "resubmit"] = "reconcile"
    on_change: Literal["error", "keep", "redo"] = "error"
    dedupe: bool = True
    on_unknown: Literal["error", "drop", "send"] = "error"
    executor: str = "threads"
    allow_empty: bool = False
    cutoff: Literal["drain", "leave", "abort"] = "drain"

    def __post_init__(self) -> None:
        validate("run", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where outputs go (`dir`, absolute) and which are refused; `max_pixels` is width times height.

    With a `bucket` (an address such as `s3://bucket/prefix`) the images go there, and `dir` has the rest.
    `name` is a template for their names, None for their ids; `metadata` puts a JSON file beside each.
    `allow_network` permits a `dir` on a network file system, whose locks and syncs nobody vouches for.
    """

    dir: Path
    bucket: str | None = None
    name: str | None = None
    metadata: bool = False
    allow_private: bool = False
    allow_network: bool = False
    max_pixels: int = 128_000_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "dir", self.dir.absolute())
        if self.bucket is not None:
            check_bucket(self.bucket)
            object.__setattr__(self, "bucket", self.bucket.rstrip("/"))
        if self.name == BY_ID:
            object.__setattr__(self, "name", None)
        validate("output", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """What is done to images before they are uploaded; with nothing set they go up as they are.

    `max_side` in pixels bounds the longer side, `quality` (1 to 100) is that of a JPEG or WebP that has to be
    made, `orient` turns what a camera marked as turned. `check` has images in a bucket fetched and decoded
    that the service fetches by itself. `delete_uploads` takes the images away from the service again when
    the run is over.
    """

    max_side: int | None = None
    format: Literal["jpeg", "png", "webp"] | None = None
    quality: int = 92
    orient: bool = False
    check: bool = False
    delete_uploads: bool = False

    def __post_init__(self) -> None:
        validate("prepare", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The service, how to speak to it, and where its key is found (never the key itself).

    `profile` is the name of one that came with the program, or the path of a .toml file; what is not given
    of `url`, `key` and `auth` is as it says. `spelling` is the profile as it was read.
    """

    url: str = ""
    key: str = ""
    auth: str = ""
    profile: str = DEFAULT
    request_timeout_s: float = 30.0
    listing_lag_s: float = 60.0
    settle_s: float = 15.0
    spelling: Profile = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        spelling = load_profile(self.profile)
        object.__setattr__(self, "spelling", spelling)
        for name in ("url", "key", "auth"):
            object.__setattr__(self, name, getattr(self, name) or getattr(spelling, name))
        validate("service", self)

    @property
    def is_simulated(self) -> bool:
        """Whether the embedded simulator stands in for the service."""
        return self.url == SIMULATOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where the service tells of ended predictions: `listen` is `HOST:PORT`, an IPv6 host in brackets.

    `public_url` is the address at which the service reaches it; None where the service is on this machine
    and reaches it as it listens.
    """

    listen: str
    public_url: str | None = None

    def __post_init__(self) -> None:
        validate("webhook", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The embedded simulator's manners; `speed` is how much faster than life both sides run.

    `engine` is what makes images larger; `neural` needs the extra of that name.
    """

    durations: str = "lognormal:53s:0.3"
    speed: float = 1.0
    seed: int = 1
    faults: Mapping[str, float] = field(default_factory=dict)
    engine: Literal["lanczos", "neural"] = "lanczos"

    def __post_init__(self) -> None:
        validate("simulator", self)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What a job was loaded with, the key aside, and the limits that came of it."""

    overrides: Mapping[str, object]
    environ: Mapping[str, str]
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A manifest and its settings.

    A relative `manifest` lies in `base`; image paths inside a manifest are relative to the manifest's
    own folder, those in `input` to the job file's. `simulator` is None when the service is real, `webhook`
    when there are only polls, `notify` when nobody is told of a run's end.
    """

    name: str
    manifest: str
    model: str
    base: Path
    output: Output
    path: Path | None = None
    input: Mapping[str, Json] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    polling: Polling = field(default_factory=Polling)
    run: RunPolicy = field(default_factory=RunPolicy)
    prepare: Prepare = field(default_factory=Prepare)
    service: Service = field(default_factory=Service)
    webhook: Webhook | None = None
    notify: Notify | None = None
    simulator: Simulation | None = None
    _loaded: _Loaded | None = field(default=None, repr=False, compare=False)

    @property
    def speed(self) -> float:
        """How many times faster than life the service's time runs: only a simulated one's does."""
        return 1.0 if self.simulator is None else self.simulator.speed

    def __post_init__(self) -> None:
        validate("", self)
        lacking = lacks(
            self.service.spelling,
            model=self.model,
            has_cap=self.limits.max_spend is not None,
            deletes_uploads=self.prepare.delete_uploads,
            has_webhooks=self.webhook is not None,
        )
        if lacking:
            raise ConfigProblem("\n".join(": ".join(one) for one in lacking))
        if self.webhook is not None:
            found = webhook_problem(self.webhook.listen, self.webhook.public_url, self.service.url)
            if found is not None:
                raise ConfigProblem(": ".join(found))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        overrides: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Read a job file; flags (`{"limits.concurrency": 5}`) win over the environment, that over the file.

        `environ` is `os.environ` unless given. A manifest or output folder named by a flag or the
        environment is relative to the current folder, one named in the file to the file's folder.
        Raises ConfigProblem naming every problem at once.
        """
        file = Path(path)
        source = TomlSource.from_file(file)
        overrides = dict(overrides or {})
        environ = os.environ if environ is None else environ
        settings = read_settings(source, overrides=overrides, environ=environ)
        job = cls._from_settings(settings, path=file.absolute(), default_name=file.stem)
        places = [job.service.key, *(job.notify.addresses.values() if job.notify else ())]
        kept = _without_secrets(environ, {place.removeprefix("env:") for place in places})
        return replace(job, _loaded=_Loaded(overrides, kept, job.limits))

    @classmethod
    def from_toml(cls, text: str, *, base: str | os.PathLike[str] = ".") -> Self:
        """Make a job from the text of a job file in the folder `base`; the environment is not looked at.

        Its name is `batch` unless the text gives one. Raises ConfigProblem naming every problem at once.
        """
        source = TomlSource.from_text(text, folder=Path(base).absolute())
        return cls._from_settings(read_settings(source), path=None, default_name="batch")

    def reread_limits(self) -> Limits:
        """Read `[limits]` again: the same file, under the same flags and environment.

        A job without a file, and one whose limits were replaced since, returns its own. Raises
        ConfigProblem as `load` does, whatever in the file is wrong.
        """
        loaded = self._loaded
        if self.path is None or loaded is None or loaded.limits != self.limits:
            return self.limits
        return Job.load(self.path, overrides=loaded.overrides, environ=loaded.environ).limits

    @classmethod
    def _from_settings(cls, settings: Settings, *, path: Path | None, default_name: str) -> Self:
        top = settings.section("")
        name = top.get("name", default_name)
        service = Service(**settings.section("service"))
        webhook, notify = settings.section("webhook"), settings.section("notify")
        output = settings.section("output")
        place = output.pop("dir", None)
        if is_bucket(place):
            output["bucket"], place = place, settings.values.get(("output", "state"))
        folder = place or settings.folder / f"{name}.out"
        check_folders(settings.folder, folder)
        return cls(
            path=path,
            name=name,
            manifest=top["manifest"],
            model=top["model"],
            base=settings.manifest_base,
            input=settings.section("input"),
            columns=settings.section("columns"),
            limits=Limits(**settings.section("limits")),
            polling=Polling(**settings.section("polling")),
            run=RunPolicy(**settings.section("run")),
            output=Output(dir=folder, **output),
            prepare=Prepare(**settings.section("prepare")),
            service=service,
            webhook=Webhook(**webhook) if webhook else None,
            notify=Notify(**notify) if notify else None,
            simulator=Simulation(**settings.section("simulator")) if service.is_simulated else None,
        )


def _without_secrets(environ: Mapping[str, str], secrets: Container[str]) -> dict[str, str]:
    """Pick our settings out of an environment; the variables that hold secrets stay where they are."""
    return {name: value for name, value in environ.items() if name.startswith(PREFIX) and name not in secrets}
