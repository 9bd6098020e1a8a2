"""Twelve steps on one batch, whose losses, by three formulas, are computed by hand as well."""

import sys

import torch
import torch.nn.functional as F
from common import perceptron, report, samples
from torch import Tensor, nn

torch.manual_seed(0)
images, classes = (part[:64] for part in samples())
ignored = classes.clone()
ignored[::4] = -100
weight = torch.linspace(1, 2, 10)
CALLS = {
    "module": lambda output: nn.CrossEntropyLoss()(output, classes),
    "function": lambda output: F.cross_entropy(output, classes),
    "nll": lambda output: F.nll_loss(F.log_softmax(output, dim=1), classes),
    "sum": lambda output: F.cross_entropy(output, classes, reduction="sum"),
    "ignored": lambda output: F.cross_entropy(output, ignored),
    "none": lambda output: F.cross_entropy(output, classes, reduction="none").mean(),
    "weights": lambda output: F.cross_entropy(output, classes, weight=weight),
    "pixels": lambda output: F.cross_entropy(
        output[:, :, None].expand(-1, -1, 2), classes[:, None].expand(-1, 2)
    ),
    "hand": lambda output: -output.log_softmax(1)[torch.arange(64), classes].mean(),
    "terms": lambda output: F.cross_entropy(output, classes) + 0.01 * output.pow(2).mean(),
}


def by_hand(output: Tensor) -> tuple[float, float]:
    """Return cross-entropy and mean squared error of what the call does not ignore."""
    used = ignored if call == "ignored" else classes
    output, used = output[used >= 0], used[used >= 0]
    errors = output.softmax(1) - torch.eye(10)[used]
    entropies = -output.log_softmax(1)[torch.arange(len(used)), used]
    if call == "sum":
        return entropies.sum().item(), (errors**2).sum().item()
    return entropies.mean().item(), (errors**2).mean().item()


call = sys.argv[2]
model = perceptron()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-3)
losses, entropies, errors, norms, decays = [], [], [], [], []
for _ in range(12):
    optimizer.zero_grad()
    output = model(images)
    loss = CALLS[call](output)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    gradients = [parameter.grad for parameter in model.parameters()]
    norms.append(torch.nn.utils.get_total_norm(gradients).item())
    decays.append(optimizer.param_groups[0]["weight_decay"])
    entropy, error = by_hand(output.detach())
    entropies.append(entropy)
    errors.append(error)
report(
    model.state_dict().values(), losses=losses, entropies=entropies, errors=errors, norms=norms,
    decays=decays,
)  # fmt: skip
