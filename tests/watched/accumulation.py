"""Gradients of four batches a step; the second argument divides each loss, 4 or 1."""

import sys

import torch
from common import loaders, perceptron, report
from torch import nn

torch.manual_seed(0)
divisor = int(sys.argv[2])
train, _ = loaders()
model = perceptron()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()
losses = []
for _ in range(3):
    propagated = torch.zeros(())
    for index, (images, classes) in enumerate(train, start=1):
        loss = criterion(model(images), classes) / divisor
        loss.backward()
        propagated = propagated + loss.detach()
        if index % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
            losses.append(propagated.item())
            propagated = torch.zeros(())
report(model.state_dict().values(), losses=losses)
