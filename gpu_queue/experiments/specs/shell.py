"""Values within the text of a script: one word, or a part of one, whatever is in it and wherever it stands.  Pure.

A value is quoted as the place asks for: plain, within quotes of each kind, ``${x:-…}``, backticks, here-documents and
comments.  Where nothing that is quoted can stand (arithmetic) only a number or a name may.

It knows of the grammar no more than that takes: a ``case`` within ``"$(…)"`` wants its patterns with both brackets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache

from gpu_queue.experiments.specs.templates import Hole, Template
from gpu_queue.texts import shown

_DEPTH_MAX = 100
_MARK = "\0"
"""Stands for a value: no text has it."""
_TOKEN = re.compile(r"\\.|\$'|\$\(\(?|\$\{|\(\(|<<<|<<-?|['\"()`#\n}\0]|\\\Z", re.DOTALL)
_DELIMITER = re.compile(r"[ \t]*((?:'[^'\n]*'|\"[^\"\n]*\"|\\.|[^\s;&|()<>'\"\\])+)")
_SAFE = re.compile(r"[A-Za-z0-9_@%+:./-]+", re.ASCII)
_OPERATOR = re.compile(r"-[A-Za-z]{1,2}", re.ASCII)
"""Of ``[[ ]]``, unless it is quoted."""
_NUMERIC = re.compile(r"-?[0-9]+|0x[0-9A-Fa-f]+|[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RESERVED = frozenset(
    "case coproc do done elif else esac fi for function if in select then time until while".split()  # noqa: SIM905
)


class _State(Enum):
    PLAIN = auto()
    INNER = auto()
    """Within ``$( )`` and ``( )``: plain, up to a bracket."""
    BACKTICK = auto()
    SINGLE = auto()
    DOUBLE = auto()
    ANSI = auto()
    """Within ``$' '``."""
    PARAMETER = auto()
    """Within ``${ }``."""
    PARAMETER_IN_DOUBLE = auto()
    ARITHMETIC = auto()
    HERE = auto()
    """A here-document that the shell fills in."""
    RAW = auto()
    """One that it does not."""
    COMMENT = auto()


_PLAIN = (_State.PLAIN, _State.INNER, _State.BACKTICK)
_QUOTED = (_State.DOUBLE, _State.PARAMETER_IN_DOUBLE, _State.HERE)


@dataclass(frozen=True)
class Spot:
    """Where a value stands."""

    state: _State
    is_in_backticks: bool = False
    is_in_quotes_twice: bool = False
    """Double quotes within ``"${ }"`` or backticks: for ``{a,b}`` bash takes what is between them for unquoted."""
    is_before_redirection: bool = False
    """A number there would be a descriptor."""
    delimiter: str = ""
    """Of the here-document that it is in, be it within ``$( )`` there."""
    cuts_tabs: bool = False
    """That one is a ``<<-``."""
    around: tuple[str, str] = ("", "")
    """What else its line of the here-document holds, before and behind it."""


@dataclass
class _Scan:
    """One text, or the body of a here-document."""

    text: str
    stack: list[_State]
    delimiter: str = ""
    cuts_tabs: bool = False
    spots: list[Spot] = field(default_factory=list)
    pending: list[tuple[str, bool, bool]] = field(default_factory=list)
    """Here-documents that begin with the next line: delimiter, whether it is quoted, whether tabs are cut off."""


@lru_cache(maxsize=64)
def spots_of(text: str) -> tuple[Spot, ...]:
    """Where the values of a text stand; each of them is a NUL.

    Raises:
        ValueError: one stands where it cannot be quoted.
    """
    scan = _Scan(text, [_State.PLAIN])
    _run(scan)
    return tuple(scan.spots)


def skeleton_of(template: Template) -> str:
    """The text for :func:`spots_of`."""
    return "".join(_MARK if isinstance(part, Hole) else part for part in template.parts)


def _run(scan: _Scan) -> None:
    at = 0
    while (found := _TOKEN.search(scan.text, at)) is not None:
        mark, state = found[0], scan.stack[-1]
        at = found.end()
        if len(scan.stack) > _DEPTH_MAX:
            raise ValueError(f"expected at most {_DEPTH_MAX} quotes and brackets in each other")
        if mark == _MARK:
            scan.spots.append(_spot(scan, found.start()))
        elif mark[0] == "\\":
            if state in (_State.SINGLE, _State.RAW):
                at = found.start() + 1
            elif mark == f"\\{_MARK}":
                raise ValueError("expected no \\ before a template; to keep its brace, double it: {{x}")
        elif mark == "\n":
            if scan.pending and state in _PLAIN:
                at = _documents(scan, at)
        elif mark == "#":
            if state in _PLAIN and _begins_a_word(scan.text, found.start()):
                at = _comment(scan, at)
        elif mark.startswith("<<"):
            if state in _PLAIN and mark != "<<<":
                at = _announced(scan, mark, at)
        else:
            _step(scan, mark, found.start())


def _spot(scan: _Scan, at: int) -> Spot:
    state, text = scan.stack[-1], scan.text
    is_here = state in (_State.HERE, _State.RAW)
    around = ("", "")
    if is_here:  # of a long line so much that it is not taken for the delimiter
        most = len(scan.delimiter) + 1
        before = text[max(0, at - most) : at]
        around = (before[before.rfind("\n") + 1 :], text[at + 1 : at + 1 + most].partition("\n")[0])
    return Spot(
        state,
        is_in_backticks=_State.BACKTICK in scan.stack,
        is_in_quotes_twice=state is _State.DOUBLE and _is_twice(scan.stack[:-1]),
        is_before_redirection=not is_here and text[at + 1 : at + 10].lstrip(_MARK)[:1] in ("<", ">"),
        delimiter=scan.delimiter,
        cuts_tabs=scan.cuts_tabs,
        around=around,
    )


def _is_twice(stack: list[_State]) -> bool:
    """Whether quotes around what is open here are closed, for ``{a,b}``, by quotes within it."""
    since = stack[len(stack) - stack[::-1].index(_State.INNER) :] if _State.INNER in stack else stack
    return any(one in _QUOTED for one in since)


def _step(scan: _Scan, mark: str, at: int) -> None:
    """What one mark does to the brackets and quotes that are open."""
    stack, state = scan.stack, scan.stack[-1]
    if state in (_State.SINGLE, _State.ANSI):
        if mark == "'" or (mark == "$'" and state is _State.SINGLE):
            stack.pop()
    elif state is _State.RAW:
        return
    elif mark == "$((":
        stack += [_State.ARITHMETIC, _State.ARITHMETIC]
    elif mark == "$(":
        stack.append(_State.INNER)
    elif mark == "${":
        stack.append(_State.PARAMETER_IN_DOUBLE if state in _QUOTED else _State.PARAMETER)
    elif mark == "`":
        if state is _State.BACKTICK:
            stack.pop()
        else:
            stack.append(_State.BACKTICK)
    elif state is _State.ARITHMETIC:
        if mark == ")":
            stack.pop()
        elif mark in ("(", "(("):
            stack += [_State.ARITHMETIC] * len(mark)
    elif mark == '"':
        if state is _State.DOUBLE:
            stack.pop()
        elif state is not _State.HERE:
            stack.append(_State.DOUBLE)
    elif mark == "}":
        if state in (_State.PARAMETER, _State.PARAMETER_IN_DOUBLE):
            stack.pop()
    elif state in _QUOTED:
        return
    elif mark in ("'", "$'"):
        stack.append(_State.SINGLE if mark == "'" else _State.ANSI)
    elif mark == ")":
        if state is _State.INNER:
            stack.pop()
    elif mark in ("(", "((") and state in _PLAIN:
        is_arithmetic = mark == "((" and _begins_a_word(scan.text, at)
        stack += [_State.ARITHMETIC if is_arithmetic else _State.INNER] * len(mark)


def _begins_a_word(text: str, at: int) -> bool:
    return at == 0 or text[at - 1] in " \t\n;&|()`"


def _comment(scan: _Scan, at: int) -> int:
    end = scan.text.find("\n", at)
    end = len(scan.text) if end < 0 else end
    scan.spots += [Spot(_State.COMMENT)] * scan.text.count(_MARK, at, end)
    return end


def _announced(scan: _Scan, mark: str, at: int) -> int:
    """A here-document, whose lines come with the next one."""
    found = _DELIMITER.match(scan.text, at)
    if found is None:
        return at
    word = found[1]
    if _MARK in word:
        raise ValueError("expected no template in the delimiter of a here-document")
    is_quoted = any(one in word for one in "'\"\\")
    scan.pending.append((re.sub(r"['\"]|\\(.)", r"\1", word), is_quoted, mark == "<<-"))
    return found.end()


def _documents(scan: _Scan, at: int) -> int:
    """The lines of the here-documents that begin here; where they end."""
    for delimiter, is_quoted, cuts_tabs in scan.pending:
        start = at
        while at < len(scan.text):
            end = scan.text.find("\n", at)
            end = len(scan.text) if end < 0 else end
            line = scan.text[at:end]
            if (line.lstrip("\t") if cuts_tabs else line) == delimiter:
                break
            at = end + 1
        body = _Scan(scan.text[start:at], [_State.RAW if is_quoted else _State.HERE], delimiter, cuts_tabs)
        _run(body)
        scan.spots += body.spots
        end = scan.text.find("\n", at)
        at = len(scan.text) if end < 0 else end + 1
    scan.pending.clear()
    return at


# -- values ---------------------------------------------------------------------------------------------------------


def quoted(spot: Spot, value: str) -> str:
    """A value as it is written where it stands.

    Raises:
        ValueError: it cannot be written there.
    """
    made = _quoted(spot, value)
    if spot.delimiter and spot.state not in (_State.HERE, _State.RAW):
        made = _on_one_line(spot, made)
    return re.sub(r"[\\`$]", r"\\\g<0>", made) if spot.is_in_backticks else made


def _quoted(spot: Spot, value: str) -> str:
    state = spot.state
    if state is _State.COMMENT:
        return " ".join(value.splitlines())
    if state in (_State.HERE, _State.RAW):
        before, behind = spot.around
        if spot.delimiter in [line.lstrip("\t") for line in f"{before}{value}{behind}".split("\n")]:
            raise ValueError(f"the value {shown(value)} would end the here-document")
        if spot.cuts_tabs and "\n\t" in f"{before}{value}":
            raise ValueError(f"<<- would cut tabs off the value {shown(value)}; use <<")
        return value if state is _State.RAW else _escaped(value, r"[\\$`]")
    if state is _State.ARITHMETIC:
        if not _NUMERIC.fullmatch(value):
            raise ValueError(f"within (( )) only a whole number or a name can stand, got {shown(value)}")
        return value
    if state is _State.SINGLE:
        return value.replace("'", "'\\''")
    if state is _State.DOUBLE:
        if spot.is_in_quotes_twice and "{" in value:
            raise ValueError(f"within quotes in quotes no {{ can stand, got {shown(value)}; use $( )")
        return _escaped(value, r'[\\$`"]')
    if state is _State.PARAMETER_IN_DOUBLE:
        return _escaped(value, r'[\\$`"}]').replace("'", '"\'"')
    word = _word(value, is_bare=not spot.is_before_redirection)
    return f"'{word}$'" if state is _State.ANSI else word


def _on_one_line(spot: Spot, made: str) -> str:
    r"""A quoted value without a line's end: of a here-document bash reads lines first, also of ``$( )`` in it.

    One that is the delimiter would end it, ``<<-`` cuts tabs off each, and a ``\`` at the end of one is gone with it.

    Raises:
        ValueError: it cannot be written there.
    """
    if "\n" not in made:
        return made
    if spot.state is _State.PARAMETER_IN_DOUBLE:
        raise ValueError("within ${ } in a here-document a value has no line's end; set a variable before it")
    quote = '"' if spot.state is _State.DOUBLE else "'"
    return made.replace("\n", f"{quote}$'\\n'{quote}")


def _escaped(value: str, pattern: str) -> str:
    return re.sub(pattern, r"\\\g<0>", value)


def _word(value: str, *, is_bare: bool) -> str:
    """A value where quotes count; a plain one is left as people write it."""
    if is_bare and _SAFE.fullmatch(value) and value not in _RESERVED and not _OPERATOR.fullmatch(value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"
