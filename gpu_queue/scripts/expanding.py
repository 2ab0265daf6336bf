"""Words of a shell with what they may come to.  Pure and bounded.

A word has several values where a variable in it does; each is told once, not each with each where these are many.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gpu_queue.scripts.lexing import COUNT, GRANTED, NODE_COUNT, UNKNOWN, Lexer, Part, Word
from gpu_queue.scripts.parsing import Node, parse
from gpu_queue.scripts.values import LONGEST, MARKS, arithmetic, braces, sequence, trimmed

CAP = 24
"""So many values are kept."""
_MANY = 256
"""So many variables, and words of a command."""
_OUTPUTS = 100
"""So many outputs of commands are thought out."""
_SPLIT = "\ue005"
"""Between the words that an expansion without quotes makes; no script has it, as it is no value."""
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[([^\]]{0,40})\])?(\+?=)")
_PARAMETER = re.compile(
    r"(#|!)?([A-Za-z_][A-Za-z0-9_]*|[0-9]{1,3}|[@*#?$!-])(?:\[([^\]]{0,60})\])?(?:(:?[-=+?]|%%?|##?|//?|:|\^\^?|,,?|@)(.*))?",
    re.DOTALL,
)
_SUBSTITUTE = re.compile(r"s([/|#])((?:(?!\1).)*)\1((?:(?!\1).)*)\1g?")


def assignment(word: Word) -> tuple[str, str | None, str] | None:
    """Name, index and operator of ``NAME=…``; None for any other word."""
    if not word.parts or word.parts[0].kind != "text" or word.parts[0].is_quoted or "=" not in word.parts[0].text:
        return None
    found = _ASSIGNMENT.match(word.parts[0].text)
    return (found[1], found[2], found[3]) if found else None


def _value_parts(word: Word) -> tuple[Part, ...]:
    """What stands behind the ``=``."""
    text = word.parts[0].text
    found = _ASSIGNMENT.match(text)
    rest = text[found.end() :] if found else text
    return ((Part("text", rest), *word.parts[1:])) if rest else word.parts[1:]


def _capped(values: Sequence[str]) -> tuple[str, ...]:
    known = tuple(dict.fromkeys(value if len(value) <= LONGEST else UNKNOWN for value in values))
    return known if len(known) <= CAP else (*known[: CAP - 1], UNKNOWN)


class Scope:
    """Variables, arrays and arguments at one place of a script."""

    def __init__(self, arguments: tuple[str, ...], variables: dict[str, tuple[str, ...]]) -> None:
        self.arguments = arguments
        self.variables = variables
        self.arrays: dict[str, tuple[str, ...]] = {}
        self.exported: set[str] = set()
        self._depth = 0
        self._outputs = [_OUTPUTS]

    def copy(self) -> Scope:
        """The same, to be changed alone."""
        other = Scope(self.arguments, dict(self.variables))
        other.arrays = dict(self.arrays)
        other.exported = set(self.exported)
        other._depth = self._depth
        other._outputs = self._outputs  # one count for all
        return other

    def merged(self, others: Sequence[Scope]) -> Scope:
        """What holds where it is not known which way it came."""
        result = self.copy()
        for other in others:
            result.exported |= other.exported
            result.arrays.update(other.arrays)
            for name, values in other.variables.items():
                mine = result.variables.get(name)
                if mine != values:
                    result.variables[name] = values if mine is None else _capped((*mine, *values))
        return result

    # -- assignments ----------------------------------------------------------------------------------------------

    def assigned(self, word: Word) -> tuple[str, ...]:
        """The values of NAME=value."""
        return self._joined(_value_parts(word), False)

    def assign(self, word: Word, name: str, index: str | None, operator: str) -> None:
        """Obey NAME=value, NAME+=value, NAME[index]=value, NAME=(values)."""
        if len(self.variables) + len(self.arrays) > _MANY:
            return
        if word.items is not None:
            items = tuple(item for one in self.argvs(word.items)[:1] for item in one)
            earlier = self.arrays.get(name, ()) if operator == "+=" else ()
            self.arrays[name] = (*earlier, *items)[:_MANY]
            self.variables.pop(name, None)
            return
        values = self.assigned(word)
        if index is not None:
            self.arrays[name] = (*self.arrays.get(name, ()), *values)[:_MANY]
        elif operator == "+=":
            earlier = self.variables.get(name, ("",))
            self.variables[name] = _capped([one + other for one in earlier[:CAP] for other in values[:CAP]])
        else:
            self.variables[name] = values

    def read(self, argv: Sequence[str], here: Word | None) -> None:
        """``read``, ``mapfile``: an array from a here-string, or variables of which nothing is known."""
        names = [word for word in argv[1:] if re.fullmatch(r"[A-Za-z_]\w*", word, re.ASCII)]
        values = self.values(here) if here is not None else (UNKNOWN,)
        options = "".join(word for word in argv[1:] if word.startswith("-"))
        is_array = "a" in options or argv[0] != "read"
        for name in names:
            if is_array:
                value = values[0]
                pieces = [value] if MARKS.search(value) else [one for one in re.split(r"[\s,:]+", value) if one]
                self.arrays[name] = tuple(pieces[:_MANY])
            elif len(self.variables) <= _MANY:
                self.variables[name] = values if len(names) == 1 else (UNKNOWN,)

    # -- words ----------------------------------------------------------------------------------------------------

    def values(self, word: Word) -> tuple[str, ...]:
        """What a word comes to where it is not split."""
        return tuple(value.replace(_SPLIT, " ") for value in self._joined(word.parts, False))

    def argvs(self, words: Sequence[Word]) -> list[list[str]]:
        """The words of a command, as often as something in them has another value."""
        columns: list[list[list[str]]] = []
        for word in words[:_MANY]:
            texts = [part.text for part in word.parts]
            if all(part.kind == "text" and not part.is_quoted for part in word.parts) and "{" in "".join(texts):
                columns.append([braces("".join(texts))])
                continue
            has_quotes = any(part.is_quoted for part in word.parts)
            fields = []
            for value in self._joined(word.parts, True):
                pieces = value.split(_SPLIT)
                fields.append(pieces if has_quotes and len(pieces) == 1 else [one for one in pieces if one])
            columns.append(fields or [[]])
        variants = max((len(column) for column in columns), default=0)
        return [
            [piece for column in columns for piece in column[min(number, len(column) - 1)]][:_MANY]
            for number in range(variants)
        ]

    def _joined(self, parts: Sequence[Part], is_split: bool) -> tuple[str, ...]:
        values: tuple[str, ...] = ("",)
        for part in parts[:_MANY]:
            more = self._part(part, is_split)
            if len(values) == 1 or len(more) == 1 or len(values) * len(more) <= CAP:
                values = _capped([one + other for one in values for other in more])
            else:
                values = (UNKNOWN,)
        return values

    def _part(self, part: Part, is_split: bool) -> tuple[str, ...]:
        if part.kind in ("text", "document"):
            return (part.text,)
        if part.kind == "var":
            values = self._parameter(part.text)
        elif part.kind == "sum":
            return self.arithmetic(part.text)
        else:
            values = self._output(part.text)
        if is_split and not part.is_quoted:
            return tuple(re.sub(r"\s+", _SPLIT, value) for value in values)
        return values

    def arithmetic(self, text: str) -> tuple[str, ...]:
        """The values of an expression."""
        if len(text) > 200 or self._depth > 4:
            return (UNKNOWN,)
        if "$" in text or "`" in text:
            self._depth += 1
            inner = Lexer('"' + text.replace('"', "") + '"').read()
            texts = self._joined(inner[0].word.parts, False) if inner else ("",)
            self._depth -= 1
        else:
            texts = (text,)
        names = [
            name for name in re.findall(r"[A-Za-z_]\w*", text, re.ASCII) if len(self.variables.get(name, ())) > 1
        ]
        found: list[str] = []
        for one in texts[:CAP]:
            for number in range(len(self.variables[names[0]]) if names else 1):

                def value_of(name: str, number: int = number) -> str:
                    values = self._value(name)
                    return values[min(number, len(values) - 1)] if values else UNKNOWN

                found.extend(arithmetic(one, value_of))
        return _capped(found)

    def _value(self, name: str) -> tuple[str, ...] | None:
        """A variable's values; None: the script has not set it."""
        if name.isdigit():
            number = int(name)
            if number == 0:
                return (UNKNOWN,)
            return (self.arguments[number - 1] if number <= len(self.arguments) else "",)
        if name in ("@", "*"):
            return (" ".join(self.arguments),)
        if name == "#":
            return (str(len(self.arguments)),)
        if name in self.arrays:
            return self.arrays[name][:1] or ("",)
        return self.variables.get(name)

    def _parameter(self, text: str) -> tuple[str, ...]:
        found = _PARAMETER.fullmatch(text)
        if found is None:
            return (UNKNOWN,)
        sign, name, index, operator, rest = found.groups()
        if sign is None and operator is None and index is None and name in ("@", "*"):
            return (_SPLIT.join(self.arguments),)
        if index is not None:
            return self._element(name, index, sign)
        if sign == "#":
            values = self._value(name)
            return (UNKNOWN,) if values is None else tuple(str(len(one)) for one in values if not MARKS.search(one))
        if sign == "!":
            pointed = self._value(name)
            target = self._value(pointed[0]) if pointed and pointed[0].isidentifier() else None
            return target or (UNKNOWN,)
        values = self._value(name)
        if operator is None:
            return (UNKNOWN,) if values is None else values
        if operator in (":", "@") and name in ("@", "*"):
            start = rest.strip() if operator == ":" else ""
            number = int(start) if start.isdigit() and len(start) < 4 else 1
            return (_SPLIT.join(self.arguments[max(0, number - 1) :]),)
        return self._operated(name, values, operator, rest)

    def _element(self, name: str, index: str, sign: str | None) -> tuple[str, ...]:
        items = self.arrays.get(name)
        if items is None:
            single = self.variables.get(name)
            items = single[:1] if single else (UNKNOWN,)
        if index in ("@", "*"):
            if sign == "#":
                marked = "".join(items)
                if GRANTED in marked:
                    return (COUNT,)
                return (UNKNOWN,) if UNKNOWN in marked else (str(len(items)),)
            if sign == "!":
                return (_SPLIT.join(map(str, range(len(items)))),)
            return (_SPLIT.join(items) if len(items) <= CAP * 4 else UNKNOWN,)
        if items and GRANTED in items[0]:
            return (GRANTED,)
        numbers = self.arithmetic(index)
        found = [
            items[int(one)]
            for one in numbers
            if re.fullmatch(r"-?\d{1,4}", one) and -len(items) <= int(one) < len(items)
        ]
        if len(found) == len(numbers) and found:
            return _capped(found)
        return _capped(items) if items and len(items) <= CAP and UNKNOWN in numbers else (UNKNOWN,)

    def _operated(self, name: str, values: tuple[str, ...] | None, operator: str, rest: str) -> tuple[str, ...]:
        if operator in ("-", ":-", "=", ":="):
            if values is not None and (operator[0] != ":" or "" not in values) and UNKNOWN not in values:
                return values
            default = self._nested(rest)
            kept = tuple(value for value in values or () if value or operator[0] != ":")
            result = _capped((*kept, *default))
            if operator.endswith("="):
                self.variables[name] = result
            return result
        if operator in ("+", ":+"):
            return (
                self._nested(rest)
                if values is not None and values != ("",)
                else ("",)
                if values
                else (UNKNOWN, "")[:1]
            )
        if operator in ("?", ":?"):
            return values or (UNKNOWN,)
        if values is None:
            return (UNKNOWN,)
        results: list[str] = []
        for value in values:
            if GRANTED in value:
                results.append(GRANTED)
            elif MARKS.search(value):
                results.append(UNKNOWN)
            elif operator[0] in "%#":
                results.append(trimmed(value, operator, self._nested(rest)[0]))
            elif operator[0] == "/":
                pattern, _, replacement = rest.partition("/")
                plain, new = self._nested(pattern)[0], self._nested(replacement)[0]
                is_plain = plain and not re.search(r"[*?\[\]\\]", plain)
                results.append(value.replace(plain, new, -1 if operator == "//" else 1) if is_plain else UNKNOWN)
            elif operator[0] in "^,":
                results.append(value.upper() if operator[0] == "^" else value.lower())
            else:
                start, _, length = rest.partition(":")
                is_plain = start.strip().isdigit() and (not length or length.strip().isdigit())
                begin = int(start) if is_plain and len(start) < 6 else 0
                end = begin + int(length) if is_plain and length and len(length) < 6 else None
                results.append(value[begin:end] if is_plain else UNKNOWN)
        return _capped(results)

    def _nested(self, text: str) -> tuple[str, ...]:
        """The word within ``${NAME:-word}``."""
        if not re.search(r"[$`'\"\\]", text):
            return (text,)
        if self._depth > 4 or len(text) > LONGEST:
            return (UNKNOWN,)
        self._depth += 1
        tokens = Lexer(text).read()
        words = [token.word for token in tokens if not token.op]
        values = self.values(words[0]) if len(words) == 1 else (UNKNOWN,) if words else ("",)
        self._depth -= 1
        return values

    # -- outputs of commands --------------------------------------------------------------------------------------

    def _output(self, text: str) -> tuple[str, ...]:
        if "nvidia-smi" in text:
            return (NODE_COUNT if re.search(r"\bwc\b|grep -c|count", text) else UNKNOWN,)
        if "device_count" in text:
            return (COUNT,)
        if len(text) > 1000 or self._depth > 4 or self._outputs[0] <= 0:
            return (UNKNOWN,)
        self._depth += 1
        self._outputs[0] -= 1
        nodes = parse(text)
        values = self._told(nodes[0]) if len(nodes) == 1 else (UNKNOWN,)
        self._depth -= 1
        return values

    def _told(self, node: Node) -> tuple[str, ...]:
        stages = node.body if node.kind == "pipe" else (node,)
        if any(stage.kind != "simple" for stage in stages):
            return (UNKNOWN,)
        argvs = [next(iter(self.argvs(stage.words)), []) for stage in stages]
        here = [word for op, word in stages[0].documents if op == "<<<"]
        values = self.values(here[0]) if here else self._spoken(argvs[0])
        for argv in argvs if here else argvs[1:]:
            values = tuple(_filtered(value, argv) for value in values)
        return values

    def _spoken(self, argv: Sequence[str]) -> tuple[str, ...]:
        if not argv:
            return (UNKNOWN,)
        name, rest = argv[0], list(argv[1:])
        if name == "echo":
            return (" ".join(word for word in rest if word not in ("-n", "-e", "-ne")),)
        if name == "printf" and len(rest) == 2 and "%s" in rest[0]:
            return (rest[1],)
        if name == "seq" and rest and all(re.fullmatch(r"-?\d{1,6}", one) for one in rest[-3:]):
            numbers = [int(one) for one in rest[-3:]]
            first = numbers[0] if len(numbers) > 1 else 1
            step = numbers[1] if len(numbers) == 3 else 1
            if step and (numbers[-1] - first) * step >= 0:
                return ("\n".join(map(str, sequence(first, numbers[-1], step))),)
            return ("",)
        if name == "expr":
            return self.arithmetic(" ".join(rest))
        if name in ("which", "command", "realpath", "readlink") and rest and not MARKS.search(rest[-1]):
            return (rest[-1],)
        return (UNKNOWN,)


