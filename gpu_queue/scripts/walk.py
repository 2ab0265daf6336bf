"""A shell's script, followed as a careful reader does: what it would run, with which words.  Pure and bounded.

- What is known is followed exactly: variables, arithmetic, tests, loops over plain lists, functions, the arguments
  that were given.  Where a condition is unknown all branches are, and a variable then has several values.
- Nothing is run and no file is looked at; what only the run knows is a mark in a value (``lexing``).
- Each command is an ``Event``; what it means is said elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpu_queue.scripts.builtins import (
    assigned_names,
    environment_of,
    handed,
    next_option,
    obey,
    setting_of,
    statement,
)
from gpu_queue.scripts.conditions import succeeds
from gpu_queue.scripts.events import VISIBLE, Event, Setting
from gpu_queue.scripts.expanding import CAP, Scope, assignment
from gpu_queue.scripts.lexing import GRANTED, UNKNOWN, Word
from gpu_queue.scripts.parsing import MAYBE, Node, commands_flat, parse, parse_script
from gpu_queue.scripts.programs import DECLARING, HANDING, SHELLS, SILENT, program_at
from gpu_queue.scripts.values import LONGEST, MARKS, matches

_STEPS = 800
"""So many commands are followed."""
_EVENTS = 400
_TURNS = 256
"""So many turns of all loops; then a loop is gone through once, with all that its variable may be."""
_DEEPEST = 4


class Walk:
    """One script's way."""

    def __init__(self, arguments: Sequence[str], known: Mapping[str, str]) -> None:
        self.events: list[Event] = []
        self.scope = Scope(tuple(arguments), {name: (value,) for name, value in known.items()})
        self.scope.variables.setdefault(VISIBLE, (GRANTED,))
        self._functions: dict[str, Node] = {}
        self.left_at = 0
        """Behind this line something was not followed any more; 0: all was."""
        self._pending: Setting | None = None
        self._compound = {
            "simple": self._simple, "case": self._case, "for": self._for, "count": self._count,
            "while": self._while, "until": self._while,
        }  # fmt: skip
        self._steps = _STEPS
        self._turns = _TURNS
        self._depth = 0

    def script(self, text: str, is_csh: bool) -> list[Event]:
        """What a script runs."""
        if is_csh:
            self._all(commands_flat(text))
        else:
            nodes, self.left_at = parse_script(text)
            self._all(nodes)
            if self._steps <= 0 and nodes:
                self.left_at = self.left_at or nodes[-1].line
        if self._pending is not None:
            self.events.append(Event((), self._pending.line, {}, self._pending))
        return self.events

    # -- commands: each tells how the flow goes on: "" or exit, return, break, continue --------------------------

    def _all(self, nodes: Sequence[Node]) -> str:
        for node in nodes:
            flow = self._one(node)
            if flow:
                return flow
        return ""

    def _one(self, node: Node) -> str:
        if self._steps <= 0:
            return "exit"
        self._steps -= 1
        kind = node.kind
        follow = self._compound.get(kind)
        if follow is not None:
            return follow(node)
        if kind == "if":
            return self._branches(node.branches)
        if kind == "chain":
            self._flow = ""
            self._truth(node)
            flow, self._flow = self._flow, ""
            return flow
        if kind == "function":
            self._functions[node.text] = node.body[0]
            return ""
        if kind == "sum":
            statement(self.scope, node.text)
            return ""
        if kind in ("subshell", "behind", "pipe"):
            for part in node.body:
                self._apart((part,))
            return ""
        return self._all(node.body)  # a group

    _flow = ""

    def _apart(self, nodes: Sequence[Node]) -> None:
        """In a process of its own: what it sets is lost."""
        kept, functions = self.scope, dict(self._functions)
        pending = self._pending
        self.scope = kept.copy()
        self._all(nodes)
        if self._pending is not pending and self._pending is not None:
            self.events.append(Event((), self._pending.line, {}, self._pending))
        self.scope, self._functions = kept, functions
        self._pending = pending if self._pending is not None else None

    def _branches(self, branches: Sequence[tuple[tuple[Node, ...], tuple[Node, ...]]]) -> str:
        """Those of an ``if``: the one that is known to be taken, else all that may be."""
        ends: list[Scope] = []
        flows: list[str] = []
        is_open = True
        for condition, body in branches:
            truth = self._truth_of_all(condition) if condition else True
            if truth is False:
                continue
            if truth is True and not ends and not flows:
                return self._all(body)
            before = self.scope.copy()
            flow = self._all(body)
            if flow:
                flows.append(flow)
            else:
                ends.append(self.scope)
            self.scope = before
            if truth is True:
                is_open = False
                break
        if is_open:
            ends.append(self.scope)
        if not ends:
            return flows[0] if flows else ""
        self.scope = ends[0].merged(ends[1:])
        return ""

    def _case(self, node: Node) -> str:
        subject = self.scope.values(node.words[0]) if node.words else (UNKNOWN,)
        may_be: list[tuple[tuple[Node, ...], tuple[Node, ...]]] = []
        for patterns, body in node.cases:
            fits = [
                matches(subject[0], pattern) if len(subject) == 1 else None
                for one in patterns
                for pattern in self.scope.values(one)
            ]
            if True in fits and (subject[0] != UNKNOWN or all(None not in fits for _ in fits)):
                if not may_be and subject[0] != UNKNOWN:
                    return self._all(body)
                may_be.append(((), body))
                break
            if None in fits:
                may_be.append((MAYBE, body))
        return self._branches(may_be)

    def _for(self, node: Node) -> str:
        if node.documents and node.documents[0][0] == "@":
            items = list(self.scope.arguments)
        else:
            items = [item for variant in self.scope.argvs(node.words) for item in variant]
            items = list(dict.fromkeys(items)) if len(items) > 64 else items
        items = items[:64]
        if len(items) > self._turns:
            self.scope.variables[node.text] = tuple(items[:CAP])
            self._all(node.body)
            return ""
        for item in items:
            self._turns -= 1
            self.scope.variables[node.text] = (item,)
            flow = self._all(node.body)
            if flow == "break":
                break
            if flow in ("exit", "return"):
                return flow
        return ""

    def _count(self, node: Node) -> str:
        begin, _, rest = node.text.partition(";")
        condition, _, step = rest.partition(";")
        statement(self.scope, begin)
        while self._turns > 0:
            self._turns -= 1
            truth = self.scope.arithmetic(condition)
            if truth == ("0",):
                return ""
            if MARKS.search(truth[0]) or len(truth) > 1:
                break
            flow = self._all(node.body)
            if flow == "break":
                return ""
            if flow in ("exit", "return"):
                return flow
            statement(self.scope, step)
        name = begin.partition("=")[0].strip()
        self.scope.variables[name] = (UNKNOWN,)
        self._all(node.body)
        return ""

    def _while(self, node: Node) -> str:
        condition, body = node.branches[0]
        is_endless = (
            len(condition) == 1 and bool(condition[0].words) and condition[0].words[0].keyword() in ("true", ":")
        )
        wanted = node.kind == "while"
        for _ in range(1 if is_endless else 64):
            self._turns -= 1
            truth = self._truth_of_all(condition)
            if truth is None or self._turns <= 0:
                break
            if truth is not wanted:
                return ""
            flow = self._all(body)
            if flow == "break":
                return ""
            if flow in ("exit", "return"):
                return flow
        if is_endless:
            return ""
        before = self.scope.copy()
        for name in assigned_names(body):
            self.scope.variables[name] = (UNKNOWN,)
        self._all(body)
        self.scope = before.merged([self.scope])
        return ""

    # -- conditions -----------------------------------------------------------------------------------------------

    def _truth_of_all(self, nodes: Sequence[Node]) -> bool | None:
        truth: bool | None = None
        for node in nodes:
            truth = self._truth(node)
        return truth

    def _truth(self, node: Node) -> bool | None:
        """Whether a command succeeds; None: nobody knows.  What it runs is followed."""
        if node.kind == "not":
            truth = self._truth(node.body[0])
            return None if truth is None else not truth
        if node.kind == "chain":
            return self._chain(node)
        if node.kind == "sum":
            values = self.scope.arithmetic(node.text)
            statement(self.scope, node.text)
            return None if len(values) > 1 or MARKS.search(values[0]) else values[0] != "0"
        if node.kind == "test":
            return succeeds(self.scope, node.words, node.text)
        if node.kind == "simple" and node.words:
            word = node.words[0].keyword()
            if word in ("[", "test"):
                words = node.words[1:]
                return succeeds(self.scope, words[:-1] if word == "[" else words)
            if word in ("true", ":", "false"):
                return word != "false"
            if word == "getopts":
                truth = next_option(self.scope, self.scope.argvs(node.words)[0])
                if truth is not None:
                    return truth
            if all(assignment(one) for one in node.words) or word in DECLARING:
                self._one(node)
                return True
        flow = self._one(node)
        if flow:
            self._flow = flow
        return None

    def _chain(self, node: Node) -> bool | None:
        self._flow = ""
        truth = self._truth(node.body[0])
        if self._flow:
            return truth
        for operator, part in zip(node.text.split(), node.body[1:]):  # noqa: B905 - strict is of Python 3.10
            if truth is None:
                before = self.scope.copy()
                self._truth(part)
                self.scope = before if self._flow else before.merged([self.scope])
                self._flow = ""  # it may not come to that
            elif truth is (operator == "&&"):
                truth = self._truth(part)
                if self._flow:
                    return truth
        return truth

    # -- simple commands ------------------------------------------------------------------------------------------

    def _assign(self, word: Word, is_exported: bool = False) -> bool:
        """Obey NAME=value; False where the word is none."""
        found = assignment(word)
        if found is None:
            return False
        name, index, operator = found
        self.scope.assign(word, name, index, operator)
        if is_exported:
            self.scope.exported.add(name)
        if name == VISIBLE:
            self._pending = setting_of(word, self.scope.variables.get(name, (UNKNOWN,)))
        return True

    def _simple(self, node: Node) -> str:
        words = node.words
        count = 0
        while count < len(words) and assignment(words[count]):
            count += 1
        if count == len(words):
            for word in words:
                self._assign(word)
            return ""
        prefix, rest = words[:count], words[count:]
        name = rest[0].keyword()
        if name in DECLARING:
            return self._declare(name, rest)
        variants = self.scope.argvs(rest)
        argv = next((variant for variant in variants if variant), [])
        if not argv:
            return ""
        flow = self._builtin(argv, rest, node)
        if flow is not None:
            return flow
        if argv[0] in self._functions:
            for word in prefix:
                self._assign(word)
            return self._call(self._functions[argv[0]], argv[1:])
        environment, visible = environment_of(self.scope, prefix)
        for variant in variants[:CAP]:
            if variant:
                self._run(variant, node, environment, visible)
        return "exit" if argv[0] == "exec" and len(argv) > 1 else ""

    def _run(
        self, argv: list[str], node: Node, environment: dict[str, tuple[str, ...]], visible: Setting | None
    ) -> None:
        at = program_at(argv)
        name = argv[at].rpartition("/")[2]
        for word in argv[:at]:
            variable, equals, value = word.partition("=")
            if equals and variable.isidentifier():
                environment = {**environment, variable: (value,)}
                if variable == VISIBLE:
                    visible = Setting((value,), node.line, value == "", False)
            elif word == "-u" and VISIBLE in argv[:at]:
                visible = Setting((UNKNOWN,), node.line, True, False)
        document = next((word.parts[0].text for op, word in node.documents if op == "<<" and word.parts), "")
        if name in SHELLS:
            inner = handed(argv[at:])
            if inner is None and not any(not one.startswith("-") for one in argv[at + 1 :]):
                inner = document
            if inner:
                if at:
                    self.events.append(Event(tuple(argv[:at]), node.line, environment, None))
                self._inner(inner, node.line, environment, visible)
                return
        if name in HANDING:
            for word in argv[1:]:
                if " " in word:
                    self._inner(word, node.line, environment, visible)
            at = next((place for place, word in enumerate(argv) if word.startswith(f"{VISIBLE}=")), -1)
            if at >= 0:
                visible = Setting((argv[at].partition("=")[2],), node.line, True)
        if visible is None and self._pending is not None and name not in SILENT:
            visible, self._pending = self._pending, None
        if len(self.events) < _EVENTS:
            self.events.append(Event(tuple(argv), node.line, environment, visible, document))

    def _inner(
        self, text: str, line: int, environment: Mapping[str, tuple[str, ...]], visible: Setting | None
    ) -> None:
        if self._depth >= _DEEPEST or len(text) > LONGEST * 2:
            return
        self._depth += 1
        kept, pending = self.scope, self._pending
        self.scope = kept.copy()
        self.scope.variables.update(environment)
        self.scope.exported.update(environment)
        if visible is not None:
            self._pending = visible
        self._all(parse(text, line))
        if visible is not None:
            if self._pending is not None:
                self.events.append(Event((), self._pending.line, {}, self._pending))
            self._pending = pending
        self.scope = kept
        self._depth -= 1

    def _call(self, body: Node, arguments: Sequence[str]) -> str:
        if self._depth >= _DEEPEST:
            return ""
        self._depth += 1
        kept = self.scope.arguments
        self.scope.arguments = tuple(arguments)
        flow = self._one(body)
        self.scope.arguments = kept
        self._depth -= 1
        return flow if flow == "exit" else ""

    def _declare(self, name: str, words: Sequence[Word]) -> str:
        options = [word.keyword() for word in words[1:] if word.keyword().startswith("-")]
        is_exported = name == "export" or any("x" in option for option in options)
        for word in words[1:]:
            if self._assign(word, is_exported):
                continue
            plain = word.keyword()
            if name == "export" and "-f" in options and plain in self._functions:
                self._call(self._functions[plain], (UNKNOWN,) * 9)  # somebody will
            elif is_exported and plain:
                self.scope.exported.add(plain)
        return ""

    def _builtin(self, argv: list[str], words: Sequence[Word], node: Node) -> str | None:
        """The flow behind a builtin; None: it is none that matters."""
        name = argv[0]
        if name in ("exit", "return", "break", "continue", "logout"):
            return "exit" if name == "logout" else name
        if obey(self.scope, argv, node):
            return ""
        if name == "setenv" and len(argv) > 1:
            value = argv[2] if len(argv) > 2 else ""
            self.scope.variables[argv[1]] = (value,)
            self.scope.exported.add(argv[1])
            if argv[1] == VISIBLE:
                self._pending = Setting((value,), node.line, len(words) > 2 and words[2].literal() is None)
        elif name in ("unset", "unsetenv"):
            for variable in argv[1:]:
                self.scope.variables.pop(variable, None)
                self.scope.arrays.pop(variable, None)
                if variable == VISIBLE:
                    self._pending = Setting((UNKNOWN,), node.line, True)
        elif name == "eval":
            if self._depth < _DEEPEST:
                self._depth += 1
                flow = self._all(parse(" ".join(argv[1:])[:LONGEST], node.line))
                self._depth -= 1
                return flow
        elif name in ("[", "test", "true", "false", ":", "wait", "trap", "source", ".", "ulimit", "alias"):
            pass
        else:
            return None
        return ""
