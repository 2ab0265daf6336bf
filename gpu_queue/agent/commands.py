"""Obeying commands, and answering them when they have been obeyed (docs/spool.md, "Commands")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gpu_queue.agent import stages
from gpu_queue.agent.agenda import NEVER, Agenda, Duty
from gpu_queue.agent.livetry import LiveTry
from gpu_queue.agent.tries import Tries
from gpu_queue.execution.sweep import Sweep
from gpu_queue.reasons import Reason
from gpu_queue.spool.commands import Command
from gpu_queue.spool.paths import parse_claim, parse_full
from gpu_queue.task import Waiting, Why
from gpu_queue.texts import printable
from gpu_queue.words import in_words

LOOK_AFTER_S = 0.1
FOLLOWED_S = 10.0
"""So long a claim that its shim has renamed may take to be listed."""
LINE_MAX = 2000


@dataclass
class Stopping:
    """A stop command that is being obeyed."""

    command: Command
    open_claims: dict[str, LiveTry]
    ended_processes: Counter[str] = field(default_factory=Counter)
    """Of claims that were taken up again meanwhile, before that."""
    renamed_at: dict[str, float] = field(default_factory=dict)
    """Claims that are to be taken up again, since when."""
    lines: list[str] = field(default_factory=list)
    sweep: Sweep | None = None


class Commands:
    """Obeys commands for one agent."""

    def __init__(
        self,
        tries: Tries,
        agenda: Agenda,
        answer: Callable[[Command, str], None],
        say: Callable[[str], None],
        *,
        sweep: str,
        is_claim_alive: Callable[[str], bool],
    ) -> None:
        self._tries = tries
        self._agenda = agenda
        self._answer = answer
        self._say = say
        self._sweep = sweep
        self._is_claim_alive = is_claim_alive
        self._stopping: list[Stopping] = []
        self.shutdown = ""
        self.questions: list[Command] = []
        """Explain commands: answered after the next look, which reads what they name."""

    def obey(
        self,
        command: Command,
        now: float,
        grace_s: float,
        waiting: tuple[Waiting, ...],
        cancel: Callable[[list[str]], None],
    ) -> None:
        """Begin to obey a command; its answer comes when it has been obeyed."""
        self._say(f"command {command.verb} from {command.sender or 'somebody'}")
        if command.verb == "shutdown":
            self.shutdown = "wait" if command.wait else "now"
            count = sum(not one.is_assembling for one in self._tries.live.values())
            self._answer(command, self._shutdown_text(count, wait=command.wait))
        elif command.verb == "explain":
            self.questions.append(command)
            self._agenda.want(Duty.LOOK)
        else:
            self._stop(command, now, grace_s, waiting, cancel)

    @staticmethod
    def _shutdown_text(count: int, *, wait: bool) -> str:
        if not count:
            return "shuts down; nothing runs"
        if wait:
            return (
                f"shuts down when {'its running task has' if count == 1 else f'its {count} running tasks have'} ended"
            )
        return f"shuts down; {'1 running task goes' if count == 1 else f'{count} running tasks go'} back to pending"

    def explain(
        self,
        questions: Sequence[Command],
        waiting: tuple[Waiting, ...],
        reasons: Callable[[frozenset[str]], list[tuple[str, Reason]]],
    ) -> None:
        """Answer why tasks wait, from a look that was made after the question."""
        for command in questions:
            self.questions.remove(command)
            asked = frozenset(
                task.name for task in waiting if any(one in (task.name, task.task_id) for one in command.tasks)
            )
            lines = [f"{name}: {in_words(reason)}" for name, reason in reasons(asked) if name in asked]
            self._answer(command, _told(lines) or "none of these waits here")

    def _stop(
        self,
        command: Command,
        now: float,
        grace_s: float,
        waiting: tuple[Waiting, ...],
        cancel: Callable[[list[str]], None],
    ) -> None:
        named = {name for name in command.claims if parse_claim(name) is not None}
        if command.names:
            named |= {one.name for one in self._tries.live.values() if _matches(command.names, one.title, one.name)}
            cancel([task.name for task in waiting if _matches(command.names, task.name, task.name)])
        stopping = Stopping(command, {})
        for name in sorted(named):
            one = self._tries.live.get(name)
            if one is None:
                # On its way to us, or elsewhere: if it shows up here it is stopped.
                self._tries.stop_wanted[name] = now
            else:
                self._tries.stop(one, Why.STOPPED, now, grace_s)
                stopping.open_claims[name] = one
        self._stopping.append(stopping)
        self.advance(now)

    def advance(self, now: float) -> None:
        """Answer what has been obeyed by now."""
        for stopping in list(self._stopping):
            for name, one in list(stopping.open_claims.items()):
                current = self._tries.live.get(name)
                if current is not one and not self._goes_on(stopping, name, current, now):
                    del stopping.open_claims[name]
                    stopping.lines.append(_how_it_ended(one, name, stopping.ended_processes[name]))
            if stopping.open_claims:
                continue
            if not self._swept(stopping, now):
                continue
            self._stopping.remove(stopping)
            self._answer(stopping.command, _told(stopping.lines) or "nothing of that runs here")

    def _goes_on(self, stopping: Stopping, name: str, current: LiveTry | None, now: float) -> bool:
        """Whether its end is still to be seen: the shim of a killed agent's try tells it by renaming the claim."""
        one = stopping.open_claims[name]
        if current is not None:
            stopping.ended_processes[name] += one.ended_processes
            stopping.open_claims[name] = current
            return True
        is_renamed = isinstance(one.stage, stages.Over) and one.stage.is_renamed
        return is_renamed and now < stopping.renamed_at.setdefault(name, now) + FOLLOWED_S

    def _swept(self, stopping: Stopping, now: float) -> bool:
        """On a dedicated node: end the Python processes that nobody answers for.  Whether that is done."""
        if self._sweep == "off":
            if stopping.command.verb == "sweep":
                stopping.lines.append("not swept: this node is not dedicated (--sweep)")
            return True
        if stopping.sweep is None:
            stopping.sweep = Sweep(self._is_claim_alive, everything=self._sweep == "all")
        if not stopping.sweep.step(now):
            return False
        stopping.lines.append(stopping.sweep.told)
        self._say(stopping.sweep.told)
        return True

    def open_nonces(self) -> set[str]:
        """Commands that are being obeyed."""
        return {one.command.nonce for one in self._stopping} | {one.nonce for one in self.questions}

    @property
    def is_busy(self) -> bool:
        """Whether a command is being obeyed."""
        return bool(self._stopping)

    def due(self, now: float) -> float:
        """When it is to be seen what has been obeyed."""
        return now + LOOK_AFTER_S if self._stopping else NEVER


def _how_it_ended(one: LiveTry, name: str, ended_before: int) -> str:
    count = ended_before + one.ended_processes
    if one.end is None:
        return f"{one.title} ({name}) is not here any more"
    if one.end.why is Why.STOPPED:
        how = f": {count} process{'es' * (count != 1)} ended" if count else ""
        return f"stopped {one.title} ({name}){how}, status {one.end.status}"
    how = "by itself" if one.end.why is None else f"already ({one.end.why.value})"
    return f"{one.title} ({name}) had ended {how}, status {one.end.status}"


def _told(lines: Iterable[str]) -> str:
    """Lines that quote names; people read answers with ``cat``."""
    return "\n".join(printable(line, LINE_MAX) for line in lines)


def _matches(parts: tuple[str, ...], title: str, name: str) -> bool:
    full = parse_full(name)
    nonce = full[1].split("-")[1] if full else ""
    return any(part == "all" or (part and (part in title or part in name or part == nonce)) for part in parts)
