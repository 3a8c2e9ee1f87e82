"""Items held against a model's schema: rows that do not fit, texts that are turned, what is left out."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from edge.bench import rows, web
from edge.test_feeder import Reader
from PIL import Image

from batchup.core.account import ModelCard
from batchup.core.items import Item, SavedFile
from batchup.core.messages import ItemCounted, ItemRead, Keep
from batchup.core.states import State
from batchup.edge.feeding.items import Draft, ItemMaker
from batchup.edge.feeding.reading import first_of_each_id
from batchup.edge.images.contents import Contents
from batchup.edge.models.bundled import bundled
from batchup.edge.models.fitting import BadInput, Fitting, all_items, fitted_item
from batchup.edge.planning.plan import Looking, Reading
from batchup.errors import ConfigProblem
from batchup.job import Job

pytestmark = pytest.mark.anyio
CARD = ModelCard(
    slug="m",
    request_schema={
        "required": ["image"],
        "properties": {
            "image": {"type": "string"},
            "scale": {"type": "integer", "maximum": 8},
            "format": {"enum": ["png", "jpg"]},
            "soft": {"type": "number", "maximum": 1, "unconfirmed": True},
        },
    },
)
SMALL = "it may be a whole number, at most 8"
SCAEL = '"scael" is no parameter of the model; did you mean "scale"?'
GIF = '"format" is "gif"; it may be png or jpg'


def job(folder: Path, more: str = "") -> Job:
    return Job.from_toml(f'manifest = "rows.jsonl"\nmodel = "m"\n{more}', base=folder)


def drafts(of: Job) -> tuple[ItemMaker, list[Any]]:
    maker = ItemMaker(of, Contents(None))
    return maker, list(first_of_each_id(of, maker))


def fitting(folder: Path, *given: dict[str, Any], more: str = "") -> tuple[Fitting, list[Any]]:
    """Return a job's fitting, and what it says of each of these rows."""
    rows(folder / "rows.jsonl", *given)
    found = Fitting(job(folder, more), CARD)
    return found, [found.draft(one) for one in drafts(job(folder, more))[1]]


def test_a_row_that_does_not_fit_is_rejected_with_its_line(tmp_path: Path) -> None:
    """The reject names line, parameter, value and what it may be; of more than three the rest is counted."""
    _, found = fitting(
        tmp_path,
        *web("a", scale=9),
        *web("b", scael=2),
        *web("c", scael=2, format="gif"),
        *web("d", scale="x", format="gif", soft="y", p=1),
    )
    assert all(isinstance(one, BadInput) and one.kind == "invalid_input" for one in found)
    assert [one.message for one in found] == [
        f'Line 1: "scale" is 9; {SMALL}.',
        f"Line 2: {SCAEL}",
        f"Line 3: {GIF}; {SCAEL}",
        f'Line 4: "scale" is "x"; {SMALL}; {GIF}; "soft" is "y"; it may be a number, at most 1; and 1 more.',
    ]
    assert found[0].cause == '"scale" is out of bounds'


def test_without_a_schema_items_pass_as_they_are(tmp_path: Path) -> None:
    """Where nobody has described the model nothing is refused, nothing turned."""
    rows(tmp_path / "rows.jsonl", *web("a", anything="4"))
    _, (draft,) = drafts(job(tmp_path))
    for card in (None, ModelCard(slug="m")):
        found = Fitting(job(tmp_path, "[input]\nodd = 1\n"), card)
        found.refuse_bad_job()
        assert not found.is_known
        assert found.draft(draft) is draft


def test_doubts_are_counted_and_told_once(tmp_path: Path) -> None:
    """A value beyond what is confirmed goes as it is; a person hears of the first and of how many."""
    found, sent = fitting(tmp_path, *web("a", "b", soft=3), *web("c", soft=1))
    assert all(isinstance(one, Draft) for one in sent)
    (words,) = found.news()
    assert words == 'Line 1: "soft" is 3; it may be a number, at most 1, as far as is known.'
    assert list(found.news()) == []
    assert [doubt.count for doubt in found.doubts.values()] == [2]


