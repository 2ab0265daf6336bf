"""Windows of logs.  Offsets are bytes of the file."""

from __future__ import annotations

from pydantic import Field

from gpu_queue.console.models.common import Model

ROWS_MAX = 2000
WINDOW_MAX_BYTES = 1 << 20


class LogRow(Model):
    r"""One row: as a terminal would show it after the last ``\r``."""

    o: int = Field(description="Offset of its first byte.")
    n: int = Field(description="Bytes, with its newline.")
    t: str = Field(description="Text, with its SGR sequences.")
    r: int = Field(0, description="Updates (`\\r`) that are hidden.")
    c: int = Field(0, description="Bytes of text that are cut.")
    p: bool = Field(False, description="A piece: the line goes on in the next row.")
    u: bool = Field(False, description="Unfinished: no newline yet.")


class LogWindow(Model):
    """Rows around an offset."""

    rows: list[LogRow]
    first: int = Field(description="Offset of the first row.")
    next: int = Field(description="Offset behind the last row.")
    size_bytes: int
    inode: str = Field(description="Another one: another file.")
    is_start: bool
    is_end: bool
    sgr: str = Field("", description="The SGR sequences in force where the first row begins.")
    line: int | None = Field(None, description="Number of the first row's line, from 1; null: not counted yet.")
    lines: int | None = Field(None, description="Lines of the file; null: not counted yet.")
    replaced_bytes: int = Field(0, description="In these rows: bytes that are none in this encoding.")
    encoding: str = "utf-8"
    is_running: bool = Field(False, description="Whether more is to be expected.")


class LogHits(Model):
    """What a search found so far."""

    offsets: list[int] = Field(description="Of hits, ascending; at most 1,000 in all.")
    count: int = Field(description="Hits in what was searched by this request.")
    bins: list[int] = Field(description="200: hits in each part of the file, of this request.")
    searched: list[int] = Field(description="[from, to) of what this request searched.")
    next: int | None = Field(description="Where to go on; null: all was searched.")
    size_bytes: int


class FollowRows(Model):
    """The event ``rows`` of a follow: what came since."""

    rows: list[LogRow]
    next: int
    size_bytes: int
    inode: str = Field("", description="Another one than that of a window: another file.")
    skipped_bytes: int = Field(0, description="Left out before these rows.")
    replaces_from: int | None = Field(None, description="Rows from this offset on are replaced: it was unfinished.")


class FollowState(Model):
    """The event ``state`` of a follow."""

    state: str = Field(description="cut, replaced, gone, ended.")
    text: str = ""
