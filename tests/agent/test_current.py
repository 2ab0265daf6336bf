"""What a config.yaml that changes under a running agent does to its settings, and what is told of it."""

from __future__ import annotations

import pytest

from gpu_queue.agent.current import Current
from gpu_queue.config import Config, Elsewhere, Settings, parse_config
from gpu_queue.node.side import RootView


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def current(said: list[str]) -> Current:
    return Current(Settings(), Config(), {}, {}, Elsewhere(), "/spool", said.append)


def a_root(text: str = "", problem: str = "") -> RootView:
    config = None if problem else parse_config("/spool/config.yaml", text.encode())
    return RootView(None, None, None, config, problem)


def test_a_policy_that_changes_is_taken_over_and_said_once(current: Current, said: list[str]) -> None:
    assert not current.take(a_root("retries: 2\n"))
    assert current.settings.retries == 2
    assert not current.take(a_root("retries: 2\n"))
    assert said == ["config.yaml was read again"]


def test_what_cannot_be_obeyed_leaves_the_last_good_settings_and_is_told_until_it_is_mended(
    current: Current, said: list[str]
) -> None:
    current.take(a_root("retries: 2\n"))
    said.clear()
    assert current.take(a_root("retries: many\n"))
    assert current.settings.retries == 2
    assert current.problem.startswith("the last good settings stay: config.yaml:1: retries: ")
    assert not current.take(a_root("retries: many\n")), "it is no news"
    assert current.take(a_root("retries: 3\n"))
    assert (current.settings.retries, current.problem) == (3, "")
    assert said[-2:] == ["config.yaml was read again", "config.yaml is in order again"]


def test_a_file_that_cannot_be_read_changes_nothing_and_that_it_can_be_again_is_said(
    current: Current, said: list[str]
) -> None:
    current.take(a_root("retries: 2\n"))
    assert current.take(a_root(problem="it is a directory"))
    assert current.settings.retries == 2
    assert current.take(a_root("retries: 2\n"))
    assert said[-1] == "config.yaml is in order again"


def test_what_only_a_new_agent_can_obey_is_told(current: Current) -> None:
    assert current.take(a_root("poll: 9s\n"))
    assert current.settings.poll_s == Settings().poll_s
    assert current.problem == "config.yaml: a new agent is needed to obey poll"
