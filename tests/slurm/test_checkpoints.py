"""A training that outlives its allocations: it is warned, saves, and ends as if it had never been interrupted."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.harness import ROOT, wait_until
from tests.slurm.cluster import Slurm
from tests.slurm.served import Served, a_served

EXAMPLE = ROOT / "examples/checkpoints/plain_train.py"
ALLOCATIONS = 10
STEPS_EACH = 30
"""So far an allocation lets the training come; then it waits for its end."""
WAITS = """
def pause(state):
    path = "reached"
    with open(path + ".new", "w") as file:
        file.write(str(state["step"]))
    os.replace(path + ".new", path)
    while not must_leave and state["step"] >= int(open("allowed").read()):
        time.sleep(0.02)
"""


@pytest.fixture
def served(slurm: Slurm, tmp_path: Path) -> Iterator[Served]:
    with a_served(slurm, tmp_path) as made:
        yield made


def uninterrupted() -> float:
    example = runpy.run_path(str(EXAMPLE))
    state = example["train"](example["load"](), lambda _: None)
    assert state["step"] == 300
    return float(state["loss"])


@pytest.mark.timeout(600)
def test_a_training_over_ten_allocations_ends_with_the_loss_of_one_that_was_never_interrupted(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("uninterrupted"))
    expected = uninterrupted()
    base, queue = served.queue.base, served.queue
    script = EXAMPLE.read_text().replace('if __name__ == "__main__":', WAITS + '\nif __name__ == "__main__":')
    script = script.replace("state = train(state)", "state = train(state, pause)")
    (base / "reached").write_text("0")
    (base / "allowed").write_text("0")
    task = queue.submit(script, "plain_train.py", signal="USR1@2")
    for number in range(1, ALLOCATIONS + 1):
        (base / "allowed").write_text(str(number * STEPS_EACH if number < ALLOCATIONS else 1000))
        ends_by_itself = number % 2 == 0 and number < ALLOCATIONS
        flags = ("--lifetime", "12s", "--at-end", "stop") if ends_by_itself else ("--lifetime", "10m")
        (job,) = served.submit("1", flags=flags)

        def has_come(there: int = number * STEPS_EACH) -> bool:
            return int((base / "reached").read_text()) >= there

        wait_until(has_come, f"step {number * STEPS_EACH}", 60, served.dump)
        if number == ALLOCATIONS:
            break
        if not ends_by_itself:
            served.slurm.ask("scancel", job)
        served.wait_for_end(job)
        assert queue.where(task) == ["pending"], served.dump()
    queue.wait_for(task, "done", 60)
    served.slurm.ask("scancel", job)
    outcomes = [record["outcome"] for record in queue.tries(task)]
    assert outcomes == ["saved"] * (ALLOCATIONS - 1) + ["succeeded"], queue.log(task)
    assert f"step 300: loss {expected!r}" in queue.log(task)
    begun = [int(line.split()[-1]) for line in queue.log(task).splitlines() if "begins at step" in line]
    assert begun == sorted(begun)
    assert len(begun) == ALLOCATIONS, begun
    assert "told USR1, 2s before the agent's lifetime or allocation ends" in queue.log(task)
