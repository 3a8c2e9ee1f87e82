"""Waits a service could name, and ids a manifest could hold: written by hand, each for a reason."""

from typing import Final

WAITS: Final[tuple[tuple[str, float | None], ...]] = (
    # seconds
    ("0", 1.0), ("1", 1.0), ("2", 2.0), ("7", 7.0), ("60", 60.0), ("899", 899.0), ("900", 900.0),
    ("901", 900.0),
    ("3600", 900.0), ("999999999", 900.0), ("007", 7.0), (" 12 ", 12.0), ("12\t", 12.0), ("0.001", 1.0),
    ("1.5", 1.5), ("2.", 2.0), ("899.999", 899.999),
    # no seconds
    ("-1", None), ("-0", None), ("+5", None), ("1e3", None), ("0x10", None), ("1_000", None), ("1,5", None),
    ("٧", None), ("７", None), ("NaN", None), ("inf", None), ("Infinity", None), (".5", None), ("5s", None),
    ("9" * 10, None), ("9" * 400, None), ("1" + "0" * 5000, None), ("1;2", None),
    # dates, by the clock that is at Fri, 15 Jan 2027 08:00:00 GMT
    ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0), ("Fri, 15 Jan 2027 08:14:59 GMT", 899.0),
    ("Fri, 15 Jan 2027 08:15:01 GMT", 900.0), ("Fri, 15 Jan 2027 08:00:00 GMT", 1.0),
    ("Fri, 15 Jan 2027 07:59:00 GMT", 1.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 1.0),
    ("Fri, 31 Dec 9999 23:59:59 GMT", 900.0), ("Fri, 15 Jan 2027 09:00:30 +0100", 30.0),
    ("Fri, 15 Jan 2027 03:00:30 -0500", 30.0), ("Fri, 15 Jan 2027 08:00:30 -0000", 30.0),
    ("Friday, 15-Jan-27 08:00:30 GMT", 30.0), ("Mon, 15 Jan 2027 08:00:30 GMT", 30.0),
    ("15 Jan 2027 08:00:30 GMT", 30.0), ("fri, 15 jan 2027 08:00:30 gmt", 30.0),
    # no dates
    ("Fri, 99 Jan 2027 08:00:30 GMT", None), ("Fri, 15 Foo 2027 08:00:30 GMT", None),
    ("Fri, 15 Jan 2027 25:00:30 GMT", None), ("Fri, 15 Jan 99999 08:00:30 GMT", None),
    ("Fri, 15 Jan 2027", None), ("2027-01-15T08:00:30Z", None), ("soon", None), ("tomorrow", None),
    ("Fri, 15 Jan 2027 08:00:30 +9999", None), ("Fri, 15 Jan -2027 08:00:30 GMT", None), (",",
    None), (" ", None),
    ("", None), ("\x00", None), ("\ud800", None), ("5\n6", None), ("null", None), ("[]", None),
    ("%s%n", None),
)  # fmt: skip
"""What Retry-After holds, and the wait in seconds it means: None where it means none."""

SOON: Final = (
    ("Fri, 15 Jan 2027 08:00:00 GMT", 30.0),
    ("Fri, 15 Jan 2027 07:00:00 GMT", 900.0),
    ("Fri, 15 Jan 2027 08:00:25 GMT", 5.0),
    ("Fri, 15 Jan 2027 09:00:00 GMT", 1.0),
    ("no date at all", 30.0),
)
"""Dates of an answer, and the wait that 08:00:30 means by them where our own clock is at 08:00:00."""

_DEVICES = ("con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10)))

IDS: Final[tuple[str, ...]] = (
    # paths
    "..", ".", "", "/", "//", "a/..", "a/../b", "../a", "../../etc/passwd", "/etc/passwd", "a/",
    "/a", "a//b", "./a",
    "a/./b", "~", "~root", "~/x", "..\\..\\windows", "C:\\temp", "C:", "\\\\host\\share", "a\\b",
    "file:///etc",
    "https://x.example/y.png?key=1#z", "images/a", "a/b/c/d", "/".join("abcdefghijklmnopqrstuvwxy"),
    # dots and endings
    "...", "....", ".hidden", "a.", "a..", "a...b", "a.png", "a.PNG", "a.png/b", "a.part",
    "a.part/b", "a.tmp", "a.gif/b",
    "run.lock", "checkpoint.db", "results.jsonl", " ", "a ", " a", "a\u00a0", "\u3000",
    # escapes
    "%2e%2e", "%2e%2e%2f%2e%2e", "..%2f", "%00", "a%00.png", "%252e", "&#46;&#46;", "\\u002e",
    "$(id)", "`id`", "a;b",
    "a|b", "a&b", "a>b", "*", "?", "a*b?", "[a]", "{a,b}", "'a'", '"a"', "-rf", "--help", "a~0",
    "a~1", "a\tb", "a\nb",
    "a\rb", "a\x00b", "\x1b[2J", "\x7f", "=cmd|calc", "@SUM(1)",
    # letters
    "é", "e\u0301", "Größe", "GRÖSSE", "ß", "ss", "İ", "i\u0307", "ı", "ﬁ", "fi", "Å", "\u212b",
    "\u212a", "ＡＢ", "日本",
    "\U0001f600", "\U0001f468\u200d\U0001f469", "\u202ea", "\ufeffa", "a\u200b", "\ud800",
    "\udfff\ud800", "\uffff",
    "ά", "\u0391\u0301", "\u2024\u2024", "\uff0e\uff0e", "\uff0f",
    # long
    "x" * 99, "x" * 100, "x" * 101, "x" * 200, "x" * 201, "x" * 255, "x" * 256, "x" * 512,
    "é" * 100, "\U0001f600" * 128,
    "a/" * 50 + "a", "y" * 100 + "/" + "y" * 99, "a" * 40 + "!", "a" * 41 + "!",
    # devices of another system
    *_DEVICES, *(name.upper() for name in _DEVICES), *(f"{name}.txt" for name in _DEVICES),
    *(f"a/{name}" for name in _DEVICES), *(f"{name}/a" for name in _DEVICES), "CON .txt", "com¹",
    "conin$", "clock$",
    "console", "comfort", "nullify",
    # what the hash of another looks like
    "a-b-0123456789abcdef", "A-B-0123456789ABCDEF", "item-e3b0c44298fc1c14", "etc-passwd-c3ad0f3e9d0e11e4",
)  # fmt: skip
"""Ids that lead out of a folder, or to another id's file, where they are taken as they are."""

TWINS: Final[tuple[str, ...]] = (
    "sku-1", "SKU-1", "Sku-1", "a/b.jpg", "A/b.jpg", "a/B.jpg", "readme", "README", "ReadMe",
    "x.Png", "x.pnG",
)  # fmt: skip
"""Ids that differ in case alone, as one file does on many a disk."""
