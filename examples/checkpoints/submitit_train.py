"""A checkpointable function of submitit, pickled where submitit_train.sh has it run: no plugin, no cluster."""

import time
from pathlib import Path

from submitit.core.utils import DelayedSubmission

STEPS = 300


class Training:
    """Counts; its checkpoint is itself."""

    def __init__(self) -> None:
        self.step = 0

    def __call__(self) -> int:
        print(f"begins at step {self.step}", flush=True)
        while self.step < STEPS:
            time.sleep(0.03)
            self.step += 1
        print(f"ends at step {self.step}", flush=True)
        return self.step

    def checkpoint(self) -> DelayedSubmission:
        return DelayedSubmission(self)


if __name__ == "__main__":
    from submitit_train import Training as Importable  # by its module's name, and not by __main__'s

    Path("jobs").mkdir(exist_ok=True)
    submission = DelayedSubmission(Importable())
    submission.set_timeout(timeout_min=60 * 24 * 365, max_num_timeout=1000)
    submission.dump("jobs/train_submitted.pkl")
