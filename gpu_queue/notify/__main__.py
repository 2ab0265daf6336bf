"""One look at a spool's notices, for an agent: ``__main__.py ROOT UIDS``; it finds the addresses itself.

UIDS are those whose notices are told, with commas between them.
"""

import os
import signal
import sys

DEADLINE_S = 110


def main(root: str, uids: str) -> None:
    """Tell what there is to tell, and say what went wrong, without an address."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(DEADLINE_S)
    from gpu_queue.notify.addresses import read_book  # noqa: PLC0415 - the path is set below
    from gpu_queue.notify.sending import Round  # noqa: PLC0415
    from gpu_queue.spool.paths import SpoolPaths  # noqa: PLC0415

    paths = SpoolPaths(root)
    try:
        outcome = Round(paths, read_book(dict(os.environ)), frozenset(map(int, uids.split(",")))).work()
    except OSError as error:
        sys.exit(f"{error.filename or root}: {error.strerror}")
    for problem in dict.fromkeys(outcome.problems):
        print(problem, file=sys.stderr)  # noqa: T201
    print(outcome.told, outcome.messages, outcome.again, outcome.given_up)  # noqa: T201


if __name__ == "__main__":
    # Run as a file, as the agent is: no file beside it is taken for a module.
    here = os.path.dirname(os.path.realpath(__file__))
    top = os.path.dirname(os.path.dirname(here))
    sys.path[:] = [one for one in sys.path if os.path.realpath(one or ".") != here]
    if top not in map(os.path.realpath, sys.path):
        sys.path.insert(0, top)
    main(*sys.argv[1:])
