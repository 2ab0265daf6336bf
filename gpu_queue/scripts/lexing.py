"""A shell's text as words and operators.  Pure, and linear in the text, whatever it holds.

What a shell would refuse is read all the same: a quote that nobody closes ends with the text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

UNKNOWN, GRANTED, COUNT, NODE_COUNT, RANK = "\ue000", "\ue001", "\ue002", "\ue003", "\ue004"
"""What stands in a value for what only the run knows: anything; the GPUs granted, or some of them; how many these
are; how many the node has; a rank among them.  No script has these characters: decoding replaces them."""
MOST_TOKENS = 5000
"""So much of a text is taken apart: a script of some 20 KiB that is no data."""
_OURS = {ord(one): "\ufffd" for one in (UNKNOWN, GRANTED, COUNT, NODE_COUNT, RANK)}


def decoded(script: bytes) -> str:
    """The text of a script; a CR before a newline does not matter."""
    return script.decode("utf-8", "replace").translate(_OURS).replace("\r\n", "\n").rstrip("\r")


class Part(NamedTuple):
    """A piece of a word."""

    kind: str
    """``text``; ``var`` (what stands in ``${…}``); ``run`` (a command's output); ``sum`` (arithmetic)."""
    text: str
    is_quoted: bool = False


class Word(NamedTuple):
    """A word of a command, not expanded yet."""

    parts: tuple[Part, ...]
    line: int
    items: tuple[Word, ...] | None = None  # of an array: NAME=(…)

    def literal(self) -> str | None:
        """The word where it is plain text; None where something in it has to be expanded."""
        if len(self.parts) == 1 and self.parts[0].kind == "text":
            return self.parts[0].text
        if any(part.kind != "text" for part in self.parts):
            return None
        return "".join(part.text for part in self.parts)

    def keyword(self) -> str:
        """The word where it may be a reserved one: it has no quotes."""
        return self.parts[0].text if len(self.parts) == 1 and self.parts[0][::2] == ("text", False) else ""


class Token(NamedTuple):
    """A word, an operator, or a redirection, which carries its target."""

    op: str
    """Empty for a word; ``\\n``, ``;``, ``&``, ``|``, ``(`` …; ``<<<``, ``<<``, ``>`` for redirections."""
    word: Word
    line: int


_PLAIN = re.compile(r"[^ \t\r\n\v\f;&|()<>\\'\"$`]+")
_SIMPLE = re.compile(r"[^ \t\r\n\v\f;&|()<>\\'\"$`#0-9][^ \t\r\n\v\f;&|()<>\\'\"$`]*(?=[ \t\n;&|)]|\Z)")
_BLANK = re.compile(r"(?:[ \t\r\v\f]|\\\r?\n)+")
_OPERATOR = re.compile(r";;&|;;|;&|;|&&|\|\||\|&|&(?!>)|\||\(|\)|\n")
_REDIRECTION = re.compile(r"(?:[0-9]{1,3})?(?:<<<|<<-?|<>|<&|>>|>&|>\||<(?!\()|>(?!\())|&>>?")
_IN_QUOTES = re.compile(r"[^\"\\$`]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_ARRAY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_BALANCE = re.compile(r"""\\.|'[^']*'|"(?:[^"\\]|\\.)*"|[(){}]|`""", re.DOTALL)
_NOTHING = Word((), 0)


class Lexer:
    """The tokens of a text."""

    def __init__(self, text: str, line: int = 1, has_arrays: bool = True) -> None:
        self.text = text
        self.is_cut = False
        """There was more than is read."""
        self._has_arrays = has_arrays
        self._left = MOST_TOKENS
        self.at = 0
        self.line = line
        self._unclosed: set[str] = set()
        self._waiting: list[tuple[str, bool, bool, int]] = []
        self.tokens: list[Token] = []

    def read(self) -> list[Token]:
        """All of them."""
        text, length = self.text, len(self.text)
        while self.at < length:
            blank = _BLANK.match(text, self.at)
            if blank:
                self._pass(blank.end())
                continue
            self._left -= 1
            if self._left < 0:
                self.is_cut = True
                break
            simple = _SIMPLE.match(text, self.at)
            if simple:
                self.at = simple.end()
                self.tokens.append(Token("", Word((Part("text", simple[0]),), self.line), self.line))
                continue
            char = text[self.at]
            if char == "#":
                end = text.find("\n", self.at)
                self.at = length if end < 0 else end
                continue
            if char in "0123456789<>&":
                redirection = _REDIRECTION.match(text, self.at)
                if redirection:
                    self._redirect(redirection)
                    continue
            operator = _OPERATOR.match(text, self.at)
            if operator:
                if operator[0] == "(" and text.startswith("((", self.at) and self._arithmetic():
                    continue
                self.tokens.append(Token(operator[0], _NOTHING, self.line))
                self._pass(operator.end())
                if operator[0] == "\n" and self._waiting:
                    self._documents()
                continue
            word = self._word()
            self.tokens.append(Token("", word, word.line))
        return self.tokens

    def _pass(self, end: int) -> None:
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def _arithmetic(self) -> bool:
        """``((…))`` as a command of its own."""
        end = self._balanced(self.at, "(")
        if end < 0 or self.text[end - 2 : end] != "))":
            return False
        word = Word((Part("text", self.text[self.at + 2 : end - 2], True),), self.line)
        self.tokens.append(Token("((", word, self.line))
        self._pass(end)
        return True

    def _redirect(self, found: re.Match[str]) -> None:
        line = self.line
        self.at = found.end()
        blank = _BLANK.match(self.text, self.at)
        if blank:
            self._pass(blank.end())
        op = found[0].lstrip("0123456789")
        word = self._word()
        if op in ("<<", "<<-"):
            is_literal = any(part.is_quoted for part in word.parts)
            self._waiting.append((word.literal() or "", op == "<<-", is_literal, len(self.tokens)))
        self.tokens.append(Token({"<<-": "<<", "<<<": "<<<", "<<": "<<"}.get(op, ">"), word, line))

    def _documents(self) -> None:
        """The here-documents that begin on this line."""
        for delimiter, has_tabs, is_literal, index in self._waiting:
            begin, line, length = self.at, self.line, len(self.text)
            while True:
                end = self.text.find("\n", self.at)
                one = self.text[self.at : end if end >= 0 else length]
                is_end = (one.lstrip("\t") if has_tabs else one) == delimiter
                content_end = self.at
                self._pass(end + 1 if end >= 0 else length)
                if is_end or self.at >= length:
                    break
            body = self.text[begin : content_end if is_end else length]
            word = Word((Part("text" if is_literal else "document", body, True),), line)
            self.tokens[index] = Token("<<", word, self.tokens[index].line)
        self._waiting = []

    def _word(self) -> Word:
        text, length, line = self.text, len(self.text), self.line
        parts: list[Part] = []
        items: tuple[Word, ...] | None = None
        while self.at < length and self._left >= 0:
            self._left -= 1
            plain = _PLAIN.match(text, self.at)
            if plain:
                parts.append(Part("text", plain[0]))
                self.at = plain.end()
                continue
            char = text[self.at]
            if char == "\\":
                if text.startswith("\\\n", self.at):
                    self._pass(self.at + 2)
                    continue
                parts.append(Part("text", text[self.at + 1 : self.at + 2], True))
                self._pass(min(self.at + 2, length))
            elif char == "'":
                self._single(parts)
            elif char == '"':
                self._double(parts)
            elif char in "$`":
                self._dollar(parts, False)
            elif char in "<>" and text.startswith("(", self.at + 1):
                end = self._balanced(self.at + 1, "(")
                parts.append(Part("text", UNKNOWN, True))
                self._pass(end if end > 0 else self.at + 2)
            elif (
                char == "("
                and self._has_arrays
                and len(parts) == 1
                and _ARRAY.fullmatch(parts[0].text)
                and not parts[0].is_quoted
            ):
                items = self._items()
                break
            else:
                break
        return Word(_joined(parts), line, items)

    def _items(self) -> tuple[Word, ...]:
        end = self._balanced(self.at, "(")
        inner = Lexer(self.text[self.at + 1 : end - 1 if end > 0 else len(self.text)], self.line, has_arrays=False)
        self._pass(end if end > 0 else len(self.text))
        return tuple(token.word for token in inner.read() if not token.op)

    def _single(self, parts: list[Part]) -> None:
        end = self.text.find("'", self.at + 1)
        end = len(self.text) if end < 0 else end
        parts.append(Part("text", self.text[self.at + 1 : end], True))
        self._pass(min(end + 1, len(self.text)))

    def _double(self, parts: list[Part]) -> None:
        text, length = self.text, len(self.text)
        self.at += 1
        parts.append(Part("text", "", True))
        while self.at < length and self._left >= 0:
            self._left -= 1
            plain = _IN_QUOTES.match(text, self.at)
            if plain:
                parts.append(Part("text", plain[0], True))
                self._pass(plain.end())
                continue
            char = text[self.at]
            if char == '"':
                self.at += 1
                return
            if char == "\\":
                escaped = text[self.at + 1 : self.at + 2]
                if escaped != "\n":
                    parts.append(Part("text", escaped if escaped in '$`"\\' else "\\" + escaped, True))
                self._pass(min(self.at + 2, length))
            else:
                self._dollar(parts, True)

    def _dollar(self, parts: list[Part], is_quoted: bool) -> None:
        text, at = self.text, self.at
        if text[at] == "`":
            end = text.find("`", at + 1)
            end = len(text) if end < 0 else end
            parts.append(Part("run", text[at + 1 : end], is_quoted))
            self._pass(min(end + 1, len(text)))
            return
        following = text[at + 1 : at + 2]
        if following in ("(", "{") and following:
            end = self._balanced(at + 1, following)
            if end < 0:
                parts.append(Part("text", UNKNOWN, True))
                self.at += 2
                return
            inner = text[at + 2 : end - 1]
            if following == "{":
                parts.append(Part("var", inner, is_quoted))
            elif inner.startswith("(") and inner.endswith(")"):
                parts.append(Part("sum", inner[1:-1], is_quoted))
            else:
                parts.append(Part("run", inner, is_quoted))
            self._pass(end)
            return
        if following == "'" and not is_quoted:
            self.at += 1
            return
        name = _NAME.match(text, at + 1)
        if name:
            parts.append(Part("var", name[0], is_quoted))
            self.at = name.end()
        else:
            parts.append(Part("text", "$", is_quoted))
            self.at += 1

    def _balanced(self, at: int, opening: str) -> int:
        """Behind the bracket that closes the one at a place; -1 where none does."""
        if opening in self._unclosed:
            return -1
        closing = {"(": ")", "{": "}"}[opening]
        depth = 0
        while True:
            found = _BALANCE.search(self.text, at)
            if found is None:
                self._unclosed.add(opening)  # nor does one behind it: none is looked for again
                return -1
            if found[0] == opening:
                depth += 1
            elif found[0] == closing:
                depth -= 1
                if not depth:
                    return found.end()
            at = found.end()


def _is_array(parts: list[Part]) -> bool:
    """Whether what was read so far is ``NAME=``."""
    return len(parts) == 1 and not parts[0].is_quoted and _ARRAY.fullmatch(parts[0].text) is not None


def _joined(parts: list[Part]) -> tuple[Part, ...]:
    """Neighbours of one kind as one part."""
    if len(parts) < 2:
        return tuple(parts)
    joined: list[Part] = []
    for part in parts:
        if joined and part.kind == "text" and joined[-1].kind == "text" and part.is_quoted == joined[-1].is_quoted:
            joined[-1] = Part("text", joined[-1].text + part.text, part.is_quoted)
        elif part.text or part.is_quoted or part.kind != "text":
            joined.append(part)
    if len(joined) > 1:
        joined = [part for part in joined if part.text or part.kind != "text"] or joined[:1]
    return tuple(joined)
