"""The sentence on an epoch that is not kept names a way out."""

import pytest

from tuitrain.core.events import CheckpointSaved
from tuitrain.history.checkpoints import epochs_kept


def saved(epoch: int) -> CheckpointSaved:
    return CheckpointSaved(1, 23 * epoch, epoch, f"{epoch}.pt", "0" * 64, "0" * 64, 9, "epoch")


@pytest.mark.parametrize(("epoch", "nearest"), [(6, 5), (7, 8), (1, 0), (99, 8)])
def test_the_nearest_kept_epoch_is_named(epoch: int, nearest: int):
    listed = f"epoch {epoch} is not kept; kept are the epochs 0, 5, 8; the nearest is {nearest}"
    assert epochs_kept(map(saved, (8, 0, 5)), epoch) == listed


def test_without_finite_weights_there_is_no_epoch_to_go_back_to_unasked():
    listed = "no earlier checkpoint with finite weights is kept; kept are the epochs 0, 5, 8"
    assert epochs_kept(map(saved, (8, 0, 5)), None) == listed
