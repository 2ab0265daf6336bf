"""The bytes of a config.yaml as text, and back.  Pure."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass

NO_FILE = "none"
"""The etag of a file that is not there."""


@dataclass(frozen=True)
class Decoded:
    """A text, and how its bytes were read."""

    text: str
    encoding: str
    """That agents read it by: YAML knows UTF-8 and, by their first bytes, both UTF-16."""
    is_exact: bool
    """The text is the bytes; False: some of them are none of the encoding."""


def decoded(content: bytes) -> Decoded:
    """The text of a file's bytes."""
    encoding = "utf-8"
    if content.startswith(codecs.BOM_UTF16_LE):
        encoding = "utf-16-le"
    elif content.startswith(codecs.BOM_UTF16_BE):
        encoding = "utf-16-be"
    try:
        return Decoded(content.decode(encoding), encoding, is_exact=True)
    except UnicodeDecodeError:
        return Decoded(content.decode(encoding, "replace"), encoding, is_exact=False)


def encoded(text: str, encoding: str) -> bytes:
    """The bytes of a text.

    Raises:
        ValueError: it holds halves of characters.
    """
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        wrong = text[error.start]
        raise ValueError(f"it holds {wrong!a}, which is half a character; expected whole ones") from None


def etag_of(content: bytes | None) -> str:
    """A word that is another one for other bytes."""
    return NO_FILE if content is None else hashlib.sha256(content).hexdigest()[:32]
