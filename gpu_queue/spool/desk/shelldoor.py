"""Snapshots for shells: a tree is looked at and put into the queue, and what records say of it comes out in lines.

``python3 -I -S -c '…; from gpu_queue.spool.desk.shelldoor import main; main()' SPOOL DIRECTORY [CWD SCRIPT]…``

For each pair, in their order, fields by tabs, no control characters in them:

- ``code``    the value of the record's ``code``, as JSON
- ``note``    what the submitter should know; none, or several
- ``refuse``  in the place of all others: why nothing may be queued, in English, in Chinese; the status is 2 where the
  tree is to blame, 1 where the storage is
"""

from __future__ import annotations

import os
import sys

from gpu_queue.errors import BadScript, GpuQueueError
from gpu_queue.spool import files
from gpu_queue.spool.desk.storing import Codes, keep, remarks
from gpu_queue.spool.parts import encode_code
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.texts import printable

SCRIPT_LOOKED_AT_BYTES = 1 << 20
FIELD_MAX = 4000


def said(words: list[str]) -> tuple[int, list[str]]:
    """The exit status, and the lines."""
    spool, directory, *pairs = words
    paths = SpoolPaths(spool)
    codes = Codes(paths)
    lines: list[str] = []
    try:
        for cwd, script in zip(pairs[::2], pairs[1::2], strict=True):
            code, tree = codes.of(cwd, script, taken_of=directory)
            assert code is not None
            assert tree is not None
            lines.append(
                "code\t" + files.encode_json(encode_code(code)).decode("utf-8", "surrogateescape").rstrip("\n")
            )
            content = b""
            if script:
                try:
                    content, _ = files.read_regular(os.path.realpath(script), SCRIPT_LOOKED_AT_BYTES)
                except (files.FileProblem, OSError):
                    pass  # whoever asks has read it already
            lines += [f"note\t{printable(note, FIELD_MAX)}" for note in remarks(tree, script, content)]
        keep(paths, codes.tree(directory))
    except BadScript as bad:
        return 2, [f"refuse\t{printable(str(bad), FIELD_MAX)}\t{printable(bad.chinese, FIELD_MAX)}"]
    except GpuQueueError as error:
        told = printable(str(error), FIELD_MAX)
        return 1, [f"refuse\t{told}\t{told}"]
    return 0, lines


def main() -> None:
    """Print, and exit."""
    status, lines = said(sys.argv[1:])
    sys.stdout.buffer.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
    sys.exit(status)
