"""The queue as a whole and its nodes: flags as they were, agents that leave, nodes that are dead."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from gpu_queue.spool.pages import GpuPage
from gpu_queue.states import GpuState
from tests.console.plans.console import Console
from tests.shell.helpers import Spool, wait_until

NODE, OTHER = "n1-00000001", "n2-00000002"


def test_a_pause_says_what_goes_on_and_its_undo_leaves_no_flag(console: Console, spool: Spool) -> None:
    spool.node(NODE)
    spool.add(f"running/{NODE}", "train.sh")
    plan = console.plan("pause", why="the room is hot")
    assert (plan["counts"]["running"], plan["can_undo"], plan["must_confirm"]) == (1, True, False)
    assert [(node["title"], node["running"]) for node in plan["nodes"]] == [(NODE, 1)]
    console.run(plan)
    assert (spool.path / "paused").read_text().endswith(": the room is hot\n")
    assert console.undo(plan)["counts"] == {"done": 1}
    assert not (spool.path / "paused").exists()


def test_the_undo_of_a_second_pause_gives_back_the_words_of_the_first(console: Console, spool: Spool) -> None:
    (spool.path / "paused").write_text("bob@login1: mine\n")
    plan = console.plan("pause")
    assert [(one["code"], one["params"]["by"]) for one in plan["warnings"]] == [("already_set", "bob@login1: mine")]
    console.run(plan)
    assert "bob" not in (spool.path / "paused").read_text()
    console.undo(plan)
    assert (spool.path / "paused").read_text() == "bob@login1: mine\n"


def test_a_flag_that_somebody_changed_since_is_not_touched_by_the_undo(console: Console, spool: Spool) -> None:
    plan, _ = console.do_it("drain")
    (spool.path / "draining").write_text("bob@login1: leave it\n")
    undone = console.undo(plan)
    assert undone["counts"] == {"refused": 1}
    assert (spool.path / "draining").read_text() == "bob@login1: leave it\n"


def test_resume_lifts_both_flags_and_its_undo_sets_both_again(console: Console, spool: Spool) -> None:
    (spool.path / "paused").write_text("a\n")
    (spool.path / "draining").write_text("b\n")
    plan, _ = console.do_it("resume")
    assert not (spool.path / "paused").exists()
    assert not (spool.path / "draining").exists()
    console.undo(plan)
    assert [(spool.path / name).read_text() for name in ("paused", "draining")] == ["a\n", "b\n"]


def test_the_keep_alive_is_switched_off_and_on_again(console: Console, spool: Spool) -> None:
    plan, _ = console.do_it("keepalive_off", why="too hot")
    assert (spool.path / "keepalive-off").exists()
    on, _ = console.do_it("keepalive_on")
    assert not (spool.path / "keepalive-off").exists()
    console.undo(on)
    assert (spool.path / "keepalive-off").read_text().endswith(": too hot\n")
    assert console.undo(plan)["counts"] == {"done": 1}


def test_one_node_is_shut_down_when_its_name_was_typed(console: Console, spool: Spool) -> None:
    spool.node(NODE)
    spool.node(OTHER)
    plan = console.plan("shutdown", nodes=[NODE], wait=True)
    assert (plan["must_type"], plan["must_confirm"], plan["can_undo"]) == (NODE, True, False)
    assert console.run(plan, "n1", status=409)["code"] == "not_typed"
    with ThreadPoolExecutor() as pool:
        run = pool.submit(console.run, plan, NODE)
        wait_until(spool.commands)
        ((entry, command),) = spool.commands()
        assert (command["command"], command["to"], command["wait"]) == ("shutdown", [f"{NODE}/{NODE}1"], True)
        spool.answer(entry, NODE, "shuts down; nothing runs")
        outcome = run.result(20)
    assert outcome["counts"] == {"done": 1}
    assert [(one["node"], one["reply"], one["lines"]) for one in outcome["answers"]] == [
        (NODE, "answered", ["shuts down; nothing runs"])
    ]
    assert console.undo(plan, status=409)["code"] == "cannot_undo"


def test_an_agent_that_came_after_the_plan_is_not_shut_down(console: Console, spool: Spool) -> None:
    spool.node(NODE)
    plan = console.plan("shutdown", nodes=[NODE])
    spool.node(NODE, incarnation="another")
    outcome = console.run(plan, NODE)
    assert outcome["counts"] == {"gone": 1}
    assert spool.commands() == []


def test_only_a_silent_node_is_forgotten(console: Console, spool: Spool) -> None:
    spool.node(NODE)
    spool.node(OTHER, age_s=1000)
    claim = spool.add(f"running/{OTHER}", "train.sh")
    plan = console.plan("forget", nodes=[NODE, OTHER, "nobody"])
    assert [node["title"] for node in plan["nodes"]] == [OTHER]
    assert [note["code"] for note in plan["warnings"]] == ["node_alive", "no_such_node"]
    assert plan["must_type"] == OTHER
    outcome = console.run(plan, OTHER)
    assert outcome["counts"] == {"refused": 1}, "its task gave a sign of life: the claim is new"
    forced = console.plan("forget", nodes=[OTHER], force=True)
    assert [note["code"] for note in forced["warnings"]] == ["may_run_twice"]
    assert console.run(forced, OTHER)["counts"] == {"done": 1}
    assert [name.partition("=")[2] for name in spool.names(f"running/{OTHER}")] == ["255-lost"]
    assert claim[4:] in spool.names(f"running/{OTHER}")[0]


def test_many_are_explained_by_one_command_and_each_is_told_what_each_node_says(
    console: Console, spool: Spool
) -> None:
    names = [spool.add("pending", f"{number}.sh") for number in range(3)]
    done = spool.add("done", "done.sh")
    spool.node(NODE)
    spool.node(OTHER)
    with ThreadPoolExecutor() as pool:
        body = {"tasks": [name[4:] for name in [*names, done]], "wait_s": 20}
        reply = pool.submit(console.post, "/explain", body)
        wait_until(spool.commands)
        ((entry, command),) = spool.commands()
        assert sorted(command["tasks"]) == names
        spool.answer(entry, NODE, "\n".join(f"{name}: needs 8 GPUs" for name in names))
        spool.answer(entry, OTHER, f"{names[0]}: the spool is paused")
        outcome = reply.result(30)
    told = {one["title"]: one["why"]["text"]["en"] for one in outcome["outcomes"]}
    assert told["0.sh"] == f"{NODE}: needs 8 GPUs · {OTHER}: the spool is paused"
    assert told["1.sh"] == f"{NODE}: needs 8 GPUs"
    assert "done" in told["done.sh"]
    assert {one["node"] for one in outcome["answers"]} == {NODE, OTHER}
    assert {note.node for note in console.notes} == {NODE, OTHER}


def test_what_was_done_stands_in_the_list_of_actions(console: Console, spool: Spool) -> None:
    name = spool.add("pending", "a.sh")
    plan, _ = console.do_it("cancel", name[4:])
    console.undo(plan)
    console.do_it("pause")
    done = console.get("/actions")
    assert [(one["action"], one["who"].split()[0], one["state"], one["counts"]) for one in done] == [
        ("pause", "alice", "finished", {"done": 1}),
        ("undo", "alice", "finished", {"done": 1}),
        ("cancel", "alice", "finished", {"done": 1}),
    ]
    assert [one["summary"]["text"]["en"] for one in done] == ["pause", "undo: cancel a.sh", "cancel a.sh"]
    assert [one["summary"]["text"]["zh"] for one in done] == ["暂停队列", "撤销：取消 a.sh", "取消 a.sh"]
    assert [one["can_undo"] for one in done] == [True, False, False]


def gpu(index: int, state: GpuState = GpuState.IDLE) -> GpuPage:
    return GpuPage(f"GPU-{index}", index, "H100", state, memory_total_bytes=80 << 30, memory_used_bytes=0)


def test_a_script_that_is_submitted_starts_where_gpus_are_idle(console: Console, spool: Spool) -> None:
    spool.node(NODE, gpus=(gpu(0, GpuState.BUSY), gpu(1)))
    spool.node(OTHER, gpus=(gpu(0), gpu(1)))
    text = "#!/bin/bash\n#GPUQ --gpus 2 --time 4h\npython train.py\n"
    plan = console.plan(
        "submit", scripts=[{"name": "train.sh", "text": text}, {"name": "b.sh", "text": "#GPUQ --gpus 1\n"}]
    )
    one, other = plan["scripts"]
    assert (one["starts"], one["starts_idle"]) == (OTHER, 2)
    assert (other["starts"], other["starts_idle"]) == (NODE, 1), "the first one has taken the others"
    needs = {need["name"]: (need["value"], need["source"], need["line"]) for need in one["needs"]}
    assert needs["gpus"] == ("2", "#GPUQ", 2)
    assert needs["time"] == ("4h", "#GPUQ", 2)
    assert needs["cwd"] == (str(spool.path.parent), "default", None)
    outcome = console.run(plan)
    assert outcome["counts"] == {"done": 2}
    assert len(outcome["submitted"]) == 2
    assert len(spool.names("pending")) == 2
    undone = console.undo(plan)
    assert undone["counts"] == {"done": 2}
    assert spool.names("pending") == []
