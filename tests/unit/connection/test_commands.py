"""Values that a notebook gives: what cannot be is wrong use, said before anything is sent."""

import pytest

from tests.recorded import in_home
from tuitrain import connect
from tuitrain.core.errors import RunEnded, WrongUse


@pytest.fixture
def run(home):
    in_home(home, "a").close()
    return connect("a", home=home)


@pytest.mark.parametrize(
    ("method", "value", "description"),
    [
        ("set_pace", "abc", "pace takes a number above 0, or off, not 'abc'"),
        ("set_lr", None, "lr takes a number above 0, not None"),
        ("set_lr", [1], r"lr takes a number above 0, not \[1\]"),
        ("set_weight_decay", "x", "weight-decay takes"),
        ("set_clip_norm", {}, "clip-norm takes"),
        ("set_clip_norm", 10**400, "clip-norm takes"),
        ("set_batch_size", 1.5, "batch-size takes a whole number"),
        ("set_epochs", "3", "epochs takes a whole number"),
        ("step", "two", "step takes a whole number"),
        ("rollback", 1.5, "an epoch is the number of a completed one"),
        ("swap_loss", 3, "loss takes a name"),
    ],
)
def test_a_value_that_cannot_be_is_wrong_use(run, method, value, description):
    with pytest.raises(WrongUse, match=description):
        getattr(run, method)(value)


def test_a_value_that_can_be_is_asked_for(run):
    with pytest.raises(RunEnded):
        run.set_pace("30")
