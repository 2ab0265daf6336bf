"""What live agents make of another config.yaml.  Pure.

An agent that was started with a flag or a variable for a setting keeps to that; nothing of it is known here.
"""

from __future__ import annotations

from operator import attrgetter

from gpu_queue.config import live_changes
from gpu_queue.console.keys import key_of, text_of
from gpu_queue.console.models.common import Note
from gpu_queue.console.models.policy import PolicyAgent, PolicyChange
from gpu_queue.console.policy.fields import said_in
from gpu_queue.console.policy.judging import ROWS, Judged, changed_rows
from gpu_queue.console.sentences import note
from gpu_queue.spool.snapshot.view import Presence, Snapshot

AGENTS_MAX = 200
_ALIVE = (Presence.ALIVE, Presence.UNKNOWN)
_HOLDING = ("starting", "holding", "backing off")


def agents_of(seen: Snapshot, before: Judged, after: Judged) -> list[PolicyAgent]:
    """What each live agent takes over at once, and for what a new one is needed.

    Args:
        seen: the spool.
        before: what its config.yaml says.
        after: what it is to say.
    """
    rows = changed_rows(before.settings, after.settings)
    taken, _ = live_changes(before.settings, after.settings)
    at_once = [row.key for row in rows if attrgetter(row.field)(taken) != attrgetter(row.field)(before.settings)]
    later = [row.key for row in rows if row.key not in at_once]
    found = []
    for node in seen.nodes:
        if node.page is None or node.presence not in _ALIVE:
            continue
        is_refused = bool(after.problems)
        takes = "refuses" if is_refused else "at_once" if at_once else "next_start" if later else "nothing"
        found.append(
            PolicyAgent.model_validate(
                {
                    "node": key_of(node.node),
                    "title": text_of(node.title),
                    "takes": takes,
                    "at_once": [] if is_refused else at_once,
                    "next_start": [] if is_refused else later,
                }
            )
        )
    return found[:AGENTS_MAX]


def changes_of(before: str, after: str) -> list[PolicyChange]:
    """The settings that are said in other words."""
    was, now = said_in(before), said_in(after)
    return [
        PolicyChange(
            key=key,
            was=None if key not in was else text_of(was[key]),
            now=None if key not in now else text_of(now[key]),
            when="at_once" if row.live else "next_agent",
        )
        for key, row in ROWS.items()
        if was.get(key) != now.get(key)
    ]


def notes_of(seen: Snapshot, before: Judged, after: Judged) -> list[Note]:
    """What a change does beside its words."""
    notes = []
    if after.note and after.note != before.note:
        notes.append(note("implied", said=text_of(after.note)))
    if after.problems:
        return notes
    was, now = before.settings.keepalive.enabled, after.settings.keepalive.enabled
    if was and not now:
        pages = [one.page for one in seen.gpus]
        held = sum(one.keepalive is not None and one.keepalive.state in _HOLDING for one in pages)
        notes.append(note("keepalive_ends", count=held))
    elif now and not was:
        notes.append(note("keepalive_begins"))
    if before.settings.mode is not after.settings.mode:
        notes.append(note("mode_changes", mode=str(after.settings.mode.value)))
    return notes
