"""The bindings of this process over the fake driver's library."""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pynvml
import pytest

from gpu_queue.gpus.leases import Leases
from tests.fake_nvml import FakeGpu, Scenario, build
from tests.gpus.gpu_builders import Try

Use = Callable[[Path], None]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Makes the bindings of this process talk to a library."""

    def load(library: Path) -> None:
        monkeypatch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(library)))
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})

    return load


@pytest.fixture
def node(library: Path, use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    """Three healthy cards."""
    use(library)
    scenario = Scenario(tmp_path / "scenario", [FakeGpu("GPU-a"), FakeGpu("GPU-b"), FakeGpu("GPU-c")])
    monkeypatch.setenv("FAKE_NVML_SCENARIO", str(scenario.path))
    return scenario


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(str(tmp_path))


@pytest.fixture
def live_try(tmp_path: Path) -> Iterator[Try]:
    """Makes tries whose lock is held by this process, as an agent holds it before the fork."""
    descriptors = {}

    def make(name: str) -> str:
        directory = tmp_path / "tries" / name
        directory.mkdir(parents=True)
        descriptors[name] = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptors[name], fcntl.LOCK_EX | fcntl.LOCK_NB)
        return str(directory)

    yield make
    for descriptor in descriptors.values():
        os.close(descriptor)
