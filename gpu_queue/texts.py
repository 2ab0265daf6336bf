"""What others wrote, as it may be shown to people: on a terminal, in a log, on a page.

Whatever is quoted goes through here: file names, settings, records, messages of other processes.  None of it reaches
a terminal with a control character in it, which could forge a line or do worse, and none of it is without end.
"""

from __future__ import annotations

TEXT_MAX = 300
SHOWN_MAX = 80


def printable(text: str, at_most: int = TEXT_MAX) -> str:
    """A text as a terminal may be shown it: no control characters, and no end of it without end."""
    cut = text if len(text) <= at_most else f"{text[:at_most]}…"
    if cut.isprintable():  # as nearly all are
        return cut
    # Bytes that JSON spells one by one (\udcc2\udc9b) may make a character, and one that is not printable.
    whole = _without_odd(cut).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return _without_odd(whole)


def _without_odd(text: str) -> str:
    return "".join(one if one.isprintable() or "\udc80" <= one <= "\udcff" else "?" for one in text)


def shown(value: object, at_most: int = SHOWN_MAX) -> str:
    """A value that was not expected, for a message: as Python would write it, and short."""
    if isinstance(value, str):
        return repr(value if len(value) <= at_most else f"{value[:at_most]}…")
    text = repr(value)
    return text if len(text) <= at_most else f"{text[:at_most]}…"
