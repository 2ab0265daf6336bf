"""The bindings of this process over the fake driver's library."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import pynvml
import pytest

from tests.fake_nvml import FakeGpu, Scenario, build

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
