"""``make docs-samples``: run all sessions, and write what has changed into the pages.

A session whose samples differ in times and numbers alone leaves its pages as they are, unless ``--anew`` is given.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.agent.harness import ROOT
from tests.samples import pages, picture
from tests.samples.session import LANGUAGES, Recording, names, needs_torch, record


def main() -> int:
    """Write what is old; the exit status is 1 where a session could not be run."""
    options = _options()
    wanted = [name for name in names() if options.only in ("", name)]
    runnable = [name for name in wanted if not needs_torch(name) or importlib.util.find_spec("torch")]
    for name in sorted(set(wanted) - set(runnable)):
        print(f"{name}: needs torch, which is not installed: make venv EXTRAS=dev,torch", file=sys.stderr)
    with ThreadPoolExecutor(max_workers=4) as threads:  # they mostly wait
        for recording in threads.map(record, *zip(*itertools.product(runnable, LANGUAGES), strict=True)):
            _renew(recording, anew=options.anew)
    return 0 if wanted and runnable == wanted else 1


def _renew(recording: Recording, *, anew: bool) -> None:
    name, language, made = recording.session, recording.language, pages.samples(recording)
    if anew or pages.stale(name, language, made):
        for page in pages.write(name, language, made):
            print(f"{page.relative_to(ROOT)}: {name}")
    if name == picture.SESSION:
        path, svg = picture.path_of(language), picture.draw(recording)
        if anew or picture.is_stale(path, svg):
            path.write_text(svg, encoding="utf-8")
            print(path.relative_to(ROOT))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.samples")
    parser.add_argument("--only", default="", help="this session")
    parser.add_argument("--anew", action="store_true", help="write also what differs in numbers alone")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
