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


if __name__ == "__main__":
    torch.manual_seed(0)
    images, classes = samples()
    data = [{"images": image, "labels": one} for image, one in zip(images, classes, strict=True)]
    model = Classifier()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=int(sys.argv[2]) if len(sys.argv) > 2 else 2,
            per_device_train_batch_size=32, gradient_accumulation_steps=2, learning_rate=1e-3,
            eval_strategy="epoch", save_strategy="no", report_to=[], disable_tqdm=True,
            use_cpu=True, logging_strategy="no",
        )  # fmt: skip
        trainer = Reporting(model, arguments, train_dataset=data[:256], eval_dataset=data[256:])
        trainer.train()
    print("after train", flush=True)
    val_losses = [row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row]
    report(model.state_dict().values(), losses=losses, val_losses=val_losses)
