"""What Python's door must stand beyond what both doors are held to: threads, forks, storage that fails, races."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu_queue import Options, Script
from gpu_queue import Spool as Face
from gpu_queue.errors import BadScript, NotPublished, SpoolError
from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.spool import files
from gpu_queue.spool.desk import asking, stamps, steering
from gpu_queue.spool.desk.asking import Reply
from gpu_queue.spool.desk.find import Task, where
from gpu_queue.spool.desk.steering import What
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.pages import GpuPage, WaitPage
from gpu_queue.spool.paths import SpoolPaths, make_id
from gpu_queue.spool.records import write_submission
from gpu_queue.states import GpuState
from gpu_queue.task import ArrayPart, State, Submission, job_number
from tests.shell.helpers import Spool, wait_until

NODE = "n1-00000001"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "exp").make()


@pytest.fixture
def face(tmp_path: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> Face:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPU_QUEUE_PATIENCE", "1")
    return Face("exp", tmp_path)


# -- stamps


def test_stamps_of_many_threads_never_repeat_or_fall_back(face: Face) -> None:
    taken: list[list[float]] = [[] for _ in range(8)]

    def take(mine: list[float]) -> None:
        mine += [stamps.next_stamp_s() for _ in range(500)]

    threads = [threading.Thread(target=take, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [make_id(one, "abcdef", b"x")[:18] for mine in taken for one in mine]
    assert len(set(made)) == 4000
    assert all(mine == sorted(mine) for mine in taken)


def test_a_stamp_does_not_follow_a_clock_that_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = stamps.next_stamp_s()
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    assert stamps.next_stamp_s() > before


def test_a_fork_in_the_middle_of_a_submission_does_not_hang_the_child() -> None:
    with stamps._STAMPS._lock:
        child = os.fork()
        if child == 0:
            stamps.next_stamp_s()
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_stamps_of_what_began_earlier_come_behind_those_that_were_given_since() -> None:
    began_ns = time.time_ns() - 10**9
    before = stamps.next_stamp_s()
    first, second = stamps.next_stamp_s(began_ns), stamps.next_stamp_s(began_ns)
    assert before < first < second


def test_publishing_from_many_threads_loses_nothing(face: Face, spool: Spool) -> None:
    names: list[str] = []

    def publish() -> None:
        names.extend(str(task) for _ in range(5) for task in face.publish([Script("a.sh", "true\n")] * 4))

    threads = [threading.Thread(target=publish) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spool.names("pending") == sorted(names)
    assert len(set(names)) == 120


def test_after_thousands_no_stamp_is_ahead_of_the_clock(
    face: Face, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "sync", lambda path: None)  # a fast disk
    tasks = face.publish([Script(f"s{number}.sh", "true\n") for number in range(2500)])
    assert spool.names("pending") == [str(task) for task in tasks]
    assert stamps._STAMPS.ahead_s() == 0.0
    assert [name for name in spool.names("records") if name.startswith(".")] == []


# -- storage that fails


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("step", ["write", "sync"])
def test_a_disk_that_takes_not_all_of_it_is_left_as_it_was(
    face: Face, spool: Spool, monkeypatch: pytest.MonkeyPatch, count: int, step: str
) -> None:
    calls: list[str] = []
    real: Callable[..., None] = files.write_new if step == "write" else files.sync

    def fail(path: str, *content: bytes, **more: bool) -> None:
        calls.append(path)
        if len(calls) == count * 2:
            raise OSError(errno.ENOSPC, "No space left on device", path)
        real(path, *content, **more)

    monkeypatch.setattr(files, real.__name__, fail)
    with pytest.raises(NotPublished, match="No space left") as refused:
        face.publish([Script("a.sh", "true\n")] * count)
    assert refused.value.published == ()
    assert spool.names("pending") + spool.names("records") == []


def test_what_was_queued_before_the_storage_failed_is_told(
    face: Face, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rename

    def rename(old: str, new: str) -> None:
        if "-b.sh" in new:
            raise OSError(errno.EACCES, "Permission denied", new)
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(NotPublished) as refused:
        face.publish([Script(name, "true\n") for name in ("a.sh", "b.sh", "c.sh")])
    monkeypatch.undo()
    assert [name[30:] for name in refused.value.published] == ["a.sh", "c.sh"]
    assert spool.names("pending") == list(refused.value.published)
    assert spool.names("records") == [f"{name[4:]}.json" for name in refused.value.published]


def test_a_storage_that_tells_nothing_is_unknown_and_not_done(
    face: Face, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = spool.add("pending", "train.sh")
    is_away: list[bool] = []
    real_rename, real_listdir = os.rename, os.listdir

    def rename(old: str, new: str) -> None:
        if full in old:
            is_away.append(True)
            raise OSError(errno.EIO, "Input/output error", old)
        real_rename(old, new)

    def listdir(path: str) -> list[str]:
        if is_away:
            raise OSError(errno.EIO, "Input/output error", path)
        return real_listdir(path)

    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(os, "listdir", listdir)
    (outcome,) = face.cancel(full)
    assert (outcome.what, bool(outcome)) == (What.UNKNOWN, False)
    with pytest.raises(SpoolError, match="cannot be listed"):
        face.find("train")


def test_a_flag_that_nfs_hides_is_replaced_to_be_removed(
    face: Face, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A negative entry that the client remembers: unlink says ENOENT, until this client makes the file itself."""
    (spool.path / "paused").write_text("bob@n2\n")
    known: list[str] = []
    real_unlink, real_rename = os.unlink, os.rename

    def unlink(path: str) -> None:
        if path.endswith("/paused") and not known:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        real_unlink(path)

    def rename(old: str, new: str) -> None:
        real_rename(old, new)
        known.append(new)

    monkeypatch.setattr(os, "unlink", unlink)
    monkeypatch.setattr(os, "rename", rename)
    face.resume()
    assert known
    assert not (spool.path / "paused").exists()


