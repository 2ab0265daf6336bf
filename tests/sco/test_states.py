"""What the platform says of jobs, in the words of all ways."""

from __future__ import annotations

import time

import pytest

from tests.cases import long
from tests.sco.acp import NONCE, OTHER_NONCE, WAY, Platform, wait_until

pytestmark = pytest.mark.timeout(180)  # every call starts some programs

WORDS = {
    "queued": "WAITING INIT QUEUEING CREATING STARTING PENDING PULLING WAIT_QUOTA",
    "running": "RUNNING RESTARTING RECOVERING",
    "ending": "SUSPENDING DELETING",
    "ended": "SUCCEEDED SUSPENDED STOPPED CANCELLED CANCELED FAILED",
    "unknown": "STATE_UNSPECIFIED TERMINATED Running",
}


@pytest.fixture
def job(platform: Platform) -> str:
    """One that is queued for ever."""
    return platform.submit(SCO_STAND_IN_MODE="norun").out.strip()


def line(job: str, word: str, raw: str, nonce: str = NONCE, name: str = "ydj-train-exp1") -> str:
    return f"{job}\t{word}\t{raw}\t{nonce}\t{name}\n"


def test_each_state_has_a_word_and_what_nobody_knows_is_unknown(platform: Platform) -> None:
    raws = [(raw, word) for word, raws in WORDS.items() for raw in raws.split()]
    ids = [platform.place(number, "ydj-x", raw) for number, (raw, _) in enumerate(raws)]
    said = platform.way("states", "--name", "ydj-x")
    shown = [(raw if raw.isupper() else "UNREADABLE", word) for raw, word in raws]
    rows = [line(job, word, raw, "-", "ydj-x") for job, (raw, word) in zip(ids, shown, strict=True)]
    assert (said.status, said.out) == (0, "".join(reversed(rows)))


def test_neither_success_nor_failure_proves_anything_of_other_workers_or_of_a_node_out_of_reach(
    platform: Platform,
) -> None:
    jobs = [platform.place(n, "ydj-x", raw) for n, raw in enumerate(("FAILED", "SUCCEEDED", "SUSPENDED"), 1)]
    for proof, words in (("1", ["lost", "lost", "ended"]), ("", ["ended", "ended", "ended"])):
        said = platform.way("states", *jobs, GQ_PROOF=proof)
        assert [row.split("\t")[1] for row in said.out.splitlines()] == words


def test_a_job_is_found_by_its_id_by_its_name_and_by_what_its_agents_tell(platform: Platform, job: str) -> None:
    told = f"ydj-train-exp1/{NONCE}"
    other = platform.submit("ydj-train-exp10", OTHER_NONCE, SCO_STAND_IN_MODE="norun").out.strip()
    same = platform.submit("ydj-train-exp1", OTHER_NONCE, SCO_STAND_IN_MODE="norun").out.strip()
    assert platform.way("states", told, job).out == line(told, "queued", "QUEUEING") + line(job, "queued", "QUEUEING")
    first, second = line(same, "queued", "QUEUEING", OTHER_NONCE), line(job, "queued", "QUEUEING")
    assert platform.way("states", "--name", "ydj-train-exp1").out == first + second
    third = line(other, "queued", "QUEUEING", OTHER_NONCE, "ydj-train-exp10")
    assert sorted(platform.way("states", "--prefix", "ydj-train").out.splitlines(True)) == sorted(
        [first, second, third]
    )
    for mode in ("bare", "wrapped", "notice", "nofilter"):
        said = platform.way("states", "--name", "ydj-train-exp1", SCO_STAND_IN_MODE=mode)
        assert (said.status, said.out) == (0, first + second), mode


def test_what_was_created_twice_after_all_has_ended_when_both_have(platform: Platform) -> None:
    script = f"bash /x/start-{NONCE}.sh"
    for states, word in (
        (("RUNNING", "SUCCEEDED"), "running"),
        (("STOPPED", "DELETING"), "ending"),
        (("STOPPED",) * 2, "ended"),
    ):
        for number, state in enumerate(states):
            platform.place(number, "ydj-x", state, script)
            platform.place(9 - number, "ydj-y", state, script)
        said = platform.way("states", f"ydj-x/{NONCE}", f"ydj-y/{NONCE}")
        assert [row.split("\t")[1] for row in said.out.splitlines()] == [word, word]


def test_what_is_not_there_is_unknown_and_no_error(platform: Platform) -> None:
    said = platform.way("states", "pt-00000000", f"ydj-train-exp1/{NONCE}", "--help", "../x")
    assert said.status == 0
    assert [row.split("\t")[1:3] for row in said.out.splitlines()] == [["unknown", "NOT_FOUND"]] * 4
    for words in (("--name", "ydj-train-exp1"), ("--prefix", "ydj-")):
        said = platform.way("states", *words)
        assert (said.status, said.out, said.err) == (0, "", "")


@pytest.mark.parametrize("mode", ["garbled", "menu", "hang", *long("mute", "auth")])
def test_an_answer_that_cannot_be_read_is_no_answer(platform: Platform, mode: str) -> None:
    job = platform.place(1, "ydj-train-exp1")
    for words in ((job,), ("--name", "ydj-train-exp1"), ("pt-1", f"ydj-train-exp1/{NONCE}")):
        said = platform.way("states", *words, SCO_STAND_IN_MODE=mode, SCO_WAY_LIMIT_S="1" if mode == "hang" else "30")
        assert (said.status, said.out) == (111, ""), words
        assert "sco: " in said.err
        assert ("sco components install all" in said.err) == (mode == "menu")


