"""How a value is spelled in YAML, near to how the one before it was.  Pure.

Spellings are guesses, the best first: whoever puts one into a text reads that text as agents do, and takes the first
that means what was meant.
"""

from __future__ import annotations

from collections.abc import Iterator

_PAIRS = (("on", "off"), ("true", "false"), ("yes", "no"))
_WORDS = {word: is_on for pair in _PAIRS for word, is_on in zip(pair, (True, False), strict=True)}
_WORDS |= {"1": True, "0": False}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def scalar(wanted: str, old: str = "", *, is_flag: bool = False) -> Iterator[str]:
    """Spellings of one value.

    Args:
        wanted: the value, as somebody typed it.
        old: what stood there, with its quotes; empty: nothing.
        is_flag: it is one of the words for true and false.
    """
    quote = old[:1] if old[:1] in ("'", '"') else ""
    word = _as_before(wanted, old.strip("'\"")) if is_flag else wanted
    if quote:
        yield quoted(word, quote)
    if word and word == word.strip() and "\n" not in word:
        yield word
    yield quoted(word)
    yield quoted(word, '"')


def is_on(word: str) -> bool | None:
    """What a word for true or false means; None: it is none."""
    return _WORDS.get(word.strip().lower())


def _as_before(wanted: str, old: str) -> str:
    """A word for true or false, of the pair that stood there, and in its case."""
    meant = is_on(wanted)
    pair = next((pair for pair in _PAIRS if old.lower() in pair), None)
    if meant is None or pair is None:
        return wanted
    word = pair[0] if meant else pair[1]
    if old.isupper():
        return word.upper()
    return word.capitalize() if old[:1].isupper() else word


def quoted(text: str, quote: str = "'") -> str:
    """A text in quotes; in double ones where it holds what single ones cannot."""
    if quote == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_ESCAPES.get(one, one) for one in text) + '"'
