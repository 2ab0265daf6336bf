"""One look at what people are to be told of, and the sending of it.

- What is due is claimed by a rename, sent by a process for each label, and renamed by what came of it.  Who is killed
  in the middle leaves a claim, which is taken for lost after ``CLAIM_S``: that notice may be told twice.
- A try's end is told when its claim is gone, and as its record has it: an end that a peer has undone is not told.
- More than ``RATE`` messages a minute become one.  What nobody takes is tried again after 1, 2, 4 … 60 minutes, for a
  day.
- Times are the server's.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gpu_queue.notify import deliver
from gpu_queue.notify.addresses import Book
from gpu_queue.notify.children import Child, Delivery, Message
from gpu_queue.notify.grouping import Groups, key_of
from gpu_queue.notify.telling import LOG_BYTES, Known, Members, Teller
from gpu_queue.spool import files, growing, outbox, records
from gpu_queue.spool.fields import Fields
from gpu_queue.spool.noticenames import UNSENT, NoticeName, Stage, What
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.task import Claim, State

CLAIM_S = 300
RATE, RATE_S = 5, 60
GROUP_S = 120
"""A group whose other tasks leave no notice is looked at so often."""
KEPT_S = 7 * 86400
"""What was told, or given up, is kept so long, for people; and what nobody here can send."""
SENT_MAX = 5000
"""Of what was told no more is kept than so many."""
CHILDREN_MAX = 4
BATCH_MAX = 500
"""Of one label at one time."""
Start = Callable[[Sequence[str], Sequence[Message]], Child]


def wait_s(tries: int) -> float | None:
    """How long a notice rests that was tried so often; None: nobody took it for a day.  Pure."""
    waits = [min(60.0 * 2**number, 3600.0) for number in range(tries)]
    return waits[-1] if sum(waits[:-1]) < 86400 else None


@dataclass
class Outcome:
    """What one look came to."""

    told: int = 0
    messages: int = 0
    again: int = 0
    given_up: int = 0
    left: int = 0
    """So many of labels that are known here wait for later."""
    unknown: dict[str, int] = field(default_factory=dict)
    """How many wait for labels of which nobody knows the address here."""
    problems: list[str] = field(default_factory=list)
    """For people, without an address."""


class Round:
    """One look."""

    def __init__(self, paths: SpoolPaths, book: Book, uids: frozenset[int], start: Start = Child) -> None:
        """Nothing is looked at yet.

        Args:
            paths: of the spool.
            book: the addresses that are known here.
            uids: whose notices are told; those of others are left where they are.
            start: begins the process that delivers.
        """
        self._paths, self._book, self._uids, self._start = paths, book, uids, start
        self._teller = Teller(os.path.basename(paths.root), book.language, book.scrubbed)
        self._now_s = 0.0
        self._facts: dict[str, Fields] = {}
        self._members: dict[str, Members] = {}
        """By the key of a notice: of its group, which has ended."""
        self._nonces: set[str] = set()
        """Of our own claims."""
        self.outcome = Outcome()

    def work(self, now_s: float | None = None) -> Outcome:
        """Send what is due.

        Args:
            now_s: by the server's clock; None: it is asked.

        Raises:
            OSError: the storage failed; ask again later.
        """
        there = outbox.look(self._paths)
        if not there:
            return self.outcome
        self._now_s = files.server_now_s(self._paths.notices) if now_s is None else now_s
        self._sweep(there)
        unsent = [one for one in there if one.stage in UNSENT]
        for one in unsent:
            if not self._book.of(one.label):
                self.outcome.unknown[one.label] = self.outcome.unknown.get(one.label, 0) + 1
        due = [one for one in unsent if self._book.of(one.label) and self._is_due(one)]
        if due:
            groups = Groups(self._paths)
            ready = [one for one in due if self._is_settled(one, groups) and one.what is not What.GROUP]
            ready += self._ended_groups([one for one in due if one.what is What.GROUP], groups)
            self._send(there, ready)
        return self.outcome

    # -- what is due -------------------------------------------------------------------------------------------------

    def _is_due(self, one: NoticeName) -> bool:
        if one.stage is Stage.SENDING:
            return self._now_s - one.at_s > CLAIM_S
        return one.stage is Stage.NEW or one.at_s <= self._now_s

    def _sweep(self, there: Sequence[NoticeName]) -> None:
        over = [one for one in there if one.stage in (Stage.SENT, Stage.GIVEN_UP)]
        old = [one for one in over if self._now_s - one.at_s > KEPT_S]
        more = sorted((one for one in over if one.stage is Stage.SENT), key=lambda one: one.at_s)[:-SENT_MAX]
        # Whoever posts looks for the earlier name of what it posts again: minutes later at most.
        old += [one for one in more if self._now_s - one.at_s > 3600]
        for one in there:
            if one.stage is Stage.NEW and not self._book.of(one.label):
                mark = files.mark_of(self._paths.notice(str(one)))
                if mark is not None and self._now_s - mark[1] / 1e9 > KEPT_S:
                    old.append(one)
        for one in set(old):
            outbox.remove(self._paths, one)

    def _is_settled(self, one: NoticeName, groups: Groups) -> bool:
        claim = one.claim
        return claim is None or (claim.task_id, claim.token) not in groups.tries

    def _read(self, one: NoticeName) -> Fields:
        """The facts of a notice; nothing where they cannot be believed."""
        if one.key not in self._facts:
            try:
                self._facts[one.key] = outbox.read(self._paths, one, self._uids)
            except files.FileProblem:
                self._facts[one.key] = Fields(None)
        return self._facts[one.key]

    def _ended_groups(self, due: Sequence[NoticeName], groups: Groups) -> list[NoticeName]:
        """Of each group that has ended the one notice that tells of it; what tells of none is removed."""
        by_group: dict[tuple[str, tuple[str, str]], list[NoticeName]] = {}
        for one in due:
            by_group.setdefault((one.label, key_of(self._read(one).inner("group"))), []).append(one)
        ended: list[tuple[tuple[str, str], list[NoticeName]]] = []
        for (label, group), notices in by_group.items():
            settled = [one for one in notices if self._is_settled(one, groups)]
            if group == ("", ""):  # one task alone is a group as well
                ended += [(group, [one]) for one in settled]
            elif settled and (lives := groups.living(group, _task_of(settled[-1]))) is None:
                ended.append((group, settled))
            elif settled:
                self._put_off(label, settled, lives, groups)
        if not ended:
            return []
        there = outbox.look(self._paths)  # after they were seen to have ended: nothing comes any more
        found: list[NoticeName] = []
        for group, notices in ended:
            label = notices[0].label
            same = notices
            if group != ("", ""):
                same = [
                    one
                    for one in there
                    if one.what is What.GROUP and one.label == label and one.stage in UNSENT
                    if key_of(self._read(one).inner("group")) == group
                ]
            last = max(same, key=lambda one: one.key, default=None)
            if last is not None and self._is_due(last):
                self._judge(group, last, [one for one in same if one is not last], groups, found)
        return found

    def _put_off(self, label: str, settled: Sequence[NoticeName], living: str | None, groups: Groups) -> None:
        """The group lives: its last task leaves a notice of its own, else one of these stays."""
        last = max(settled, key=lambda one: one.key)
        is_told = self._read(last).flag("everyone") or (living is not None and groups.tells(living, label))
        for one in settled:
            if one is not last or is_told:
                outbox.remove(self._paths, one)
            else:
                outbox.move(self._paths, one, one.again(self._now_s + GROUP_S))

    def _judge(
        self,
        group: tuple[str, str],
        last: NoticeName,
        others: Sequence[NoticeName],
        groups: Groups,
        found: list[NoticeName],
    ) -> None:
        facts = self._read(last)
        if group == ("", ""):
            is_failed = facts.text("to") != State.DONE.value
            members = Members(0 if is_failed else 1, (facts.text("name", 120),) if is_failed else ())
        else:
            members = groups.members(group, _task_of(last))
        events = {self._read(one).text("event") for one in (last, *others)}
        if events <= {"failed"} and not members.failed:
            for one in (*others, last):
                outbox.remove(self._paths, one)
            return
        taken = self._claim(last)
        if taken is not None:  # from here on nobody else tells of it
            for one in others:
                outbox.remove(self._paths, one)
            self._members[taken.key] = members
            found.append(taken)

    # -- sending -----------------------------------------------------------------------------------------------------

    def _claim(self, one: NoticeName) -> NoticeName | None:
        if one.stage is Stage.SENDING and one.nonce in self._nonces:
            return one
        try:
            if os.lstat(self._paths.notice(str(one))).st_uid not in self._uids:
                return None
        except FileNotFoundError:
            return None
        nonce = secrets.token_hex(6)
        self._nonces.add(nonce)
        after = one.sending(self._now_s, nonce)
        return after if outbox.move(self._paths, one, after) else None

    def _send(self, there: Sequence[NoticeName], ready: Sequence[NoticeName]) -> None:
        by_label: dict[str, list[NoticeName]] = {}
        for one in sorted(ready, key=lambda one: one.key):
            by_label.setdefault(one.label, []).append(one)
        batches = []
        for label, notices in by_label.items():
            recent = {
                (one.at_s, one.nonce)
                for one in there
                if one.label == label and one.stage is Stage.SENT and self._now_s - one.at_s < RATE_S
            }
            batch = self._batch(notices, len(recent))
            if batch:
                batches.append((label, batch))
        for first in range(0, len(batches), CHILDREN_MAX):
            started = []
            for label, batch in batches[first : first + CHILDREN_MAX]:
                try:
                    child = self._start(self._book.of(label), [message for message, _ in batch])
                except OSError as error:
                    self.outcome.problems.append(f"{label}: no process could be started: {error.strerror}")
                    child = None
                started.append((label, batch, child))
            for label, batch, child in started:
                failed = Delivery((deliver.FAILED,) * len(batch))
                self._settle(label, batch, failed if child is None else child.result())

    def _batch(self, notices: Sequence[NoticeName], recent: int) -> list[tuple[Message, list[NoticeName]]]:
        """The messages that may be sent to a label now, with what each tells of."""
        if recent > RATE:
            self.outcome.left += len(notices)
            return []
        made = []
        for one in notices[:BATCH_MAX]:
            taken = self._claim(one)
            if taken is not None and (known := self._known(taken)) is not None:
                made.append((self._teller.message(taken, known, self._now_s), [taken]))
        self.outcome.left += len(notices[BATCH_MAX:])
        if recent + len(made) <= RATE or len(made) == 1:
            return made
        digest = self._teller.digest([message for message, _ in made])
        return [(digest, [one for _, several in made for one in several])]

    def _known(self, one: NoticeName) -> Known | None:
        """What is known of a notice that was claimed; None: there is nothing to tell, and it is removed."""
        try:
            facts, claim = outbox.read(self._paths, one, self._uids), one.claim
            if claim is None:
                return Known(facts)
            record = records.read_try(self._paths, claim)
        except files.FileProblem as problem:
            self.outcome.problems.append(f"{self._paths.notice(str(one))}: {problem}; it was removed")
            outbox.remove(self._paths, one)
            return None
        if record is not None and record.to == State.PENDING.value and one.what is What.ENDED:
            outbox.remove(self._paths, one)  # a peer took it over and has had it run again
            return None
        log = b"" if one.what is not What.ENDED or facts.text("to") == State.DONE.value else self._log(claim)
        return Known(facts, record, log, self._members.get(one.key))

    def _log(self, claim: Claim) -> bytes:
        try:
            return growing.read_window(self._paths.log(claim), -LOG_BYTES, LOG_BYTES)[0]
        except (files.FileProblem, OSError):
            return b""

    def _settle(self, label: str, batch: Sequence[tuple[Message, list[NoticeName]]], delivery: Delivery) -> None:
        if delivery.is_missing:
            self.outcome.problems.append("apprise is not installed here: pip install 'gpu-queue[notify]'")
        elif delivery.refused:
            self.outcome.problems.append(f"{label}: {delivery.refused} of its addresses are none that apprise takes")
        failed = 0
        for (_, notices), word in zip(batch, delivery.words, strict=True):
            nonce = secrets.token_hex(6)
            self.outcome.messages += word == deliver.SENT
            for one in notices:
                if word == deliver.SENT:
                    outbox.move(self._paths, one, one.sent(self._now_s, nonce))
                    self.outcome.told += 1
                elif word == deliver.MISSING:  # another node may have it
                    before = replace(one, tries=one.tries - 1)
                    outbox.move(self._paths, one, before.again(self._now_s + 60))
                    self.outcome.again += 1
                else:
                    failed += 1
                    self._try_again(one)
        if failed and not delivery.refused:
            self.outcome.problems.append(f"{label}: {failed} could not be delivered; they are tried again")

    def _try_again(self, one: NoticeName) -> None:
        rest_s = wait_s(one.tries)
        if rest_s is None:
            outbox.move(self._paths, one, one.given_up(self._now_s))
            self.outcome.given_up += 1
        else:
            outbox.move(self._paths, one, one.again(self._now_s + rest_s))
            self.outcome.again += 1


def _task_of(one: NoticeName) -> str:
    claim = one.claim
    return "" if claim is None else claim.task_id
