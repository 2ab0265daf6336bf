"""Which processes are a try's is said twice, for the shim must find them without Python: one family for both."""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from gpu_queue.execution.local import SHIM
from gpu_queue.execution.processes import find_try, read_process
from tests.execution.helpers import SHELLS, wait_until

NAME = f"500-20260101T000000000-abcdef-a.sh.try1.{secrets.token_hex(3)}"
"""Of the claim, in this process: tests beside this one have another."""
ANOTHER = f"{NAME[:-1]}g"

THE_TRYS = {
    "a child": "sleep 1000 & echo $!",
    "a child of a child": "sh -c 'sleep 1000 & echo $!; wait' &",
    "without an environment": "env -i sleep 1000 & echo $!",
    "in a session of its own": "setsid sleep 1000 & echo $!",
    "in a session of its own without an environment": "env -i setsid sleep 1000 & echo $!",
    "an orphan": "(sleep 1000 & echo $!)",
    "an orphan without an environment": "(env -i sleep 1000 & echo $!)",
    "an orphan in a session of its own": "(setsid sleep 1000 & echo $!)",
    "the child, without an environment, of an orphan in a session of its own": (
        "(setsid sh -c 'env -i sleep 1000 & echo $!; wait' &)"
    ),
    "one whose spool has another path": f"setsid env GPU_QUEUE_CLAIM=/other/path/{NAME} sleep 1000 & echo $!",
    "one with a long environment": 'setsid env A="$(head -c 100000 /dev/zero | tr "\\0" x)" sleep 1000 & echo $!',
}
"""Lines of its script, each of which starts a process and writes its pid."""
STRANGERS = {
    "of another try": {"GPU_QUEUE_CLAIM": f"/spool/{ANOTHER}"},
    "of a try whose name begins so": {"GPU_QUEUE_CLAIM": f"/spool/{NAME}0"},
    "of a try whose name ends so": {"GPU_QUEUE_CLAIM": f"/spool/1{NAME}"},
    "with the name in another variable": {"X_GPU_QUEUE_CLAIM": f"/spool/{NAME}", "CLAIM": NAME},
    "with the name in a line of another variable": {"X": f"1\nGPU_QUEUE_CLAIM=/spool/{NAME}\n"},
    "with the name in a directory": {"GPU_QUEUE_CLAIM": f"/spool/{NAME}/x"},
    "with no environment": {},
}
"""What else runs meanwhile, by its environment."""
AS_A_SHIM = """
q_claim=$1 q_timer='' q_beater=''
sleep 1000 &
q_timer=$!
GPU_QUEUE_CLAIM=$q_claim "$2" "$3" &
q_child=$!
read -r q_line
q_found='' q_told=''
q_family
q_marked
q_family
printf '%s\\n' $q_child $q_timer $q_found >found.tmp
mv found.tmp found
read -r q_line
"""


def pid_in(path: Path) -> int:
    wait_until(lambda: path.read_text().endswith("\n"))
    return int(path.read_text())


@pytest.mark.parametrize("directory", ["/spool/running/n1", "/a b\n'c$(true)"])
@pytest.mark.parametrize("shell", SHELLS)
def test_shim_and_agent_find_the_same_processes_of_a_try(tmp_path: Path, shell: str, directory: str) -> None:
    if not os.path.exists(SHELLS[shell][0]):
        pytest.skip(f"no {shell} here")
    functions, _, call = SHIM.read_text().rpartition("\nq_main")
    assert call.startswith(' "$@"; exit'), "what is cut off is the call, and nothing else"
    (tmp_path / "shim.sh").write_text(functions + AS_A_SHIM)
    lines = [f"{{ {line}\n}} >{shlex.quote(f'{number}.pid')}" for number, line in enumerate(THE_TRYS.values())]
    (tmp_path / "family.sh").write_text("\n".join([*lines, "true & echo $! >over.pid", ": >all", "wait"]))
    claim = f"{directory}/{NAME}"
    strangers = [
        subprocess.Popen(["/bin/sleep", "1000"], env=environment, start_new_session=True)
        for environment in STRANGERS.values()
    ]
    shim = subprocess.Popen(
        [*SHELLS[shell], "shim.sh", claim, "sh", "family.sh"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    family = {}
    try:
        assert shim.stdin is not None
        wait_until((tmp_path / "all").exists)
        for number, who in enumerate(THE_TRYS):
            family[pid_in(tmp_path / f"{number}.pid")] = who
        wait_until(lambda: all((row := read_process(pid)) and row.name in ("sleep", "busybox") for pid in family))
        over = pid_in(tmp_path / "over.pid")
        wait_until(lambda: (row := read_process(over)) is None or row.state == "Z")
        shim.stdin.write(b"\n")
        shim.stdin.flush()
        wait_until((tmp_path / "found").exists)
        script, timer, *by_shim = map(int, (tmp_path / "found").read_text().split())
        by_agent = find_try(claim, shim.pid)

        assert {row.pid for row in by_agent if row.is_helper} == {timer}
        assert {row.pid for row in by_agent if not row.is_helper} == set(by_shim)
        assert set(by_shim) >= {script, *family}, [who for pid, who in family.items() if pid not in by_shim]
        others = {stranger.pid: who for stranger, who in zip(strangers, STRANGERS, strict=True)}
        assert not [who for pid, who in others.items() if pid in by_shim]
    finally:
        for row in find_try(claim, shim.pid):
            os.kill(row.pid, signal.SIGKILL)
        shim.kill()
        shim.communicate()
        for stranger in strangers:
            stranger.kill()
            stranger.wait()
