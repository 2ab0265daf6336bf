"""Commands of a shell's text, as a tree.  Pure.

What is cut off or does not belong (``fi`` without ``if``) is read as well as it goes: no text is refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gpu_queue.scripts.lexing import Lexer, Token, Word

DEEPEST = 12
"""What is nested deeper is passed over."""


class Node(NamedTuple):
    """A command; which fields mean something depends on its kind."""

    kind: str
    """``simple``, ``if``, ``for``, ``count`` (``for ((…))``), ``while``, ``until``, ``case``, ``function``,
    ``group``, ``subshell``, ``sum``, ``chain`` (``&&``, ``||``), ``not``, ``pipe``, ``behind`` (``&``), ``test``
    (``[[ … ]]``)."""
    line: int
    words: tuple[Word, ...] = ()
    text: str = ""
    """A name, or an expression."""
    body: tuple[Node, ...] = ()
    branches: tuple[tuple[tuple[Node, ...], tuple[Node, ...]], ...] = ()
    """Of ``if``: conditions and bodies."""
    cases: tuple[tuple[tuple[Word, ...], tuple[Node, ...]], ...] = ()
    documents: tuple[tuple[str, Word], ...] = ()
    """``<<``, ``<<<`` and ``>`` with what stands behind them."""


MAYBE = (Node("simple", 0, (Word((), 0),)),)
"""A condition of which nothing is known."""
_FUNCTION = re.compile(r"[A-Za-z_][\w.:-]*", re.ASCII)
_ENDS = frozenset("then else elif fi do done esac }".split())  # noqa: SIM905


def parse(text: str, line: int = 1) -> tuple[Node, ...]:
    """The commands of a text, as many as are taken apart."""
    return _Parser(Lexer(text, line).read()).all()


def parse_script(text: str) -> tuple[tuple[Node, ...], int]:
    """The same, and the line at which it was given up; 0: all was read."""
    lexer = Lexer(text)
    nodes = _Parser(lexer.read()).all()
    return nodes, lexer.line if lexer.is_cut else 0


def commands_flat(text: str) -> tuple[Node, ...]:
    """The commands of a csh's text, one after the other: of its grammar only words and lines are a shell's."""
    found: list[Node] = []
    words: list[Word] = []
    for token in [*Lexer(text).read(), Token("\n", Word((), 0), 0)]:
        if not token.op:
            words.append(token.word)
        elif token.op in ("\n", ";", "&", "|", "&&", "||"):
            while words and words[0].keyword() in ("then", "else", "endif", "end"):
                words.pop(0)
            if words and words[0].keyword() not in ("if", "foreach", "while", "switch", "case"):
                found.append(Node("simple", words[0].line, tuple(words)))
            words = []
        elif token.op == ")" and words and words[0].keyword() in ("if", "while"):
            words = []
    return tuple(found)


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def all(self) -> tuple[Node, ...]:
        found: list[Node] = []
        while self._at < len(self._tokens):
            before = self._at
            found.extend(self._list())
            if self._at == before or self._at < len(self._tokens):
                self._at += 1  # what ends something that was never begun
        return tuple(found)

    def _op(self) -> str:
        return self._tokens[self._at].op if self._at < len(self._tokens) else "end"

    def _keyword(self) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at].op:
            return ""
        return self._tokens[self._at].word.keyword()

    def _skip(self, *ops: str) -> None:
        while self._op() in ops:
            self._at += 1

    def _expect(self, keyword: str) -> None:
        if self._keyword() == keyword:
            self._at += 1

    def _list(self) -> list[Node]:
        """Commands up to a reserved word that ends them, which is left there."""
        found: list[Node] = []
        while True:
            self._skip("\n", ";", "&")
            op, keyword = self._op(), self._keyword()
            if op in ("end", ")", ";;", ";;&", ";&") or keyword in _ENDS:
                return found
            before = self._at
            node = self._and_or()
            if self._op() == "&":
                node = Node("behind", node.line, body=(node,))
            found.append(node)
            if self._at == before:
                self._at += 1

    def _and_or(self) -> Node:
        parts, operators = [self._pipeline()], []
        while self._op() in ("&&", "||"):
            operators.append(self._op())
            self._at += 1
            self._skip("\n")
            parts.append(self._pipeline())
        return Node("chain", parts[0].line, text=" ".join(operators), body=tuple(parts)) if operators else parts[0]

    def _pipeline(self) -> Node:
        is_negated = False
        while self._keyword() in ("!", "time"):
            is_negated ^= self._keyword() == "!"
            self._at += 1
            if self._keyword() == "-p":
                self._at += 1
        parts = [self._command()]
        while self._op() in ("|", "|&"):
            self._at += 1
            self._skip("\n")
            parts.append(self._command())
        node = parts[0] if len(parts) == 1 else Node("pipe", parts[0].line, body=tuple(parts))
        return Node("not", node.line, body=(node,)) if is_negated else node

    def _command(self) -> Node:
        if self._depth >= DEEPEST:
            return self._simple()
        self._depth += 1
        node = self._compound()
        self._depth -= 1
        if node.kind == "simple":
            return node
        documents = []
        while self._op() in ("<<", "<<<", ">"):
            token = self._tokens[self._at]
            documents.append((token.op, token.word))
            self._at += 1
        return node._replace(documents=tuple(documents)) if documents else node

    def _compound(self) -> Node:
        line = self._tokens[self._at].line if self._at < len(self._tokens) else 0
        op, keyword = self._op(), self._keyword()
        if op == "((":
            text = self._tokens[self._at].word.parts[0].text
            self._at += 1
            return Node("sum", line, text=text)
        if op == "(":
            self._at += 1
            body = self._list()
            if self._op() == ")":
                self._at += 1
            return Node("subshell", line, body=tuple(body))
        if keyword == "{":
            self._at += 1
            body = self._list()
            self._expect("}")
            return Node("group", line, body=tuple(body))
        if keyword == "if":
            return self._if(line)
        if keyword in ("while", "until"):
            self._at += 1
            condition = self._list()
            return Node(keyword, line, branches=((tuple(condition), self._do()),))
        if keyword in ("for", "select"):
            return self._for(line)
        if keyword == "case":
            return self._case(line)
        if keyword == "[[":
            return self._test(line)
        if keyword == "function" or self._is_function():
            return self._function(line)
        return self._simple()

    def _if(self, line: int) -> Node:
        branches = []
        while self._keyword() in ("if", "elif"):
            self._at += 1
            condition = self._list()
            self._expect("then")
            branches.append((tuple(condition), tuple(self._list())))
            if self._keyword() == "if":
                break
        if self._keyword() == "else":
            self._at += 1
            branches.append(((), tuple(self._list())))
        self._expect("fi")
        return Node("if", line, branches=tuple(branches))

    def _do(self) -> tuple[Node, ...]:
        self._skip("\n", ";")
        if self._keyword() == "{":
            self._at += 1
            body = self._list()
            self._expect("}")
            return tuple(body)
        self._expect("do")
        body = self._list()
        self._expect("done")
        return tuple(body)

    def _for(self, line: int) -> Node:
        self._at += 1
        if self._op() == "((":
            text = self._tokens[self._at].word.parts[0].text
            self._at += 1
            return Node("count", line, text=text, body=self._do())
        name = self._keyword()
        self._at += 1
        self._skip("\n")
        words: list[Word] | None = None
        if self._keyword() == "in":
            self._at += 1
            words = []
            while self._op() == "":
                words.append(self._tokens[self._at].word)
                self._at += 1
        body = self._do()
        if words is None:
            return Node("for", line, text=name, body=body, documents=(("@", Word((), line)),))
        return Node("for", line, tuple(words), name, body)

    def _case(self, line: int) -> Node:
        self._at += 1
        subject = (self._tokens[self._at].word,) if self._op() == "" else ()
        self._at += 1
        self._skip("\n")
        self._expect("in")
        cases = []
        while self._op() != "end":
            self._skip("\n", ";;", ";;&", ";&", ";")
            if self._keyword() == "esac" or self._op() == "end":
                break
            if self._op() == "(":
                self._at += 1
            patterns = []
            while self._op() in ("", "|"):
                if self._op() == "":
                    patterns.append(self._tokens[self._at].word)
                self._at += 1
            if self._op() != ")":
                break
            self._at += 1
            body: list[Node] = []
            while self._op() not in (";;", ";;&", ";&", "end") and self._keyword() != "esac":
                before = self._at
                body.extend(self._list())
                if self._at == before:
                    self._at += 1
            cases.append((tuple(patterns), tuple(body)))
        self._expect("esac")
        return Node("case", line, subject, cases=tuple(cases))

    def _test(self, line: int) -> Node:
        self._at += 1
        words: list[Word] = []
        operators: list[str] = []
        while self._op() not in ("end", "\n", ";") and self._keyword() != "]]":
            token = self._tokens[self._at]
            if token.op:
                operators.append(token.op)
            words.append(token.word)
            self._at += 1
        self._expect("]]")
        return Node("test", line, tuple(words), text=" ".join(operators))

    def _is_function(self) -> bool:
        ops = [token.op for token in self._tokens[self._at + 1 : self._at + 3]]
        return ops == ["(", ")"] and bool(_FUNCTION.fullmatch(self._keyword()))

    def _function(self, line: int) -> Node:
        if self._keyword() == "function":
            self._at += 1
        name = self._keyword()
        self._at += 1
        self._skip("(", ")", "\n")
        body = self._command()
        return Node("function", line, text=name, body=(body,))

    def _simple(self) -> Node:
        words: list[Word] = []
        documents: list[tuple[str, Word]] = []
        line = self._tokens[self._at].line if self._at < len(self._tokens) else 0
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if not token.op:
                words.append(token.word)
            elif token.op in ("<<", "<<<", ">"):
                documents.append((token.op, token.word))
            elif token.op != "((":  # within a word (awk) it is text
                break
            self._at += 1
        return Node("simple", words[0].line if words else line, tuple(words), documents=tuple(documents))