def _filtered(value: str, argv: Sequence[str]) -> str:
    """What ``tr``, ``wc`` and the like make of a value."""
    if not argv:
        return UNKNOWN
    name, rest = argv[0], list(argv[1:])
    is_counted = name == "wc" or (name == "awk" and "NF}" in "".join(rest).replace(" ", ""))
    if GRANTED in value:
        return COUNT if is_counted else GRANTED
    if MARKS.search(value) or any(MARKS.search(word) for word in rest):
        return UNKNOWN
    if name == "tr" and len(rest) == 2 and len(rest[0]) == 1:
        return value.replace(rest[0], {"\\n": "\n", "\\t": "\t"}.get(rest[1], rest[1]))
    if name == "sed" and rest:
        found = _SUBSTITUTE.fullmatch(rest[-1])
        if found and not re.search(r"[.*\[\]^$\\]", found[2]):
            return value.replace(found[2], found[3].replace("\\n", "\n"))
    if name == "wc":
        return str(len(value.split("\n"))) if "-l" in rest else str(len(value.split())) if "-w" in rest else UNKNOWN
    if is_counted:
        return str(len(value.split(",") if "," in "".join(rest) else value.split()))
    if name == "grep" and "-o" in rest and len(rest[-1]) == 1 and value.count(rest[-1]):
        return "\n".join(rest[-1] * value.count(rest[-1]))
    if name == "bc":
        return arithmetic(value, lambda _: UNKNOWN)[0]
    if name == "cut":
        found = re.search(r"-d ?(.) ?-f ?(\d)$", " ".join(rest))
        if found:
            pieces = value.split(found[1])
            return pieces[int(found[2]) - 1] if 0 < int(found[2]) <= len(pieces) else ""
    if name == "head" and ("-1" in rest or "1" in rest or "-n1" in rest):
        return value.split("\n", maxsplit=1)[0]
    return UNKNOWN


def known_of(variables: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    """The plain values of a variable."""
    return tuple(value for value in variables.get(name, ()) if not MARKS.search(value))
