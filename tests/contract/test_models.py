"""Every classifier of torchvision trains a step on the smallest images that it is said to take."""

import os
from functools import partial

import pytest
import torch
import torchvision
from torch.nn import functional

from tuitrain.catalog import FAMILIES, MODELS, TORCHVISION, new_spec
from tuitrain.core.errors import Refused
from tuitrain.engine.build import build, build_catalog_model
from tuitrain.engine.data import Part

LARGE = (
    "vit_h_14", "vit_b_16", "vgg11", "vgg11_bn", "maxvit_t", "wide_resnet50_2", "convnext_tiny",
    "densenet121",
)  # fmt: skip
"""Left out, since a step takes seconds; `make models` tries all, as does a machine with a GPU."""
FIRST = [next(family.entries).name for family in FAMILIES]
TRIED = TORCHVISION if os.environ.get("MODELS") else [name for name in FIRST if name not in LARGE]


def smallest(name: str) -> int:
    entry = TORCHVISION[name]
    return max(entry.least_size, entry.multiple_of)


def test_the_names_are_those_of_torchvision():
    assert sorted(TORCHVISION) == torchvision.models.list_models(module=torchvision.models)


@pytest.mark.parametrize("name", TRIED)
def test_it_trains_a_step_on_the_smallest_images(name):
    # batch norm over two values has gradients without bound: a hundred such layers overflow
    size, samples = smallest(name), 1 if TORCHVISION[name].least_batch == 1 else 8
    model = build_catalog_model(name, (1, size, size), 3)
    output = model.train()(torch.randn(samples, 1, size, size))
    functional.cross_entropy(output, torch.arange(samples) % 3).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()

    assert output.shape == (samples, 3)
    assert all(weight.grad is not None for weight in model.parameters()), "its forward uses all"
    assert all(weight.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("name", [name for name in TORCHVISION if smallest(name) > 1])
def test_smaller_images_are_refused_in_a_sentence(name):
    size = smallest(name) - 1
    with pytest.raises(Refused, match=rf"{name} needs .*images .* pixels, and these are {size}x"):
        build_catalog_model(name, (3, size, size), 10)


@pytest.mark.parametrize(
    ("name", "shape", "sentence"),
    [
        ("vit_b_16", (3, 32, 48), "square images whose side is a multiple of 16 pixels, .*32x48"),
        ("lenet", (1, 8, 8), "lenet needs images of at least 12x12 pixels, and these are 8x8"),
        ("lenet", (30,), "lenet needs images"),
    ],
)
def test_what_a_model_takes_is_in_the_sentence(name, shape, sentence):
    with pytest.raises(Refused, match=sentence):
        build_catalog_model(name, shape, 10)


@pytest.mark.parametrize("size", [12, 28, 33])
def test_lenet_is_that_of_the_book(size):
    model = build_catalog_model("lenet", (1, size, size), 10)
    assert model(torch.zeros(2, 1, size, size)).shape == (2, 10)
    if size == 28:
        assert sum(map(partial(torch.numel), model.parameters())) == 61_706


def test_a_last_batch_that_batch_norm_cannot_take_is_refused():
    with pytest.raises(Refused, match=r"batch norm needs 2 samples in a batch, .* try 360"):
        build(new_spec("digits", model="resnet18", batch_size=359))
    with pytest.raises(Refused, match=r"the last batch of 1 from 1437 has 1; try 3"):
        build(new_spec("digits", model="mlp:norm=batch", batch_size=1))
    assert MODELS["cnn"].least_batch == 1


def test_a_last_batch_is_that_of_a_rank_where_there_are_several():
    build(new_spec("digits", model="mlp:norm=batch", batch_size=4), part=Part(1, 2))
    with pytest.raises(Refused, match=r"batch of 359 on each of 2 ranks from 1437 has 1; try 360"):
        build(new_spec("digits", model="mlp:norm=batch", batch_size=359), part=Part(1, 2))
