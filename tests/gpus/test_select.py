"""Which GPUs an agent serves."""

from __future__ import annotations

import pytest

from gpu_queue.errors import SettingsError
from gpu_queue.gpus.devices import Health, select_gpus, summarize
from tests.gpus.gpu_builders import a_gpu, four


def indices(wanted: str, visible: str | None = None) -> list[int]:
    return [gpu.index for gpu in select_gpus(four(), wanted.split(","), visible)]


def test_all_means_every_gpu_of_the_node() -> None:
    assert indices("all") == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("2,3", [2, 3]),
        (" 3 , 1 ", [3, 1]),
        ("0,2,-1,1", [0, 2]),
        ("1,9,0", [1]),
        ("GPU-22aa,GPU-3", [2, 3]),
        ("1,GPU-,0", [1]),
        ("1,1", [1]),
    ],
)
def test_all_honours_the_grant_of_a_scheduler_as_cuda_reads_it(visible: str, expected: list[int]) -> None:
    assert indices("all", visible) == expected


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles", "9"])
def test_a_grant_of_nothing_is_told_with_what_was_granted_and_what_exists(visible: str) -> None:
    with pytest.raises(SettingsError, match=rf"CUDA_VISIBLE_DEVICES='{visible}' leaves none.*0 \(GPU-00aa\)"):
        indices("all", visible)


def test_gpus_that_are_named_win_over_a_grant_and_keep_their_order() -> None:
    assert indices("3,GPU-00", visible="1") == [3, 0]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("0,7", r"--gpus 0,7: '7' is no GPU of this node; expected all, or some of 0 \(GPU-00aa\), 1"),
        ("GPU-9", "'GPU-9' is no GPU"),
        ("GPU-", "'GPU-' fits 4 devices"),
        ("two", "'two' is no GPU"),
        ("", "'' is no GPU"),
        ("0,GPU-00aa", r"GPU 0 \(GPU-00aa\) is named twice"),
    ],
)
def test_a_name_that_fits_no_gpu_is_told_with_what_exists(wanted: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        indices(wanted)


def test_a_whole_uuid_wins_over_longer_ones_that_begin_with_it() -> None:
    gpus = (a_gpu(0, "MIG-1"), a_gpu(1, "MIG-12"))
    assert select_gpus(gpus, ["MIG-1"], None) == gpus[:1]


def test_a_summary_counts_the_kinds_and_what_fails() -> None:
    assert summarize([a_gpu(0)]) == "1 GPU (NVIDIA H100 80GB HBM3)"
    assert summarize([a_gpu(0), a_gpu(1, health=Health.LOST)]) == "2 GPUs (NVIDIA H100 80GB HBM3), 1 lost"
