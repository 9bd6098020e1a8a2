"""The loop on several ranks that a person writes without tuitrain, for torchrun.

torchrun ... -m benchmarks.ddp_loop FILE BATCH_SIZE: rank 0 writes its progress to the file, as
bare_loop does.
"""

from __future__ import annotations

import sys
import time
from itertools import count
from pathlib import Path

import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from benchmarks import workload
from benchmarks.bare_loop import EVERY
from tuitrain.catalog import new_spec
from tuitrain.engine.build import build
from tuitrain.engine.data import Samples, shuffled
from tuitrain.engine.metrics import metrics_of
from tuitrain.engine.training import Training


def main(progress: str, batch_size: int) -> None:
    """Train until killed."""
    distributed.init_process_group("gloo")
    run = build(new_spec(workload.TASK, **workload.SETTINGS | {"batch_size": batch_size}))
    model = DistributedDataParallel(run.model)
    optimizer, criterion, data = run.optimizer, run.criterion, run.data.train
    rank, ranks = distributed.get_rank(), distributed.get_world_size()
    assert isinstance(data, Samples)
    step = 0
    with Path(progress if rank == 0 else "/dev/null").open("w", buffering=1) as file:
        for epoch in count():
            model.train()  # type: ignore[no-untyped-call]  # torch's has no types
            order = shuffled(len(data), seed=run.seed, epoch=epoch)
            batches = order.split(run.batch_size * ranks)  # type: ignore[no-untyped-call]  # as here
            for index in batches:
                own = index[rank::ranks]
                optimizer.zero_grad()
                loss = criterion(model(data.inputs.index_select(0, own)), data.targets[own])
                loss.backward()  # type: ignore[no-untyped-call]  # as here
                optimizer.step()
                step += 1
                if step % EVERY == 0:
                    file.write(f"{time.perf_counter()} {step}\n")
            validate(run, rank, ranks)


@torch.no_grad()
def validate(run: Training, rank: int, ranks: int) -> tuple[float, dict[str, float]]:
    """Return loss and metrics over the outputs of all ranks, each of which computes a part."""
    run.model.eval()
    data = run.data.val
    assert isinstance(data, Samples)
    own = run.model(data.inputs[rank::ranks])
    parts = gathered(own, len(data), ranks)
    output = torch.stack(parts, dim=1).flatten(0, 1)[: len(data)]
    return run.criterion(output, data.targets).item(), metrics_of(
        run.data.kind, output, data.targets
    )


def gathered(own: Tensor, samples: int, ranks: int) -> list[Tensor]:
    rows = -(-samples // ranks)
    padded = torch.cat((own, own[:1]))[:rows]
    parts = [torch.empty_like(padded) for _ in range(ranks)]
    distributed.all_gather(parts, padded)
    return parts


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
