"""The stand-in for an accelerator sees each way to read a value of it."""

import pytest
import torch

from tests.reads import Reads

READS = {
    "item": lambda x: x[0].item(),
    "float": lambda x: float(x[0]),
    "int": lambda x: int(x[0]),
    "bool": lambda x: bool(x[0]),
    "if": lambda x: 1 if x[0] > 0 else 0,
    "format": lambda x: f"{x[0]:.1f}",
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "to": lambda x: x.to("cpu"),
    "to_keyword": lambda x: x.to(device="cpu"),
    "numpy": lambda x: x.numpy(),
    "array": lambda x: x.__array__(),
    "equal": lambda x: torch.equal(x, x + 1),
    "nonzero": lambda x: x.nonzero(),
    "where": lambda x: torch.where(x > 1),
    "masked_select": lambda x: x.masked_select(x > 1),
    "mask": lambda x: x[x > 1],
    "unique": lambda x: x.unique(),
    "in": lambda x: 1.0 in x,
    "repeat_interleave": lambda x: x.repeat_interleave(x.long()),
    "bincount": lambda x: x.long().bincount(),
}
"""By name, what makes the host wait for a CUDA device."""


@pytest.mark.parametrize("name", READS)
def test_each_way_to_read_a_value_is_one_read(name):
    values = torch.tensor([1.0, 2.0])
    with Reads() as reads:
        READS[name](values)
    assert reads.count == 1


def test_what_stays_on_the_device_is_no_read():
    values = torch.tensor([1.0, 2.0])
    with Reads() as reads:
        torch.where(values > 1, values, 0).sum().to(torch.float64).isfinite().all()
        values[torch.tensor([0])], values[:1], values.masked_fill(values > 1, 0), values.shape
    assert reads.count == 0
