"""Paths that begin with `~`, as a shell takes them."""

from pathlib import Path


def from_home(path: str | Path) -> Path:
    """Return a path with its `~` written out; one of a home that nobody knows stays as it is."""
    typed = Path(path)
    try:
        return typed.expanduser()
    except RuntimeError:
        return typed
