"""What PyTorch's loader is asked for: the rest of streaming is tested by runs that use it."""

from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from tuitrain.core.errors import WrongUse
from tuitrain.engine import streaming
from tuitrain.engine.streaming import Streamed


@pytest.mark.parametrize(("device", "is_pinned"), [("cuda", True), ("mps", False), ("cpu", False)])
def test_batches_for_cuda_are_put_into_pinned_memory(monkeypatch, device, is_pinned):
    options_of: dict[str, Any] = {}

    class Loader(DataLoader):  # type: ignore[type-arg]  # of whatever
        def __init__(self, dataset: Any, **options: Any) -> None:
            options_of.update(options)
            super().__init__(dataset, **{**options, "pin_memory": False})  # CUDA need not be here

    monkeypatch.setattr(streaming, "DataLoader", Loader)
    monkeypatch.setattr(streaming, "moved", lambda value, _device: value)
    samples = TensorDataset(torch.arange(8.0).unsqueeze(1), torch.arange(8))
    streamed = Streamed(samples, workers=1).to(torch.device(device))
    try:
        assert [len(targets) for _, targets in streamed.batches(3)] == [3, 3, 2]
    finally:
        streamed.close()
    assert options_of["pin_memory"] is is_pinned
    assert (options_of["persistent_workers"], options_of["prefetch_factor"]) == (True, 4)


@pytest.mark.parametrize("wrong", [3, -1])
def test_a_class_that_there_is_not_never_comes_to_the_device(wrong):
    """An accelerator would end every later use of it in the process."""
    targets = torch.tensor([0, 1, 2, 0, wrong, 1])
    streamed = Streamed(TensorDataset(torch.zeros(6, 1), targets), classes=3)
    batches = streamed.to(torch.device("meta")).batches(2)
    assert [len(next(batches)[1]) for _ in range(2)] == [2, 2]
    with pytest.raises(WrongUse, match=f"a target {wrong}, and 3 classes have the indices 0 to 2"):
        next(batches)
