"""A loop with accelerate, which accumulates two batches a step."""

import torch
from accelerate import Accelerator
from common import loaders, perceptron, report
from torch import nn

torch.manual_seed(0)
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
model, criterion = perceptron(), nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
train, _ = loaders()
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.9**step)
net, optimizer, train, scheduler = accelerator.prepare(model, optimizer, train, scheduler)
losses, rates, passes = [], [], []
for _ in range(2):
    for images, classes in train:
        with accelerator.accumulate(net):
            loss = criterion(net(images), classes)
            accelerator.backward(loss)
            rate = optimizer.param_groups[0]["lr"]
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            passes.append(loss.detach() / 2)
            if accelerator.sync_gradients:
                losses.append(sum(passes[1:], passes[0]).item())
                rates.append(rate)
                passes.clear()
report(model.state_dict().values(), losses=losses, rates=rates)
