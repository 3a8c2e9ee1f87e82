"""`batchup init [SOURCE] --model SLUG`: a job file to begin with, every parameter of the model explained."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from batchup.cli.asking import asked_job, key_of
from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, known_slugs
from batchup.core.schema_words import Parameter, image_of
from batchup.errors import DataProblem, OutputProblem, UsageProblem
from batchup.job import Job
from batchup.settings.homes import from_home

if TYPE_CHECKING:
    from batchup.core.account import ModelCard
    from batchup.edge.drafting.guessing import Guess

_PLACEHOLDER = "products.jsonl"

EPILOG = """\b
Examples:
  batchup init photos/
  batchup init products.csv --model real-esrgan -o nightly.toml
  batchup init 'shards/{000..099}.tar' -o shards.toml
  batchup init s3://shop/photos/
"""


@click.command(name="init", epilog=EPILOG)
@click.argument("source", required=False, metavar="[SOURCE]")
@click.option(
    "--model",
    metavar="SLUG",
    default="each-upscaler",
    show_default=True,
    shell_complete=known_slugs,
    help="What makes the pictures.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The job file to write.  [default: SOURCE's or the model's name and .toml, in this folder]",
)
@click.option(
    "--force",
    is_flag=True,
    help="Write it anew where it is there already, and for a model that nobody knows.",
)
@click.option("--offline", is_flag=True, help="Do not ask the service about the model.")
@DEBUG
def command(
    source: str | None, *, model: str, output: Path | None, force: bool, offline: bool, debug: bool
) -> None:
    """Write a job file for SOURCE: a folder of images, a manifest, a glob, or - for standard input.

    A manifest is JSON Lines, CSV, TSV or a list (each also as .gz or .zst), Parquet, or tar shards as of
    webdataset; it may be at s3://, gs://, az:// or https:// as well, and so may a folder of images.

    Its [input] table has every parameter of the model with type, bounds, default and meaning; [columns] says
    which column is the image and which the id, as far as the first rows tell. Prints the file's name. What is
    there already is left alone, and the command ends with 73; for a model that is not known it ends with 2.
    """
    with problems_end_the_command(debug=debug):
        from batchup.edge.exports.targets import is_stream, refuse_precious  # noqa: PLC0415 -h stays quick

        path = output or Path(f"{_stem(source, model)}.toml")
        refuse_precious(path, read=[] if source is None or _is_elsewhere(source) else [Path(source)])
        if path.exists() and not (force or is_stream(path)):
            remedy = "Name another file behind -o, or say --force to write it anew."
            raise OutputProblem(f"{path} is there already.", remedy=remedy)
        _refuse_missing(source)
        text, words = _text(source, model, path, is_offline=offline, is_forced=force)
        _write(path, text, is_new=not (force or is_stream(path)))
        click.echo("\n".join(words), err=True)
        if not is_stream(path):
            click.echo(path)


def _is_elsewhere(source: str) -> bool:
    from batchup.edge.manifest import is_elsewhere  # noqa: PLC0415 -h stays quick

    return is_elsewhere(source)


def _stem(source: str | None, model: str) -> str:
    """Return a job's name: the file's or folder's, what stands before a pattern, or the model's."""
    from batchup.edge.manifest.folder import is_glob, split_glob  # noqa: PLC0415 -h stays quick
    from batchup.edge.manifest.patterns import fixed_part  # noqa: PLC0415 -h stays quick

    usual = model.replace("/", "-")
    if source is None or source == "-":
        return usual
    if _is_elsewhere(source):
        address = urlsplit(source)
        last = Path(fixed_part(address.path.rstrip("/"))).name or address.netloc
        return last.partition(".")[0].rstrip("-_") or usual
    if Path(source).exists() or not (is_glob(source) or fixed_part(source) != source):
        path = Path(source)
    else:
        path = split_glob(source)[0] if is_glob(source) else Path(fixed_part(source).rstrip("-_."))
    absolute = path.resolve()
    return (absolute.name if absolute.is_dir() else absolute.stem) or usual


def _refuse_missing(source: str | None) -> None:
    """Raise DataProblem where there is no source, before anybody is asked about a model."""
    from batchup.edge.manifest.folder import is_glob  # noqa: PLC0415 -h stays quick
    from batchup.edge.manifest.patterns import has_braces  # noqa: PLC0415 -h stays quick

    if source is None or _is_elsewhere(source) or is_glob(source) or has_braces(source):
        return
    if not from_home(source).exists():
        remedy = "Name a folder of images, a manifest or a glob that is there; without one `init` names none."
        raise DataProblem(f"There is no {source}.", remedy=remedy)


def _text(
    source: str | None, model: str, path: Path, *, is_offline: bool, is_forced: bool
) -> tuple[str, list[str]]:
    """Return the file's text, and what is to be said about it."""
    from batchup.edge.drafting.guessing import Guess  # noqa: PLC0415 -h stays quick
    from batchup.edge.drafting.job_text import job_text, shown_path  # noqa: PLC0415 -h stays quick

    job = asked_job(None, model)
    card, parameters = _describe(job, key_of(job, is_offline=is_offline), is_forced=is_forced)
    found = Guess() if source is None else _look(source, job, parameters)
    notes = _notes(card)
    if source is None:
        notes.append(f"There is no {_PLACEHOLDER} yet: write one, or name what you have as `manifest`.")
    if source is not None:
        notes += _missing(source, found, image_of(tuple(parameters)))
    if found.strangers:
        notes.append(f"The model does not know these columns, which are left out: {_listed(found)}.")
    text = job_text(
        name=path.name,
        manifest=_PLACEHOLDER if source is None else _relative(source, path),
        model=model,
        parameters=parameters,
        notes=notes,
        columns=found.columns,
        from_manifest=_from_rows(found, parameters),
        is_dropping=bool(found.strangers),
    )
    Job.from_toml(text, base=path.parent)
    words = [note for note in notes if note not in _notes(card)]
    name = shown_path(str(path))
    return text, [
        *words,
        "next:",
        f"  batchup check {name} --forecast",
        f"  batchup run {name} --limit 20 --max-spend 5",
    ]


