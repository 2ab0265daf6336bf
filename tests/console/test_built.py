"""The pages that are installed are those that the sources make."""

from __future__ import annotations

import gzip
import importlib.util
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

FIRST_LOAD_MAX_BYTES = 230_000
EDITOR_MAX_BYTES = 130_000
IMPORTED = re.compile(r"""(?:from|import)\s*["'`]\./([\w.-]+\.js)["'`]""")
CONSOLE = Path(__file__).parents[2] / "gpu_queue" / "console"


def load_build() -> ModuleType:
    """The script is a program of the sources, not a module of the package."""
    spec = importlib.util.spec_from_file_location("console_web_build", CONSOLE / "web" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


build = load_build()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    web = tmp_path / "web"
    shutil.copytree(CONSOLE / "web", web, ignore=shutil.ignore_patterns("node_modules"))
    return web


def test_what_is_installed_was_built_from_these_sources() -> None:
    built = CONSOLE / "static" / build.HASH_FILE
    if not built.is_file():
        pytest.skip("the pages were not built here: make console")
    assert built.read_text().strip() == build.source_hash(), "the sources have changed since: make console"


def test_the_hash_is_the_same_in_another_directory(copy: Path) -> None:
    assert build.source_hash(copy) == build.source_hash()


@pytest.mark.parametrize("name", ["index.html", "package-lock.json", "public/theme.js", "src/ui/tokens.css"])
def test_a_changed_source_changes_the_hash(copy: Path, name: str) -> None:
    before = build.source_hash(copy)
    (copy / name).write_bytes((copy / name).read_bytes() + b"\n")
    assert build.source_hash(copy) != before


def test_a_renamed_source_changes_the_hash(copy: Path) -> None:
    before = build.source_hash(copy)
    (copy / "src" / "search.ts").rename(copy / "src" / "query.ts")
    assert build.source_hash(copy) != before


def test_no_source_makes_text_into_markup() -> None:
    assert build.unsafe_lines() == []


def test_a_line_that_does_is_named(copy: Path) -> None:
    (copy / "src" / "bad.tsx").write_text("const a = 1;\nelement.innerHTML = name;\n")
    assert build.unsafe_lines(copy) == ["src/bad.tsx:2: element.innerHTML = name;"]


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    """The policy of the console's pages forbids both."""
    page = (CONSOLE / "web" / "index.html").read_text()
    assert "<style" not in page
    assert " style=" not in page
    assert page.count("<script") == page.count("<script src=") + page.count('<script type="module" src=')


def first_load(static: Path, page: str) -> set[Path]:
    """Everything that a browser asks for until a page is shown in English, but what the API answers."""
    index = (static / "index.html").read_text()
    named = re.findall(r'(?:src|href)="(?:\./)?([\w./-]+\.\w+)"', index)
    files = {static / "index.html", *(static / name for name in named)}
    assets = static / "assets"
    files |= {path for part in (page, "catalogs.en") for path in assets.glob(f"{part}-*")}
    new = set(files)
    while new:
        scripts = [path for path in new if path.suffix == ".js"]
        new = {path.parent / name for path in scripts for name in IMPORTED.findall(path.read_text())} - files
        files |= new
    return files


def test_the_editor_is_small_and_no_part_of_the_first_load() -> None:
    static = CONSOLE / "static"
    parts = [*(static / "assets").glob("CodeEditor-*")]
    if not parts:
        pytest.skip("the pages were not built here: make console")
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 6)) for path in parts}
    assert sum(sizes.values()) < EDITOR_MAX_BYTES, sizes
    assert not first_load(static, "GpusPage") & {*parts}


def test_the_first_load_of_the_gpus_page_is_small() -> None:
    static = CONSOLE / "static"
    if not (static / "index.html").is_file():
        pytest.skip("the pages were not built here: make console")
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 6)) for path in first_load(static, "GpusPage")}
    assert any(name.startswith("GpusPage-") for name in sizes)
    assert sum(sizes.values()) < FIRST_LOAD_MAX_BYTES, sizes
