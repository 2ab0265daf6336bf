"""What the clusters' schedulers say of the batch jobs of silent nodes (decision 0024).

Each way is asked by a question of its own, at most once a minute, about all jobs at once; one that hangs, refuses or
says nonsense has said nothing, hinders no other, and the full watch decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gpu_queue.allocations import parse_allocation
from gpu_queue.execution.ways import TIMEOUT_S, JobState, Question, environment_of_ways
from gpu_queue.texts import printable

ASK_EVERY_S = 60.0
JOBS_MAX = 100
"""So many are asked about at once."""
ENDED = "ended"


class Word:
    """What one agent was told."""

    def __init__(
        self,
        environment: Mapping[str, str],
        settings: Mapping[str, str],
        say: Callable[[str], None],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Ask nothing yet.

        Args:
            environment: the agent's.
            settings: what gpu-queue.conf says.
            say: tells people.
            timeout_s: a way that has not answered by then has said nothing.
        """
        self._environment = environment_of_ways(environment, settings)
        self._say = say
        self._timeout_s = timeout_s
        self._questions: dict[str, tuple[float, Question]] = {}
        """By way, and when it was asked."""
        self._asked_at: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._told: dict[str, JobState] = {}
        self.ended: dict[str, float] = {}
        """The batch jobs that have ended, and when it was asked."""

    def ask(self, allocations: Iterable[str], now: float) -> None:
        """Ask about these batch jobs, where it is time to."""
        by_way: dict[str, list[str]] = {}
        for one in allocations:
            parsed = parse_allocation(one)
            if parsed is not None:
                by_way.setdefault(parsed[0], []).append(parsed[1])
        for way, ids in by_way.items():
            if way in self._questions or now - self._asked_at.get(way, float("-inf")) < ASK_EVERY_S:
                continue
            self._asked_at[way] = now
            self._questions[way] = now, Question(way, ids[:JOBS_MAX], self._environment, self._timeout_s)

    def advance(self) -> None:
        """Take the answers that have come."""
        for way, (asked_at, question) in list(self._questions.items()):
            if question.is_over():
                del self._questions[way]
                self._tell_problem(way, question.problem)
                for job, state in question.states.items():
                    self._hear(f"{way}:{job}", state, asked_at)

    def _hear(self, allocation: str, state: JobState, asked_at: float) -> None:
        if state.word == ENDED:
            self.ended[allocation] = asked_at
        else:
            self.ended.pop(allocation, None)
        if self._told.get(allocation) != state:
            self._told[allocation] = state
            raw = f" ({printable(state.raw)})" if state.raw and state.raw.lower() != state.word else ""
            self._say(f"the scheduler says of the batch job {allocation}: {state.word}{raw}")

    def _tell_problem(self, way: str, problem: str) -> None:
        if problem and problem != self._problems.get(way):
            self._say(f"{way} does not tell what has become of the batch jobs of silent nodes: {printable(problem)}")
        self._problems[way] = problem

    def forget_others(self, allocations: Iterable[str]) -> None:
        """Nobody asks about others any more."""
        kept = set(allocations)
        for known in (self.ended, self._told):
            for one in known.keys() - kept:
                del known[one]

    def close(self) -> None:
        """Ask no longer."""
        for _, question in self._questions.values():
            question.close()