def _missing(source: str, found: "Guess", image: str | None) -> list[str]:
    """Return what a source lacks, so that nothing of it would be made."""
    if found.problem is not None:
        return [f"The first row cannot be used: {found.problem}"]
    if not found.row_count:
        return [f"There is nothing to be made in {source} yet: `batchup check` counts the items."]
    if image is None or image in found.names or image in found.columns:
        return []
    names = ", ".join(found.names[:8]) or "its columns"
    return [f'None of {names} looks like a picture: name it under [columns], as in {image} = "COLUMN".']


def _describe(
    job: Job, key: str | None, *, is_forced: bool
) -> "tuple[ModelCard | None, tuple[Parameter, ...]]":
    import anyio  # noqa: PLC0415 -h stays quick

    from batchup.edge.models.catalogue import known_models, look_for_one, parameters  # noqa: PLC0415 -h stays quick
    from batchup.settings.nearest import did_you_mean  # noqa: PLC0415 beside what it is for

    found = anyio.run(partial(look_for_one, job, key))
    for line in found.problems:
        click.echo(line, err=True)
    if found.card is None:
        hint = did_you_mean(job.model, [row["slug"] for row in known_models(job).models])
        words = f"othing is known of a model {job.model}"
        if not is_forced:
            remedy = "`batchup models` lists those that are known; --force writes the job all the same."
            raise UsageProblem(f"N{words}{hint or '.'}", remedy=remedy)
        click.echo(f"n{words}, so its parameters are not listed", err=True)
    return found.card, () if found.card is None else parameters(found.card)


def _look(source: str, job: Job, parameters: Sequence[Parameter]) -> "Guess":
    import tempfile  # noqa: PLC0415 beside what it is for
    from dataclasses import replace  # noqa: PLC0415 the same

    from batchup.edge.drafting.guessing import guess  # noqa: PLC0415 -h stays quick
    from batchup.edge.manifest import fetch_manifest  # noqa: PLC0415 -h stays quick

    with tempfile.TemporaryDirectory(prefix="batchup-") as folder:  # for a copy of one that is elsewhere
        aside = replace(job.output, dir=Path(folder))
        here = replace(
            job, manifest=source, base=Path.cwd(), output=aside if _is_elsewhere(source) else job.output
        )
        fetch_manifest(here)
        return guess(here, image_of(tuple(parameters)), [one.name for one in parameters])


def _notes(card: "ModelCard | None") -> list[str]:
    from batchup.cli.prices import price_words  # noqa: PLC0415 -h stays quick

    if card is None:
        return ["Nobody could be asked for the model's parameters: `batchup models` asks the service."]
    words = price_words(card)
    return [f"{words[0].upper()}{words[1:]}.", "A parameter that is left out takes the service's default."]


def _from_rows(found: "Guess", parameters: Sequence[Parameter]) -> list[str]:
    """Return the parameters that the manifest brings: what its columns are, and the picture in any case."""
    image = image_of(tuple(parameters))
    return [*found.names, *found.columns, *([image] if image else [])]


def _listed(found: "Guess") -> str:
    shown = ", ".join(found.strangers[:8])
    return shown if len(found.strangers) <= 8 else f"{shown} and {len(found.strangers) - 8} more"


def _relative(source: str, path: Path) -> str:
    """Return where the source is from the job file's folder; a whole path stays one."""
    from batchup.edge.exports.targets import is_stream  # noqa: PLC0415 -h stays quick

    folder = Path() if is_stream(path) else path.parent
    return source if _is_elsewhere(source) or Path(source).is_absolute() else os.path.relpath(source, folder)


def _write(path: Path, text: str, *, is_new: bool) -> None:
    try:
        with path.open("x" if is_new else "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        remedy = "Name another file behind -o."
        raise OutputProblem(f"{path} cannot be written: {error.strerror}.", remedy=remedy) from error
