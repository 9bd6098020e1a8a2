"""Two texts of an optimizer, and whether the one can go on with the state of the other."""

import pytest

from tuitrain.catalog.choice import shares_state


@pytest.mark.parametrize(
    ("optimizer", "other", "shares"),
    [
        ("Adam", "adam", True),
        ("adam:schedule=cosine", "adam", True),
        ("sgd:momentum=0.9,schedule=linear", "SGD:momentum=0.9", True),
        ("sgd:momentum=0.9", "sgd", False),
        ("adamw", "adam", False),
        ("", "", True),
        ("", "adam", False),
        ("own.py:make", "own.py:make", True),
        ("own.py:make", "adam", False),
    ],
)
def test_only_the_schedule_may_differ(optimizer, other, shares):
    assert shares_state(optimizer, other) == shares
