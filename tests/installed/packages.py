"""The project as people install it: built once for all workers, installed without a network."""

from __future__ import annotations

import email.parser
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tests.unit.test_docs import ROOT

NEEDED = ("filelock", "nvidia-ml-py", "psutil", "PyYAML", "watchdog")
"""Our dependencies; none of them has any."""
_NOT_OURS = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}
_IGNORED = (
    *(".git", ".venv", "node_modules", "build", "dist", "*.egg-info", "__pycache__"),
    *(".*_cache", ".hypothesis", ".demo"),
)
_BUILD = "import sys; from setuptools import build_meta as made; made.build_{0}(sys.argv[1])"


@dataclass(frozen=True)
class Built:
    """What is installed from."""

    sdist: Path
    wheel: Path
    wheels: Path
    """A directory with ours and those that it needs."""


def build(base: Path) -> Built:
    """An sdist of this tree, and a wheel of what lies in that sdist alone.

    Args:
        base: a directory for it.
    """
    wheels = base / "wheels"
    if not wheels.exists():
        tree, unpacked = base / "tree", base / "unpacked"
        shutil.copytree(ROOT, tree, symlinks=True, ignore=shutil.ignore_patterns(*_IGNORED))
        _run([sys.executable, "-c", _BUILD.format("sdist"), base], cwd=tree)
        unpacked.mkdir()
        _run(["tar", "-xzf", next(base.glob("*.tar.gz")), "-C", unpacked], cwd=base)
        made = base / "made"
        made.mkdir()
        _run([sys.executable, "-c", _BUILD.format("wheel"), made], cwd=next(unpacked.iterdir()))
        for name in NEEDED:
            packed_again(name, made)
        made.rename(wheels)
    return Built(next(base.glob("*.tar.gz")), next(wheels.glob("gpu_queue-*.whl")), wheels)


def packed_again(name: str, into: Path) -> None:
    """A wheel of a package that is installed here.

    Args:
        name: of the package.
        into: a directory.
    """
    found = metadata.distribution(name)
    tags = email.parser.Parser().parsestr(found.read_text("WHEEL") or "").get_all("Tag", [])
    tag = "-".join(".".join(dict.fromkeys(parts)) for parts in zip(*(one.split("-") for one in tags), strict=True))
    kept = []
    for one in found.files or ():
        if not (".." in one.parts or one.suffix == ".pyc" or one.name in _NOT_OURS):
            kept.append(one)
    record = next(one for one in found.files or () if one.name == "RECORD")
    with zipfile.ZipFile(into / f"{name.replace('-', '_')}-{found.version}-{tag}.whl", "w") as archive:
        for one in kept:
            archive.write(str(one.locate()), str(one))
        archive.writestr(str(record), "".join(f"{one},,\n" for one in [*kept, record]))


def an_environment(place: Path, built: Built) -> Path:
    """A virtual environment with the wheel in it and nothing else but what it needs; its Python.

    Args:
        place: where it is made.
        built: what is installed.
    """
    python = place / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", "--without-pip", place])
        install = ("install", "--quiet", "--no-compile", "--no-index", "--find-links", built.wheels, "gpu-queue")
        _run([sys.executable, "-m", "pip", "--python", python, *install])
    return python


def tool(name: str) -> str | None:
    """A program of our own environment, or of ``PATH``."""
    beside = os.path.join(os.path.dirname(sys.executable), name)
    return beside if os.access(beside, os.X_OK) else shutil.which(name)


def _run(words: list[str | Path], cwd: Path | None = None) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    environment["PIP_CONFIG_FILE"] = os.devnull
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done
