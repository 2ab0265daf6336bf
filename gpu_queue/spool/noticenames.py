"""How names in ``notify/`` are spelled: what is told, to whom, and how far that is.  Pure.

``<subject>.<what>.<label>.json`` is to be told; its subject is a try (``<id>.tryN.<hex>``) or an agent
(``<node>.<incarnation>``).  What follows is one rename each, which adds to that name:

- ``.sending<k>-<since>-<nonce>``: somebody tries to, for the k-th time
- ``.again<k>-<due>``: that did not work; not before ``<due>``
- ``.sent-<at>-<nonce>``: it was told; of one message all have one nonce
- ``.given-up-<at>``: nobody took it for a day

Moments are epoch seconds by the server's clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum

from gpu_queue.notices import LABEL
from gpu_queue.spool.paths import parse_try_file
from gpu_queue.task import Claim


class What(str, Enum):
    """What has happened."""

    ENDED = "ended"  # a task
    GROUP = "group"  # a task of a group, which may be the last of it
    QUEUE = "queue"  # the last waiting task of a serial queue
    AGENT = "agent"  # an agent is near its end


class Stage(str, Enum):
    """How far it is."""

    NEW = "new"
    SENDING = "sending"
    AGAIN = "again"
    SENT = "sent"
    GIVEN_UP = "given-up"


UNSENT = frozenset({Stage.NEW, Stage.SENDING, Stage.AGAIN})
_WHATS = "|".join(one.value for one in What)
_SUBJECT = r"[A-Za-z0-9._+-]{1,220}"
_NUMBER, _MOMENT, _NONCE = r"\d{1,4}", r"\d{1,12}", r"[0-9a-f]{12}"
_NAME = re.compile(
    rf"({_SUBJECT})\.({_WHATS})\.({LABEL})\.json"
    rf"(?:\.sending({_NUMBER})-({_MOMENT})-({_NONCE})|\.again({_NUMBER})-({_MOMENT})"
    rf"|\.sent-({_MOMENT})-({_NONCE})|\.given-up-({_MOMENT}))?",
    re.ASCII,
)


@dataclass(frozen=True)
class NoticeName:
    """One thing that one label is told of."""

    subject: str
    what: What
    label: str
    stage: Stage = Stage.NEW
    tries: int = 0
    """How often somebody has tried to tell it."""
    at_s: int = 0
    """Since when, not before, or when: as the stage says."""
    nonce: str = ""

    @property
    def key(self) -> str:
        """What it is in any stage; names begin with it."""
        return f"{self.subject}.{self.what.value}.{self.label}.json"

    @property
    def claim(self) -> Claim | None:
        """The try whose end it is (its priority is not known: 0); None: it is an agent's."""
        return parse_try_file(self.subject, "")

    def __str__(self) -> str:
        match self.stage:
            case Stage.SENDING:
                return f"{self.key}.sending{self.tries}-{self.at_s}-{self.nonce}"
            case Stage.AGAIN:
                return f"{self.key}.again{self.tries}-{self.at_s}"
            case Stage.SENT:
                return f"{self.key}.sent-{self.at_s}-{self.nonce}"
            case Stage.GIVEN_UP:
                return f"{self.key}.given-up-{self.at_s}"
            case _:
                return self.key

    def sending(self, now_s: float, nonce: str) -> NoticeName:
        """Its next name, while somebody tries."""
        return replace(self, stage=Stage.SENDING, tries=self.tries + 1, at_s=int(now_s), nonce=nonce)

    def again(self, due_s: float) -> NoticeName:
        """Its next name, where that did not work."""
        return replace(self, stage=Stage.AGAIN, at_s=int(due_s), nonce="")

    def sent(self, now_s: float, nonce: str) -> NoticeName:
        """Its last name, where it did."""
        return replace(self, stage=Stage.SENT, at_s=int(now_s), nonce=nonce)

    def given_up(self, now_s: float) -> NoticeName:
        """Its last name, where it never did."""
        return replace(self, stage=Stage.GIVEN_UP, at_s=int(now_s), nonce="")


def parse_notice(name: str) -> NoticeName | None:
    """What a name in ``notify/`` says; None: it is none of ours."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    subject, what, label, *rest = match.groups()
    made = NoticeName(subject, What(what), label)
    if (made.claim is None) is not (made.what is What.AGENT):
        return None
    sending, since, nonce, again, due, sent, message, given_up = rest
    if since is not None:
        return replace(made, stage=Stage.SENDING, tries=int(sending), at_s=int(since), nonce=nonce)
    if due is not None:
        return replace(made, stage=Stage.AGAIN, tries=int(again), at_s=int(due))
    if sent is not None:
        return replace(made, stage=Stage.SENT, at_s=int(sent), nonce=message)
    if given_up is not None:
        return replace(made, stage=Stage.GIVEN_UP, at_s=int(given_up))
    return made


def of_try(claim: Claim, what: What, label: str) -> NoticeName:
    """The name of what a label is told of a try's end."""
    return NoticeName(f"{claim.task_id}.try{claim.number}.{claim.token}", what, label)


def of_agent(node: str, incarnation: str, label: str) -> NoticeName:
    """The name of what a label is told of an agent."""
    return NoticeName(f"{node}.{incarnation}", What.AGENT, label)
