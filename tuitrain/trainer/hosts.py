"""A run on several hosts: what its options must say, and the part of a host that only trains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

from tuitrain.catalog.new_spec import check_devices
from tuitrain.core import python
from tuitrain.core.errors import WrongUse
from tuitrain.core.spec import RunSpec

_JOIN = "tuitrain.worker.join"


def check_hosts(spec: RunSpec, node_rank: int = 0) -> None:
    """Raise WrongUse for options of hosts that do not fit together."""
    if node_rank >= spec.nnodes:
        raise WrongUse(
            f"--node-rank {node_rank} is a host's number, from 0 to one less than --nnodes"
        )
    if spec.nnodes > 1 and not spec.rdzv_endpoint:
        raise WrongUse("--nnodes needs --rdzv-endpoint HOST:PORT, where the hosts meet")
    if spec.rdzv_endpoint and spec.nnodes == 1:
        raise WrongUse("--rdzv-endpoint is for several hosts: --nnodes N")
    _, _, port = (spec.rdzv_endpoint or "host:1").rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise WrongUse("--rdzv-endpoint takes HOST:PORT, with a port from 1 to 65535")


def resumed(spec: RunSpec, ranks: Mapping[str, Any]) -> RunSpec:
    """Return the spec of a run that goes on with other ranks; raises WrongUse as above."""
    if ranks.get("nnodes") == 1:
        spec = replace(spec, rdzv_endpoint=None)
    spec = replace(spec, **ranks)
    check_hosts(spec)
    check_devices(spec.device, spec.nproc)
    return spec


def join(spec: RunSpec) -> NoReturn:
    """Let this process become the ranks of another host than the first, until the run ends."""
    command = python.command(
        _JOIN, str(spec.nnodes), "auto" if spec.nproc is None else str(spec.nproc),
        spec.rdzv_endpoint or "", spec.rdzv_id or "", str(spec.max_restarts),
    )  # fmt: skip
    os.execve(command[0], command, python.environment())  # noqa: S606 - Python itself
