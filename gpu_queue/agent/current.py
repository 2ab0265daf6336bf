"""The settings of this moment: what the agent was started with, and what config.yaml has said since."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gpu_queue.config import TABLE, Config, Elsewhere, Settings, examine, live_changes
from gpu_queue.node.side import RootView


class Current:
    """Takes over the policy of a config.yaml that changes under a running agent."""

    def __init__(
        self,
        settings: Settings,
        config: Config,
        flags: Mapping[str, object],
        environment: Mapping[str, str],
        elsewhere: Elsewhere,
        root: str,
        say: Callable[[str], None],
    ) -> None:
        """Begin with what the agent was started with.

        Args:
            settings: these.
            config: what stood in config.yaml then.
            flags: of the command line.
            environment: of the agent.
            elsewhere: what else says something; it is not read again.
            root: of the spool; problems are told without it.
            say: tells people.
        """
        self.settings = settings
        self._flags = flags
        self._environment = environment
        self._elsewhere = elsewhere
        self._root = root
        self._say = say
        self._tried = config
        self._verdict = ""
        self.problem = ""
        """Why config.yaml is not obeyed, or not all of it."""

    def take(self, root: RootView) -> bool:
        """Obey what stands in config.yaml now, as far as that goes; whether ``problem`` has changed."""
        if root.config is None:
            problem = f"the last good settings stay: {root.config_problem}"
        else:
            if root.config != self._tried:
                self._tried = root.config
                self._verdict = self._resolve(root.config)
            problem = self._verdict
        if problem == self.problem:
            return False
        self.problem = problem
        self._say(problem or "config.yaml is in order again")
        return True

    def _resolve(self, config: Config) -> str:
        examined = examine(TABLE, self._flags, self._environment, config, self._elsewhere)
        if examined.problems:
            told = "; ".join(self._without_root(one) for one in examined.problems)
            return f"the last good settings stay: {told}"
        was = self.settings.mode
        self.settings, waiting = live_changes(self.settings, examined.settings)
        self._say("config.yaml was read again")
        if not waiting:
            return ""
        note = f"; {self._without_root(examined.note)}" if examined.note and examined.settings.mode is not was else ""
        return f"config.yaml: a new agent is needed to obey {', '.join(waiting)}{note}"

    def _without_root(self, text: str) -> str:
        return text.replace(f"{self._root}/", "")
