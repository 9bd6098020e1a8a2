"""Log-probabilities and `F.nll_loss`, whose validation is a sum, as PyTorch's MNIST example has."""

import torch
import torch.nn.functional as F
from common import loaders, perceptron, report

torch.manual_seed(0)
train, val = loaders()
model = perceptron()
optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
losses, val_losses, rates = [], [], []
for _ in range(3):
    model.train()
    for images, classes in train:
        optimizer.zero_grad()
        loss = F.nll_loss(F.log_softmax(model(images), dim=1), classes)
        loss.backward()
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    total = 0.0
    with torch.no_grad():
        for images, classes in val:
            output = F.log_softmax(model(images), dim=1)
            total += F.nll_loss(output, classes, reduction="sum").item()
    val_losses.append(total / 64)
    scheduler.step()
report(model.state_dict().values(), losses=losses, val_losses=val_losses, rates=rates)
