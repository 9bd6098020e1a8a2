"""skorch's classifier, as scikit-learn has it."""

import sys

import torch
from common import perceptron, report, samples
from skorch import NeuralNetClassifier
from skorch.dataset import ValidSplit
from torch import nn

torch.manual_seed(0)
images, classes = samples()
losses = []


class Reporting(NeuralNetClassifier):
    def train_step_single(self, batch, **parameters):
        done = super().train_step_single(batch, **parameters)
        losses.append(done["loss"].item())
        return done


net = Reporting(
    perceptron(), criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=1e-2,
    max_epochs=int(sys.argv[2]) if len(sys.argv) > 2 else 2, batch_size=32, verbose=0,
    train_split=ValidSplit(5),
)  # fmt: skip
net.fit(images, classes)
print("after fit", flush=True)
val_losses = [epoch["valid_loss"] for epoch in net.history if "valid_loss" in epoch]
report(net.module_.state_dict().values(), losses=losses, val_losses=val_losses)
