"""Muon, which is for matrices alone, together with AdamW for all other weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer


class MuonAdamW(Optimizer):
    """Muon for the matrices of hidden layers and AdamW for all other weights, as one optimizer.

    A matrix is a weight with two dimensions, except the last one, that of the output layer. One
    learning rate serves both: Muon's steps are scaled to the size of AdamW's.
    """

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float,
        *,
        weight_decay: float = 0.1,
        adamw_betas: tuple[float, float] = (0.9, 0.999),
        adamw_eps: float = 1e-8,
        fused: bool = False,
        **of_muon: Any,
    ) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise ValueError(f"it needs PyTorch 2.9 or newer, and this is {torch.__version__}")
        params = list(params)
        common: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
        matrices = [weight for weight in params if weight.ndim == 2][:-1]
        chosen = set(map(id, matrices))
        others = [weight for weight in params if id(weight) not in chosen]
        of_adamw: dict[str, Any] = {"betas": adamw_betas, "eps": adamw_eps, "fused": fused}
        parts: list[Optimizer] = [torch.optim.AdamW(others, **common, **of_adamw)]
        if matrices:
            of_muon["adjust_lr_fn"] = "match_rms_adamw"
            parts.append(torch.optim.Muon(matrices, **common, **of_muon))
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.parts = self.linked(parts)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a state; it has the parameter groups, from which the parts are made again."""
        super().__setstate__(state)
        parts: list[Optimizer] = []
        for group in self.param_groups:
            made = torch.optim.Muon if "ns_steps" in group else torch.optim.AdamW
            parts.append(made(group["params"]))
        self.parts = self.linked(parts)

    def linked(self, parts: list[Optimizer]) -> list[Optimizer]:
        """Let each part use a parameter group of the whole, and the state of the whole."""
        for part, group in zip(parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state
        return parts

    def step(self, closure: Any = None) -> Any:
        """Take a step with each part; `closure` evaluates the loss again, if there is one."""
        loss = closure() if closure else None
        for part in self.parts:
            part.step()
        return loss
