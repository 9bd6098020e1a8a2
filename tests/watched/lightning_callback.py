"""Lightning's Trainer with tuitrain's callback: HOME EPOCHS [fails]"""

import sys

import lightning
import torch
from common import loaders, report
from lightning_fit import Digits, losses, val_losses

import tuitrain

home, epochs, *fails = sys.argv[2:]
logged = []


class Logging(Digits):
    def training_step(self, batch, index):
        loss = super().training_step(batch, index)
        if fails and len(losses) == 3:
            raise ValueError("bad luck")
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch[1]))
        return loss

    def validation_step(self, batch, index):
        super().validation_step(batch, index)
        right = (self.net(batch[0]).argmax(1) == batch[1]).float().mean()
        self.log("accuracy", right, batch_size=len(batch[1]))

    def on_train_epoch_end(self):
        names = ("train_loss", "val_loss", "accuracy")
        logged.append({name: self.trainer.callback_metrics[name].item() for name in names})


torch.manual_seed(0)
model = Logging()
trainer = lightning.Trainer(
    max_epochs=int(epochs), accelerator="cpu", logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False,
    callbacks=[tuitrain.Lightning("a", home=home)],
)  # fmt: skip
trainer.fit(model, *loaders())
print("after fit", flush=True)
report(model.state_dict().values(), losses=losses, val_losses=val_losses, logged=logged)
