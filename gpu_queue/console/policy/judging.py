"""What agents would say of a config.yaml.  Pure.

They are asked as they ask themselves: ``parse_config`` and, of how values fit each other, ``examine``.  What an agent
was started with beside the file nobody knows here: values are taken to be at their defaults where the file is silent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import attrgetter

from gpu_queue.config import SETTINGS, TABLE, Config, Setting, Settings, examine, parse_config
from gpu_queue.console.models.policy import PolicyProblem
from gpu_queue.console.policy.phrases import in_both
from gpu_queue.console.policy.splicing import NAME

ROWS = {row.key: row for row in SETTINGS if row.key}
_PLACE = re.compile(rf"{re.escape(NAME)}(?::(\d+))?(?:: ([a-z_]+(?:\.[a-z_]+)*)(?:\[\d+\])*)?: (.*)", re.DOTALL)


@dataclass(frozen=True)
class Judged:
    """A config.yaml, as agents take it."""

    config: Config
    settings: Settings
    """What it makes of the defaults."""
    problems: tuple[PolicyProblem, ...]
    note: str = ""
    """What follows from it that nobody may have meant so; in English."""

    @property
    def is_refused(self) -> bool:
        """No agent obeys it."""
        return any(one.kind == "refused" for one in self.problems)


def judge(content: bytes, strange: str = "") -> Judged:
    """What agents would say of a file.

    Args:
        content: of the file.
        strange: why settings that decide who runs do not count in it; empty: they do.
    """
    config = parse_config(NAME, content)
    obeyed = config.without([row.key for row in ROWS.values() if row.guarded], strange) if strange else config
    examined = examine(TABLE, {}, {}, obeyed)
    refused = set(obeyed.problems)
    problems = tuple(problem_of(text, is_refused=text in refused) for text in examined.problems)
    return Judged(obeyed, examined.settings, problems, examined.note.replace(f" in {NAME}", ""))


def problem_of(text: str, *, is_refused: bool) -> PolicyProblem:
    """A problem that is told with its place, in its parts."""
    match = _PLACE.fullmatch(text)
    line, key, said = match.groups() if match else (None, None, text)
    return PolicyProblem(
        line=int(line) if line else None,
        key=key if key in ROWS else "keepalive.enabled" if key == "keepalive" else "",
        kind="refused" if is_refused else "unfit",
        text=in_both(said if key is None or key in ROWS or key == "keepalive" else f"{key}: {said}"),
    )


def changed_rows(before: Settings, after: Settings) -> list[Setting]:
    """The settings that mean something else, each field once."""
    found: dict[str, Setting] = {}
    for row in ROWS.values():
        value = attrgetter(row.field)
        if value(before) != value(after):
            found.setdefault(row.field, row)
    return list(found.values())
