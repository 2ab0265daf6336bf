"""A node's page: what is written is read, in JSON and in lines, and nothing in it makes a reader stumble."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.agent import stages
from gpu_queue.keepalive.keeper import KeepState
from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.spool.files import FileProblem, Vanished
from gpu_queue.spool.pages import (
    NOTE_MAX,
    PAGE_MAX_BYTES,
    GpuPage,
    KeepPage,
    NodePage,
    QueuePage,
    SharedPage,
    SilentPage,
    TryPage,
    WaitPage,
    encode_json,
    encode_lines,
    parse_page,
    read_page,
    write_page,
)
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.states import AgentState, GpuState
from gpu_queue.texts import TEXT_MAX
from tests.unit.test_docs import ROOT

CLAIM = "500-20261123T014415123-4f0c2a-train.sh.try1.abcdef"
FULL = NodePage(
    "n1-00000001",
    incarnation="0123456789ab",
    state=AgentState.PAUSED,
    reason=reason(Code.PAUSED, by="alice: hot"),
    version="1",
    host="n1",
    pid=7,
    started_s=1700000000.0,
    ends_s=1700086400.0,
    allocation="slurm:1234.0",
    beat_s=1700000100.0,
    default_gpus=2,
    devices="simulated",
    gpus=(
        GpuPage(
            "GPU-1", 0, "H100", GpuState.BUSY, 80 << 30, 48 << 30, 97, 312.0, temperature_c=61, power_limit_w=700.0
        ),
        GpuPage("GPU-2", 1, "H100", GpuState.IDLE, keepalive=KeepPage("holding", "", 0.78, 48 << 30, True, 3600.0)),
        GpuPage("GPU-3", 2, "H100", GpuState.LOST, problem="the driver reports Xid 79"),
    ),
    running=(TryPage(CLAIM, "train.sh", "running", (0,), 180.0, 14400.0, "timeout"),),
    waiting_count=120,
    waiting=(
        WaitPage("500-x", reason(Code.GPUS, needed=4, devices=(0, 1), idle=2, busy=2)),
        WaitPage("500-y", reason(Code.AFTER, tasks=("a", "b"))),
    ),
    skipped=1,
    done=2,
    failed=3,
    watching=(SilentPage("n9", 1, 0, 60.0, 600.0),),
    problems=("the shared storage has not answered",),
    seen=("0a0b0c",),
)

SHARED = replace(
    FULL,
    mode="shared",
    gpus=(
        replace(FULL.gpus[0], shared=SharedPage(15 << 30, 1)),
        replace(FULL.gpus[2], shared=SharedPage(kept_by="left")),
    ),
    running=(replace(FULL.running[0], queue="car"),),
    queues=(QueuePage("car", True, CLAIM[4:43], 3, 1, 2, 0, 3, 552.0), QueuePage("bird", False, done=4, failed=1)),
    more_queues=2,
    is_watched=True,
)
"""Of a server that several people share."""

TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co", "Cf", "Zl", "Zp", "Zs")), max_size=40)
COUNTS = st.integers(0, 1 << 40)
JSONS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


def test_what_is_written_is_read() -> None:
    assert parse_page(FULL.node, json.loads(encode_json(FULL))) == FULL
    assert parse_page(FULL.node, json.loads(encode_json(SHARED))) == SHARED


def test_a_page_of_an_earlier_version_reads_as_one_of_a_dedicated_node_without_queues() -> None:
    value = json.loads(encode_json(SHARED))
    for key in ("mode", "queues", "more_queues", "watched"):
        del value[key]
    for one in value["gpus"]:
        one.pop("shared", None)
    del value["running"][0]["queue"]
    assert parse_page(FULL.node, value) == replace(FULL, gpus=(FULL.gpus[0], FULL.gpus[2]), running=FULL.running)


def test_what_is_shared_stands_in_lines_that_earlier_readers_pass_over() -> None:
    lines = encode_lines(SHARED).decode().splitlines()
    assert lines[1] == "mode\tshared"
    assert [line for line in lines if line.startswith("shared\t")] == [
        "shared\t0\t16106127360\t1\t-",
        "shared\t2\t-\t-\tleft",
    ]
    assert [line for line in lines if line.startswith("queue")] == [
        f"queue\tcar\tbusy\t3\t1\t2\t0\t3\t552\t{CLAIM[4:43]}",
        "queue\tbird\tidle\t0\t0\t4\t1\t0\t-\t-",
        "queues\t2",
    ]
    assert next(line for line in lines if line.startswith("try\t")).split("\t")[8] == "car"


@given(
    st.builds(
        NodePage,
        node=st.just("n"),
        incarnation=TEXTS,
        state=st.sampled_from(AgentState),
        host=TEXTS,
        pid=COUNTS,
        default_gpus=st.integers(0, 99),
        gpus=st.lists(
            st.builds(
                GpuPage,
                uuid=TEXTS,
                index=st.integers(0, 99),
                name=TEXTS,
                state=st.sampled_from(GpuState),
                memory_used_bytes=st.none() | COUNTS,
                utilization_percent=st.none() | st.integers(0, 100),
                problem=TEXTS,
                keepalive=st.none() | st.builds(KeepPage, state=TEXTS, reason=TEXTS, held_bytes=COUNTS, off_by=TEXTS),
            ),
            max_size=3,
        ).map(tuple),
        waiting_count=COUNTS,
        problems=st.lists(TEXTS, max_size=3).map(tuple),
    )
)
def test_any_page_that_is_written_is_read(page: NodePage) -> None:
    assert parse_page("n", json.loads(encode_json(page))) == page


@given(st.dictionaries(st.sampled_from([*vars(FULL), "settled", "started_at", "beat_at"]), JSONS))
def test_any_json_is_a_page_and_never_a_fault(value: dict[str, Any]) -> None:
    page = parse_page("n", value)
    assert page.node == "n"
    encode_lines(page)
    encode_json(page)


@given(st.sampled_from(["state", "pid", "host", "gpus", "waiting", "reason", "running", "mode", "queues"]), JSONS)
def test_one_field_that_does_not_fit_hinders_none_of_the_rest(key: str, wrong: object) -> None:
    read = parse_page(FULL.node, json.loads(encode_json(FULL)) | {key: wrong})
    fields = ("waiting", "waiting_count") if key == "waiting" else (key,)
    changed = {name: getattr(read, name) for name in fields}
    assert read == replace(FULL, **changed)


def test_words_and_codes_of_a_later_version_are_kept_as_unknown() -> None:
    value = json.loads(encode_json(FULL))
    value |= {"state": "dancing", "protocol": 7, "new": 1}
    value["gpus"][0]["state"] = "melting"
    value["waiting"]["why"][0] = {"name": "500-x", "code": "moon", "params": {"a": 1}, "text": "waits for the moon"}
    page = parse_page(FULL.node, value)
    assert (page.state, page.protocol, page.gpus[0].state) == (AgentState.UNKNOWN, 7, GpuState.UNKNOWN)
    assert page.waiting[0].reason == Reason(Code.OTHER, {"text": "waits for the moon"})


def test_what_others_wrote_brings_no_control_characters_and_has_an_end() -> None:
    hostile = "\x1b[31m\a\n\t\x9b" + "x" * 10_000
    value = json.loads(encode_json(FULL)) | {"host": hostile, "problems": [hostile]}
    page = parse_page(FULL.node, value)
    assert page.host.startswith("?[31m????xxx")
    assert len(page.host) <= TEXT_MAX + 1
    assert len(page.problems[0]) <= NOTE_MAX + 1


@pytest.mark.parametrize("spelled", [r"\udcc2\udc9b", r"\udce2\udc80\udcae", r"\u009b", r"\u202e", r"\ud800"])
def test_no_spelling_of_a_control_character_in_json_reaches_a_page(spelled: str) -> None:
    value = json.loads(f'{{"problems": ["a{spelled}b\udce4"], "host": "a{spelled}b"}}')
    page = parse_page("n", value)
    for written in (encode_lines(page), encode_json(page)):
        assert not re.search("[\x80-\x9f\u202e]", written.decode("utf-8", "replace"))
        assert b"a?b\xe4" in written


def test_lines_are_fields_without_control_characters_and_never_empty() -> None:
    odd = replace(FULL, problems=("a\tb\nc\x1b",), waiting=(WaitPage("na\nme", reason(Code.SCRIPT, problem="\t")),))
    lines = encode_lines(odd).decode().split("\n")
    assert lines.pop() == ""
    for line in lines:
        assert not re.search("[\x00-\x08\x0a-\x1f\x7f]", line)
        assert all(line.split("\t"))
    assert [line.split("\t")[0] for line in lines] == (
        ["agent", "note", "gpu", "gpu", "keepalive", "gpu", "try", "watch", "wait", "waiting"]
    )
    assert lines[0].split("\t")[:7] == ["agent", "1", "n1-00000001", "0123456789ab", "paused", "2", "86300"]
    assert lines[0].split("\t")[10:] == ["-", "slurm:1234.0"]
    assert lines[4] == "keepalive\t1\tholding\t78\t51539607552\topen\t1\t-\t-"


def test_a_name_that_is_no_text_goes_to_the_shell_byte_for_byte() -> None:
    page = replace(FULL, waiting=(WaitPage("x\udce4.sh", Reason(Code.UNREAD)),))
    assert b"wait\tx\xe4.sh\tunread\t" in encode_lines(page)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff" * 100, b"[" * 100_000, b" " * (PAGE_MAX_BYTES + 1)])
def test_what_is_no_page_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "n1.json"
    with pytest.raises(Vanished):
        read_page(str(path), "n1")
    path.write_bytes(content)
    with pytest.raises(FileProblem):
        read_page(str(path), "n1")


def test_the_protocol_tells_every_stage_and_state_that_a_page_may_hold() -> None:
    page = (ROOT / "docs" / "spool.md").read_text(encoding="utf-8").partition("## The node file")[2]
    told = {text: set(re.findall(r"`([a-z ]+)`", text)) for text in page.partition("### Reasons")[0].split("\n")}
    lives = (stages.Claiming, stages.Clearing, stages.Running, stages.Cleaning, stages.Settling)
    for words, start in (
        ({one.word for one in lives}, "| `running` |"),
        ({one.value for one in GpuState}, "| `gpus` |"),
        ({one.value for one in KeepState}, "`keepalive` is null"),
    ):
        (found,) = [named for text, named in told.items() if text.startswith(start)]
        assert words <= found


def test_a_page_whose_lines_could_not_be_written_is_not_new(tmp_path: Path) -> None:
    paths = SpoolPaths(str(tmp_path))
    Path(paths.node_lines("n1")).mkdir(parents=True)
    with pytest.raises(OSError, match="n1"):
        write_page(paths, NodePage("n1"))
    assert not Path(paths.node_json("n1")).exists(), "whoever finds it new takes the lines for new as well"