# -- what is refused


@pytest.mark.parametrize("job_id", ["", ".", "..", "a/b", "-x", "a\0b"])
def test_a_name_that_can_be_no_directory_is_refused(job_id: str, tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="JOB_ID"):
        Face(job_id, tmp_path)


def test_all_and_a_queue_together_are_refused(face: Face, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    for wish in (face.cancel, face.retry, face.stop):
        with pytest.raises(ValueError, match="pass queue='sweep' alone, or 'all'"):
            wish("train", "all", queue="sweep")
    with pytest.raises(ValueError, match="do not go together"):
        face.priority("all", 7, queue="sweep")
    assert spool.names("pending") == [full]


def test_the_environment_says_which_queue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JOB_ID", "exp")
    monkeypatch.setenv("QUEUE_ROOT", str(tmp_path))
    assert Face().path == f"{tmp_path}/exp"
    monkeypatch.delenv("QUEUE_ROOT")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Face("other").path == f"{tmp_path}/gpu_queue/other"
    monkeypatch.delenv("JOB_ID")
    with pytest.raises(SpoolError, match="JOB_ID is not set"):
        Face()


def test_a_protocol_that_is_a_pipe_hangs_nobody(face: Face, spool: Spool) -> None:
    (spool.path / "PROTOCOL").unlink()
    os.mkfifo(spool.path / "PROTOCOL")
    with pytest.raises(SpoolError, match="FIFO"):
        face.pause()


@pytest.mark.parametrize(
    "options",
    [Options(gpus=True), Options(gpus=[1]), Options(priority=-1), Options(priority="5"), Options(memory=float("nan"))]  # type: ignore[arg-type]
    + [Options(name="a\0b"), Options(time=-5), Options(retries=1.5)],  # type: ignore[arg-type]
)
def test_an_option_of_a_wrong_kind_is_refused(face: Face, spool: Spool, options: Options) -> None:
    with pytest.raises(BadScript):
        face.submit(Script("a.sh", "true\n", options=options))
    assert spool.names("pending") + spool.names("records") == []


def test_numbers_are_written_as_people_write_them(face: Face, spool: Spool) -> None:
    task = face.submit(Script("a.sh", "true\n"), gpus=2, memory=20 << 30, time=5400.5, retries=1)
    record = json.loads((spool.path / "records" / f"{task.id}.json").read_text())
    assert record["needs"] == {"gpus": "2", "memory": str(20 << 30), "time": "5400.5", "retries": "1"}
    needs = face.submit(Script("b.sh", "#GPUQ --gpus 4\n"), after=task).needs
    assert needs is not None
    assert (needs.gpus_min, needs.after) == (4, (task.id,))


# -- races


def test_clean_of_many_lists_a_few_times_only(face: Face, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    real = os.listdir
    for _ in range(1000):
        spool.add("done")
    spool.add("pending", needs={"after": []})

    def listdir(path: str) -> list[str]:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert len(face.clean(0)) == 1000
    assert len(listed) < 20


def test_what_cannot_be_removed_is_told_and_the_rest_goes(face: Face, spool: Spool) -> None:
    stuck, other = spool.add("done", "a.sh"), spool.add("done", "b.sh")
    (spool.path / "records" / f"{stuck[4:]}.json").unlink()
    (spool.path / "records" / f"{stuck[4:]}.json").mkdir()
    outcomes = {outcome.name: outcome.what for outcome in face.clean(0)}
    assert outcomes == {stuck: What.REFUSED, other: What.DONE}
    assert spool.names("done") == [stuck]


def test_a_directory_that_vanishes_while_it_is_listed_hinders_nothing(
    face: Face, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.add(f"running/{NODE}", "a.sh")
    spool.add("running/n2-00000002", "b.sh")
    real = os.listdir

    def listdir(path: str) -> list[str]:
        if path.endswith(f"running/{NODE}"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert [task.title for task in face.find("", State.RUNNING)] == ["b.sh"]


def test_an_answer_that_comes_in_the_last_moment_counts(
    face: Face, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that answers and stops right after: its page says stopped when its answer has been there for long."""
    spool.node(NODE)
    paths = SpoolPaths(str(spool.path))
    real: Callable[..., Reply | None] = asking._judge

    def judge(paths: SpoolPaths, node: str, asked_ns: int, waited_s: float, limit_s: float) -> Reply | None:
        spool.node(NODE, state="stopped")
        verdict = real(paths, node, asked_ns, waited_s, limit_s)
        spool.answer(spool.commands()[0][0], NODE, "leaving")
        return verdict

    monkeypatch.setattr(asking, "_judge", judge)
    (answer,) = face.shutdown()
    assert (answer.reply, answer.lines) == (Reply.ANSWERED, ("leaving",))
    assert paths.control


@pytest.mark.parametrize("change", [{"state": "stopped"}, {"incarnation": "another"}])
def test_an_agent_that_will_not_answer_is_not_waited_for(
    face: Face, spool: Spool, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    """Its page is newer than the command, which is a sign of life, and says that there will be no answer."""
    monkeypatch.setenv("GPU_QUEUE_PATIENCE", "1000")
    spool.node(NODE)

    def answer_not() -> None:
        wait_until(spool.commands)
        spool.node(NODE, **change)

    asked = threading.Thread(target=answer_not)
    asked.start()
    (answer,) = face.shutdown()
    asked.join()
    assert answer.reply is Reply.GONE


# -- two people at once, and agents


def test_a_task_that_starts_while_it_is_looked_for_is_found(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    full = spool.add("pending", "train.sh")
    real = os.listdir

    def listdir(path: str) -> list[str]:
        names = real(path)
        if path.endswith("/running") and full in real(spool.path / "pending"):
            spool.move(full, "pending", f"running/{NODE}")
        return names

    monkeypatch.setattr(os, "listdir", listdir)
    assert where(SpoolPaths(str(spool.path)), full[4:]) is not None


def test_who_wishes_what_another_has_just_done_gets_it(spool: Spool) -> None:
    paths = SpoolPaths(str(spool.path))
    waits, failed = (Task(state, spool.add(state.value, "train.sh")) for state in (State.PENDING, State.FAILED))
    for wish, task in ((steering.retry, failed), (steering.cancel, waits)):
        first, second = wish(paths, task), wish(paths, task)
        assert (first.what, second.what, second.where) == (What.DONE, What.DONE, first.where)


def test_who_wishes_another_priority_than_another_has_just_given_is_told(spool: Spool) -> None:
    paths = SpoolPaths(str(spool.path))
    waits = Task(State.PENDING, spool.add("pending", "train.sh"))
    assert steering.set_priority(paths, waits, 7)
    told = steering.set_priority(paths, waits, 8)
    assert (told.what, told.name) == (What.REFUSED, f"007-{waits.id}")


def test_a_hand_drop_that_is_claimed_in_the_moment_of_its_cancelling_gets_no_second_record(
    face: Face, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (spool.path / "pending" / "drop.sh").write_text("true\n")

    def write_while_an_agent_claims(paths: SpoolPaths, submission: Submission) -> None:
        write_submission(paths, submission)
        os.rename(spool.path / "pending" / "drop.sh", spool.path / "claimed")

    monkeypatch.setattr("gpu_queue.spool.desk.steering.write_submission", write_while_an_agent_claims)
    (outcome,) = face.cancel("drop.sh")
    assert outcome.what is What.GONE
    assert (spool.names("records"), spool.names("failed")) == ([], [])


# -- looking


def test_logs_and_tries_are_told_in_their_order(face: Face, spool: Spool) -> None:
    full = spool.add("failed", "train.sh")
    for suffix, text in ((".try10.abcdef", "tenth\n"), ("", "first\n"), (".try2.000000", "second\n")):
        spool.log(full, text, suffix)
    spool.log(spool.add("done", "train.sh.try1.sh"), "another's\n")
    assert [os.path.basename(path)[len(full) - 4 :] for path in face.logs(full)] == [
        ".log",
        ".try2.000000.log",
        ".try10.abcdef.log",
    ]
    assert face.log_tail(full, 4) == "nth\n"
    for number, outcome in ((2, "succeeded"), (1, "failed(1)")):
        name = f"{full[4:]}.try{number}.abcde{number}"
        record = {"id": full[4:], "try": number, "token": f"abcde{number}", "outcome": outcome, "node": NODE}
        (spool.path / "records" / f"{name}.json").write_text(json.dumps(record))
    (spool.path / "records" / f"{full[4:]}.try3.abcde3.json").write_text("{")
    assert [one.outcome for one in face.tries(full)] == ["failed(1)", "succeeded"]
    assert face.explain(full).lines == (f"succeeded on {NODE}, try 2",)


def test_a_log_that_is_a_pipe_or_a_link_is_not_read(face: Face, spool: Spool, tmp_path: Path) -> None:
    full = spool.add("done", "train.sh")
    os.mkfifo(spool.path / "logs" / f"{full[4:]}.log")
    with pytest.raises(SpoolError, match="FIFO"):
        face.log_tail(full)


def test_a_spool_that_somebody_else_is_making_is_waited_for(tmp_path: Path) -> None:
    face = Face("exp", tmp_path)
    (tmp_path / "exp" / "pending").mkdir(parents=True)
    maker = threading.Timer(0.3, make_spool, [SpoolPaths(face.path)])
    maker.start()
    assert face.find() == ()
    maker.join()


# -- why a task waits


def test_why_a_task_waits_is_told_in_words_and_as_data(face: Face, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    why = reason(Code.GPUS, needed=8, idle=1, busy=1)
    spool.node(NODE, waiting=(WaitPage(full, why),))
    told = face.explain("train")
    assert told.lines == (f"{NODE}: waits for 8 GPUs: 1 idle (1 busy)",)
    assert told.reasons == ((NODE, why),)


def test_where_no_agent_is_alive_that_is_the_reason(face: Face, spool: Spool) -> None:
    spool.add("pending", "train.sh")
    assert face.explain("train").reasons == (("", Reason(Code.NO_AGENT)),)


# -- titles


def test_a_task_is_called_what_its_submitter_called_it(face: Face, spool: Spool) -> None:
    one, other = face.publish([Script("训练.sh", "true"), Script("my_own.sh", "true")])
    assert [one.title, other.title] == ["训练.sh", "my_own.sh"]
    assert [task.title for task in face.find("", State.PENDING)] == ["训练.sh", "my_own.sh"]
    assert [task.title for task in face.find("训")] == ["训练.sh"]


def test_a_record_cannot_give_a_task_a_name_that_its_id_was_not_made_of(face: Face, spool: Spool) -> None:
    spool.add("failed", "rm_all.sh", name="harmless.sh")
    assert [task.title for task in face.find("", State.FAILED)] == ["rm_all.sh"]


# -- many at once


def test_a_whole_serial_queue_is_meant_by_its_name(face: Face, spool: Spool) -> None:
    scripts = [Script("a.sh", "true"), Script("b.sh", "#GPUQ --queue car\ntrue"), Script("c.sh", "true")]
    (recorded,) = face.publish(scripts[:1], queue="car")
    said, other = face.publish(scripts[1:])
    (spool.path / "pending" / other.name).write_bytes(b"\xff\x00 no script at all")
    assert [one.task_id for one in face.priority([], 7, queue="car")] == [recorded.id, said.id]
    assert all(face.cancel(queue="car"))
    assert spool.names("pending") == [other.name]
    (outcome,) = face.cancel(queue="bus")
    assert outcome.reason == "no task in pending is in the queue bus; the snapshot's queues have their whole names"
    assert len(face.retry(queue="car")) == 2
    assert {one.where for one in face.stop(other, queue="car").tasks} == {"failed"}


def test_a_message_says_how_many_tasks_it_does_not_name(face: Face) -> None:
    face.publish([Script(f"seed{number}.sh", "true") for number in range(23)])
    (outcome,) = face.cancel("seed")
    assert outcome.reason.endswith(", … and 3 more")


# -- arrays, arguments, and what a scheduler's lines say


def test_an_array_becomes_a_task_for_each_index_in_as_many_queues_as_may_run_at_once(
    face: Face, spool: Spool
) -> None:
    script = Script("train.sh", "#!/bin/bash\n#SBATCH --array=0-9:3%2\n")
    tasks = face.publish([script], arguments=["a b", ""])
    assert [task.title for task in tasks] == [f"train.sh_{index}" for index in (0, 3, 6, 9)]
    assert [task.name for task in tasks] == spool.names("pending")
    records = [face.record(task) for task in tasks]
    job = str(tasks[0].id)
    assert [record.array for record in records] == [ArrayPart(job, index, 0, 9, 3, 4, 2) for index in (0, 3, 6, 9)]
    assert {record.arguments for record in records} == {("a b", "")}
    lanes = [f"{job[:25]}.{number}" for number in (0, 1, 0, 1)]
    assert [record.needs for record in records] == [{"queue": lane} for lane in lanes]
    assert [task.needs and task.needs.queue for task in tasks] == lanes


def test_a_given_array_and_a_given_queue_count_first(face: Face) -> None:
    script = Script("train.sh", "#!/bin/bash\n#SBATCH --array=0-9%2\n")
    tasks = face.publish([script], array="5,7,8%1", queue="car")
    assert [face.record(task).needs for task in tasks] == [{"queue": "car"}] * 3
    assert [task.title for task in tasks] == ["train.sh_5", "train.sh_7", "train.sh_8"]
    assert face.submit(Script("a.sh", "true\n"), array="2-3").title == "a.sh_2"
    # A script without a #! line is run by what it is called.
    assert face.submit(Script(f"{'训' * 60}.py", "1\n"), array="2-3").name.endswith("_2.py")
    assert face.submit(Script(f"{'x' * 130}.py", "1\n"), array="2-3").name.endswith("x_2.py")


@pytest.mark.parametrize("options", [{"array": "3-1"}, {"arguments": ["a\0"]}, {"arguments": "word"}, {"array": "x"}])
def test_a_wrong_array_or_argument_is_refused(face: Face, spool: Spool, options: dict[str, Any]) -> None:
    with pytest.raises(BadScript):
        face.submit(Script("a.sh", "true\n"), **options)
    assert spool.names("records") == []


@pytest.mark.parametrize("line", ["--nodes=2 -G 3", "--dependency=afterok:123", "hetjob"])
def test_what_no_task_can_be_is_refused(face: Face, spool: Spool, line: str) -> None:
    with pytest.raises(BadScript):
        face.submit(Script("a.sh", f"#!/bin/bash\n#SBATCH {line}\n"))
    assert spool.names("records") == []


def test_name_directory_and_output_of_sbatch_count(face: Face, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/kept.err").write_text("dear")
    script = Script("t.sh", "#!/bin/bash\n#SBATCH -J bert -D sub -o %x_%5a_%j.out -e kept.err -a 4\n")
    (task,) = face.publish([script])
    record = face.record(task)
    assert (record.name, record.cwd) == ("bert_4", str(tmp_path / "sub"))
    link = tmp_path / "sub" / f"bert_00004_{job_number(str(task.id))}.out"
    assert os.readlink(link) == str(tmp_path / f"exp/logs/{task.id}.log")
    assert (tmp_path / "sub/kept.err").read_text() == "dear"
    assert ["is there already" in note for note in task.notes] == [True]


def test_a_link_to_an_earlier_log_is_replaced_and_no_other_one(face: Face, tmp_path: Path) -> None:
    script = Script("t.sh", "#!/bin/bash\n#SBATCH -o out -e err/x\n")
    first, second = face.submit(script), face.submit(script)
    assert os.readlink(tmp_path / "out") == str(tmp_path / f"exp/logs/{second.id}.log")
    assert first.notes == (f"{tmp_path}/err/x is no link to its log: No such file or directory; the log is {tmp_path}/exp/logs/{first.id}.log",)  # fmt: skip # noqa: E501
    (tmp_path / "out").unlink()
    (tmp_path / "out").symlink_to("elsewhere")
    face.submit(script)
    assert os.readlink(tmp_path / "out") == "elsewhere"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("--gpus 5", "has 5 GPUs, the most is 4"),
        ("--gpus 2 --memory 81G", "2 GPUs of 81G"),
        ("--memory 81G", "has a GPU of 81G"),
        ("--time 25h", "lives"),
    ]
    + [("--gpus 1-9 --memory 80G --time 23h", "")],
)
def test_what_no_living_agent_can_run_is_queued_with_a_note(face: Face, spool: Spool, line: str, word: str) -> None:
    now_s = time.time()
    cards = tuple(GpuPage(f"GPU-{index}", index, "A100", GpuState.BUSY, 80 << 30) for index in range(4))
    spool.node(NODE, gpus=cards, ends_s=now_s + 24 * 3600, beat_s=now_s)
    notes = face.submit(Script("a.sh", f"#GPUQ {line}\n")).notes
    assert [word in note for note in notes] == ([True] if word else [])
    assert len(spool.names("pending")) == 1
