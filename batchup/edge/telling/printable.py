"""Foreign words made fit for a terminal, a journal or a mail."""

from batchup.core.redaction import plain_words


def printable(line: str) -> str:
    """Replace what would move a terminal's cursor or colour it, and what looks secret: words may be foreign.

    What is printed at night ends up in a journal or a mail.
    """
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in plain_words(line)
    )
