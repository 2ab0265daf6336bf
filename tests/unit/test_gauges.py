"""What GPUs were used for, and how much of them: what is kept of it for later."""

from __future__ import annotations

from gpu_queue.agent.gauges import Change, Usage, Use, Uses
from gpu_queue.gpus.devices import Gpu, Health
from gpu_queue.states import GpuState

TRY = "500-20261129T120000000-abcdef-a.sh.try1.abcdef"


def gpu(uuid: str = "GPU-0", used: int | None = 0, percent: int | None = 0) -> Gpu:
    return Gpu(uuid, 0, "H100", 80 << 30, used, percent, None, None, Health.OK)


def test_the_first_look_says_what_each_served_gpu_is_used_for() -> None:
    uses = Uses()
    seen = uses.changes([gpu(), gpu("GPU-not-served")], {"GPU-0": GpuState.IDLE}, (), {})
    assert seen == (Change("GPU-0", 0, None, Use.IDLE),)


def test_a_use_is_told_when_it_changes_and_not_again() -> None:
    uses = Uses()
    looks = [
        (GpuState.IDLE, (), {}),
        (GpuState.IDLE, ("GPU-0",), {}),
        (GpuState.IDLE, ("GPU-0",), {}),
        (GpuState.BUSY, ("GPU-0",), {"GPU-0": TRY}),
        (GpuState.BUSY, (), {"GPU-0": TRY}),
        (GpuState.FOREIGN, (), {}),
        (GpuState.LOST, (), {}),
        (GpuState.UNKNOWN, (), {}),
    ]
    told = [uses.changes([gpu()], {"GPU-0": state}, filled, tries) for state, filled, tries in looks]
    assert [[(one.before, one.now, one.claim) for one in changes] for changes in told] == [
        [(None, Use.IDLE, "")],
        [(Use.IDLE, Use.FILLER, "")],
        [],
        [(Use.FILLER, Use.TASK, TRY)],
        [],
        [(Use.TASK, Use.FOREIGN, "")],
        [(Use.FOREIGN, Use.LOST, "")],
        [(Use.LOST, Use.UNKNOWN, "")],
    ]


def test_the_next_task_on_a_gpu_is_a_change_too() -> None:
    uses = Uses()
    uses.changes([gpu()], {"GPU-0": GpuState.BUSY}, (), {"GPU-0": TRY})
    assert [one.claim for one in uses.changes([gpu()], {"GPU-0": GpuState.BUSY}, (), {"GPU-0": "another"})] == [
        "another"
    ]


def test_a_trys_usage_is_its_peaks_and_means_for_each_gpu() -> None:
    usage = Usage()
    usage.add([gpu("GPU-0", 10, 50), gpu("GPU-1", 1, 0)])
    usage.add([gpu("GPU-0", 30, 100), gpu("GPU-1", None, None)])
    usage.add([gpu("GPU-0", 20, None), gpu("GPU-1", 2, None)])
    assert usage.told() == [
        {
            "gpu": "GPU-0",
            "samples": 3,
            "memory_peak_bytes": 30,
            "memory_mean_bytes": 20,
            "utilization_peak_percent": 100,
            "utilization_mean_percent": 75,
        },
        {
            "gpu": "GPU-1",
            "samples": 2,
            "memory_peak_bytes": 2,
            "memory_mean_bytes": 2,
            "utilization_peak_percent": 0,
            "utilization_mean_percent": 0,
        },
    ]


def test_what_a_device_does_not_tell_is_left_out() -> None:
    usage = Usage()
    usage.add([gpu("GPU-0", None, None)])
    assert usage.told() == []
    usage.add([gpu("MIG-0", 5, None)])
    assert usage.told() == [{"gpu": "MIG-0", "samples": 1, "memory_peak_bytes": 5, "memory_mean_bytes": 5}]
