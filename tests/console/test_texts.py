"""The texts of the pages: one file a directory, all of them loaded as one."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import gpu_queue.console

SOURCES = Path(gpu_queue.console.__file__).parent / "web" / "src"
ENTRY = re.compile(r'(?:msgctxt (".*")\n)?msgid ((?:".*"\n)+)msgstr ((?:".*"(?:\n|$))+)')


def translations() -> dict[tuple[str, str], dict[str, str]]:
    """The Chinese of each text, by directory."""
    found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for path in SOURCES.glob("*/locales/zh.po"):
        for context, text, chinese in ENTRY.findall(path.read_text(encoding="utf-8")):
            told = ["".join(map(ast.literal_eval, part.splitlines())) for part in (text, chinese)]
            if told[0]:
                found[context, told[0]][path.parent.parent.name] = told[1]
    return found


def test_a_text_means_the_same_in_every_directory_for_the_last_one_that_is_loaded_counts() -> None:
    told = translations()
    assert len(told) > 400
    assert {text: said for (_, text), said in told.items() if len(set(said.values())) > 1} == {}


def test_every_text_is_there_in_chinese_and_nobody_is_spoken_to_as_you() -> None:
    told = [(text, chinese) for (_, text), said in translations().items() for chinese in said.values()]
    assert [text for text, chinese in told if not chinese] == []
    assert [chinese for _, chinese in told if "你" in chinese] == []
