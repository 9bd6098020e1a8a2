"""The loop of every tutorial: training and validation by loaders, and a module as the loss."""

import sys

import torch
from common import loaders, perceptron, report
from torch import nn

torch.manual_seed(0)
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
train, val = loaders()
model = perceptron()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
criterion = nn.CrossEntropyLoss()
losses, val_losses = [], []
for _ in range(epochs):
    model.train()
    for images, classes in train:
        optimizer.zero_grad()
        loss = criterion(model(images), classes)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    total = 0.0
    with torch.no_grad():
        for images, classes in val:
            total += criterion(model(images), classes).item() * len(classes)
    val_losses.append(total / 64)
report(model.state_dict().values(), losses=losses, val_losses=val_losses)
