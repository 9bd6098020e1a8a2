"""The process group of the ranks: joined and left, and the device of each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore  # distributed's own, with types

from tuitrain.core.errors import Refused

_YES, _NO = "yes", "no"
_KEPT: list[Any] = []
"""Process groups, to the end of the process. One that is freed waits for Gloo's threads with
Python's lock in hand, for which a thread that frees its newest message may wait in turn: some runs
of two ranks with PyTorch 2.6 never ended."""


@contextmanager
def joined(*, leads: bool) -> Iterator[None]:
    """Join the processes that the launcher's environment names; leave them after the block.

    After an error they see that this one has left when it ends, so once it has told of the error.

    The one that leads becomes rank 0, and the others follow in the launcher's order, which does
    not say on which host the run directory is. Raises Refused if none leads.
    """
    number, count = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
    store = _store(number, count)
    store.set(f"leads-{number}", _YES if leads else _NO)
    answers = [store.get(f"leads-{other}").decode() for other in range(count)]
    if _YES not in answers:
        raise Refused("no process has the run directory and its lock: is another trainer running?")
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        store=store, rank=(number - answers.index(_YES)) % count, world_size=count,
    )  # fmt: skip
    kept(distributed.group.WORLD)
    yield
    distributed.destroy_process_group()


def kept(group: Any) -> Any:
    """Return a process group that is not freed while the process lives."""
    _KEPT.append(group)
    return group


def _store(number: int, count: int) -> Store:
    """Return the store where the processes meet, empty."""
    # of torchrun, the agent has it, and what the ranks before a restart left stays there
    is_of_agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True)
    tcp = TCPStore(
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), count,
        is_master=number == 0 and not is_of_agent,
    )  # fmt: skip
    attempt = os.environ["TORCHELASTIC_RESTART_COUNT"] if is_of_agent else ""
    return PrefixStore(f"tuitrain-{attempt}", tcp)


def device_of(name: str) -> str:
    """Return the device of this rank: of several GPUs, the one with its number on its host."""
    if name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return "cpu" if name == "auto" else name
