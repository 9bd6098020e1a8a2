"""The look at what a run keeps: it finds each number that is not finite, and no other."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.reads import Reads
from tuitrain.engine.finite_state import are_finite

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64,
          torch.complex128]  # fmt: skip
INTEGERS = [torch.bool, torch.uint8, torch.int32, torch.int64]
SHAPES = [(), (0,), (1,), (3, 0), (5,), (2, 3)]


def largest(dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor(torch.finfo(dtype).max, dtype=dtype)


@st.composite
def tensors(draw) -> list[torch.Tensor]:
    """Tensors of any dtype and shape, the largest numbers of their dtypes among them."""
    made = []
    for _ in range(draw(st.integers(0, 6))):
        dtype, shape = draw(st.sampled_from(FLOATS + INTEGERS)), draw(st.sampled_from(SHAPES))
        tensor = torch.ones(shape, dtype=dtype)
        if dtype in FLOATS:
            sign = draw(st.sampled_from([1, -1]))
            tensor *= draw(st.sampled_from([0 * largest(dtype), sign * largest(dtype)]))
        made.append(tensor)
    return made


@given(tensors(), st.data())
def test_one_number_that_is_not_finite_is_found_among_any_others(made, data):
    assert are_finite(made)
    having = [one for one in made if one.dtype in FLOATS and one.numel()]
    if not having:
        return
    tensor = data.draw(st.sampled_from(having))
    at = data.draw(st.integers(0, tensor.numel() - 1))
    bad = data.draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    tensor.view(-1)[at] = complex(0, bad) if tensor.is_complex() else bad
    assert not are_finite(made)


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_other_layouts_are_looked_at_too(layout, bad):
    sparse = torch.eye(3)
    assert are_finite([getattr(sparse, layout)()])
    sparse[1, 1] = bad
    assert not are_finite([getattr(sparse, layout)()])


def test_numbers_of_eight_bits_are_looked_at_too():
    assert are_finite([torch.ones(3).to(torch.float8_e5m2)])
    assert not are_finite([torch.tensor([1.0, math.inf]).to(torch.float8_e5m2)])


def test_a_whole_look_waits_for_the_device_once():
    made = [torch.ones(3, dtype=dtype) for dtype in FLOATS + INTEGERS]
    with Reads() as reads:
        assert are_finite(made)
    assert reads.count == 1
