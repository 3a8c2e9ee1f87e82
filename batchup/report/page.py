"""The page that shows a document: one HTML text with its style, its scripts and its data inside.

The scripts are written as modules, and put into one, each in a scope of its own. The page's own policy lets
nothing else run, and lets a page on a disk ask nobody for anything.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

import msgspec

from batchup.report.document import Document, Mode
from batchup.report.words import sentence

_MODULES: Final = (
    "dom",
    "words",
    "store",
    "slider",
    "card",
    "grid",
    "viewer",
    "axes",
    "plots",
    "head",
    "toolbar",
    "live",
    "main",
)
"""The scripts, each after those that it imports."""

_SOURCES: Final[Mapping[Mode, str]] = {
    "file": "img-src 'self' file: data:",
    "single": "img-src data:",
    "live": "img-src 'self' data:; connect-src 'self'",
}
"""What the page may load, by where it is."""

_IN_A_SCRIPT: Final = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def render(document: Document) -> str:
    """Return the whole page for a document."""
    words = sentence(document.totals, document.run)
    parts = {
        "policy": _policy(document.mode),
        "title": escape(f"{document.job}: {words}"),
        "theme": _small("theme.js"),
        "style": _small("style.css"),
        "job": escape(document.job),
        "sentence": escape(words),
        "words": escape(f"{document.job}, {document.model}: {words}."),
        "document": encode(document),
        "script": script(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _read("page.html"))


def encode(document: Document) -> str:
    """Return a document as JSON that can stand within a script element, whatever is in it."""
    text = msgspec.json.encode(document).decode()
    return re.sub("[<>&\u2028\u2029]", lambda found: _IN_A_SCRIPT[found[0]], text)


@lru_cache(maxsize=1)
def script() -> str:
    """Return all modules as one, each a function that returns what it exports."""
    return "\n".join(_in_a_scope(name, _small(f"{name}.js")) for name in _MODULES)


def _in_a_scope(name: str, source: str) -> str:
    exported = re.findall(r"^export (?:async )?(?:function|class|const) ([\w$]+)", source, re.MULTILINE)
    source = re.sub(r'^import (\{.*\}) from "\./(\w+)\.js";$', r"const \1 = $\2;", source, flags=re.MULTILINE)
    source = re.sub(r"^export ", "", source, flags=re.MULTILINE)
    return f"const ${name} = (() => {{\n{source}return {{ {', '.join(exported)} }};\n}})();\n"


@lru_cache(maxsize=3)
def _policy(mode: Mode) -> str:
    scripts = " ".join(_hash(text) for text in (_small("theme.js"), script()))
    style = _hash(_small("style.css"))
    own = f"script-src {scripts}; style-src {style}"
    return f"default-src 'none'; {_SOURCES[mode]}; {own}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@lru_cache(maxsize=len(_MODULES) + 2)
def _small(name: str) -> str:
    """Return a part without its indentation and comments: they are for who reads the part."""
    text = re.sub(r"^\s*(?://.*|/\*(?s:.*?)\*/)$", "", _read(name), flags=re.MULTILINE)
    return re.sub(r"\n\s+", "\n", text)


def _read(name: str) -> str:
    return (files("batchup.report") / "page" / name).read_text(encoding="utf-8")
