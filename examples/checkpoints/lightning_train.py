"""A training with PyTorch Lightning that is warned, saves, and goes on in its next try.

Submit it by lightning_train.sh: its #SBATCH lines and srun are what Lightning looks for.  On the signal it writes a
checkpoint beside its results and runs ``scontrol requeue``; what it finds there at its next start it goes on from.
"""

import time

import lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

STEPS = 300


class Regression(lightning.LightningModule):
    """Learns a line."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 1)

    def training_step(self, batch):
        x, y = batch
        time.sleep(0.03)  # a real step takes longer than this one
        return torch.nn.functional.mse_loss(self.layer(x), y)

    def on_train_start(self) -> None:
        print(f"begins at step {self.global_step}", flush=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


if __name__ == "__main__":
    lightning.seed_everything(1)
    x = torch.randn(2400, 8)
    data = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=8, shuffle=False)
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=STEPS, logger=False, enable_progress_bar=False, enable_model_summary=False
    )
    trainer.fit(Regression(), data)
    print(f"ends at step {trainer.global_step}", flush=True)