@pytest.mark.parametrize(
    "text",
    [
        *('{"code": 401, "message": "no"}', '[{"name": "--x"}]', "null", "[["),
        *long("[1]", '[{"state": "RUNNING"}]', "", "{}"),
    ],
)
def test_json_that_holds_no_jobs_is_no_empty_list(platform: Platform, text: str) -> None:
    program = platform.base / "bin/sco"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{text}'\n")
    program.chmod(0o755)
    path = f"{program.parent}:{platform.env['PATH']}"
    assert platform.way("states", "--name", "ydj-train-exp1", PATH=path).status == 111
    assert platform.way("states", "pt-00000000", PATH=path).status == 111


def test_all_pages_are_read_also_where_the_platform_makes_them_short(platform: Platform) -> None:
    ids = [platform.place(n, "ydj-crowd" if n % 2 else "ydj-many") for n in range(30)]
    for mode in ("", "cap"):
        said = platform.way("states", "--prefix", "ydj-", SCO_STAND_IN_MODE=mode)
        assert said.status == 0, said
        assert sorted(row.split("\t")[0] for row in said.out.splitlines()) == sorted(ids)
    said = platform.way("states", "--name", "ydj-many", SCO_STAND_IN_MODE="cap nofilter")
    assert len(said.out.splitlines()) == 15


def test_a_list_that_cannot_be_read_to_its_end_is_no_answer(platform: Platform) -> None:
    for n in range(12):
        platform.place(n, "ydj-many")
    said = platform.way("states", "--prefix", "ydj-", SCO_STAND_IN_MODE="cap samepage")
    assert (said.status, said.out) == (111, "")
    assert "repeats itself" in said.err


def test_other_peoples_names_cannot_forge_a_line(platform: Platform, job: str) -> None:
    platform.fix(job, "RUNNING\tx\n", display_name="ydj-x\tended\n\x1b[2J\u2028")
    said = platform.way("states", "--prefix", "ydj-")
    assert said.out == line(job, "unknown", "UNREADABLE", NONCE, "ydj-x?ended??[2J?")


def test_many_are_asked_for_at_once(platform: Platform) -> None:
    began = time.monotonic()
    said = platform.way("states", *["pt-00000001"] * 8, SCO_STAND_IN_MODE="hang", SCO_WAY_LIMIT_S="5")
    assert said.status == 111
    assert time.monotonic() - began < 25  # one after the other: 40


def test_cancel_ends_the_job_and_leaves_those_of_the_same_name(platform: Platform) -> None:
    ours = platform.submit().out.strip()
    other = platform.submit(nonce=OTHER_NONCE).out.strip()
    said = platform.way("cancel", f"ydj-train-exp1/{NONCE}")
    assert (said.status, said.out) == (0, "")
    wait_until(lambda: [job["name"] for job in platform.jobs()] == [other], "the job to go")
    assert platform.calls("delete") == [["acp", "jobs", "delete", "--workspace-name=share-space", ours]]
    assert platform.way("cancel", ours, "pt-00000000").status == 0  # gone already
    assert platform.way("cancel", other).status == 0
    assert len(platform.calls("delete")) == 2


@pytest.mark.parametrize("state", ["SUCCEEDED", "SUSPENDED", "FAILED", "DELETING", "SUSPENDING"])
def test_what_has_ended_is_left_as_a_record(platform: Platform, state: str) -> None:
    job = platform.place(1, "ydj-train-exp1", state)
    said = platform.way("cancel", job)
    assert said.status == 0
    assert said.err == f"sco: {job} (ydj-train-exp1) is {state} already\n"
    assert platform.calls("delete") == []


@pytest.mark.parametrize("mode", ["hang", "auth", "garbled"])
def test_a_cancel_that_nobody_answered_is_not_done(platform: Platform, mode: str) -> None:
    job = platform.place(1, "ydj-train-exp1")
    said = platform.way("cancel", job, SCO_STAND_IN_MODE=mode, SCO_WAY_LIMIT_S="2")
    assert (said.status, said.out) == (111, "")
    assert platform.calls("delete") == []


def test_exec_becomes_a_shell_in_the_first_worker(platform: Platform) -> None:
    job = platform.submit(nodes=2).out.strip()
    platform.wait_for("RUNNING")
    for word in (job, f"ydj-train-exp1/{NONCE}"):
        said = platform.run([str(WAY), "exec", word], {}, stdin="echo rank $SENSECORE_PYTORCH_NODE_RANK\n")
        assert (said.status, said.out) == (0, "rank 0\n"), said
        assert f"another one: sco acp jobs exec --workspace-name=share-space --worker-name={job}-worker-1" in said.err


def test_exec_tells_why_it_cannot(platform: Platform, job: str) -> None:
    said = platform.way("exec", "pt-00000000")
    assert (said.status, said.err) == (1, "sco: no job pt-00000000 in the workspace share-space\n")
    platform.fix(job, "QUEUEING", roles=[{"total_replicas": 0, "startup_script": f"bash {platform.start()}"}])
    said = platform.way("exec", job)
    assert said.status == 1
    assert f"{job} has no worker yet" in said.err
    assert platform.way("exec", job, SCO_STAND_IN_MODE="hang", SCO_WAY_LIMIT_S="2").status == 111
