"""The forward pass of a model: in some precision, compiled or not."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tuitrain.core.spec import RunSpec

if TYPE_CHECKING:
    from tuitrain.engine.training import Training

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


def compile_model(model: nn.Module, mode: str | None = None) -> None:
    """Let forward and backward passes of the model be compiled, anew for each shape of a batch.

    Code for any shape adds up numbers in another order than code for one, and PyTorch takes the one
    or the other by the shapes that came before: a resumed run would end with other bits.
    """
    torch._dynamo.config.cache_size_limit = 64  # further shapes are not compiled
    call: Any = model._call_impl

    def traced(*inputs: Any) -> Any:
        return call(*inputs)

    # as model.compile() does, which in older versions of PyTorch compiles none of its own modules
    model._compiled_call_impl = torch.compile(traced, dynamic=False, mode=mode)


def has_graphs(spec: RunSpec, device: torch.device) -> bool:
    """Return whether CUDA graphs replay the forward and the backward pass of a step.

    Not beside DDP, which sums up gradients while a backward pass goes on: a graph has no middle.
    """
    return spec.compile and device.type == "cuda" and not spec.is_distributed


def without_graphs(run: Training) -> AbstractContextManager[Any]:
    """Let a model whose steps are replayed compute as if it were not compiled, in a block.

    A replay of a validation would overwrite the gradients of the last step, which a pause shows.
    """
    return torch.compiler.set_stance("force_eager") if run.has_graphs else nullcontext()
