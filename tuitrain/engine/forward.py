"""The forward pass of a model: in some precision, compiled or not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The dtypes of mixed precision, by the word of `--precision`; fp32 is what a model is made in."""


def compute_in(model: nn.Module, device_type: str, dtype: torch.dtype) -> None:
    """Let every forward pass of the model compute in `dtype` where that is safe.

    Weights, their gradients and what the model returns stay float32. See
    https://docs.pytorch.org/docs/stable/amp.html
    """
    mixed: Any = torch.autocast(device_type, dtype)

    def begin(_model: nn.Module, _inputs: Any) -> None:
        mixed.__enter__()

    def end(_model: nn.Module, _inputs: Any, output: Any) -> Any:
        mixed.__exit__(None, None, None)
        return output.float() if isinstance(output, Tensor) else output

    not_compiled: Any = torch.compiler.disable  # a compiler would follow them into the mode itself
    model.register_forward_pre_hook(not_compiled(begin))
    model.register_forward_hook(not_compiled(end), always_call=True)
