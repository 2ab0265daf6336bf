"""What the tasks of a stage run in place of torchrun and python: load on its GPUs, and lines as training prints.

    worker.py --nproc_per_node 4 train.py --config configs/pretrain.yaml --seed 3

How long, how hard and to which end it works (:class:`Part`) stands in ``$STAGE_PARTS/<its --output, with _ for />``;
``$STAGE_PLANT`` is where loads are noted.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from dataclasses import asdict, dataclass

from gpu_queue.gpus.plant import Load

SLICE_S = 0.1
BAR = 30


@dataclass(frozen=True)
class Part:
    """What one task is to do."""

    seconds: float = 60.0
    held_gib: int = 40
    percent: int = 90
    end: str = "ok"
    """``ok``, ``oom``, ``error``."""
    burst: int = 400
    """Steps that it prints at once at the beginning."""

    def write(self, directory: str, output: str) -> None:
        """Put it where the task finds it."""
        with open(f"{directory}/{_file(output)}", "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)

    @classmethod
    def read(cls, directory: str, output: str) -> Part:
        """What stands there, or what everybody does."""
        try:
            with open(f"{directory}/{_file(output)}", encoding="utf-8") as file:
                return cls(**json.load(file))
        except OSError:
            return cls()


def _file(output: str) -> str:
    return output.replace("/", "_")


def main() -> int:
    """Work to the end."""
    get = os.environ.get
    output = sys.argv[sys.argv.index("--output") + 1] if "--output" in sys.argv else ""
    part = Part.read(get("STAGE_PARTS", ""), output)
    loads = [Load(get("STAGE_PLANT", ""), _uuid(one)) for one in get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    for load in loads:
        load.hold(part.held_gib << 30)
    sys.stdout.reconfigure(encoding="utf-8", line_buffering=False)  # type: ignore[union-attr]
    chance = random.Random(" ".join(sys.argv))
    said = Said(chance)
    print(f"\x1b[1mtorch 2.9.1+cu129\x1b[0m, world size {max(1, len(loads))}, {' '.join(sys.argv[1:])}", flush=True)
    for _ in range(part.burst):
        said.step()
    until, due = time.monotonic() + part.seconds, time.monotonic()
    while time.monotonic() < until:
        now_ns = time.monotonic_ns()
        rests = said.number % 400 < 12  # while it evaluates
        for load in loads:
            share = (0.12 if rests else part.percent / 100) * chance.uniform(0.94, 1.05)
            for number in range(10):
                begin_ns = now_ns + int(number * SLICE_S * 1e9)
                load.book(begin_ns, begin_ns + int(min(1.0, share) * SLICE_S * 1e9))
        for _ in range(chance.randint(1, 4)):
            said.step()
        sys.stdout.flush()
        due += 1.0
        time.sleep(max(0.0, min(due, until) - time.monotonic()))
    return said.end(part.end)


class Said:
    """The lines of a run."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.number = 0

    def step(self) -> None:
        """The lines of one step."""
        self.number += 1
        chance, number = self._chance, self.number
        loss = 1.2 + 2.5 / (1 + number / 300) + chance.uniform(-0.2, 0.2)
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        print(
            f"{when} step \x1b[1m{number}\x1b[0m  loss \x1b[36m{loss:.4f}\x1b[0m  grad {chance.random():.3f}  "
            f"lr 3.0e-05  {chance.randint(11000, 11999)} tok/s"
        )
        if number % 97 == 0:
            print(f"{when} \x1b[32mcheckpoint\x1b[0m ckpt/step-{number}  \x1b[33m{chance.uniform(2, 5):.1f} s\x1b[0m")
        if number % 150 == 0:
            for done in range(0, 513, 8):
                bar = "█" * (BAR * done // 512)
                print(
                    f"\reval: {100 * done // 512:3}%|{bar:{BAR}}| {done}/512 [00:{done // 32:02}<00:16, 31.2it/s]",
                    end="",
                )
            print()
        if number % 230 == 0:
            print(f"\x1b[33mwarning\x1b[0m 第 {number} 步：显存 61.2G / 80G，梯度被裁剪")

    def end(self, how: str) -> int:
        """The last lines, and the exit status."""
        if how == "ok":
            print(f"\x1b[32mdone\x1b[0m, {self.number} steps")
            return 0
        print("\x1b[31mTraceback (most recent call last):\x1b[0m")
        print('  File "/home/alice/flower/train.py", line 214, in <module>\n    main()')
        print('  File "/home/alice/flower/train.py", line 187, in main\n    loss.backward()')
        if how == "oom":
            print(
                "\x1b[1;31mtorch.OutOfMemoryError\x1b[0m: CUDA out of memory. Tried to allocate 3.20 GiB. "
                "GPU 0 has a total capacity of 79.15 GiB of which 1.07 GiB is free."
            )
        else:
            print("\x1b[1;31mValueError\x1b[0m: loss is nan at step", self.number)
        return 1


def _uuid(device: str) -> str:
    return device if device.startswith("GPU-") else f"GPU-00000000-0000-0000-0000-{int(device):012x}"


if __name__ == "__main__":
    sys.exit(main())
