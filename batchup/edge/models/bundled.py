"""The descriptions of models that came with the program."""

import importlib.resources
from dataclasses import replace

from batchup.core.account import ModelCard, read_card
from batchup.core.values import decode


def bundled(slug: str) -> ModelCard | None:
    """Return the description that came with the program, or None."""
    folder = importlib.resources.files("batchup") / "models"
    found = next((entry for entry in folder.iterdir() if entry.name == f"{slug}.json"), None)
    return None if found is None else replace(read_card(decode(found.read_bytes()), slug), source="bundled")
