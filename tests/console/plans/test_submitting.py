"""What is pasted or dropped into a page: what it asks for, what it is told, what nobody can make of it."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from gpu_queue.console.models.plans import ScriptIn, SubmitOptions
from gpu_queue.console.plans.submitting import Surroundings, given, look_at
from gpu_queue.spool.pages import GpuPage
from gpu_queue.states import AgentState, GpuState
from tests.console.plans.console import Console
from tests.console.plans.test_making import snapshot
from tests.shell.helpers import Spool

NODE = "n1-00000001"


def gpu(index: int, state: GpuState = GpuState.IDLE) -> GpuPage:
    return GpuPage(f"GPU-{index}", index, "H100", state, memory_total_bytes=80 << 30, memory_used_bytes=0)


def script(text: str, name: str = "a.sh", **more: Any) -> dict[str, Any]:
    return {"name": name, "text": text, **more}


def read(console: Console, text: str, **options: Any) -> Any:
    (one,) = console.post("/read", {"scripts": [script(text)], "options": options})["scripts"]
    return one


def needs(one: Any) -> dict[str, tuple[str, str, int | None]]:
    return {need["name"]: (need["value"], need["source"], need["line"]) for need in one["needs"]}


def test_each_need_is_told_with_the_line_that_says_it(console: Console, spool: Spool) -> None:
    text = "#!/bin/bash\n#SBATCH --gres=gpu:2\n#GPUQ --time 4h\n#GPUQ --queue car\n\npython a.py\n"
    told = needs(read(console, text))
    assert told["gpus"] == ("2", "#SBATCH", 2)
    assert told["time"] == ("4h", "#GPUQ", 3)
    assert told["queue"] == ("car", "#GPUQ", 4)
    assert told["priority"] == ("500", "default", None)
    assert spool.names("pending") == []


def test_what_is_said_in_a_field_counts_before_the_script(console: Console) -> None:
    told = needs(read(console, "#GPUQ --gpus 2 --memory 20G\n", gpus="4", memory="", priority=7, cwd="~/work/../x"))
    assert told["gpus"] == ("4", "given", None)
    assert told["memory"] == ("20G", "#GPUQ", 1), "an empty field says nothing"
    assert told["priority"] == ("7", "given", None)
    assert told["cwd"][0].endswith("/x")


def test_a_script_that_says_where_it_runs_does(console: Console, spool: Spool) -> None:
    text = "#!/bin/bash\n#SBATCH --chdir=/data/run\ntrue\n"
    assert needs(read(console, text))["cwd"] == ("/data/run", "#SBATCH", 2)
    _, outcome = console.do_it("submit", scripts=[script(text)])
    (task,) = outcome["submitted"]
    record = json.loads((spool.path / "records" / f"{task}.json").read_text())
    assert (record["cwd"], record.get("path", "")) == ("/data/run", "")


def test_a_count_that_cannot_be_is_told_in_both_languages_and_nothing_is_queued(
    console: Console, spool: Spool
) -> None:
    scripts = [script("#GPUQ --gpus 3-2\n", "bad.sh"), script("true\n", "good.sh")]
    plan = console.plan("submit", scripts=scripts)
    bad, good = plan["scripts"]
    assert "3-2" in bad["problem"]["text"]["en"]
    assert "（第 1 行）" in bad["problem"]["text"]["zh"]
    assert good["problem"] is None
    assert not plan["can_run"]
    console.run(plan, status=409)
    assert spool.names("pending") == []


@pytest.mark.parametrize(
    ("handed", "told"),
    [
        (script("true\n", "a/b.sh"), "without /"),
        (script("true\n", ".."), "without /"),
        (script("true\n", "a\nb.sh"), "control characters"),
        (script("true\n", "a\u202eb.sh"), "control characters"),
        (script("true\n", " "), "control characters"),
        (script("", "a.sh"), "empty"),
        (script("a\0b", "a.sh"), "binary"),
        (script("no base64!", "a.sh", is_base64=True), "base64"),
        (script("#GPUQ --queue ../x\n"), "queue"),
    ],
)
def test_what_can_be_no_script_is_refused_by_its_name(
    console: Console, spool: Spool, handed: dict[str, Any], told: str
) -> None:
    plan = console.plan("submit", scripts=[handed])
    assert told in plan["scripts"][0]["problem"]["text"]["en"]
    assert not plan["can_run"]
    assert not any(spool.names(state) for state in ("pending", "records"))


def test_bytes_that_are_no_text_come_as_they_are(console: Console, spool: Spool) -> None:
    content = b"#!/bin/bash\necho caf\xe9\n"
    handed = script(base64.b64encode(content).decode(), is_base64=True)
    console.do_it("submit", scripts=[handed])
    (name,) = spool.names("pending")
    assert (spool.path / "pending" / name).read_bytes() == content


def test_windows_line_ends_are_told(console: Console) -> None:
    assert "Windows" in read(console, "#!/bin/bash\r\ntrue\r\n")["notes"][0]["text"]["en"]


def test_an_array_is_as_many_tasks_and_confirmed(console: Console, spool: Spool) -> None:
    plan = console.plan("submit", scripts=[script("#SBATCH --array=0-24%2\ntrue\n")])
    assert (plan["counts"]["submit"], plan["must_confirm"], plan["scripts"][0]["tasks"]) == (25, True, 25)
    outcome = console.run(plan)
    assert (outcome["counts"], len(spool.names("pending"))) == ({"done": 25}, 25)
    assert console.undo(plan)["counts"] == {"done": 25}
    many = console.plan("submit", scripts=[script("true\n")] * 3, options={"array": "0-9999"}, status=422)
    assert many["code"] == "too_many_tasks"


def test_what_comes_after_another_waits_for_it_by_name_or_key(console: Console, spool: Spool) -> None:
    first = spool.add("pending", "first.sh")
    plan = console.plan("submit", scripts=[script("true\n")], options={"after": ["first"]})
    assert plan["scripts"][0]["why_waits"][0]["code"] == "after"
    console.run(plan)
    second = console.get(f"/plans/{plan['id']}")["outcome"]["submitted"][0]
    assert json.loads((spool.path / "records" / f"{second}.json").read_text())["needs"]["after"] == [first[4:]]
    unknown = console.plan("submit", scripts=[script("true\n")], options={"after": ["nobody"]})
    assert "nobody" in unknown["scripts"][0]["problem"]["text"]["en"]


def test_why_it_would_wait_is_told_for_each_node(console: Console, spool: Spool) -> None:
    def why(text: str) -> list[tuple[str, str]]:
        return [(one["node"], one["code"]) for one in read(console, text)["why_waits"]]

    assert why("true\n") == [("", "no_agent")]
    spool.node(NODE, gpus=(gpu(0), gpu(1, GpuState.BUSY)))
    console.plan("pause")  # looks anew
    assert read(console, "true\n")["starts"] == NODE
    assert why("#GPUQ --gpus 2\n") == [(NODE, "gpus")]
    assert why("#GPUQ --gpus 3\n") == [(NODE, "infeasible")]
    assert why("#GPUQ --memory 200G\n") == [(NODE, "memory")]
    spool.node(NODE, state=AgentState.DRAINING.value, gpus=(gpu(0),))
    console.plan("pause")
    assert [node for node, _ in why("true\n")] == [NODE]
    (spool.path / "paused").write_text("bob\n")
    console.plan("pause")
    assert why("true\n") == [("", "paused")]


def test_all_that_is_handed_in_together_is_bounded(console: Console) -> None:
    big = "#" + "x" * (13 << 20)
    reply = console.plan("submit", scripts=[script(big, f"{n}.sh") for n in range(5)], status=422)
    assert reply["code"] == "too_large"
    assert console.plan("submit", scripts=[script("true\n")] * 101, status=422)
    too_large = base64.b64encode(b"#" + b"x" * (16 << 20)).decode()
    assert (
        "at most"
        in console.plan("submit", scripts=[script(too_large, is_base64=True)])["scripts"][0]["problem"]["text"]["en"]
    )


BOMBS = {
    "many lines": "#GPUQ --gpus 1\n" * 5000,
    "one long line": "#GPUQ " + "--gpus 1 " * 8000 + "\n",
    "digits": "#GPUQ --gpus " + "9" * 60_000 + "\n",
    "array": "#GPUQ --array " + ",".join(map(str, range(12_000))) + "\n",
    "brackets": "(" * 30_000 + ")" * 30_000 + "\n",
    "quotes": "torchrun " + '"$(' * 20_000 + "\n",
    "braces": "python {" + "{a,b}," * 10_000 + "}\n",
    "here": "cat <<" + "A" * 60_000 + "\n",
    "dollars": "x=" + "${x:-" * 10_000 + "\n",
    "dependency": "#SBATCH --dependency=" + "afterok:1?" * 6000 + "\n",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_no_text_takes_long_to_read(kind: str) -> None:
    """64 KiB of it are looked at."""
    seen = snapshot([], [])
    handed = [given(ScriptIn(name=f"{number}.sh", text=BOMBS[kind])) for number in range(3)]
    began = time.process_time()
    found, _ = look_at(handed, SubmitOptions(), Surroundings(seen, "/home/a"))
    assert time.process_time() - began < 6
    for one in found:
        assert len(one.model_dump_json()) < 20_000
