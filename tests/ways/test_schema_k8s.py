"""The manifest against the schemas of Kubernetes, strictly: ``make test-ways ONLY=k8s``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ways.caller import GOLDEN, ROOT

pytestmark = [pytest.mark.ways, pytest.mark.timeout(300)]
VENV = ROOT / "build" / "ways" / "k8s"
VERSIONS = [f"1.{minor}" for minor in range(29, 38)]
MANIFESTS = ["k8s.yaml", "k8s-kueue.yaml"]


@pytest.fixture(scope="module")
def validate() -> str:
    """The validator; with its schemas it is 140 MB."""
    if not (VENV / "installed").exists():
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV / "bin" / "pip", "install", "--quiet", "kubernetes-validate==1.37.0"], check=True)
        (VENV / "installed").touch()
    return str(VENV / "bin" / "kubernetes-validate")


def verdict(validate: str, version: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [validate, "--strict", "-k", version, *paths], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_manifest_passes(validate: str, version: str) -> None:
    done = verdict(validate, version, *(GOLDEN / name for name in MANIFESTS))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("completionMode:", "completionsMode:"),
        ("parallelism: 2", "parallelism: two"),
        ("claimName:", "claim:"),
        ("fieldPath:", "fieldpath:"),
    ],
)
def test_a_field_that_is_none_is_seen(validate: str, tmp_path: Path, old: str, new: str) -> None:
    text = (GOLDEN / "k8s.yaml").read_text()
    assert old in text
    (tmp_path / "wrong.yaml").write_text(text.replace(old, new))
    assert verdict(validate, VERSIONS[-1], tmp_path / "wrong.yaml").returncode != 0
