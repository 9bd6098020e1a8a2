"""Losses in few cells."""

import pytest

from tuitrain.view.text import words


@pytest.mark.parametrize(
    ("text", "brief"),
    [
        ("mse", "mse"),
        ("cross-entropy:label_smoothing=0.1", "cross-entropy(0.1)"),
        ("a:b=1,c=2", "a(1, 2)"),
    ],
)
def test_a_loss_with_parameters_is_told_by_their_values(text, brief):
    assert words.loss(text) == brief
