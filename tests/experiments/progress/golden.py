"""What is shown, word for word.  After a change that is meant, write it anew and look at the difference::

GPU_QUEUE_WRITE_SCREENS=1 pytest tests/experiments/progress -p no:randomly -n 0
git diff tests/experiments/progress/screens
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from gpu_queue.experiments.progress.lines import Line, text_of

SCREENS = Path(__file__).parent / "screens"


def compare(name: str, lines: Iterable[Line | str]) -> None:
    text = "".join(f"{line if isinstance(line, str) else text_of(line)}\n" for line in lines)
    file = SCREENS / name
    if os.environ.get("GPU_QUEUE_WRITE_SCREENS"):
        SCREENS.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{name} is to look otherwise; see the head of {__file__}"
