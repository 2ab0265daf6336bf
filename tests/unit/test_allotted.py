"""What an agent makes of the allocation in which it runs."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.agent.allotted import (
    ALLOCATION,
    END,
    GRACE,
    Allocation,
    Span,
    allocation_of,
    host_in,
    span_of,
)

NOW_S = 1_764_000_000.0
DAY_S = 86400.0
RAY = "RAY_JOB_CONFIG_JSON_ENV_VAR"


def of(**environment: str) -> Allocation:
    return allocation_of(environment, NOW_S)


def test_outside_of_a_cluster_there_is_none() -> None:
    assert of(PATH="/bin") == Allocation()
    assert Allocation().name == ""


def test_what_a_way_says_counts_and_not_the_job_around_it() -> None:
    said = {
        ALLOCATION: "slurm:1234.1",
        END: "1764003600",
        GRACE: "60",
        "SLURM_JOB_ID": "7",
        "SLURM_RESTART_COUNT": "3",
    }
    allocation = of(**said)
    assert (allocation.name, allocation.end_s, allocation.grace_s) == ("slurm:1234.1", 1764003600.0, 60.0)
    assert not allocation.notes


def test_a_job_that_was_written_by_hand_is_known_by_what_slurm_sets() -> None:
    assert of(SLURM_JOB_ID="1234").name == "slurm:1234.0"
    again = of(SLURM_JOB_ID="1234", SLURM_RESTART_COUNT="2", SLURM_JOB_END_TIME="1764003600")
    assert (again.name, again.end_s, again.grace_s) == ("slurm:1234.2", 1764003600.0, 30.0)


def test_a_shell_of_salloc_knows_a_job_and_stands_outside_of_it() -> None:
    shell, job = of(SLURM_JOB_ID="1234"), of(SLURM_JOB_ID="1234", SLURMD_NODENAME="n7")
    assert (shell.name, shell.is_elsewhere) == ("slurm:1234.0", True)
    assert (job.name, job.is_elsewhere) == ("slurm:1234.0", False)
    assert not of(GPU_QUEUE_ALLOCATION="ray:1").is_elsewhere


def test_a_job_of_ray_is_known_by_its_configuration_and_has_three_seconds_unless_it_asks_for_more() -> None:
    config = json.dumps({"runtime_env": {}, "metadata": {"job_submission_id": "raysubmit_aB3"}})
    assert of(**{RAY: config}) == Allocation("ray", "raysubmit_aB3", None, 3.0)
    assert of(**{RAY: config, "RAY_JOB_STOP_WAIT_TIME_S": "60"}).grace_s == 60.0
    assert of(**{ALLOCATION: "ray:mine", "RAY_JOB_STOP_WAIT_TIME_S": "60"}).grace_s == 60.0


@pytest.mark.parametrize("config", ["", "{", "[" * 100_000, "[]", '{"metadata": 3}', '{"metadata": {}}'])
def test_a_configuration_of_ray_that_names_no_job_is_told_and_the_grace_is_rays_all_the_same(config: str) -> None:
    allocation = of(**{RAY: config or "x"})
    assert (allocation.name, allocation.grace_s) == ("", 3.0)
    assert len(allocation.notes) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            (ALLOCATION, text)
            for text in ("slurm", ":7", "slurm:", "slurm:-f", "a b:7", "slurm:\x1b[2J", "x:" + "7" * 999)
        ),
        *((END, text) for text in ("soon", "-1", "1e99", "nan", "9" * 40, "1764000000")),
        *((GRACE, text) for text in ("30s", "-1", "inf", "9" * 40)),
        ("SLURM_JOB_ID", "7; rm -rf /"),
        ("SLURM_JOB_ID", "٧"),
    ],
)
def test_what_is_garbled_is_told_by_its_name_and_counts_for_nothing(name: str, text: str) -> None:
    allocation = of(**{name: text})
    (note,) = allocation.notes
    assert note.startswith(f"{name}: ")
    assert note.isprintable()
    assert (allocation.name, allocation.end_s, allocation.grace_s) == ("", None, None)


@given(
    st.dictionaries(st.sampled_from([ALLOCATION, END, GRACE, "SLURM_JOB_ID", "SLURM_JOB_END_TIME", RAY]), st.text())
)
def test_nothing_that_stands_there_is_a_fault(environment: dict[str, str]) -> None:
    allocation = allocation_of(environment, NOW_S)
    span = span_of(allocation, DAY_S, "wait", NOW_S)
    assert 0 <= span.takes_s <= span.stops_s
    assert host_in("node7", allocation).startswith("node7")


# -- the node's name ------------------------------------------------------------------------------------------------


def test_two_allocations_on_one_host_are_two_nodes() -> None:
    assert host_in("node7", Allocation("slurm", "1234.0")) == "node7-1234"
    assert host_in("node7", Allocation()) == "node7"


def test_a_job_that_is_requeued_to_the_same_host_is_the_same_node() -> None:
    assert host_in("node7", Allocation("slurm", "1234.1")) == host_in("node7", Allocation("slurm", "1234.0"))


def test_names_are_told_apart_however_long_their_ids_and_hosts_are() -> None:
    long = [Allocation("sco", f"ydj-实验 {'x' * 90}/{nonce}") for nonce in ("0a0b0c", "0d0e0f")]
    names = {host_in("h" * 200, one) for one in long}
    assert len(names) == 2
    assert max(map(len, names)) <= 60  # what is longer a node's name cuts off


# -- the grace ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform_s", "wanted_s", "given_s"),
    [
        (30.0, 20.0, 20.0),
        (30.0, 60.0, 22.0),
        (60.0, 20.0, 20.0),
        (10.0, 20.0, 2.5),
        (3.0, 20.0, 0.75),
        (None, 60.0, 60.0),
    ],
)
def test_tasks_get_less_time_than_the_platform_gives_us(
    platform_s: float | None, wanted_s: float, given_s: float
) -> None:
    assert Allocation("x", "1", grace_s=platform_s).leave_grace_s(wanted_s) == given_s


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_grace_is_never_longer_than_was_wanted_nor_than_the_platforms(platform_s: float, wanted_s: float) -> None:
    given_s = Allocation("x", "1", grace_s=platform_s).leave_grace_s(wanted_s)
    assert 0 <= given_s <= min(platform_s, wanted_s)


# -- the end --------------------------------------------------------------------------------------------------------


def span(left_s: float, lifetime_s: float = DAY_S, at_end: str = "wait", grace_s: float | None = 30.0) -> Span:
    return span_of(Allocation("slurm", "1.0", NOW_S + left_s, grace_s), lifetime_s, at_end, NOW_S)


def test_without_an_end_of_the_allocation_the_lifetime_counts_and_who_waits_waits_for_ever() -> None:
    assert span_of(Allocation(), 60.0, "wait", NOW_S) == Span(60.0)
    assert span_of(Allocation(), 60.0, "stop", NOW_S) == Span(60.0, 60.0)
    assert span_of(Allocation(), math.inf, "stop", NOW_S) == Span()
    assert Span(60.0).ends_s == 60.0


def test_a_lifetime_that_is_longer_than_the_allocation_is_cut_five_minutes_before_its_end() -> None:
    assert span(DAY_S) == Span(DAY_S - 300, DAY_S - 40, is_cut=True)
    assert span(DAY_S, math.inf) == span(DAY_S)
    assert span(600) == Span(540, 560, is_cut=True)  # of a short one a tenth


def test_a_shorter_lifetime_stays_and_waiting_ends_before_the_allocation_does() -> None:
    one = span(DAY_S, 3600.0)
    assert one == Span(3600.0, DAY_S - 40)
    assert one.ends_s == DAY_S - 40
    assert span(DAY_S, 3600.0, "stop") == Span(3600.0, 3600.0)


@given(st.floats(0.1, 1e7), st.floats(0, 1e7), st.sampled_from(["wait", "stop"]), st.none() | st.floats(0, 1e5))
def test_running_tasks_go_back_before_the_end_and_a_short_allocation_is_no_shorter_than_half(
    left_s: float, lifetime_s: float, at_end: str, grace_s: float | None
) -> None:
    one = span(left_s, lifetime_s, at_end, grace_s)
    assert 0 <= one.takes_s <= one.stops_s < left_s
    assert one.takes_s >= min(lifetime_s, left_s / 2) * 0.999
