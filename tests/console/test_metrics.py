"""What monitoring is told: of a real agent, of nobody, of pages that somebody made up; and by a real request."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gpu_queue import Script, Spool
from gpu_queue.console.metrics import HELP, STALE_S, Sight, families_of, render
from gpu_queue.console.world.looking import Seen
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.reader import SnapshotReader
from tests.agent.harness import ROOT, a_cluster, wait_until
from tests.console.conftest import MakeClient

Told = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Told:
    """Samples by name and labels; fails on one that is told twice."""
    found: Told = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            key = one.name, frozenset(one.labels.items())
            assert key not in found, key
            found[key] = one.value
    return found


def of(told: Told, metric: str, /, **labels: str) -> list[float]:
    return [value for (one, has), value in told.items() if one == metric and labels.items() <= dict(has).items()]


def seen_now(paths: SpoolPaths) -> Seen:
    now = time.monotonic()
    return Seen(SnapshotReader(paths).refresh(now), time.time(), now, 0.01)


def text_of(*sights: Sight, with_tasks: bool = False) -> str:
    return render(families_of(sights, {("cancel", "done"): 3}, with_tasks=with_tasks), "")[0].decode()


def test_a_real_agent_its_gpus_and_what_it_runs_are_told(tmp_path: Path, make_client: MakeClient) -> None:
    with a_cluster(tmp_path) as cluster:
        cluster.start(simulate="2")
        spool = Spool(cluster.job_id, cluster.queue_root)
        spool.submit(Script("long.sh", "sleep 100\n"), gpus=1)
        spool.submit(Script("big.sh", "echo\n"), gpus=2)
        client = make_client(queue_root=str(cluster.queue_root), metrics_tasks=True)

        def asked() -> Told | None:
            told = parsed(client.get("/metrics").text)
            return told if of(told, "gpuq_gpu_task_info") and of(told, "gpuq_waiting_reason") else None

        told = wait_until(asked, "a task that runs and one that waits", dump=cluster.dump)
        assert of(told, "gpuq_tasks", state="waiting") == [1]
        assert of(told, "gpuq_tasks", state="running") == [1]
        assert of(told, "gpuq_gpus", state="task") == [1]
        assert sum(of(told, "gpuq_gpus")) == 2
        assert of(told, "gpuq_node_up", state="serving") == [1]
        assert of(told, "gpuq_waiting_reason") == [1]
        assert 0 <= of(told, "gpuq_waiting_oldest_seconds")[0] < 100
        assert of(told, "gpuq_gpu_task_info", name="long.sh") == [1]
        assert all(0 <= one <= 1 for one in of(told, "gpuq_gpu_utilization_ratio"))
        assert of(told, "gpuq_gpu_memory_total_bytes")
        assert of(told, "gpuq_console_listings_total", directory="pending")[0] >= 1
        assert of(told, "process_resident_memory_bytes")[0] > 1e6
        # Nobody looks on: agents are not to write their pages each two seconds for monitoring.
        assert not os.path.lexists(f"{cluster.paths.root}/watched")


def test_what_nobody_reads_is_absent_and_a_queue_without_agents_is_told(tmp_path: Path) -> None:
    Spool("exp", tmp_path).submit(Script("a.sh", "echo\n"))
    paths = SpoolPaths(str(tmp_path / "exp"))
    told = parsed(text_of(Sight("exp", seen_now(paths), time.monotonic()), Sight("never", None, time.monotonic())))
    assert of(told, "gpuq_tasks", spool="exp", state="waiting") == [1]
    assert not of(told, "gpuq_node_up")
    assert not of(told, "gpuq_gpus")
    assert not of(told, "gpuq_gpu_power_watts")
    assert not of(told, "gpuq_tasks", spool="never")
    assert not of(told, "gpuq_console_stale_seconds", spool="never")
    assert of(told, "gpuq_console_actions_total", action="cancel", outcome="done") == [3]


def test_what_was_seen_too_long_ago_is_no_longer_told_but_for_how_long_that_is(tmp_path: Path) -> None:
    Spool("exp", tmp_path).submit(Script("a.sh", "echo\n"))
    seen = seen_now(SpoolPaths(str(tmp_path / "exp")))
    told = parsed(text_of(Sight("exp", seen, seen.at_s + STALE_S + 1)))
    assert not of(told, "gpuq_tasks")
    assert of(told, "gpuq_console_stale_seconds") == pytest.approx([STALE_S + 1])


def test_pages_that_somebody_made_up_do_not_break_what_is_told(tmp_path: Path) -> None:
    Spool("exp", tmp_path).submit(Script("a.sh", "echo\n"))
    paths = SpoolPaths(str(tmp_path / "exp"))
    gpu = {"uuid": 'GPU-"\\\ud800\n\u202e', "index": 0, "name": "x", "state": "idle", "power_w": 1e400}
    page = {"node": "n", "state": "serving", "gpus": [gpu, gpu, {**gpu, "utilization_percent": -5}], "done": 10**30}
    for name in (b"a", b"caf\xe9", b'q"uote\\'):
        with open(os.path.join(os.fsencode(paths.nodes), name + b".json"), "wb") as file:
            file.write(json.dumps(page).encode())
    text = text_of(Sight("e\u202ex", seen_now(paths), time.monotonic()))
    told = parsed(text)
    assert {dict(has)["node"] for one, has in told if one == "gpuq_node_up"} == {
        "a",
        "~" + b"caf\xe9".hex(),
        'q"uote\\',
    }
    assert not of(told, "gpuq_gpu_power_watts")


def test_whoever_asks_for_openmetrics_gets_it(tmp_path: Path) -> None:
    content, media_type = render(families_of([], {}), "application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    assert content.endswith(b"# EOF\n")


def test_the_dashboard_asks_for_what_is_told() -> None:
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text())
    asked = set(re.findall(r"\bgpuq_\w+", json.dumps([one.get("targets") for one in dashboard["panels"]])))
    assert asked <= HELP.keys()
    assert len(asked) > 15
    ids = [one["id"] for one in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_what_this_console_may_and_what_looking_costs(make_client: MakeClient) -> None:
    client = make_client()
    info = client.get("/api/v1/console").json()
    assert (info["has_access"], info["needs_token"], info["is_read_only"], info["cost"]) == (True, False, False, None)
    client.get("/api/v1/spools/exp/snapshot")
    cost = client.get("/api/v1/console", params={"job": "exp"}).json()["cost"]
    assert cost["listings_per_s"] > 0
    assert cost["streams"] == 0
    assert cost["resident_bytes"] > 1e6
    assert 0 <= cost["snapshot_age_s"] < 30
    assert client.get("/api/v1/console", params={"job": "other"}).json()["cost"] is None
