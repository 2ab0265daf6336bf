"""A stand-in for perpetual_motion.py: says what an agent says, and writes down how it was started."""

import json
import os
import signal
import sys
import time

with open(os.environ["STAND_IN_FACTS"], "w") as file:
    json.dump(
        {
            "pid": os.getpid(),
            "flags": sys.argv[1:],
            "python": sys.executable,
            "leads_its_session": os.getsid(0) == os.getpid(),
            "stdin": os.readlink("/proc/self/fd/0"),
            "settings": {name: os.environ[name] for name in ("GPU_UTIL_TARGET", "LD_PRELOAD") if name in os.environ},
            "conda_env": os.environ.get("STAND_IN_CONDA", ""),
        },
        file,
    )
if os.environ["STAND_IN"] == "taken":
    sys.exit("an agent already serves exp1 on this machine (process 4711)")
if os.environ["STAND_IN"] == "no driver":
    sys.exit("no NVIDIA driver is here. To try it without GPUs: --simulate 4")
if os.environ["STAND_IN"] == "follows":
    print("[INFO] 16:00:00  ended")
if os.environ["STAND_IN"] in ("serves", "leaves", "follows", "warns"):
    print("[INFO] Started at: 2026-11-23 16:00:00")
    print("[INFO] Auto-shutdown at: 2026-11-24 16:00:00 (24h)")
    print("[INFO] Serving /queues/exp1 (ext4, local, mounted at /)")
    print("[INFO] Node n1-00000001, GPUs 0, 1 of 2 GPUs (simulated 80G)")
    if os.environ["STAND_IN"] == "warns":
        print("[WARN] Keep-alive: off: torch is not installed for /bin/python")
    else:
        print("[INFO] Keep-alive: idle GPUs at 70-85 % by cpu, 60 % of the memory")
    print("[INFO] 16:00:01  what it does then")
if os.environ["STAND_IN"] == "leaves":
    time.sleep(0.5)
    sys.exit(0)
signal.alarm(60)
while True:
    time.sleep(60)
