"""Two networks against one another: three backward passes and two steps a round."""

import torch
from common import loaders, report
from torch import nn

torch.manual_seed(0)
train, _ = loaders()
generator = nn.Sequential(nn.Linear(8, 64), nn.Sigmoid())
critic = nn.Sequential(nn.Linear(64, 1), nn.Sigmoid())
criterion = nn.BCELoss()
of_critic = torch.optim.Adam(critic.parameters(), lr=2e-3)
of_generator = torch.optim.Adam(generator.parameters(), lr=1e-3)
losses, generator_losses = [], []
for _ in range(2):
    for images, _ in train:
        ones, zeros = torch.ones(len(images), 1), torch.zeros(len(images), 1)
        critic.zero_grad()
        on_real = criterion(critic(images), ones)
        on_real.backward()
        fake = generator(torch.randn(len(images), 8))
        on_fake = criterion(critic(fake.detach()), zeros)
        on_fake.backward()
        of_critic.step()
        generator.zero_grad()
        loss = criterion(critic(fake), ones)
        loss.backward()
        of_generator.step()
        losses.append((on_real + on_fake).item())
        generator_losses.append(loss.item())
weights = [*generator.parameters(), *critic.parameters()]
report(weights, losses=losses, generator_losses=generator_losses)
