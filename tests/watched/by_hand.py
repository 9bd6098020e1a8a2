"""A regression whose parameters are moved by hand: there is neither an optimizer nor a loader."""

import torch
import torch.nn.functional as F
from common import report

torch.manual_seed(0)
truth = torch.randn(4, 1)
layer = torch.nn.Linear(4, 1)
losses = []
for _ in range(12):
    inputs = torch.randn(32, 4)
    layer.zero_grad()
    loss = F.smooth_l1_loss(layer(inputs), inputs @ truth)
    loss.backward()
    losses.append(loss.item())
    for parameter in layer.parameters():
        parameter.data.add_(parameter.grad, alpha=-0.1)
report(layer.parameters(), losses=losses)
