"""What a shell's own commands change, and what is handed to other shells.  Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpu_queue.scripts.events import VISIBLE, Setting
from gpu_queue.scripts.expanding import Scope, assignment
from gpu_queue.scripts.lexing import Word
from gpu_queue.scripts.parsing import Node
from gpu_queue.scripts.values import MARKS

_NUMBER = re.compile(r"\d{1,4}", re.ASCII)


def obey(scope: Scope, argv: Sequence[str], node: Node) -> bool:
    """Do what a builtin does to variables and arguments; False: it is none of these."""
    name = argv[0]
    if name == "shift":
        number = int(argv[1]) if len(argv) > 1 and _NUMBER.fullmatch(argv[1]) else 1
        scope.arguments = scope.arguments[number:]
    elif name == "set":
        if "--" in argv:
            scope.arguments = tuple(argv[argv.index("--") + 1 :])
        elif len(argv) > 3 and argv[2] == "=":  # csh
            scope.variables[argv[1]] = (argv[3],)
        elif len(argv) == 2 and "=" in argv[1]:
            variable, _, value = argv[1].partition("=")
            scope.variables[variable] = (value,)
    elif name in ("read", "mapfile", "readarray", "getopts"):
        scope.read(argv, next((word for op, word in node.documents if op == "<<<"), None))
    elif name == "let":
        for text in argv[1:]:
            statement(scope, text)
    else:
        return False
    return True


def next_option(scope: Scope, argv: Sequence[str]) -> bool | None:
    """One turn of ``getopts SPEC NAME``: whether there was an option; None: nobody knows."""
    if len(argv) < 3 or any(MARKS.search(word) for word in (*argv, *scope.arguments)):
        return None
    spec, name = argv[1], argv[2]
    at = int(scope.variables.get("OPTIND", ("1",))[0])
    word = scope.arguments[at - 1] if at <= len(scope.arguments) else ""
    if not word.startswith("-") or word in ("-", "--"):
        return False
    letter, attached = word[1], word[2:]
    place = spec.find(letter)
    takes = place >= 0 and spec[place + 1 : place + 2] == ":"
    if attached and not takes:
        return None  # several in one word
    value = attached or (scope.arguments[at] if at < len(scope.arguments) else "")
    scope.variables[name] = (letter if place >= 0 else "?",)
    scope.variables["OPTARG"] = (value if takes else "",)
    scope.variables["OPTIND"] = (str(at + 1 + (takes and not attached)),)
    return True


def statement(scope: Scope, text: str) -> None:
    """``i=0``, ``i++``, ``i+=2`` of arithmetic."""
    found = re.fullmatch(r"\s*(?:(\+\+|--)?\s*([A-Za-z_]\w*)\s*(?:(\+\+|--)|([-+*/%]?)=(?!=)(.*))?)\s*", text[:200])
    if found is None or not (found[1] or found[3] or found[5]):
        return
    name, steps = found[2], found[1] or found[3]
    expression = f"{name} {steps[0]} 1" if steps else f"{name} {found[4]} ({found[5]})" if found[4] else found[5]
    scope.variables[name] = scope.arithmetic(expression)


def handed(argv: Sequence[str]) -> str | None:
    """The script that ``bash -c`` is handed."""
    for place, word in enumerate(argv[1:-1], 1):
        if word.startswith("-") and not word.startswith("--") and "c" in word:
            return argv[place + 1]
    return None


def assigned_names(nodes: Sequence[Node]) -> set[str]:
    """The variables that commands set."""
    names: set[str] = set()
    left = list(nodes)
    while left:
        node = left.pop()
        left.extend(node.body)
        for condition, body in (*node.branches, *node.cases):
            left.extend(one for one in (*condition, *body) if isinstance(one, Node))
        for word in node.words:
            found = assignment(word)
            if found is not None:
                names.add(found[0])
        if node.kind == "sum":
            names.update(re.findall(r"[A-Za-z_]\w*", node.text[:200]))
    return names


def setting_of(word: Word, values: tuple[str, ...], is_lasting: bool = True) -> Setting:
    """CUDA_VISIBLE_DEVICES as a word sets it."""
    return Setting(values, word.line, word.literal() is None, is_lasting)


def environment_of(scope: Scope, prefix: Sequence[Word]) -> tuple[dict[str, tuple[str, ...]], Setting | None]:
    """What a command is given by the words before it, and by what was exported."""
    environment = {name: scope.variables[name] for name in scope.exported if name in scope.variables}
    visible = None
    for word in prefix:
        found = assignment(word)
        if found is not None:
            values = scope.assigned(word)
            environment[found[0]] = values
            if found[0] == VISIBLE:
                visible = setting_of(word, values, False)
    return environment, visible
