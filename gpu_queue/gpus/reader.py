"""The one thread that asks NVML, and what it knows.

- A call of NVML may hang: 45 s each while the firmware of a card does not answer (Xid 119), or for ever.  Whoever
  stops tasks must not wait for that.  So all calls are made here, and others take what was read last, and its age.
- What was asked for more than ``TOO_OLD_S`` ago is unknown, and so never free.
- A card whose answer took longer than ``SLOW_S`` rests for a minute: each further question would cost as much.
- While a call hangs, a second thread reads the other cards: where one card alone does not answer they go on.  Where
  the driver as a whole hangs the second hangs as well, and all grow old until a call returns; there is never a third.
- NVML is started again only while no other call is under way, and left only then.
- The threads are daemons: an agent that must leave waits for no driver.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Set
from dataclasses import dataclass, field

from gpu_queue.errors import DeviceError
from gpu_queue.gpus import asking
from gpu_queue.gpus.asking import Attention, Question
from gpu_queue.gpus.devices import Gpu, Health, all_failing, in_their_places
from gpu_queue.gpus.nvml import SLOW_S, Card, DriverAway, NvmlDevices, SlowAnswer
from gpu_queue.units import format_duration

TOO_OLD_S = 5.0
"""More than a turn, an answer that is just not slow, and the moment until the second thread reads on."""
REST_S = 60.0
START_WITHIN_S = 120.0
"""A driver that nobody has used yet takes a few seconds for each card."""
SAID_AFTER_S = 5.0
AGAIN_S = 1.0
"""So often a driver that has gone is tried again."""
THREADS = 2
CLOSE_WITHIN_S = 1.0


@dataclass(eq=False)
class _Slot:
    """What is known of one card."""

    card: Card
    place: int
    devices: tuple[Gpu, ...]
    asked_at: dict[Question, float] = field(default_factory=dict)
    read_at: float = float("-inf")
    """When the last answer about its memory, or the failure, was asked for."""
    rests_until: float = float("-inf")
    slowest_s: float = 0.0
    hangs_since: float | None = None
    """When it was asked what it has not answered."""

    def sampled_at(self) -> float:
        """When its utilisation was asked for that is known, of one that has none its memory."""
        if self.hangs_since is not None:  # what is being asked is not known yet
            return float("-inf")
        return self.read_at if self.devices[0].is_mig else self.asked_at.get(Question.UTILIZATION, float("-inf"))

    def is_settled(self, now: float) -> bool:
        """Whether nothing is gained by waiting for its first reading."""
        hangs = self.hangs_since is not None and now - self.hangs_since > SLOW_S
        return self.read_at > float("-inf") or self.rests_until > now or hangs


@dataclass(eq=False)
class _Thread:
    """What one thread is up to."""

    slot: _Slot | None = None
    since: float | None = None
    """When the call was begun that it is making."""

    def hangs(self, now: float) -> bool:
        return self.since is not None and now - self.since > SLOW_S


class Reader:
    """The GPUs that NVML shows, for a thread that must never wait for it (``devices.Readings``)."""

    def __init__(self, layer: NvmlDevices, wake: Callable[[], None] = lambda: None) -> None:
        """Nothing is asked before :meth:`begin`.

        Args:
            layer: what is asked, by nobody else from now on.
            wake: is called, in any thread, when there is news.
        """
        self.kind = layer.kind
        self._layer = layer
        self._wake = wake
        self._change = threading.Condition()
        """Guards all that follows."""
        self._slots: list[_Slot] = []
        self._threads: list[_Thread] = []
        """One for each thread."""
        self._reads: _Thread | None = None
        """Whose thread reads; the other one, if there is one, hangs."""
        self._failed: DeviceError | None = None
        self._spent = asking.Spent()
        self._away_until = float("-inf")
        self._watched: Set[str] = frozenset()
        self._hurried: Set[str] = frozenset()
        self._sampled: Set[str] = frozenset()
        self._news: set[str] = set()
        self._is_closed = False
        self._gpus: tuple[Gpu, ...] | None = None
        """Of all slots; None: something was read since they were put together."""

    def begin(self, say: Callable[[str], None], within_s: float = START_WITHIN_S) -> None:
        """Start NVML, and wait for the first reading of each card that answers.

        Args:
            say: tells people that it takes long.
            within_s: how long NVML may take to start.

        Raises:
            DeviceError: it does not start, or no card answers in time, or it shows none.
        """
        begun = time.monotonic()
        is_said = False
        with self._change:
            self._begin_thread()
            while not self._has_begun():
                if self._failed is not None:
                    raise self._failed
                waited_s = time.monotonic() - begun
                if waited_s > within_s and any(slot.read_at > float("-inf") for slot in self._slots):
                    return  # what answers is served
                if waited_s > within_s:
                    self._is_closed = True
                    raise DeviceError(
                        f"the NVIDIA driver has not answered for {format_duration(waited_s)}. Look whether "
                        "nvidia-smi answers, and for Xid in the kernel's messages (dmesg). "
                        "To try it without GPUs: --simulate 4"
                    )
                if waited_s > SAID_AFTER_S and not is_said:
                    is_said = True
                    say(
                        f"the NVIDIA driver has not answered for {format_duration(waited_s)}; "
                        f"waiting for it, at most {format_duration(within_s)}"
                    )
                self._replace_hanging(time.monotonic())
                self._change.wait(0.1)

    def _has_begun(self) -> bool:
        now = time.monotonic()
        return bool(self._slots) and all(slot.is_settled(now) for slot in self._slots)

    # -- what others ask --------------------------------------------------------------------------------------------

    def describe(self) -> str:
        """One line for people."""
        return self._layer.description(self.snapshot())

    def snapshot(self) -> tuple[Gpu, ...]:
        """All devices of the node, each in its place, as they were last read; what is too old is unknown."""
        with self._change:
            now = time.monotonic()
            self._replace_hanging(now)
            if any(now - slot.read_at > TOO_OLD_S for slot in self._slots):
                self._gpus = None
                return in_their_places(self._as_of(slot, now) for slot in self._slots)
            if self._gpus is None:
                self._gpus = in_their_places(slot.devices for slot in self._slots)
            return self._gpus

    def _as_of(self, slot: _Slot, now: float) -> tuple[Gpu, ...]:
        age_s = now - slot.read_at
        if age_s <= TOO_OLD_S:
            return slot.devices
        read = f"was last read {format_duration(age_s)} ago" if slot.read_at > float("-inf") else "was never read"
        return all_failing(slot.devices, Health.UNKNOWN, f"card {slot.place} {read}: {self._why_old(slot, now)}")

    def _why_old(self, slot: _Slot, now: float) -> str:
        if slot.hangs_since is not None:
            return f"the driver has not answered for {format_duration(now - slot.hangs_since)}"
        if now < slot.rests_until:
            rest = format_duration(slot.rests_until - now)
            return f"its answer took {format_duration(slot.slowest_s)}; it is asked again in {rest}"
        for thread in self._threads:
            if thread.since is not None:
                of = f"what was asked of card {thread.slot.place}" if thread.slot else "its start"
                return f"the driver has not answered {of} for {format_duration(now - thread.since)}"
        return "the thread that reads had no time"

    def attend(self, watched: Set[str], hurried: Set[str], sampled: Set[str] = frozenset()) -> None:
        """Look more closely at some GPUs from now on."""
        if watched == self._watched and hurried == self._hurried and sampled == self._sampled:
            return
        with self._change:
            self._watched, self._hurried, self._sampled = frozenset(watched), frozenset(hurried), frozenset(sampled)
            self._change.notify_all()

    def read_at(self, uuid: str) -> float:
        """When what is known of a GPU's memory was asked for."""
        with self._change:
            return max((one.read_at for one in self._slots if _has(one, {uuid})), default=float("-inf"))

    def sampled_at(self, uuid: str) -> float:
        """When what is known of a GPU's utilisation was asked for; of one that has none, its memory."""
        with self._change:
            return max((one.sampled_at() for one in self._slots if _has(one, {uuid})), default=float("-inf"))

    def take_news(self) -> Set[str]:
        """The watched and hurried GPUs that were read since this was asked last."""
        if not self._news:
            return frozenset()
        with self._change:
            news, self._news = self._news, set()
            return news

    def wake_by(self, wake: Callable[[], None]) -> None:
        """Have this called, in any thread, when there is news."""
        self._wake = wake

    def close(self) -> None:
        """Ask nothing more, and leave NVML if nothing hangs; waits for a moment at most."""
        with self._change:
            self._is_closed = True
            self._change.notify_all()
            self._change.wait_for(lambda: not self._threads, CLOSE_WITHIN_S)

    # -- threads ----------------------------------------------------------------------------------------------------

    def _begin_thread(self) -> None:
        thread = self._reads = _Thread()
        self._threads.append(thread)
        threading.Thread(target=self._run, args=(thread,), name="nvml", daemon=True).start()

    def _replace_hanging(self, now: float) -> None:
        """Have a second thread read on while the first hangs with one card."""
        reads = self._reads
        if reads is not None and reads.slot and reads.hangs(now) and len(self._threads) < THREADS:
            self._begin_thread()

    def _run(self, thread: _Thread) -> None:
        try:
            if not self._slots and not self._start(thread):
                return
            while (due := self._await_turn(thread)) is not None:
                self._ask_each(thread, due)
        finally:
            self._end_thread(thread)

    def _end_thread(self, thread: _Thread) -> None:
        with self._change:
            is_last = self._threads == [thread]
        if is_last and self._is_closed:
            self._layer.close()
        with self._change:
            self._threads.remove(thread)
            self._change.notify_all()

    def _start(self, thread: _Thread) -> bool:
        thread.since = time.monotonic()
        failed: DeviceError | None = None
        try:
            self._layer.start()
        except DeviceError as error:
            failed = error
        except Exception as error:  # a library that is not what it seems
            failed = DeviceError(f"NVML does not start: {error!r}")
        with self._change:
            thread.since, self._failed = None, failed
            self._take_slots()
            self._change.notify_all()
        return failed is None

    def _take_slots(self) -> None:
        before = {slot.card.uuid: slot.read_at for slot in self._slots}
        self._slots = [
            _Slot(card, place, card.last, read_at=before.get(card.uuid, float("-inf")))
            for place, card in enumerate(self._layer.cards)
        ]
        self._gpus = None

    def _await_turn(self, thread: _Thread) -> list[tuple[_Slot, asking.Turn]] | None:
        """What is to be asked now, as soon as anything is; None: this thread is to end."""
        with self._change:
            while not self._is_closed:
                now = time.monotonic()
                if self._reads is not thread:
                    assert self._reads is not None
                    if not self._reads.hangs(now):
                        return None
                    self._reads = thread  # that one hangs now
                due, next_at = asking.plan(map(self._as_asked, self._slots), now)
                not_before = max(self._away_until, self._spent.free_at(now, due[0].calls if due else 1))
                if due and now >= not_before:
                    return [(self._slots[one.place], one) for one in due]
                self._change.wait(min(max(next_at, not_before) - now, AGAIN_S))
            return None

    def _as_asked(self, slot: _Slot) -> asking.Slot:
        return asking.Slot(
            slot.place,
            self._attention(slot),
            slot.asked_at,
            devices=len(slot.devices),
            is_mig=slot.devices[0].is_mig,
            is_failing=slot.card.is_failing,
            rests_until=float("inf") if slot.hangs_since is not None else slot.rests_until,
            slowest_s=slot.slowest_s,
            is_sampled=_has(slot, self._sampled),
        )

    def _attention(self, slot: _Slot) -> Attention:
        if _has(slot, self._hurried):
            return Attention.HURRIED
        return Attention.WATCHED if _has(slot, self._watched) else Attention.USUAL

    # -- asking -----------------------------------------------------------------------------------------------------

    def _ask_each(self, thread: _Thread, due: Iterable[tuple[_Slot, asking.Turn]]) -> None:
        is_news = False
        for slot, one in due:
            questions = one.questions
            with self._change:
                if self._is_closed or self._reads is not thread:
                    return
                now = time.monotonic()
                if self._spent.free_at(now, one.calls) > now:
                    break  # it stays due
                thread.slot, thread.since, slot.hangs_since = slot, now, now
                slot.asked_at.update(dict.fromkeys(questions, now))
            asked_before = self._layer.calls
            try:
                devices = self._layer.read(slot.card, questions)
            except DriverAway as error:
                self._note(thread, slot, slot.devices, ())
                self._start_again(thread, str(error))
                break
            except SlowAnswer as error:
                self._note_slow(thread, slot, error.took_s)
            except Exception as error:  # a fault of ours hinders no other card
                devices = all_failing(slot.devices, Health.UNKNOWN, f"it cannot be read: {error!r}")
                self._note(thread, slot, devices, questions)
            else:
                attention = self._note(thread, slot, devices, questions)
                if attention is Attention.HURRIED:
                    self._wake()
                is_news |= attention is Attention.WATCHED
            with self._change:  # a thread that hung may return just now
                self._spent.add(now, self._layer.calls - asked_before)
        if is_news:
            self._wake()

    def _note(
        self, thread: _Thread, slot: _Slot, devices: tuple[Gpu, ...], questions: Collection[Question]
    ) -> Attention | None:
        """Keep what a card said; returns how closely it is looked at, if that is news."""
        with self._change:
            asked_at = thread.since
            assert asked_at is not None
            thread.since = thread.slot = slot.hangs_since = None
            if devices != slot.devices:
                slot.devices, self._gpus = devices, None
            if not questions or not (Question.MEMORY in questions or slot.card.is_failing):
                return None
            slot.read_at, slot.slowest_s = asked_at, 0.0
            attention = self._attention(slot)
            if attention is not Attention.USUAL:
                self._news.update(gpu.uuid for gpu in devices)
            self._change.notify_all()
            return attention

    def _note_slow(self, thread: _Thread, slot: _Slot, took_s: float) -> None:
        with self._change:
            thread.since = thread.slot = slot.hangs_since = None
            slot.slowest_s, slot.rests_until = took_s, time.monotonic() + REST_S
            slot.asked_at.clear()
            self._change.notify_all()

    def _start_again(self, thread: _Thread, problem: str) -> None:
        """The driver was reloaded, or is away."""
        with self._change:
            is_alone = len(self._threads) == 1
            thread.since = time.monotonic()
        try:
            if is_alone:  # else somebody hangs in the driver as it was
                self._layer.start_again()
        except DriverAway as error:
            problem = str(error)
        else:
            problem = "" if is_alone else problem
        with self._change:
            thread.since, now = None, time.monotonic()
            if not problem:
                self._take_slots()
                return
            self._away_until, self._gpus = now + AGAIN_S, None
            for slot in self._slots:
                slot.devices, slot.read_at = all_failing(slot.devices, Health.UNKNOWN, problem), now


def _has(slot: _Slot, uuids: Set[str]) -> bool:
    return any(gpu.uuid in uuids for gpu in slot.devices)
