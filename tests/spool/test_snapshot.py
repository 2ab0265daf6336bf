"""What a person may see of a spool."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

import pytest

from gpu_queue.console.world.living import ended_of, running_of
from gpu_queue.reasons import Code, reason
from gpu_queue.spool import files
from gpu_queue.spool.pages import GpuPage, NodePage, QueuePage, SharedPage, TryPage, WaitPage, decode_page
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot import looks, nodelooks, stamps
from gpu_queue.spool.snapshot.reader import SnapshotReader
from gpu_queue.spool.snapshot.settled import SettledTask
from gpu_queue.spool.snapshot.taskfiles import WINDOW_MAX_BYTES, read_log
from gpu_queue.spool.snapshot.view import Presence, RunningTask
from gpu_queue.spool.snapshot.waiting import WaitingTask
from gpu_queue.states import AgentState, GpuState
from gpu_queue.task import End, State, Why
from gpu_queue.texts import printable
from tests.node.harness import Room
from tests.spool.sights import NODE, OTHER, Sight, failing, opened, places


@pytest.fixture
def sight(room: Room) -> Sight:
    return Sight(room)


# -- tasks ---------------------------------------------------------------------------------------------------------


def test_each_task_is_in_its_state(sight: Sight) -> None:
    waits, runs, done, failed = (sight.room.submit(name=name) for name in ("w.sh", "r.sh", "d.sh", "f.sh"))
    claim = sight.claim(runs)
    sight.put(done, "done")
    sight.put(failed, "failed")
    seen = sight.look()
    assert places(seen) == {waits: ["pending"], runs: ["running"], done: ["done"], failed: ["failed"]}
    assert (seen.counts.waiting, seen.counts.running, seen.counts.done, seen.counts.failed) == (1, 1, 1, 1)
    assert (seen.waiting[0].title, seen.waiting[0].priority, seen.waiting[0].submitted_s) == ("w.sh", 500, 1.0)
    assert (seen.running[0].name, seen.running[0].node, seen.running[0].end) == (claim, NODE, None)
    assert (seen.done[0].title, seen.done[-1].submitted_s) == ("d.sh", 3.0)
    assert isinstance(seen.find(failed), SettledTask)
    assert seen.state_of(failed) is State.FAILED
    assert isinstance(seen.find(runs), RunningTask)
    assert isinstance(seen.find(waits), WaitingTask)
    assert seen.find("20260101T000000000-abcdef-none.sh") is None
    assert seen.problems == ()
    assert seen.cut == frozenset()


def test_what_waits_stands_in_run_order_hand_drops_among_it(sight: Sight) -> None:
    late = sight.room.submit(name="late.sh")
    last = sight.room.submit(name="last.sh", priority=900)
    first = sight.room.submit(name="first.sh", priority=100)
    sight.room.drop("500-train me.sh", "echo\n")
    seen = sight.look()
    assert [task.title for task in seen.waiting] == ["first.sh", "late.sh", "train me.sh", "last.sh"]
    assert [seen.waiting.place(one) for one in (first, late, "500-train me.sh", last)] == [0, 1, 2, 3]
    drop = seen.waiting[2]
    assert (drop.task_id, drop.name) == (None, "500-train me.sh")
    assert abs((drop.submitted_s or 0) - time.time()) < 60


def test_what_is_never_run_is_counted_and_its_reason_shown(sight: Sight) -> None:
    for name in (".half", "edit.sh~", "x.tmp"):
        sight.room.drop(name, "echo\n")
    (sight.room.root / "pending" / "folder").mkdir()
    os.mkfifo(sight.room.root / "pending" / "pipe")
    task_id = sight.room.submit()
    sight.page(waiting=(WaitPage(f"500-{task_id}", reason(Code.OWNER, uid=7)),))
    seen = sight.look()
    assert (seen.waiting.skipped, seen.waiting.ignored, len(seen.waiting)) == (3, 3, 3)
    kinds = {task.name: task.reasons[0].reason.text("kind") for task in seen.waiting if task.task_id is None}
    assert kinds == {"folder": "directory", "pipe": "FIFO"}


def test_names_of_any_bytes_are_shown_and_shown_safely(sight: Sight) -> None:
    sight.room.drop(b"500-\xff\x1b[31mred\n.sh", "echo\n")
    seen = sight.look()
    assert os.fsencode(seen.waiting[0].name) == b"500-\xff\x1b[31mred\n.sh"
    assert seen.waiting[0].title == printable(seen.waiting[0].title)


def test_an_ended_try_says_how_it_ended_until_it_is_moved_on(sight: Sight) -> None:
    task_id = sight.room.submit()
    name = sight.claim(task_id)
    (Path(sight.paths.running(NODE)) / name).rename(Path(sight.paths.running(NODE)) / f"{name}=143-requeue")
    assert sight.look().running[0].end == End(143, Why.REQUEUE)


def test_settled_tasks_come_by_their_end_as_far_as_that_is_known_and_then_by_submission(sight: Sight) -> None:
    ids = [sight.room.submit(name=f"{number}.sh") for number in range(6)]
    for one in ids[:4]:
        sight.put(one, "done")
    for one in (ids[5], ids[4]):
        sight.claim(one)
        sight.settle(one)
    seen = sight.look()
    assert [task.title for task in seen.done] == ["4.sh", "5.sh", "3.sh", "2.sh", "1.sh", "0.sh"]
    assert [task.title for task in seen.done[1:4]] == ["5.sh", "3.sh", "2.sh"]
    assert [task.title for task in seen.done[-2:]] == ["1.sh", "0.sh"]
    ended = seen.done[0].ended
    assert ended is not None
    assert (ended.outcome, ended.node) == ("succeeded", NODE)
    assert seen.done[2].ended is None
    with pytest.raises(IndexError):
        seen.done[6]


# -- nodes, GPUs, reasons ------------------------------------------------------------------------------------------


def test_a_task_tells_why_it_waits_node_by_node(sight: Sight) -> None:
    task, other = sight.room.submit(), sight.room.submit()
    why = reason(Code.GPUS, needed=8, idle=3)
    sight.page(waiting=(WaitPage(f"500-{task}", why),))
    sight.page(OTHER, reason=reason(Code.PAUSED, by="bo"), state=AgentState.PAUSED)
    seen = sight.look()
    assert {one.node: one.reason for one in seen.waiting[0].reasons} == {
        NODE: why,
        OTHER: reason(Code.PAUSED, by="bo"),
    }
    assert [one.node for one in seen.waiting[1].reasons] == [OTHER], "nobody told of it, but one node takes nothing"
    assert seen.waiting[1].task_id == other


def test_the_node_that_could_run_it_tells_first_then_the_one_that_never_can(sight: Sight) -> None:
    task = sight.room.submit()
    never, busy = reason(Code.INFEASIBLE, needed=8, served=4), reason(Code.GPUS, needed=8, idle=3)
    sight.page("a-0000000a", reason=reason(Code.DRAINING, cause="shutdown"), state=AgentState.DRAINING)
    sight.page("b-0000000b", waiting=(WaitPage(f"500-{task}", never),))
    sight.page("c-0000000c", waiting=(WaitPage(f"500-{task}", busy),))
    told = [one.node[0] for one in sight.look().waiting[0].reasons]
    assert told == ["c", "b", "a"]


def test_without_a_living_agent_that_is_the_reason(sight: Sight) -> None:
    sight.room.submit()
    assert [one.reason.code for one in sight.look().waiting[0].reasons] == [Code.NO_AGENT]
    sight.page()
    assert sight.look().waiting[0].reasons == ()
    sight.page(state=AgentState.STOPPED)
    assert [one.reason.code for one in sight.look().waiting[0].reasons] == [Code.NO_AGENT]


def test_a_node_is_alive_silent_stopped_or_gone_by_the_servers_clock(sight: Sight) -> None:
    for node in (NODE, OTHER, "n3", "n4", "n5"):
        sight.page(node)
    sight.page("n3", state=AgentState.STOPPED)
    old = time.time() - 200
    os.utime(sight.paths.node_json(OTHER), (old, old))
    os.rename(sight.paths.node_json("n4"), f"{sight.paths.gone}/n4.json")
    os.unlink(sight.paths.node_json("n5"))
    sight.room.submit()
    seen = sight.look()
    assert {one.node: one.presence for one in seen.nodes} == {
        NODE: Presence.ALIVE,
        OTHER: Presence.SILENT,
        "n3": Presence.STOPPED,
        "n4": Presence.GONE,
        "n5": Presence.SILENT,
    }
    silent = seen.node(OTHER)
    assert silent is not None
    assert silent.silent_s == 180, "in whole minutes: it is not news each second"
    age_s = seen.age_s(silent.written_s, sight.now)
    assert age_s == pytest.approx(200, abs=10)
    assert {one.reason.code for one in seen.waiting[0].reasons} == {Code.SILENT}


def test_a_node_becomes_silent_though_nothing_changes(sight: Sight) -> None:
    sight.page()
    assert sight.look().nodes[0].presence is Presence.ALIVE
    sight.reader._eyes.may_write = False  # the server's clock would not follow the test's
    before = sight.look(80)
    assert before.nodes[0].presence is Presence.ALIVE
    after = sight.look(20)
    assert after.nodes[0].presence is Presence.SILENT
    assert after.versions.nodes == before.versions.nodes + 1


def test_who_may_not_write_does_not_know_whether_a_node_lives_before_it_shows(sight: Sight) -> None:
    sight.page()
    sight.reader = SnapshotReader(sight.paths, may_write=False)
    assert sight.look().nodes[0].presence is Presence.UNKNOWN
    assert not list(Path(sight.paths.control).iterdir())
    assert sight.look(60).nodes[0].presence is Presence.UNKNOWN
    assert sight.look(60).nodes[0].presence is Presence.SILENT
    sight.page()
    later = time.time() + 122  # as the server's clock would show
    os.utime(sight.paths.node_json(NODE), (later, later))
    assert sight.look().nodes[0].presence is Presence.ALIVE


def test_the_question_for_the_servers_time_leaves_nothing_behind(sight: Sight) -> None:
    seen = sight.look()
    assert seen.clock is not None
    assert seen.clock.is_exact
    assert os.listdir(sight.paths.control) == []


def test_gpus_of_all_nodes_stand_in_one_list_with_what_runs_on_them(sight: Sight) -> None:
    task_id = sight.room.submit()
    claim = sight.claim(task_id)
    gpus = tuple(GpuPage(f"GPU-{index}", index, "H100", GpuState.BUSY) for index in range(2))
    told = TryPage(claim, "t.sh", "running", (1,), 65.0, 3600.0)
    sight.page(gpus=gpus, running=(told,))
    sight.page(OTHER, gpus=gpus[:1])
    seen = sight.look()
    assert [(one.node, one.page.index, one.claims) for one in seen.gpus] == [
        (NODE, 0, ()),
        (NODE, 1, (claim,)),
        (OTHER, 0, ()),
    ]
    assert seen.running[0].page == told
    assert seen.running[0].told_s == seen.nodes[0].written_s


def test_a_task_over_two_nodes_is_one_and_has_the_gpus_of_both(sight: Sight) -> None:
    task_id = sight.room.submit()
    claim = sight.claim(task_id)
    gpus = (GpuPage("GPU-0", 0, "H100", GpuState.BUSY),)
    first = TryPage(claim, "t.sh", "running", (0,), 65.0, nodes=2)
    member = f"{claim[:-6]}0a0b0c"
    second = TryPage(member, "t.sh", "running", (0,), 65.0, rank=1, nodes=2, of=claim)
    sight.page(gpus=gpus, running=(first,))
    sight.page(OTHER, gpus=gpus, running=(second,))
    seen = sight.look()
    assert [(one.node, one.claims) for one in seen.gpus] == [(NODE, (claim,)), (OTHER, (claim,))]
    (running,) = seen.running
    assert running.parts == ((OTHER, second),)
    assert running_of(running, seen).gpus == [f"{NODE}/GPU-0", f"{OTHER}/GPU-0"]


# -- flags, queues -------------------------------------------------------------------------------------------------


def test_flags_say_who_set_them_and_count_whatever_they_are(sight: Sight) -> None:
    Path(sight.paths.flag("paused")).write_text("alice:\x1b[31m maintenance\n")
    os.mkfifo(sight.paths.flag("draining"))
    seen = sight.look()
    paused, draining = seen.flag("paused"), seen.flag("draining")
    assert paused is not None
    assert paused.by == "alice:?[31m maintenance"
    assert draining is not None
    assert draining.by == ""
    assert [one.file for one in seen.problems] == ["draining"]
    assert seen.flag("keepalive-off") is None
    os.unlink(sight.paths.flag("draining"))
    Path(sight.paths.flag("paused")).write_text("bob")
    after = sight.look(4)
    assert [(one.name, one.by) for one in after.flags] == [("paused", "bob")]
    assert after.problems == ()


def test_a_queue_is_busy_while_any_token_of_it_is_not_free(sight: Sight) -> None:
    queues = sight.room.root / "queues"
    for name, holder in (
        ("car.000001", "old"),
        ("car.000002.free", "x"),
        ("bus.000001.free", "y"),
        ("tram.000001", ""),
    ):
        (queues / name).write_text(f"{holder}\n{NODE}\n")
    (queues / "junk").write_text("z")
    seen = sight.look()
    assert [(one.queue, one.is_busy, one.holders) for one in seen.queues] == [
        ("bus", False, ()),
        ("car", True, ("old",)),
        ("tram", True, ()),
    ]


# -- nothing twice -------------------------------------------------------------------------------------------------


def test_what_ended_had_the_gpus_that_its_start_told_of(sight: Sight) -> None:
    first, second, elsewhere = (sight.room.submit() for _ in range(3))
    sight.page()
    sight.page(OTHER)
    for task in (first, second, elsewhere):
        sight.tell(NODE, "started", sight.claim(task), gpus=[f"GPU-{task[-9:]}", "GPU-b"], gpu_indices=[0, 1])
    sight.look()
    sight.settle(first)
    sight.look(10.0)
    sight.settle(second, "failed")
    claim = sight.path(elsewhere).name
    sight.settle(elsewhere, is_told=False)
    sight.tell(OTHER, "settled", claim, outcome="succeeded", status=0)  # it was taken over
    seen = sight.look(10.0)
    ends = {one.task_id: ended_of(one, {}).gpus for one in (*seen.done, *seen.failed)}
    assert ends == {
        first: [f"{NODE}/GPU-{first[-9:]}", f"{NODE}/GPU-b"],
        second: [f"{NODE}/GPU-{second[-9:]}", f"{NODE}/GPU-b"],
        elsewhere: [],
    }


def test_an_unchanged_refresh_is_the_same_object(sight: Sight, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = time.time() - sight.now
    monkeypatch.setattr(files, "server_now_s", lambda _: begun + sight.now)  # it follows the test's
    for name in ("a.sh", "b.sh", "c.sh"):
        sight.room.submit(name=name)
    sight.room.drop("drop.sh", "echo\n")
    sight.page(waiting=(WaitPage("x", reason(Code.NEXT)),))
    Path(sight.paths.flag("paused")).write_text("alice")
    first = sight.look()
    for _ in range(40):
        assert sight.look(2.0) is first
    assert sight.look(everything=True) is first


def test_an_unchanged_refresh_opens_each_node_file_and_two_directories(sight: Sight) -> None:
    for task in [sight.room.submit() for _ in range(20)][:10]:
        sight.put(task, "done")
    for node in (NODE, OTHER):
        sight.page(node)
    for directory in ("done", "failed"):
        os.utime(sight.room.root / directory, (1e9, 1e9))
    sight.look()
    with opened(sight.room) as counts:
        sight.look(2.0)
    assert counts == {"pending": 1, "nodes": 1, f"nodes/{NODE}.json": 1, f"nodes/{OTHER}.json": 1}
    with opened(sight.room) as counts:
        for _ in range(30):
            sight.look(2.0)
    a_second = {what: number / 60 for what, number in counts.items()}
    listings = sum(a_second[what] for what in counts if not what.endswith((".json", ".jsonl", "paused")))
    assert listings <= 2 + 2 / 10, a_second
    assert (counts["done"], counts["failed"]) == (1, 1)
    with opened(sight.room) as counts:
        for _ in range(100):
            sight.look(0.01)
    assert sum(counts.values()) <= 4, "however often it is asked for"


def test_a_history_is_opened_when_it_grows_when_its_node_tells_of_news_and_each_ten_minutes(sight: Sight) -> None:
    task = sight.room.submit()
    sight.page(gpus=(GpuPage("GPU-1", 0, "H100", GpuState.IDLE, 80 << 30, 0, 0, 70.0),))
    history = f"events/{NODE}.jsonl"
    sight.tell(NODE, "gpu", "")
    sight.look()

    def opens(seconds: float) -> int:
        with opened(sight.room) as counts:
            for _ in range(int(seconds / 10)):
                sight.look(10.0)
        return counts[history]

    assert opens(100) == 0
    assert opens(600) == 1, "an open asks the server, whatever a stat tells"
    sight.tell(NODE, "gpu", "")
    assert opens(20) == 1
    sight.page(gpus=(GpuPage("GPU-1", 0, "H100", GpuState.BUSY, 80 << 30, 0, 0, 70.0),))
    assert opens(20) == 1
    sight.claim(task)
    sight.look(10.0)
    stale = os.stat(sight.paths.events(NODE))
    sight.settle(task)
    with pytest.MonkeyPatch.context() as patch:  # as an NFS client that asks for no news
        patch.setattr(stamps, "stamp_of", lambda path: (stale.st_ino, stale.st_mtime_ns, stale.st_size))
        assert places(sight.look(10.0)) == {task: ["done"]}


def test_a_page_is_read_again_only_when_it_is_another_one(sight: Sight, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reading(content: bytes, node: str) -> NodePage:
        read.append(node)
        return decode_page(content, node)

    monkeypatch.setattr(nodelooks, "decode_page", reading)
    sight.page()
    sight.page(OTHER)
    sight.look()
    sight.look()
    sight.page(OTHER, skipped=1)
    sight.look()
    assert read == [NODE, OTHER, OTHER]


def test_versions_move_only_for_what_changed(sight: Sight) -> None:
    task = sight.room.submit()
    sight.page()
    before = sight.look()
    sight.room.submit()
    after = sight.look()
    assert after.versions.waiting == before.versions.waiting + 1
    assert (after.done, after.nodes, after.queues) == (before.done, before.nodes, before.queues)
    assert after.done is before.done
    assert after.nodes is before.nodes
    assert after.versions.done == before.versions.done
    sight.put(task, "done")
    last = sight.look()
    assert last.versions.done == after.versions.done + 1
    assert last.versions.failed == before.versions.failed
    assert last.failed is before.failed


def test_a_directory_that_was_just_changed_proves_nothing_by_its_mtime(sight: Sight) -> None:
    done = sight.room.root / "done"
    sight.look()
    facts = done.stat()
    sight.put(sight.room.submit(), "done")
    os.utime(done, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # a clock that ticks slowly
    assert sight.look().counts.done == 1


def test_done_is_listed_each_minute_whatever_its_mtime_says(sight: Sight) -> None:
    done = sight.room.root / "done"
    os.utime(done, (1e9, 1e9))
    sight.look()
    sight.put(sight.room.submit(), "done")
    os.utime(done, (1e9, 1e9))  # as NFS shows it for a minute
    assert sight.look().counts.done == 0
    assert sight.look(60).counts.done == 1


def test_what_settled_is_told_by_events_where_listing_is_dear(sight: Sight, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "RELIST_AT_ONCE", -1)
    good, bad = sight.room.submit(name="good.sh"), sight.room.submit(name="bad.sh", priority=300)
    sight.page()
    sight.look()
    for one in (good, bad):
        sight.claim(one)
    assert sight.look().counts.running == 2
    sight.settle(good)
    sight.settle(bad, "failed")
    with opened(sight.room) as counts:
        seen = sight.look(10)
    assert places(seen) == {good: ["done"], bad: ["failed"]}
    assert (seen.failed[0].priority, seen.failed[0].ended is not None) == (300, True)
    assert counts["done"] == counts["failed"] == 0
    assert sight.look(60) == seen, "the listing says the same"


def test_the_history_of_a_node_that_is_gone_is_told_once(sight: Sight) -> None:
    task = sight.room.submit()
    sight.page()
    sight.claim(task)
    sight.settle(task)
    sight.look()
    os.rename(sight.paths.node_json(NODE), f"{sight.paths.gone}/{NODE}.json")
    os.rmdir(sight.paths.running(NODE))
    for seconds in (60, 10, 60):
        seen = sight.look(seconds)
        assert [one.kind for one in seen.events] == ["settled"]
    assert SnapshotReader(sight.paths).refresh(sight.now).events == seen.events


def test_what_nobody_told_of_is_looked_for(sight: Sight, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "RELIST_AT_ONCE", -1)
    cancelled, retried = sight.room.submit(), sight.room.submit()
    sight.put(retried, "failed")
    sight.look()
    sight.put(cancelled, "failed")
    assert places(sight.look()) == {cancelled: ["failed"], retried: ["failed"]}
    sight.put(retried, "pending")
    assert places(sight.look()) == {cancelled: ["failed"], retried: ["pending"]}


# -- storage that fails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.ELOOP])
@pytest.mark.parametrize("directory", ["pending", "running", "done", "failed", "nodes", "queues", "events", "."])
def test_storage_that_fails_leaves_what_was_seen_with_its_problem(sight: Sight, directory: str, number: int) -> None:
    sight.room.submit()
    runs, done, failed = (sight.room.submit() for _ in range(3))
    sight.claim(runs)
    sight.put(done, "done")
    sight.put(failed, "failed")
    sight.page()
    sight.tell(NODE, "settled", f"500-{done}.try1.abcdef", outcome="succeeded")
    (sight.room.root / "queues" / "car.000001").write_text(runs)
    Path(sight.paths.flag("paused")).write_text("alice")
    before = sight.look()
    with failing(sight.room, number, directory):
        during = sight.look(everything=True)
        sight.look(everything=True)
    for part in ("waiting", "running", "done", "failed", "nodes", "flags", "queues", "events", "counts"):
        assert getattr(during, part) == getattr(before, part), part
    assert during.problems or directory == "events", "a history that cannot be read may never have been written"
    assert sight.look(60, everything=True) == before


def test_what_was_never_listed_is_not_known(sight: Sight) -> None:
    sight.room.submit()
    with failing(sight.room, errno.EIO, "pending", "done"):
        seen = sight.look()
    assert (seen.counts.waiting, seen.counts.done, seen.counts.failed) == (None, None, 0)
    assert {one.file for one in seen.problems} == {"pending", "done"}
    assert sight.look().counts.waiting == 1


def test_a_spool_that_is_not_there_is_a_problem_and_no_error(tmp_path: Path) -> None:
    seen = SnapshotReader(SpoolPaths(str(tmp_path / "none"))).refresh(1.0)
    assert seen.counts.waiting is None
    assert seen.problems


# -- one task ------------------------------------------------------------------------------------------------------


def test_a_waiting_task_tells_its_record_its_needs_and_its_place(sight: Sight) -> None:
    sight.room.submit(name="first.sh", priority=1)
    task_id = sight.room.submit("#!/bin/sh\n#GPUQ --gpus 4\n", name="big.sh", time="4h")
    sight.look()
    view = sight.reader.task(task_id)
    assert view is not None
    assert (view.state, view.place, view.submission.name) == (State.PENDING, 1, "big.sh")
    assert view.needs is not None
    assert (view.needs.gpus_min, view.needs.time_s) == (4, 4 * 3600.0)
    assert (view.tries, view.logs, view.problems) == ((), (), ())
    assert [one.reason.code for one in view.reasons] == [Code.NO_AGENT]
    assert sight.reader.task("nothing") is None


def test_an_agents_tries_and_logs_are_found(room: Room) -> None:
    node = room.start()
    good = room.submit(room.script("echo fine"), "good.sh")
    bad = room.submit(room.script("echo oh; exit 3"), "bad.sh", retries="1")
    node.settle_all()
    sight = Sight(room)
    seen = sight.look()
    assert places(seen) == {good: ["done"], bad: ["failed"]}
    view = sight.reader.task(bad)
    assert view is not None
    assert [one.claim.number for one in view.tries] == [1, 2]
    assert [one.result.end.status for one in view.tries if one.result is not None] == [3, 3]
    assert [one.record.outcome for one in view.tries if one.record is not None] == ["failed(3)", "failed(3)"]
    assert [read_log(one.path).content.decode().count("oh") for one in view.logs] == [1, 1]
    os.unlink(sight.paths.events("n1"))
    for reader in (sight.reader, Sight(room).reader):
        reader.refresh(5000.0)
        view = reader.task(good)
        assert view is not None
        assert [one.record.outcome for one in view.tries if one.record is not None] == ["succeeded"]
        assert view.logs[0].size_bytes == os.stat(view.logs[0].path).st_size
        assert b"fine" in read_log(view.logs[0].path).content


def test_what_is_said_of_a_settled_task_is_kept_while_it_is_settled(sight: Sight) -> None:
    task_id = sight.room.submit()
    sight.claim(task_id)
    sight.settle(task_id)
    sight.look()
    first = sight.reader.task(task_id)
    with opened(sight.room) as counts:
        assert sight.reader.task(task_id) == first
    assert not [what for what in counts if what.startswith("records")]
    sight.put(task_id, "pending")
    Path(sight.paths.record(task_id)).write_text(json.dumps({"id": task_id, "name": "other"}))
    sight.look()
    view = sight.reader.task(task_id)
    assert view is not None
    assert view.submission.name == "other"


def test_what_is_kept_of_settled_tasks_is_bounded(sight: Sight, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_queue.spool.snapshot.taskfiles.KEPT_BYTES", 10_000)
    for _ in range(20):
        sight.put(sight.room.submit(), "done")
    seen = sight.look()
    for task in seen.done:
        sight.reader.task(task.task_id)
    assert len(sight.reader._files._kept) <= 5
    assert sight.reader._files._kept_bytes <= 10_000


def test_files_of_a_task_that_cannot_be_read_are_its_problems(sight: Sight) -> None:
    task_id = sight.room.submit("#GPUQ --gpus none\n")
    os.unlink(sight.paths.record(task_id))
    os.mkfifo(sight.paths.record(task_id))
    os.mkdir(sight.paths.first_log(task_id))
    sight.look()
    view = sight.reader.task(task_id)
    assert view is not None
    assert view.needs is None
    assert [one.file.split("/")[0] for one in view.problems] == ["records", "pending", "logs"]


# -- logs ----------------------------------------------------------------------------------------------------------


def test_a_log_is_read_in_windows(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"0123456789")
    assert read_log(str(path)).content == b"0123456789"
    window = read_log(str(path), 4, 3)
    assert (window.content, window.offset, window.next_offset, window.size_bytes) == (b"456", 4, 7, 10)
    assert read_log(str(path), -3).content == b"789"
    assert read_log(str(path), -99, 2).content == b"01"
    beyond = read_log(str(path), 50)
    assert (beyond.content, beyond.offset) == (b"", 10)
    assert read_log(str(path), 0, -5).content == b""
    with path.open("wb") as file:
        file.truncate(WINDOW_MAX_BYTES + 5)
    assert len(read_log(str(path), 0, 1 << 60).content) == WINDOW_MAX_BYTES


def test_a_log_that_is_no_file_makes_nobody_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name in ("pipe", "link"):
        with pytest.raises(files.FileProblem):
            read_log(str(tmp_path / name))
    with pytest.raises(files.Vanished):
        read_log(str(tmp_path / "none"))


def test_of_a_queue_the_newest_page_tells_what_waits_and_what_runs_is_summed_up(sight: Sight) -> None:
    sight.page(OTHER, queues=(QueuePage("car", True, "x", 5, 1, 2, 1), QueuePage("old", False, done=7)))
    os.utime(sight.paths.node_json(OTHER), (time.time() - 20,) * 2)
    rests = QueuePage("bird", True, "y", 1, 0, failures=3, rests_s=600.0)
    sight.page(queues=(QueuePage("car", False, "", 4, 0, 3, 0), rests))
    Path(sight.paths.queues, "car.000001").write_text("x\n")
    seen = {one.queue: one for one in sight.look().queues}
    car, bird = seen["car"], seen["bird"]
    assert (car.is_busy, car.holders, car.pending, car.running, car.done, car.failed) == (True, ("x",), 4, 1, 3, 0)
    assert (bird.failures, seen["old"].done, seen["old"].rests_until_s) == (3, 7, None)
    assert bird.rests_until_s == pytest.approx(time.time() + 600, abs=20)


def test_a_shared_server_is_told_as_such(sight: Sight) -> None:
    gpu = GpuPage("GPU-1", 0, "A100", GpuState.FOREIGN, shared=SharedPage(15 << 30, 1, "python"))
    sight.page(mode="shared", gpus=(gpu,))
    seen = sight.look()
    node = seen.node(NODE)
    assert node is not None
    assert (node.mode, seen.gpus[0].page.shared) == ("shared", SharedPage(15 << 30, 1, "python"))


def test_a_node_that_is_put_away_is_gone_with_the_next_look(sight: Sight) -> None:
    sight.page(OTHER)
    sight.look()
    os.rename(sight.paths.node_json(OTHER), f"{sight.paths.gone}/{OTHER}.json")
    assert [one.presence for one in sight.look().nodes] == [Presence.GONE]
