"""Transformers' Trainer, with two batches a step."""

import sys
import tempfile

import torch
from common import perceptron, report, samples
from torch import nn
from torch.nn import functional
from transformers import Trainer, TrainingArguments

losses, passes = [], []


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = perceptron()

    def forward(self, images, labels):
        logits = self.net(images)
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


class Reporting(Trainer):
    def training_step(self, *args, **kwargs):
        loss = super().training_step(*args, **kwargs)
        passes.append(loss)
        if len(passes) == 2:
            losses.append((passes[0] + passes[1]).item())
            passes.clear()
        return loss


def trainer_in(folder: str, epochs: int, **options: object) -> Trainer:
    """Return a trainer with further options of its arguments."""
    images, classes = samples()
    data = [{"images": image, "labels": one} for image, one in zip(images, classes, strict=True)]
    arguments = TrainingArguments(
        folder, num_train_epochs=epochs,
        per_device_train_batch_size=32, gradient_accumulation_steps=2, learning_rate=1e-3,
        eval_strategy="epoch", save_strategy="no", report_to=[], disable_tqdm=True,
        use_cpu=True, **{"logging_strategy": "no", **options},
    )  # fmt: skip
    return Reporting(Classifier(), arguments, train_dataset=data[:256], eval_dataset=data[256:])


def report_of(trainer: Trainer, **more: object) -> None:
    val_losses = [row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row]
    weights = trainer.model.state_dict().values()
    report(weights, losses=losses, val_losses=val_losses, **more)


if __name__ == "__main__":
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_in(folder, int(sys.argv[2]) if len(sys.argv) > 2 else 2)
        trainer.train()
    print("after train", flush=True)
    report_of(trainer)
