"""Show a stage until Ctrl-C, and a console over it.

python -m tests.console.stage [--week] [--port 29214] [--no-console] [--root DIR] [--tasks N]
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.console.stage.demo import JOB, ROOT, Stage
from tests.console.stage.week import Week


def main(arguments: Sequence[str] | None = None) -> int:
    """Play until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.console.stage", description="A demonstration of the console."
    )
    parser.add_argument("--port", type=int, default=29214)
    parser.add_argument("--no-console", action="store_true", help="the queue alone; start a console of your own")
    parser.add_argument("--root", type=Path, help="a directory to be made for it; default: a temporary one")
    parser.add_argument("--tasks", type=int, help="that have settled before; default: 1300, of the week 4600")
    parser.add_argument(
        "--week", action="store_true", help="eight nodes, three people, 5,000 tasks; nobody submits more"
    )
    wanted = parser.parse_args(arguments)
    begun = time.monotonic()
    if wanted.root is not None:
        wanted.root.mkdir(mode=0o700)
    base = wanted.root or Path(tempfile.mkdtemp(prefix="gpu-queue-console-demo-"))
    stage = Week(base.resolve()) if wanted.week else Stage(base.resolve())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _play(stage, wanted, begun)
    except KeyboardInterrupt:
        print("\nending, and removing all of it …", flush=True)
    finally:
        stage.close()
    return 0


def _play(stage: Stage, wanted: argparse.Namespace, begun: float) -> None:
    print("making a week of the past …", flush=True)
    stage.build(wanted.tasks)
    print(f"starting {len(stage.rigs)} agents on simulated GPUs …", flush=True)
    stage.start_agents()
    stage.wait_for_agents()
    stage.arrive()
    print(f"queue: QUEUE_ROOT={stage.queue_root} JOB_ID={JOB}", flush=True)
    console = None
    if not wanted.no_console and find_spec("gpu_queue.console.main") is not None:
        own = ["--queue-root", str(stage.queue_root), "--job-id", JOB, "--port", str(wanted.port)]
        console = stage.start([sys.executable, str(ROOT / "gpu_queue/console/__main__.py"), *own], "console.out")
        _wait_for(console, stage.base / "console.out")
    print(f"ready after {time.monotonic() - begun:.0f} s; Ctrl-C ends it", flush=True)
    while console is None or console.poll() is None:
        stage.step()
        time.sleep(1.0)
    print((stage.base / "console.out").read_text(errors="replace"))


def _wait_for(console: subprocess.Popen[bytes], output: Path) -> None:
    until = time.monotonic() + 60
    while console.poll() is None and "http://" not in output.read_text(errors="replace"):
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    print(output.read_text(errors="replace"), end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
