"""A training with the Trainer of transformers that is told TERM, saves, and goes on in its next try.

    gpu_submit --signal TERM@60 trainer_train.py

``enable_jit_checkpoint`` saves three seconds after TERM, ends the loop, and lets the script end with status 0: after
a warning that means saved, so the queue runs it again.
"""

import os
import time

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

STEPS = 300


class Line(torch.nn.Module):
    """Learns a line."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 1)

    def forward(self, x, y):
        out = self.layer(x)
        return {"loss": torch.nn.functional.mse_loss(out, y), "logits": out}


class Tells(TrainerCallback):
    """Says where it begins; a real step takes longer than this one."""

    def on_train_begin(self, args, state, control, **_):
        print(f"begins at step {state.global_step}", flush=True)

    def on_step_end(self, args, state, control, **_):
        time.sleep(0.03)


if __name__ == "__main__":
    torch.manual_seed(1)
    x = torch.randn(2400, 8)
    data = [{"x": one, "y": one.sum(0, keepdim=True)} for one in x]
    arguments = TrainingArguments(
        "out",
        max_steps=STEPS,
        per_device_train_batch_size=8,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        save_strategy="no",
        logging_strategy="no",
        enable_jit_checkpoint=True,
    )
    trainer = Trainer(Line(), arguments, train_dataset=data, callbacks=[Tells()])
    last = get_last_checkpoint("out") if os.path.isdir("out") else None
    trainer.train(resume_from_checkpoint=last)
    print(f"ends at step {trainer.state.global_step}", flush=True)
