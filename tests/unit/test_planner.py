"""The planner: who starts on what, who waits and why; and what must hold whatever the facts are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.agent.telling import wait_pages
from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.scheduling.facts import Facts, Limits, Phase
from gpu_queue.scheduling.plan import Refuse, Start, explain, plan, positions_without_gpu
from gpu_queue.signals import Signal
from gpu_queue.spool.pages import PAGE_MAX_BYTES, NodePage, WaitPage, encode_json, encode_lines
from gpu_queue.spool.paths import make_id
from gpu_queue.spool.records import told_title
from gpu_queue.states import GpuState
from gpu_queue.task import Needs, State, Waiting
from gpu_queue.words import in_words
from tests.builders import a_card, a_node, a_task, gpus

GIB = 1 << 30


def started(facts: Facts) -> dict[str, tuple[str, ...]]:
    return {one.task.name: one.gpus for one in plan(facts).actions if isinstance(one, Start)}


def waits_for(facts: Facts, name: str) -> str:
    return in_words(dict(explain(facts, 1000))[name])


def test_tasks_start_in_name_order_on_the_lowest_idle_gpus() -> None:
    facts = a_node(gpus(2), a_task("b", priority=500), a_task("a", priority=100), a_task("c", priority=500))
    assert started(facts) == {"a": ("GPU-0",), "b": ("GPU-1",)}
    assert "waits for 1 GPU: 0 idle" in waits_for(facts, "c")


def test_several_tasks_share_a_node_on_different_gpus() -> None:
    facts = a_node(gpus(4), a_task("a", least=2), a_task("b"), a_task("c"))
    assert started(facts) == {"a": ("GPU-0", "GPU-1"), "b": ("GPU-2",), "c": ("GPU-3",)}


def test_a_range_takes_what_is_idle_up_to_its_upper_end() -> None:
    assert started(a_node(gpus(3), a_task("t", least=2, most=8))) == {"t": ("GPU-0", "GPU-1", "GPU-2")}


def test_gpus_that_are_busy_foreign_lost_or_unknown_are_never_given() -> None:
    states = [GpuState.BUSY, GpuState.FOREIGN, GpuState.LOST, GpuState.UNKNOWN]
    facts = a_node([a_card(index, state) for index, state in enumerate(states)], a_task("t"))
    assert started(facts) == {}
    assert waits_for(facts, "t") == "waits for 1 GPU: 0 idle (1 busy, 1 foreign, 1 lost, 1 unknown)"


def test_a_large_task_at_the_head_keeps_the_idle_gpus_from_smaller_ones_behind_it() -> None:
    cards = [a_card(0, GpuState.BUSY), *gpus(4)[1:]]
    facts = a_node(cards, a_task("large", least=4), a_task("small"))
    assert started(facts) == {}
    assert "comes after large" in waits_for(facts, "small")


def test_a_task_that_never_fits_this_node_holds_nothing() -> None:
    facts = a_node(gpus(2), a_task("huge", least=8), a_task("small"))
    assert started(facts) == {"small": ("GPU-0",)}
    assert waits_for(facts, "huge") == "needs 8 GPUs; this node serves 2"


def test_a_task_that_never_fits_fails_where_that_is_configured() -> None:
    facts = replace(a_node(gpus(2), a_task("huge", least=8)), limits=Limits(infeasible="fail"))
    (refused,) = plan(facts).actions
    assert isinstance(refused, Refuse)
    assert "needs 8 GPUs" in in_words(refused.reason)


def test_a_script_that_names_its_gpus_gets_those_and_waits_for_those() -> None:
    named = a_task("named", needs=Needs(2, 2, devices=(1, 3)))
    assert started(a_node(gpus(4), named)) == {"named": ("GPU-1", "GPU-3")}
    cards = gpus(4)
    cards[3] = a_card(3, GpuState.BUSY)
    facts = a_node(cards, named, a_task("next", least=1, most=2), a_task("pinned", needs=Needs(devices=(1,))))
    assert started(facts) == {"next": ("GPU-0", "GPU-2")}, "GPU 1 is kept, GPU 0 and 2 are not"
    assert "comes after named" in waits_for(facts, "pinned")
    assert waits_for(facts, "named") == "waits for GPU 1, 3: 1 idle (1 busy)"


def test_a_script_that_names_a_gpu_which_is_not_served_is_told_so() -> None:
    facts = a_node(gpus(2), a_task("t", needs=Needs(1, 1, devices=(7,))))
    assert waits_for(facts, "t") == "its script sets CUDA_VISIBLE_DEVICES to GPU 7; this node serves 0, 1"


def test_memory_is_asked_of_each_gpu() -> None:
    cards = [replace(gpu, memory_total_bytes=(24 + 56 * (gpu.index == 2)) * GIB) for gpu in gpus(3)]
    large = a_task("large", needs=Needs(memory_bytes=40 * GIB))
    assert started(a_node(cards, large)) == {"large": ("GPU-2",)}
    two = a_node(cards, a_task("two", needs=Needs(2, 2, memory_bytes=40 * GIB)))
    assert waits_for(two, "two") == "needs 2 GPUs of 40G; this node has 1"


def test_a_task_without_gpus_takes_a_slot_and_no_gpu() -> None:
    busy = [a_card(0, GpuState.BUSY)]
    facts = replace(a_node(busy, a_task("gpu"), a_task("cpu", least=0)), limits=Limits(cpu_slots=1))
    assert started(facts) == {"cpu": ()}
    full = replace(facts, cpu_tasks=1)
    assert waits_for(full, "cpu") == "all 1 slots for tasks without GPU are taken"


def test_a_node_without_slots_runs_no_task_without_gpus_and_holds_nothing_for_it() -> None:
    facts = a_node(gpus(1), a_task("cpu", least=0), a_task("gpu"))
    facts = replace(facts, limits=Limits(cpu_slots=0))
    assert started(facts) == {"gpu": ("GPU-0",)}
    assert waits_for(facts, "cpu") == "this node runs no tasks without GPU (cpu_slots: 0)"
    still_running = replace(facts, cpu_tasks=3)  # they began when there were slots
    assert waits_for(still_running, "cpu") == "this node runs no tasks without GPU (cpu_slots: 0)"
    (refused, start) = plan(replace(facts, limits=Limits(cpu_slots=0, infeasible="fail"))).actions
    assert isinstance(refused, Refuse)
    assert isinstance(start, Start)


def test_a_task_longer_than_what_remains_of_the_lifetime_is_held() -> None:
    long = a_task("long", needs=Needs(time_s=7200.0))
    assert started(replace(a_node(gpus(1), long), lifetime_left_s=7201.0))
    held = replace(a_node(gpus(1), long, a_task("short")), lifetime_left_s=3600.0)
    assert started(held) == {"short": ("GPU-0",)}
    assert "longer than what remains" in waits_for(held, "long")


def test_a_task_that_wants_to_be_warned_goes_on_elsewhere_and_does_not_begin_right_before_the_end() -> None:
    saves = a_task("saves", needs=Needs(time_s=7200.0, signal=Signal("USR1", 120)))
    assert started(replace(a_node(gpus(1), saves), lifetime_left_s=240.0))
    held = replace(a_node(gpus(1), saves), lifetime_left_s=239.0)
    assert not started(held)
    assert "warned 2m before its end, which is near on this node" in waits_for(held, "saves")


def test_another_schedulers_limit_holds_no_task_where_the_agent_waits_for_it_at_its_end() -> None:
    limited = a_task("limited", needs=Needs(time_s=7200.0, time_is_limit=True))
    facts = replace(a_node(gpus(1), limited), lifetime_left_s=60.0)
    assert started(facts) == {"limited": ("GPU-0",)}
    stopping = replace(facts, waits_at_end=False)
    assert not started(stopping)
    assert "longer than what remains" in waits_for(stopping, "limited")


@pytest.mark.parametrize("phase", [Phase.PAUSED, Phase.DRAINING, Phase.LEAVING])
def test_nothing_starts_unless_the_agent_serves(phase: Phase) -> None:
    facts = replace(a_node(gpus(1), a_task("t")), phase=phase, phase_reason=reason(Code.OTHER, text="because"))
    assert plan(facts).actions == ()
    assert waits_for(facts, "t") == "because"


def test_a_failed_task_waits_for_its_backoff_by_the_servers_clock() -> None:
    failed = replace(a_task("t"), failures=2, entered_at=1000.0)
    facts = replace(a_node(gpus(1), failed), server_now=1059.0)
    assert "failed 2 times; tried again in 1.0s" in waits_for(facts, "t")
    assert started(replace(facts, server_now=1060.0))


def test_a_task_never_waits_longer_for_its_next_try_than_the_longest_delay() -> None:
    limits = Limits(retry_delay_s=30.0, retry_delay_max_s=100.0)
    facts = replace(a_node(gpus(1), replace(a_task("t"), failures=12, entered_at=1000.0)), limits=limits)
    assert started(replace(facts, server_now=1099.0)) == {}
    assert started(replace(facts, server_now=1100.0)) == {"t": ("GPU-0",)}


def test_a_task_that_this_node_could_not_start_rests_here_and_holds_nobody_up() -> None:
    facts = replace(a_node(gpus(1), a_task("a"), a_task("b")), now=100.0, resting={"a": 160.0})
    assert started(facts) == {"b": ("GPU-0",)}
    assert "could not be started" in waits_for(facts, "a")
    assert started(replace(facts, now=160.0)) == {"a": ("GPU-0",)}


def test_a_task_waits_for_the_tasks_that_it_names_and_fails_with_them() -> None:
    upstream = "20260101T000000000-abcdef-first"
    task = a_task("t", needs=Needs(after=(upstream,)))
    assert "waits for" in waits_for(a_node(gpus(1), replace(task, upstream=((upstream, None),))), "t")
    assert "waits for" in waits_for(a_node(gpus(1), replace(task, upstream=((upstream, State.RUNNING),))), "t")
    assert started(a_node(gpus(1), replace(task, upstream=((upstream, State.DONE),))))
    (refused,) = plan(a_node(gpus(1), replace(task, upstream=((upstream, State.FAILED),)))).actions
    assert isinstance(refused, Refuse)


def test_of_many_tasks_that_one_waits_for_ten_are_told_and_a_hundred_such_reasons_fit_on_a_page() -> None:
    after = tuple(f"20260101T{number:09d}-abcdef-{'x' * 80}" for number in range(600))
    task = a_task("t", needs=Needs(after=after))
    why = dict(explain(a_node(gpus(1), replace(task, upstream=tuple((one, None) for one in after))), 1000))["t"]
    assert why == reason(Code.AFTER, tasks=after[:10], more=590)
    page = NodePage("n", waiting=tuple(WaitPage("x" * 255, why) for _ in range(100)))
    assert max(len(encode_json(page)), len(encode_lines(page))) < PAGE_MAX_BYTES / 2


def test_a_page_tells_of_tasks_behind_many_that_are_just_being_claimed() -> None:
    waiting = [a_task(f"t{number:03d}") for number in range(300)]
    facts = replace(a_node(gpus(0), *waiting), claiming=frozenset(one.name for one in waiting[:150]))
    reasons = explain(facts, 100)
    assert len(reasons) == 100
    assert [one.name for one in wait_pages(reasons, facts.waiting)] == [name for name, _ in reasons]


def test_behind_a_task_that_was_not_won_yet_nobody_of_its_queue_starts() -> None:
    facts = a_node(gpus(2), in_queue("a"), in_queue("b"), a_task("c"))
    taken = replace(facts, claiming=frozenset("a"))
    assert [one.task.name for one in plan(taken).actions] == ["b", "c"], "what is won is in busy_queues, or has ended"
    lost = replace(taken, in_doubt=frozenset("a"))
    assert [one.task.name for one in plan(lost).actions] == ["c"]
    assert [one.task.name for one in plan(lost, look_ahead=0).actions] == ["c"]


def test_what_others_wait_for_is_named_as_its_submitter_called_it_where_no_id_can_carry_that() -> None:
    busy = [a_card(0, GpuState.BUSY)]
    holder, other = "20260101T000000000-7d8b24-_.sh", "20260101T000000000-7d8b25-a.sh"
    first = replace(a_task("500-20260101T000000000-ffb8c8-_.sh"), title="训练.sh")
    held = replace(a_node(busy, in_queue("t")), busy_queues={"car": holder}, titles={holder: "评估.sh"})
    assert waits_for(a_node(busy, first, a_task("500-b")), "500-b") == (
        "comes after 训练.sh (ffb8c8), which waits for GPUs"
    )
    assert waits_for(held, "t") == "queue car is busy with 评估.sh (7d8b24)"
    head = replace(first, needs=Needs(queue="car"))
    assert waits_for(a_node(gpus(2), head, in_queue("t")), "t") == "queue car: 训练.sh (ffb8c8) comes first"
    waits = replace(
        a_task("t", needs=Needs(after=(other, holder))), upstream=((other, None), (holder, State.RUNNING))
    )
    facts = replace(a_node(gpus(1), waits), titles={holder: "评估.sh"})
    assert waits_for(facts, "t") == "waits for a.sh (7d8b25), 评估.sh (7d8b24)"
    (refused,) = plan(
        replace(facts, waiting=[replace(waits, upstream=((other, None), (holder, State.FAILED)))])
    ).actions
    assert isinstance(refused, Refuse)
    assert in_words(refused.reason) == "dependency 评估.sh (7d8b24) failed or was cancelled"


def test_a_hundred_reasons_with_ten_titles_of_the_greatest_length_fit_on_a_page() -> None:
    after = tuple(make_id(float(number), "abcdef", "训".encode() * 85) for number in range(10))
    titles = {one: told_title(one, "训" * 85) for one in after}
    task = replace(a_task("t", needs=Needs(after=after)), upstream=tuple((one, None) for one in after))
    why = dict(explain(replace(a_node(gpus(1), task), titles=titles), 1))["t"]
    assert why.items("titles")[9].startswith("训训训")
    page = NodePage("n", waiting=tuple(WaitPage("x" * 255, why) for _ in range(100)))
    assert max(len(encode_json(page)), len(encode_lines(page))) < PAGE_MAX_BYTES


def test_a_plan_ends_at_a_task_that_was_not_read_yet() -> None:
    decided = plan(a_node(gpus(2), a_task("a"), replace(a_task("b"), is_read=False), a_task("c")))
    assert [one.task.name for one in decided.actions] == ["a"]
    assert decided.needs_reading


def test_a_file_that_still_settles_holds_nobody_up() -> None:
    settling = replace(a_task("a"), is_read=False, unready=Reason(Code.SETTLING))
    assert started(a_node(gpus(1), settling, a_task("b"))) == {"b": ("GPU-0",)}


def test_a_task_that_can_never_run_is_refused_with_its_reason() -> None:
    (refused,) = plan(a_node(gpus(1), replace(a_task("a"), refusal="the file is empty"))).actions
    assert isinstance(refused, Refuse)
    assert in_words(refused.reason) == "the file is empty"


TASKS = st.builds(
    lambda position, priority, least, extra, read, failures: replace(
        a_task(f"t{position}", priority=priority, least=least, most=least + extra * (least > 0)),
        is_read=read,
        failures=failures,
    ),
    st.integers(0, 10_000),
    st.integers(0, 999),
    st.integers(0, 9),
    st.integers(0, 3),
    st.integers(0, 9).map(lambda number: number > 0),
    st.sampled_from([0, 0, 0, 1]),
)
CARDS = st.lists(st.sampled_from(list(GpuState)), min_size=0, max_size=8)


def facts_from(states: list[GpuState], tasks: list[Waiting], slots: int) -> Facts:
    cards = [a_card(index, state) for index, state in enumerate(states)]
    unique = {task.name: task for task in tasks}
    return replace(a_node(cards, *unique.values()), limits=Limits(cpu_slots=slots))


@given(CARDS, st.lists(TASKS, max_size=12), st.integers(0, 3))
def test_no_gpu_is_given_twice_and_none_that_is_not_idle(
    states: list[GpuState], tasks: list[Waiting], slots: int
) -> None:
    facts = facts_from(states, tasks, slots)
    starts = [one for one in plan(facts).actions if isinstance(one, Start)]
    given_gpus = [uuid for one in starts for uuid in one.gpus]
    assert len(given_gpus) == len(set(given_gpus))
    idle = {uuid for uuid, state in facts.states().items() if state is GpuState.IDLE}
    assert set(given_gpus) <= idle
    for one in starts:
        assert one.task.needs.gpus_min <= len(one.gpus) <= one.task.needs.gpus_max
    assert sum(not one.gpus for one in starts) <= slots


@given(CARDS, st.lists(TASKS, max_size=12), st.integers(0, 3))
def test_a_plan_that_looks_no_further_than_it_must_starts_the_same_tasks(
    states: list[GpuState], tasks: list[Waiting], slots: int
) -> None:
    facts = facts_from(states, tasks, slots)
    whole = plan(facts).actions
    for known in (facts, replace(facts, without_gpu=positions_without_gpu(facts.waiting))):
        short = plan(known, look_ahead=0).actions
        assert [one for one in short if isinstance(one, Start)] == [one for one in whole if isinstance(one, Start)]
        assert set(short) <= set(whole)


@given(CARDS, st.lists(TASKS, max_size=12), st.integers(0, 3))
def test_a_task_starts_or_is_refused_or_has_a_reason_and_never_two_of_them(
    states: list[GpuState], tasks: list[Waiting], slots: int
) -> None:
    facts = facts_from(states, tasks, slots)
    decided = plan(facts)
    acted = [one.task.name for one in decided.actions]
    assert len(acted) == len(set(acted))
    reasons = dict(explain(facts, 1000))
    assert set(reasons) == {task.name for task in facts.waiting}
    assert all(reasons.values())


@given(CARDS, st.lists(TASKS, max_size=12))
def test_no_task_starts_while_an_earlier_one_could_use_its_gpus(states: list[GpuState], tasks: list[Waiting]) -> None:
    facts = facts_from(states, [replace(task, failures=0) for task in tasks], 0)
    starts = {one.task.name: one.gpus for one in plan(facts).actions if isinstance(one, Start)}
    for position, earlier in enumerate(facts.waiting):
        if earlier.name in starts or earlier.needs.gpus_min > len(facts.gpus) or earlier.needs.gpus_max == 0:
            continue
        later = [uuid for task in facts.waiting[position + 1 :] for uuid in starts.get(task.name, ())]
        assert later == [], f"{earlier.name} waits, and later tasks got {later}"


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5)), min_size=1, max_size=8), st.randoms())
def test_nothing_starves_while_smaller_tasks_keep_coming(sizes: list[tuple[int, int]], chance: object) -> None:
    """A simulation: four GPUs, tasks that end after some rounds, and a new one-GPU task every round behind them."""
    running: dict[str, tuple[set[str], int]] = {}
    queue = [
        (a_task(f"big{number}", priority=500, least=size), rounds) for number, (size, rounds) in enumerate(sizes)
    ]
    bigs = {task.name for task, _ in queue}
    for number in range(200):
        queue.append((a_task(f"small{number}", priority=600), 3))
        running = {name: (held, left - 1) for name, (held, left) in running.items() if left > 1}
        taken = {uuid for held, _ in running.values() for uuid in held}
        cards = [a_card(index, GpuState.BUSY if f"GPU-{index}" in taken else GpuState.IDLE) for index in range(4)]
        rounds_of = {task.name: rounds for task, rounds in queue}
        for name, granted in started(a_node(cards, *(task for task, _ in queue))).items():
            running[name] = (set(granted), rounds_of[name])
            bigs.discard(name)
        queue = [(task, rounds) for task, rounds in queue if task.name not in running]
        if not bigs:
            return
    raise AssertionError(f"still waiting: {bigs}")


def in_queue(name: str, queue: str = "car", **more: int) -> Waiting:
    return a_task(name, needs=Needs(queue=queue), **more)


def test_inside_a_queue_one_task_at_a_time_and_across_queues_in_parallel() -> None:
    facts = a_node(gpus(4), in_queue("a"), in_queue("b"), in_queue("c", "bike"))
    assert started(facts) == {"a": ("GPU-0",), "c": ("GPU-1",)}
    assert waits_for(facts, "b") == "queue car: a comes first"


def test_a_busy_queue_lets_only_its_holder_start() -> None:
    holder = in_queue("b")
    facts = replace(a_node(gpus(4), in_queue("a"), holder), busy_queues={"car": holder.task_id or ""})
    assert "queue car is busy" in waits_for(facts, "a")
    assert started(facts) == {"b": ("GPU-0",)}


def test_a_task_that_can_never_run_does_not_hold_its_queue_up() -> None:
    facts = a_node(gpus(1), replace(in_queue("a"), refusal="the file is empty"), in_queue("b"), in_queue("c"))
    assert started(facts) == {"b": ("GPU-0",)}
    assert waits_for(facts, "c") == "queue car: b comes first"
