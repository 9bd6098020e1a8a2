"""Lightning's Trainer."""

import logging
import warnings

import lightning
import torch
from common import loaders, perceptron, report
from torch.nn import functional

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
losses, val_losses = [], []


class Digits(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = perceptron()

    def training_step(self, batch, _index):
        loss = functional.cross_entropy(self.net(batch[0]), batch[1])
        losses.append(loss.item())
        return loss

    def validation_step(self, batch, _index):
        loss = functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("val_loss", loss, batch_size=len(batch[1]))

    def on_validation_epoch_end(self):
        if not self.trainer.sanity_checking:
            val_losses.append(self.trainer.callback_metrics["val_loss"].item())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


if __name__ == "__main__":
    import sys

    torch.manual_seed(0)
    model = Digits()
    trainer = lightning.Trainer(
        max_epochs=int(sys.argv[2]) if len(sys.argv) > 2 else 2, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, *loaders())
    print("after fit", flush=True)
    report(model.state_dict().values(), losses=losses, val_losses=val_losses)
