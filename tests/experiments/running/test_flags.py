"""What ``gpu-queue run`` is told becomes what its agent is told."""

from __future__ import annotations

import argparse
import math
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.conf import Conf, Said
from gpu_queue.config import TABLE, Settings, examine, parse_config
from gpu_queue.config.pages import parser as agent_parser
from gpu_queue.config.resolving import Elsewhere
from gpu_queue.errors import SpoolError
from gpu_queue.experiments.running.flags import (
    Flags,
    add_arguments,
    agent_arguments,
    agent_environment,
    flags_of,
    said_of,
)
from gpu_queue.experiments.running.place import make_place, own_spool
from gpu_queue.sharing import Mode, Select
from gpu_queue.spool.paths import SpoolPaths

PATHS = SpoolPaths("/home/a/我的 实验/.gpu-queue/jobs")


def parsed(*words: str) -> Flags:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return flags_of(parser.parse_args(words))


def test_the_command_to_go_on_means_the_same_queue_and_gpus() -> None:
    given = parsed("我的 a.yaml", "--job-id", "a b", "--simulate", "2", "--max-util", "20", "--again", "--yes")
    program, run, *words = shlex.split(given.command)
    assert (program, run) == ("gpu-queue", "run")
    assert parsed(*words) == replace(given, again=False, yes=False)
    assert parsed("a.yaml").command == "gpu-queue run a.yaml"


def told(*words: str, env: dict[str, str] | None = None, config: bytes = b"", conf: Conf = Conf()) -> Settings:  # noqa: B008
    """The settings of the agent that is started, where somebody types these words."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    flags = flags_of(parser.parse_args(["jobs.yaml", *words]))
    assert not flags.problems()
    env = {"HOME": "/home/a", **(env or {})}
    found = parse_config("config.yaml", config)
    arguments = agent_arguments(flags, said_of(env, conf, found), PATHS)
    given = vars(agent_parser().parse_args(arguments))
    examined = examine(TABLE, given, agent_environment(env), found, Elsewhere(conf))
    assert examined.problems == ()
    return examined.settings


def test_without_a_word_the_agent_is_polite_as_document_003_has_it() -> None:
    settings = told()
    sharing = settings.sharing
    assert settings.mode is Mode.SHARED
    assert (settings.keepalive.enabled, settings.until_empty, settings.sweep) == (False, True, "off")
    assert (sharing.min_memory_bytes, sharing.max_util_percent, sharing.max_concurrent) == (8000 << 20, 30, 4)
    assert (sharing.select, sharing.check_time_s, sharing.max_wait_time_s) == (Select.MOST_FREE, 60.0, 3600.0)
    assert sharing.retry_config.max_retries is None
    assert settings.lifetime_s == math.inf
    assert (settings.queue_root, settings.job_id) == ("/home/a/我的 实验/.gpu-queue", "jobs")


def test_a_flag_beats_a_variable_and_files_and_these_beat_the_defaults() -> None:
    env = {"GPU_QUEUE_MAX_UTIL": "20", "GPU_QUEUE_MODE": "dedicated", "GPU_QUEUE_SWEEP": "gpus"}
    config = b"max_concurrent: 2\nmin_memory: 12000\nlifetime: 2h\nretry_config: {max_retries: 1}\n"
    conf = Conf({"GPU_QUEUE_SELECT": Said("least_util", "gpu-queue.conf:1")})
    settings = told("--min-memory", "4G", "--max-wait-time", "90", env=env, config=config, conf=conf)
    sharing = settings.sharing
    assert (sharing.max_util_percent, sharing.max_concurrent, sharing.select) == (20, 2, Select.LEAST_UTIL)
    assert (sharing.min_memory_bytes, sharing.max_wait_time_s, settings.lifetime_s) == (4 << 30, 90.0, 7200.0)
    assert (settings.mode, settings.sweep) == (Mode.SHARED, "off")
    assert sharing.retry_config.max_retries is None, "each run says itself how often"


def test_what_no_agent_could_obey_is_told_before_anything_is_done() -> None:
    agent = (("sharing.max_util_percent", "300"), ("sharing.select", "random"))
    problems = Flags("jobs.yaml", agent=agent).problems()
    assert [problem.partition(":")[0] for problem in problems] == ["--max-util", "--select"]


@pytest.mark.parametrize(
    ("file", "root"),
    [
        ("/a b/jobs.yaml", "/a b/.gpu-queue/jobs"),
        ("/实验/多种子.yml", "/实验/.gpu-queue/多种子"),
        ("/a/-x.yaml", "/a/.gpu-queue/_x"),
        ("/a/x\n\x1b[m.yaml", "/a/.gpu-queue/x__[m"),
        (f"/a/{'x' * 240}.yaml", f"/a/.gpu-queue/{'x' * 150}"),
        ("/jobs", "/.gpu-queue/jobs"),
    ],
)
def test_the_queue_of_a_file_lies_beside_it(file: str, root: str) -> None:
    assert own_spool(file).root == root


def test_git_does_not_see_it_and_what_is_in_the_way_is_told(tmp_path: Path) -> None:
    paths = own_spool(str(tmp_path / "jobs.yaml"))
    for _ in range(2):
        make_place(paths)
    assert (tmp_path / ".gpu-queue").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / ".gpu-queue" / ".gitignore").read_text() == "*\n"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".gpu-queue").touch()
    with pytest.raises(SpoolError, match="expected a directory; move it away, or give --job-id"):
        make_place(own_spool(str(tmp_path / "b" / "jobs.yaml")))
