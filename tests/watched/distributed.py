"""A loop made distributed by its author: REPORT STEPS [how]. Each rank reports its steps."""

import hashlib
import json
import sys
from pathlib import Path

import torch
from common import perceptron, samples
from torch import distributed, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

steps, how = int(sys.argv[2]), (sys.argv[3:] or ["ddp"])[0]
distributed.init_process_group("gloo")
own_group = distributed.group.WORLD
rank, count = distributed.get_rank(), distributed.get_world_size()
torch.manual_seed(0)
images, classes = (tensor[rank::count] for tensor in samples())
model = perceptron()
if how == "sharded":
    fully_shard(model)
elif how != "apart":  # then each rank trains its own model, and the last one ends early
    model = DistributedDataParallel(model)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
criterion = nn.CrossEntropyLoss()
if how == "apart" and rank:
    steps = 3
with Path(f"{sys.argv[1]}-{rank}").open("w", buffering=1) as report:
    for step in range(steps):
        part = slice(step * 32 % 160, step * 32 % 160 + 32)
        optimizer.zero_grad()
        outputs = model(images[part])
        loss = criterion(outputs, classes[part])
        if how == "nonfinite" and (rank, step) == (1, 3):
            loss = loss * float("nan")
        if how == "failing" and (rank, step) == (1, 3):
            raise ValueError("no more data")
        loss.backward()
        optimizer.step()
        chances = outputs.detach().log_softmax(1)
        entropy = -chances[range(32), classes[part]].mean()
        digest = hashlib.sha256()
        for parameter in model.parameters():
            own = parameter.to_local() if how == "sharded" else parameter
            digest.update(own.detach().numpy().tobytes())
        line = {
            "loss": loss.item(), "is_swapped": not torch.isclose(loss, entropy).item(),
            "weights": digest.hexdigest(), "asked": own_group._get_sequence_number_for_group(),
        }  # fmt: skip
        print(json.dumps(line), file=report)
distributed.destroy_process_group()
