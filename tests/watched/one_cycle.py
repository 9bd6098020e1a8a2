"""A scheduler that sets the rate after each batch."""

import sys

import torch
from common import loaders, perceptron, report
from torch import nn

torch.manual_seed(0)
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 2
train, _ = loaders()
model = perceptron()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=0.1, steps_per_epoch=len(train), epochs=epochs
)
criterion = nn.CrossEntropyLoss()
losses, rates = [], []
for _ in range(epochs):
    for images, classes in train:
        optimizer.zero_grad()
        loss = criterion(model(images), classes)
        loss.backward()
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
report(model.state_dict().values(), losses=losses, rates=rates)
