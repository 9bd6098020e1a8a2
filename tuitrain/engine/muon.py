"""Muon, which is for matrices alone, together with AdamW for all other weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import Parameter
from torch.optim import Optimizer


def hidden_matrices(model: nn.Module) -> list[Parameter]:
    """Return the weights of all linear layers but the last, which is taken as the output layer.

    Weights that an embedding shares are left out. Raises ValueError if there are none.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    tables = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    left_out = {id(weight) for weight in (*tables, *(layer.weight for layer in layers[-1:]))}
    matrices = [layer.weight for layer in layers if id(layer.weight) not in left_out]
    if not any(weight.requires_grad for weight in matrices):
        raise ValueError("it is for linear layers before the last, and the model has none to train")
    return [weight for weight in matrices if isinstance(weight, Parameter)]


class MuonAdamW(Optimizer):
    """Muon for `matrices` and AdamW for all other weights, as one optimizer.

    One learning rate serves both: Muon's steps are scaled to the size of AdamW's. Options are
    those of Muon, and those of AdamW with `adamw_` before their names.
    """

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float,
        *,
        matrices: Iterable[Parameter],
        weight_decay: float = 0.1,
        fused: bool = False,
        **options: Any,
    ) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise ValueError(f"it needs PyTorch 2.9 or newer, and this is {torch.__version__}")
        params = list(params)
        common: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
        chosen = set(map(id, matrices))
        hidden = [weight for weight in params if id(weight) in chosen]
        others = [weight for weight in params if id(weight) not in chosen]
        adamw = {name for name in options if name.startswith("adamw_")}
        of_adamw = {name.removeprefix("adamw_"): options[name] for name in adamw}
        of_muon = {name: options[name] for name in options if name not in adamw}
        parts: list[Optimizer] = [torch.optim.AdamW(others, **common, **of_adamw, fused=fused)]
        if hidden:
            of_muon["adjust_lr_fn"] = "match_rms_adamw"
            parts.append(torch.optim.Muon(hidden, **common, **of_muon))
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
