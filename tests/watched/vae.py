"""A loss of two terms that are sums: reconstruction, by PyTorch's function, and divergence."""

import torch
import torch.nn.functional as F
from common import loaders, report
from torch import nn

torch.manual_seed(0)
train, _ = loaders()
encoder, decoder = nn.Linear(64, 8), nn.Linear(4, 64)
model = nn.ModuleList([encoder, decoder])
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
losses = []
for _ in range(2):
    for images, _ in train:
        optimizer.zero_grad()
        mean, log_variance = encoder(images).chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * torch.exp(log_variance / 2)
        rebuilt = torch.sigmoid(decoder(code))
        bce = F.binary_cross_entropy(rebuilt, images, reduction="sum")
        kld = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
        loss = bce + kld
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
report(model.parameters(), losses=losses)
