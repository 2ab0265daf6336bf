"""The documentation shows what the commands say: run ``make docs-samples`` where it no longer does."""

from __future__ import annotations

import importlib.util
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.agent.harness import ROOT
from tests.samples.session import LANGUAGES, SESSIONS, Language, Recording, Step, names, needs_torch, record
from tests.samples.wording import HOME, shape, stable

pytest.importorskip("pyte", reason="pyte is not installed: make venv")
from tests.samples import pages, picture

EVERYTHING = bool(os.environ.get("GPU_QUEUE_ALL_SAMPLES"))
HAS_TORCH = importlib.util.find_spec("torch") is not None


def marked(name: str) -> object:
    reason = "torch is not installed: make venv EXTRAS=dev,torch"
    return pytest.param(name, marks=pytest.mark.skipif(needs_torch(name) and not HAS_TORCH, reason=reason))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", [marked(name) for name in names()])
def test_the_documentation_shows_what_the_commands_say(name: str, language: Language) -> None:
    if not EVERYTHING and (name == "dead" or (language != "en" and name != picture.SESSION)):
        pytest.skip("takes long; make docs-samples types it, and so does the suite with GPU_QUEUE_ALL_SAMPLES=1")
    recording = record(name, language)
    wrong = pages.stale(name, language, pages.samples(recording))
    if name == picture.SESSION and picture.is_stale(picture.path_of(language), picture.draw(recording)):
        wrong.append(f"{picture.path_of(language).relative_to(ROOT)} is old")
    assert not wrong, "\n".join(["run make docs-samples", *wrong])


def test_every_sample_that_is_made_is_shown_in_both_languages_and_no_other_is() -> None:
    made = set()
    for name in names():
        lines = (SESSIONS / f"{name}.sh").read_text(encoding="utf-8").splitlines()
        made |= {(name, line[2:].strip()) for line in lines if line.startswith("#=")}
    shown = {language: {(block.session, block.name) for block in pages.blocks(language)} for language in LANGUAGES}
    assert shown["en"] == shown["zh"]
    assert shown["en"] <= made
    only_in_the_picture = {(picture.SESSION, name) for name in ("submit", "tail", "end")}
    assert made - shown["en"] == only_in_the_picture


def test_the_quick_start_is_typed_by_a_session() -> None:
    typed = (SESSIONS / "first.sh").read_text(encoding="utf-8").replace("GPU_QUEUE_SIMULATE=4 ", "").splitlines()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start = readme[readme.index("## Quick start") : readme.index("## How it works")]
    blocks = re.findall(r"```bash\n(.*?)```", start, re.DOTALL)[:2]
    commands = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    unseen = ("make venv", "gpu_help")
    assert [line for line in commands if not line.startswith(unseen) and line not in typed] == []


def test_a_changed_output_is_told_with_the_page_that_is_old(tmp_path: Path) -> None:
    block = next(pages.blocks("en"))
    same = {b.name: b.text for b in pages.blocks("en") if b.session == block.session}
    assert pages.stale(block.session, "en", same) == []
    (said,) = pages.stale(block.session, "en", {**same, block.name: same[block.name] + "one line more\n"})
    assert said.startswith(str(block.page.relative_to(ROOT)))


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("GPU 3  idle  82%  48G of 80G", "GPU 3  idle  7%  480M of 80G", True),
        ("0.4s of 4h00m", "1m02s of 4h00m", True),
        ("counted until 14s ago", "counted until 1d02h ago", True),
        ("done 1", "failed 1", False),
        ("paused; gpu_resume ends it", "paused", False),
        ("7ad896  train.sh", "95158a  train.sh", False),
        ("running 2\n", "running 2\nwaiting 1\n", False),
    ],
)
def test_times_and_numbers_are_no_difference_and_words_are(one: str, other: str, is_same: bool) -> None:
    assert (shape(one) == shape(other)) == is_same


def test_what_is_random_is_always_the_same() -> None:
    def said(home: str, nonce: str, node: str, claim: str) -> str:
        storage = "(overlay, local, mounted at /tmp)"
        text = f"{home}/gpu_queue on node7-{node} ({nonce}) 500-x-{nonce}-a.sh.try1.{claim} {storage}"
        return stable(text, Recording("x", "en", [], home, [nonce]))

    assert said("/tmp/0a0a0a", "123456", "00000000", "aaaaaa") == said("/tmp/ffffff", "abcdef", "12ab34cd", "000000")
    assert said("/tmp/0a0a0a", "123456", "00000000", "aaaaaa").startswith(f"{HOME}/gpu_queue on node7-")


def test_a_picture_shows_its_lines_and_is_well_formed() -> None:
    step = Step("x", "gpu_list", [(0.0, b"\x1b[1mbold\x1b[0m & <plain>\r\n"), (1.0, "等待\r\n".encode())])
    svg = picture.draw(Recording("x", "zh", [step], "/tmp/000000", []))
    texts = ["".join(node.itertext()) for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert "$gpu_list" in texts
    assert texts[-3:] == ["bold& <plain>", "等待", "$"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pictures_are_small(language: Language) -> None:
    assert picture.path_of(language).stat().st_size < 100_000
