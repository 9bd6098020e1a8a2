"""An optimizer that evaluates a closure several times a step."""

import torch
from common import report, samples
from torch import nn

torch.manual_seed(0)
images, classes = samples()
model = nn.Linear(64, 10)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)
losses, evaluated = [], []


def closure() -> torch.Tensor:
    optimizer.zero_grad()
    loss = criterion(model(images), classes)
    loss.backward()
    evaluated.append(loss.item())
    return loss


for _ in range(6):
    evaluated.clear()
    optimizer.step(closure)
    losses.append(evaluated[0])
report(model.parameters(), losses=losses)
