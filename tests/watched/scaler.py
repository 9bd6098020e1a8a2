"""Mixed precision: a GradScaler scales the loss, and skips the step of one overflow."""

import torch
from common import loaders, perceptron, report
from torch import nn

torch.manual_seed(0)
train, _ = loaders()
model = perceptron()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
criterion = nn.CrossEntropyLoss()
scaler = torch.amp.GradScaler("cpu")
losses = []
for epoch in range(2):
    for index, (images, classes) in enumerate(train):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = criterion(model(images), classes)
        overflows = epoch == 0 and index == 3
        if overflows:
            loss = loss * 1e38
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        if not overflows:
            losses.append(loss.item())
report(model.state_dict().values(), losses=losses, scale=scaler.get_scale())
