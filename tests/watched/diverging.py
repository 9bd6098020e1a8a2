"""Eight steps on one batch, of which the fourth propagates NaN; "closure" evaluates in the step."""

import sys

import torch
from common import perceptron, report, samples
from torch import Tensor, nn

torch.manual_seed(0)
images, classes = (part[:64] for part in samples())
model = perceptron()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
weights: list[list[float]] = []
for step in range(1, 9):

    def closure(factor: float = torch.nan if step == 4 else 1.0) -> Tensor:
        optimizer.zero_grad()
        loss = criterion(model(images), classes) * factor
        loss.backward()
        return loss

    if sys.argv[2] == "closure":
        optimizer.step(closure)
    else:
        closure()
        optimizer.step()
    weights.append(model[0].weight[0, :3].tolist())
report(model.parameters(), weights_after=weights)
