"""The parts of a model that are sharded one by one."""

import pytest
from torch import nn

from tuitrain.engine.ranks.units import units_of


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        self.norm = nn.LayerNorm(8)


class Blocks(nn.Module):
    def __init__(self, *, tied: bool = False):
        super().__init__()
        self.first = nn.Linear(8, 32)
        self.body = nn.Module()
        self.body.blocks = nn.ModuleList(Block() for _ in range(3))
        self.norm = nn.LayerNorm(8)
        self.last = nn.Linear(8, 32)
        if tied:
            self.last.weight = self.first.weight


def test_they_are_the_blocks_of_lists_and_other_children_but_not_small_ones():
    model = Blocks()
    assert units_of(model) == [model.first, *model.body.blocks, model.last]


@pytest.mark.parametrize("count", [1, 300])
def test_as_many_equal_layers_as_there_are(count: int):
    layers = nn.Sequential(*(nn.Linear(4, 4) for _ in range(count)), nn.ReLU())
    assert units_of(layers) == list(layers)[:count]


def test_weights_that_two_parts_share_leave_the_model_whole():
    assert units_of(Blocks(tied=True)) == []


def test_weights_of_the_model_itself_are_in_no_part():
    model = nn.Module()
    model.weight = nn.Parameter(nn.Linear(4, 4).weight)
    assert units_of(model) == []
