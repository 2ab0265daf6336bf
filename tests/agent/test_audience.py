"""While somebody looks, an agent tells what its GPUs do as it changes."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gpu_queue.agent.agenda import NEVER, Agenda, Duty
from gpu_queue.agent.audience import TOLD_EVERY_S, WATCHED_FOR_S, Audience
from gpu_queue.gpus.devices import Gpu
from gpu_queue.node.side import WatchedFile
from gpu_queue.spool.desk.watching import touch_watched
from gpu_queue.spool.pages import parse_page
from gpu_queue.spool.paths import SpoolPaths
from tests.agent.harness import Cluster, put, wait_until
from tests.fake_nvml import FakeGpu, Scenario, build, environment
from tests.gpus.gpu_builders import a_gpu

START = 1000.0


class Stage:
    """An audience, and when it wants the node file written."""

    def __init__(self) -> None:
        self.agenda = Agenda()
        self.audience = Audience(self.agenda)
        self.gpus: list[Gpu] = [a_gpu(0), a_gpu(1)]

    def see(self, mark: int | None, now: float, age_s: float | None = 5.0) -> None:
        self.audience.see(None if mark is None else WatchedFile((7, mark), age_s), now)

    def is_told(self, now: float) -> bool:
        self.audience.advance(now, lambda: self.gpus)
        is_told = self.agenda.take(Duty.TELL, now)
        if is_told:
            self.audience.tell(now, self.gpus)
        return is_told

    def work(self, percent: int) -> None:
        self.gpus[0] = replace(self.gpus[0], utilization_percent=percent)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_without_a_file_nobody_looks_and_nothing_is_due(stage: Stage) -> None:
    stage.see(None, START)
    stage.work(40)
    assert not stage.is_told(START + 5)
    assert stage.audience.due(START + 5) == NEVER


def test_what_changes_is_told_each_two_seconds_while_somebody_looks(stage: Stage) -> None:
    stage.see(None, START)
    stage.see(1, START)
    assert stage.is_told(START), "that it has seen it"
    stage.work(40)
    assert not stage.is_told(START + 1)
    assert stage.audience.due(START + 1) == START + TOLD_EVERY_S
    assert stage.is_told(START + 2)
    assert not stage.is_told(START + 4), "nothing has changed"
    stage.work(41)
    assert stage.is_told(START + 6)


def test_a_minute_after_the_last_touch_it_is_as_before(stage: Stage) -> None:
    stage.see(None, START)
    stage.see(1, START)
    stage.is_told(START)
    stage.see(2, START + 20)
    assert stage.audience.is_there(START + 79)
    stage.see(2, START + 79)
    assert stage.is_told(START + 20 + WATCHED_FOR_S), "that nobody looks any more"
    stage.work(40)
    assert not stage.is_told(START + 90)
    assert stage.audience.due(START + 90) == NEVER


@pytest.mark.parametrize(
    ("age_s", "is_there"), [(5.0, True), (59.0, True), (61.0, False), (3600.0, False), (-5.0, True), (-3600.0, False)]
)
def test_an_agent_that_has_just_begun_goes_by_the_files_age(stage: Stage, age_s: float, is_there: bool) -> None:
    stage.see(1, START, age_s)
    assert stage.audience.is_there(START) == is_there
    assert not stage.audience.is_there(START + 60)


def test_before_the_storages_clock_is_known_nothing_is_concluded_from_it(stage: Stage) -> None:
    stage.see(1, START, None)
    assert not stage.audience.is_there(START)
    stage.see(1, START + 5, 10.0)
    assert stage.audience.is_there(START + 5)


def test_a_file_that_is_touched_counts_whatever_its_times_say(stage: Stage) -> None:
    stage.see(1, START, 86400.0)
    stage.see(2, START + 5, 86400.0)
    assert stage.audience.is_there(START + 5)


# -- touching it


def test_a_client_makes_the_file_and_touches_it(cluster: Cluster) -> None:
    path = Path(cluster.paths.watched)
    assert touch_watched(cluster.paths) == ""
    os.utime(path, (0, 0))
    assert touch_watched(cluster.paths) == ""
    assert abs(path.stat().st_mtime - time.time()) < 60
    assert path.read_bytes() == b""


def test_where_no_queue_is_none_is_made(tmp_path: Path) -> None:
    paths = SpoolPaths(str(tmp_path / "exp"))
    assert "is no queue" in touch_watched(paths)
    assert not os.path.lexists(paths.root)


def test_a_link_in_its_place_is_not_followed(cluster: Cluster, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("as it was")
    os.utime(target, (1, 1))
    os.symlink(target, cluster.paths.watched)
    touch_watched(cluster.paths)
    assert (target.read_text(), target.stat().st_mtime) == ("as it was", 1)


# -- real agents


def tells(cluster: Cluster, percent: int) -> bool:
    return told(cluster) == [percent, 0]


def told(cluster: Cluster) -> list[int | None]:
    return [gpu["utilization_percent"] for node in cluster.nodes() for gpu in node["gpus"]]


def test_a_watched_agent_tells_what_its_gpus_do_and_one_that_is_not_does_not(cluster: Cluster) -> None:
    driven = cluster.base / "gpus.json"
    put(driven, json.dumps({"0": {"utilization": 11, "temperature_c": 40}}))
    cluster.start(env={"GPU_QUEUE_SIMULATE_FILE": str(driven)})
    assert told(cluster) == [11, 0]
    (node,) = cluster.nodes()
    assert node["watched"] is False
    seen_at = time.monotonic()
    put(driven, json.dumps({"0": {"utilization": 22, "temperature_c": 41}}))
    written = {Path(path).stat().st_mtime_ns for path in Path(cluster.paths.nodes).glob("*.json")}
    wait_until(lambda: time.monotonic() - seen_at > 3.0, "what would be told by now", dump=cluster.dump)
    assert told(cluster) == [11, 0], "nobody looks"
    assert {Path(path).stat().st_mtime_ns for path in Path(cluster.paths.nodes).glob("*.json")} == written

    assert touch_watched(cluster.paths) == ""
    wait_until(lambda: told(cluster) == [22, 0], "its readings", 5.0, cluster.dump)
    wait_until(lambda: cluster.nodes()[0]["watched"], "that it knows", 5.0, cluster.dump)
    assert cluster.nodes()[0]["gpus"][0]["temperature_c"] == 41
    for percent in (33, 44):
        put(driven, json.dumps({"0": {"utilization": percent}}))
        wait_until(partial(tells, cluster, percent), f"{percent} %", 5.0, cluster.dump)
    assert cluster.nodes()[0]["gpus"][0]["temperature_c"] is None


def test_a_real_card_tells_its_temperature_and_what_it_may_draw(cluster: Cluster, tmp_path: Path) -> None:
    cards = [FakeGpu("GPU-a", celsius=66, limit=700_000), FakeGpu("GPU-b", fails={"nvmlDeviceGetTemperature": 3})]
    scenario = Scenario(tmp_path / "scenario", gpus=cards)
    cluster.start(simulate=None, env=environment(build(tmp_path / "nvml"), scenario))
    (node,) = cluster.nodes()
    page = parse_page(node["node"], node)
    assert [(gpu.temperature_c, gpu.power_limit_w) for gpu in page.gpus] == [(66, 700.0), (None, 700.0)]