def test_columns_of_ones_own_can_be_left_out(tmp_path: Path) -> None:
    """With on_unknown = "drop" what the model does not know is no part of the request, a picture included."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    more = '[run]\non_unknown = "drop"\n'
    given = {"id": "a", "image": "a.png", "mask": "a.png", "price": 3, "scale": "2"}
    found, (sent,) = fitting(tmp_path, given, more=more)
    assert sent.input == {"image": "a.png", "scale": 2}
    assert set(sent.paths) == {"image"}
    assert found.left_out == {"mask": 1, "price": 1}
    found.left_out = {str(k): 1 for k in range(200)}
    found.draft(drafts(job(tmp_path, more))[1][0])
    assert len(found.left_out) == 200


def test_a_bad_input_table_is_refused_as_a_whole(tmp_path: Path) -> None:
    """What `[input]` asks for each item has: each mistake is told with its place in the job file."""
    path = tmp_path / "job.toml"
    path.write_text(
        'manifest = "rows.jsonl"\nmodel = "m"\n[input]\nscael = 2\nprice = 1\nformat = "gif"\nscale = "2"\n'
    )
    with pytest.raises(ConfigProblem) as found:
        Fitting(Job.load(path), CARD).refuse_bad_job()
    assert found.value.message.splitlines() == [
        f'{path}:4: "scael" is no parameter of m; did you mean "scale"?',
        f'{path}:5: "price" is no parameter of m; [run] on_unknown = "send" sends it all the same',
        f'{path}:6: "format" is "gif"; it may be png or jpg',
    ]
    loose = job(tmp_path, '[input]\nprice = 1\nscale = "x"\n[run]\non_unknown = "send"\n')
    with pytest.raises(ConfigProblem, match=r'^input\.scale: "scale" is "x"'):
        Fitting(loose, CARD).refuse_bad_job()


def test_an_item_is_known_as_it_is_written_and_as_it_is_sent(tmp_path: Path) -> None:
    """Whoever looks for a request in the manifest finds it in both spellings, and once where they are one."""
    rows(tmp_path / "rows.jsonl", *web("a", scale="2"), *web("b", scale=2), *web("c", scale=99))
    maker, found = drafts(job(tmp_path))
    one = Fitting(job(tmp_path), CARD)
    assert [[item.input["scale"] for item in all_items(maker, one, draft)] for draft in found] == [
        [2, "2"],
        [2],
        [99],
    ]
    gone = Draft(1, "x", {"image": "gone.png"}, {"image": tmp_path / "gone.png"})
    assert list(all_items(maker, one, gone)) == []


def test_bounds_that_came_with_the_program_are_doubts() -> None:
    """Of what is bundled, types and names are held to, and bounds the service has not told are not."""
    card = bundled("each-upscaler")
    one = Fitting(Job.from_toml('manifest = "x.jsonl"\nmodel = "each-upscaler"'), card)
    given = {"image": "https://example.com/a.jpg", "creativity": 3, "scheduler": "new", "scale_factor": 2}
    assert isinstance(one.draft(Draft(1, "a", given, {})), Draft)
    assert len(one.doubts) == 2
    for wrong in ({"handfix": "all"}, {"creativity": "much"}, {"creativty": 1}):
        assert isinstance(one.draft(Draft(1, "a", {**given, **wrong}, {})), BadInput)


@pytest.mark.parametrize("wrong", [-4, 0, 1e9])
def test_a_scale_that_nobody_means_is_refused_before_it_is_bought(wrong: float) -> None:
    """The service bounds it by nothing: what is known of the model does, for the table and for a row."""
    schema = {"properties": {"image": {"type": "string"}, "scale_factor": {"type": "number"}}}
    card = ModelCard(slug="each-upscaler", request_schema=schema)
    text = 'manifest = "x.jsonl"\nmodel = "each-upscaler"\n'
    one = Fitting(Job.from_toml(text), card)
    row = Draft(1, "a", {"image": "https://example.com/a.jpg", "scale_factor": wrong}, {})
    assert isinstance(one.draft(row), BadInput)
    with pytest.raises(ConfigProblem, match=r"it may be a number, 0\.1 to 100"):
        Fitting(Job.from_toml(f"{text}[input]\nscale_factor = {wrong:.1f}\n"), card).refuse_bad_job()


# ---------------------------------------------------------------- in a run


class Held(Reader):
    """A feeder whose items are held against a schema."""

    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(folder, **more)
        self.fitting = Fitting(self.job, bundled("each-upscaler"))
        self.asked = 0
        self.feeder.schema = self

    def known(self) -> Fitting:
        """Return the schema."""
        return self.fitting

    async def newest(self) -> Fitting:
        """Return the schema, and count how often it was asked for."""
        self.asked += 1
        return self.fitting


def counts(reader: Reader) -> Counter[str]:
    """Return how many items were counted in each state, none of them handed on."""
    assert not any(isinstance(event, ItemRead) for event in reader.events)
    found: Counter[str] = Counter()
    for event in reader.events:
        if isinstance(event, ItemCounted):
            found[event.state] += event.count
    return found


async def made(reader: Reader, id_: str) -> Item:
    """Return an item as it was made before schemas were read."""
    maker, found = drafts(reader.job)
    (draft,) = (one for one in found if one.id == id_)
    item = maker.finish(draft)
    assert isinstance(item, Item)
    return item


async def test_what_is_bought_fits_and_is_turned_once(tmp_path: Path) -> None:
    """A row that does not fit is rejected before anything is sent; what is sent is what was fingerprinted."""
    rows(tmp_path / "rows.jsonl", *web("a", scale_factor="4"), *web("b", scale_factor=4), *web("c", tile=9))
    reader = Held(tmp_path)
    await reader.feeder.run()
    first, rejected = reader.events[0], ItemCounted("rejected", "c")
    assert isinstance(first, ItemRead)
    assert first.item.input["scale_factor"] == 4
    maker, (draft, *_) = drafts(reader.job)
    assert first.item == fitted_item(maker, reader.fitting, draft)
    assert rejected in reader.events
    assert "tile" in (tmp_path / "rejects.jsonl").read_text()


async def test_what_was_made_as_it_is_written_stays_made(tmp_path: Path) -> None:
    """A saved item whose texts a schema would turn now, or refuse, is neither rejected nor bought again."""
    given = [*web("turned", scale_factor="4"), *web("odd", tile=9)]
    rows(tmp_path / "rows.jsonl", *given)
    reader = Held(tmp_path, more='\n[simulator]\nspeed = 9\n[run]\non_change = "redo"\n')
    for k, id_ in enumerate(("turned", "odd")):
        file = SavedFile(f"images/{id_}.png", 1, f"{k:02}" * 32, 1, 1, "https://cdn.example/x.png")
        ends = [(State.IN_FLIGHT, {"prediction_id": f"p{k}", "created_at": 2.0})]
        ends += [(State.SUCCEEDED, {"urls": ()}), (State.SAVED, {"files": (file,), "saved_at": 9.0})]
        reader.keep(await made(reader, id_), *ends)
    await reader.feeder.run()
    assert counts(reader) == {"saved": 2}
    assert reader.asked == 0
    looking = Looking(is_decoding=False)
    maker = ItemMaker(reader.job, Contents(None))
    counted = list(Reading(reader.job, reader.checkpoint, maker, reader.fitting, looking).items())
    assert [standing for _, standing in counted] == ["saved", "saved"]


async def test_what_was_changed_and_does_not_fit_is_as_it_would_be(tmp_path: Path) -> None:
    """With on_change = "keep" a saved item stays saved, though its row is no request any more."""
    path = rows(tmp_path / "rows.jsonl", *web("a"))
    reader = Held(tmp_path, more='\n[run]\non_change = "keep"\n')
    file = SavedFile("images/a.png", 1, "00" * 32, 1, 1, "https://cdn.example/x.png")
    ends = [(State.IN_FLIGHT, {"prediction_id": "p", "created_at": 2.0})]
    ends += [(State.SUCCEEDED, {"urls": ()}), (State.SAVED, {"files": (file,), "saved_at": 9.0})]
    reader.keep(await made(reader, "a"), *ends)
    rows(path, *web("a", tile=9))
    await reader.feeder.run()
    assert counts(reader) == {"saved": 1}


async def test_what_was_never_bought_is_sent_as_the_model_takes_it(tmp_path: Path) -> None:
    """An item that came back unbought under its written request is sent as the schema wants it."""
    rows(tmp_path / "rows.jsonl", *web("a", scale_factor="4"))
    reader = Held(tmp_path)
    item = await made(reader, "a")
    reader.keep(item)
    reader.checkpoint.keep([Keep(item, State.SUBMITTING, State.READY, {})])
    await reader.feeder.run()
    first = reader.events[0]
    assert isinstance(first, ItemRead)
    assert (first.item.input["scale_factor"], first.item.fingerprint == item.fingerprint) == (4, False)
    assert first.was is State.READY


async def test_what_was_sent_as_the_model_takes_it_asks_nobody_again(tmp_path: Path) -> None:
    """A saved item whose row is spelled otherwise is the same by the schema at hand."""
    rows(tmp_path / "rows.jsonl", *web("a", scale_factor="4"))
    for word in ("error", "redo"):
        folder = tmp_path / word
        folder.mkdir()
        rows(folder / "rows.jsonl", *web("a", scale_factor="4"))
        reader = Held(folder, more=f'\n[run]\non_change = "{word}"\n')
        maker, (draft,) = drafts(reader.job)
        item = fitted_item(maker, reader.fitting, draft)
        assert isinstance(item, Item)
        file = SavedFile("images/a.png", 1, "00" * 32, 1, 1, "https://cdn.example/x.png")
        ends = [(State.IN_FLIGHT, {"prediction_id": "p", "created_at": 2.0})]
        ends += [(State.SUCCEEDED, {"urls": ()}), (State.SAVED, {"files": (file,), "saved_at": 9.0})]
        reader.keep(item, *ends)
        await reader.feeder.run()
        assert (counts(reader), reader.asked) == ({"saved": 1}, 0)
