"""Schedules of the learning rate, as text and as numbers."""

import pytest

from tuitrain.core.errors import WrongUse
from tuitrain.core.options import OPTIONS
from tuitrain.core.schedules import SCHEDULES, RateSchedule, share_done


@pytest.mark.parametrize("text", ["constant", "cosine@0", "linear@4", "cosine@4.25", "own@0"])
def test_a_schedule_is_read_as_it_is_written(text):
    assert str(RateSchedule.read(text)) == text
    assert OPTIONS["lr_schedule"].read(text) == text


def test_a_name_alone_begins_where_the_run_is():
    assert str(RateSchedule.read("cosine", now=4 + 1 / 3)) == "cosine@4.333333333333333"
    assert str(RateSchedule.read("cosine@1", now=4)) == "cosine@1"
    assert str(RateSchedule.read("constant", now=4)) == "constant"


@pytest.mark.parametrize(
    "text",
    ["cosin", "", "own", "constant@4", "cosine@", "cosine@x", "cosine@-1", "cosine@nan",
     "cosine@inf", "cosine@1e300", 3, None],
)  # fmt: skip
def test_anything_else_is_wrong_and_the_message_lists_what_there_is(text):
    with pytest.raises(WrongUse, match="schedule takes constant, cosine or linear, not"):
        OPTIONS["lr_schedule"].take(text)


@pytest.mark.parametrize(
    ("trained", "begin", "epochs", "share"),
    [
        (0, 0, 4, 0.0),
        (3, 0, 4, 0.75),
        (4, 4, 8, 0.0),
        (6, 4, 8, 0.5),
        (8, 4, 8, 1.0),
        (2, 4, 8, 0.0),  # after a rollback
        (2, 4, 4, 0.0),  # after a rollback, and fewer epochs
        (2, 4, 3, 0.0),
        (9, 4, 8, 1.0),
    ],
)
def test_a_schedule_goes_from_its_beginning_to_the_last_epoch(trained, begin, epochs, share):
    assert share_done(trained, begin, epochs) == share


@pytest.mark.parametrize(
    ("name", "factors"), [("constant", [1, 1, 1]), ("linear", [1, 0.5, 0]), ("cosine", [1, 0.5, 0])]
)
def test_it_begins_at_the_full_rate(name, factors):
    assert [SCHEDULES[name](done) for done in (0.0, 0.5, 1.0)] == pytest.approx(factors)
