"""Items held against the model's request schema on their way to the service, before they cost anything.

Only what would be bought is looked at: an item that was made before schemas were read, or under another one,
stays made. Used from the reader's threads, one at a time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from batchup.core.account import ModelCard
from batchup.core.items import Item, Json
from batchup.core.schema_bounds import with_bounds
from batchup.core.validation import Problem, Validator
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.manifest import Reject
from batchup.edge.manifest.media import MEDIA_PARAMETERS
from batchup.edge.manifest.told import told
from batchup.edge.models.bundled import bundled
from batchup.errors import ConfigProblem
from batchup.job import Job
from batchup.settings.nearest import did_you_mean
from batchup.settings.toml_source import TomlSource

INVALID: Final = "invalid_input"
_TOLD: Final = 3  # problems of one row
_NAMES: Final = 200  # of parameters that are left out; a manifest may have as many as rows
_SEND: Final = '[run] on_unknown = "send" sends it all the same'


@dataclass(frozen=True, slots=True)
class BadInput(Reject):
    """A row whose parameters the model does not take; `cause` is the same for all that are alike."""

    cause: str = ""


class Schema(Protocol):
    """Where a run has from what its items are held against."""

    def known(self) -> "Fitting":
        """Return what is known without asking anybody."""

    async def newest(self) -> "Fitting":
        """Return the newest there is; ConfigProblem where the job's `[input]` does not fit it."""


@dataclass(slots=True)
class Doubt:
    """Rows whose value breaks a bound that nobody has confirmed: how many, and words about the first."""

    words: str
    count: int = 0


class Fitting:
    """Fits the items of one job to what is known of its model; without a schema they pass as they are.

    `doubts` are by cause, `left_out` are parameters by name, each with the number of rows.
    """

    def __init__(self, job: Job, card: ModelCard | None) -> None:
        self._job = job
        self.card = card
        self.doubts: dict[str, Doubt] = {}
        self.left_out: dict[str, int] = {}
        schema = None if card is None or not card.request_schema else _with_our_bounds(card)
        self._told: set[str] = set()
        self._validator: Validator | None = None
        if schema:
            word = job.run.on_unknown
            self._validator = Validator(schema, pictures=MEDIA_PARAMETERS, on_unknown=word, near=did_you_mean)

    @property
    def is_known(self) -> bool:
        """Whether there is a schema to hold anything against."""
        return self._validator is not None

    def refuse_bad_job(self) -> None:
        """Raise ConfigProblem for parameters in `[input]` that the model does not take: each item has them.

        What the manifest alone may leave out is an error here, where somebody has written it by hand.
        """
        found = [
            f"{self._where(name)}: {words}"
            for name, value in self._job.input.items()
            if (words := self._problem_in_job(name, value)) is not None
        ]
        if found:
            remedy = f"`batchup models {self._job.model}` shows what the model takes."
            raise ConfigProblem("\n".join(found), remedy=remedy)

    def draft(self, draft: Draft) -> Draft | BadInput:
        """Return a draft as it is to be sent: texts turned into what the schema wants."""
        if self._validator is None:
            return draft
        fitted = self._validator.fit(draft.input)
        if fitted.problems:
            return _bad_input(self._job, draft, fitted.problems)
        for one in fitted.doubts:
            self._note_doubt(draft, one)
        for name in fitted.dropped:
            if name in self.left_out or len(self.left_out) < _NAMES:
                self.left_out[name] = self.left_out.get(name, 0) + 1
        given = fitted.apply(draft.input)
        return draft if given is draft.input else _with_input(draft, given)

    def news(self) -> Iterator[str]:
        """Yield what a person should know and has not been told, each cause once."""
        for cause, doubt in self.doubts.items():
            if cause not in self._told:
                self._told.add(cause)
                yield doubt.words

    def _note_doubt(self, draft: Draft, one: Problem) -> None:
        where = told(self._job, draft.line, draft.id)
        doubt = self.doubts.setdefault(one.cause, Doubt(f"{where}: {one.words}, as far as is known."))
        doubt.count += 1

    def _problem_in_job(self, name: str, value: Json) -> str | None:
        validator = self._validator
        if validator is None:
            return None
        if not validator.knows(name) and self._job.run.on_unknown != "send":
            hint = did_you_mean(name, validator.rules) or f"; {_SEND}"
            return f'"{name}" is no parameter of {self._job.model}{hint}'
        problem = validator.problem_of(name, value)
        return None if problem is None else problem.words

    def _where(self, name: str) -> str:
        path = self._job.path
        return f"input.{name}" if path is None else TomlSource.from_file(path).where(("input", name))


def _with_our_bounds(card: ModelCard) -> Mapping[str, Json]:
    """Return a model's schema, its unbounded numbers with the bounds that came with the program."""
    own = bundled(card.slug)
    return with_bounds(card.request_schema or {}, None if own is None else own.request_schema)


def fitted_item(maker: ItemMaker, fitting: Fitting, draft: Draft) -> Item | Reject:
    """Hold a draft against the schema, then read and hash its files: it is an item then. Blocking."""
    fitted = fitting.draft(draft)
    return fitted if isinstance(fitted, Reject) else maker.finish(fitted)


def all_items(maker: ItemMaker, fitting: Fitting, draft: Draft) -> Iterator[Item]:
    """Yield a draft's item as it is written, and as it is sent where that is another one. Blocking."""
    fitted = fitting.draft(draft)
    for one in (draft,) if fitted is draft or isinstance(fitted, Reject) else (fitted, draft):
        item = maker.finish(one)
        if isinstance(item, Item):
            yield item


def _bad_input(job: Job, draft: Draft, problems: tuple[Problem, ...]) -> BadInput:
    said = [one.words for one in problems[:_TOLD]]
    said += [f"and {len(problems) - _TOLD} more"] if len(problems) > _TOLD else []
    said = [words.removesuffix("?") for words in said[:-1]] + said[-1:]
    end = "" if said[-1].endswith("?") else "."
    words = f"{told(job, draft.line, draft.id)}: {'; '.join(said)}{end}"
    return BadInput(draft.line, draft.id, INVALID, words, cause=problems[0].cause)


def _with_input(draft: Draft, given: Mapping[str, Json]) -> Draft:
    paths = {name: path for name, path in draft.paths.items() if name in given}
    members = {name: member for name, member in draft.members.items() if name in given}
    objects = {name: address for name, address in draft.objects.items() if name in given}
    return replace(draft, input=given, paths=paths, members=members, objects=objects)
