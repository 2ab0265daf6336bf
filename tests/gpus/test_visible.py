"""What a task is shown of the node's GPUs."""

from __future__ import annotations

from gpu_queue.gpus.devices import Health
from gpu_queue.gpus.visible import visible_devices
from tests.gpus.gpu_builders import a_gpu, four


def test_a_task_sees_physical_indices_in_pci_order() -> None:
    gpus = four()
    assert visible_devices(gpus[2:], gpus) == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "2,3"}


def test_a_task_without_gpus_sees_none() -> None:
    assert visible_devices((), four())["CUDA_VISIBLE_DEVICES"] == ""


def test_uuids_are_used_while_any_card_of_the_node_fails() -> None:
    for health in (Health.LOST, Health.UNKNOWN):
        gpus = (a_gpu(0, health=health), a_gpu(1), a_gpu(2))
        assert visible_devices(gpus[1:], gpus)["CUDA_VISIBLE_DEVICES"] == "GPU-11aa,GPU-22aa"


def test_uuids_are_used_where_a_card_is_cut_into_mig_devices() -> None:
    gpus = (a_gpu(0, "MIG-a", is_mig=True), a_gpu(1, "MIG-b", is_mig=True), a_gpu(2))
    assert visible_devices(gpus[1:], gpus)["CUDA_VISIBLE_DEVICES"] == "MIG-b,GPU-22aa"
