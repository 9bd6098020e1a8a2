import math
from pathlib import Path

import pytest

from tuitrain.catalog import new_spec
from tuitrain.core.commands import LIVE, SETTINGS, Change
from tuitrain.core.events import (
    CheckpointSaved,
    CommandAccepted,
    LossSwapped,
    SettingChanged,
    TakeOpened,
)
from tuitrain.store.delta import Cursor, Delta, Recorded
from tuitrain.view.form import settings
from tuitrain.view.state.fold import fold
from tuitrain.view.state.snapshot import Snapshot

SAVED = CheckpointSaved(1, 0, 0, "start", "00001-take1-step0.pt", 1, "00", "00")
SWAP = LossSwapped("w", 1, 69, 3, "mse", "cross-entropy")


def run(*events):
    """Return a run that has trained for 100 s and said (elapsed_s, event)s."""
    begun = Snapshot.begin("a", Path("a"), new_spec("digits"), 0.0)
    recorded = tuple(
        Recorded(number, 0.0, elapsed_s, event) for number, (elapsed_s, event) in enumerate(events)
    )
    return fold(begun, Delta(recorded, (), None, Cursor()), alive=True)


def test_every_number_has_words_and_its_keys_make_what_it_takes():
    dialogs = {setting: live.dialog for setting, live in LIVE.items() if live.dialog}
    assert dialogs.keys() == SETTINGS.keys() - {"schedule"}
    for setting, dialog in dialogs.items():
        for stride in dialog.strides:
            for text in ("", "off", "0", "1", "0.001", "1e300", "nan", "inf", "x"):
                made = settings.strode(setting, text, stride.key)
                assert made == text or Change.read(setting, made)


@pytest.mark.parametrize(
    ("setting", "text", "key", "made"),
    [
        ("lr", "0.001", "up", "0.002"),
        ("lr", "0.001", "pagedown", "0.0001"),
        ("epochs", "40", "pageup", "50"),
        ("epochs", "3", "pagedown", "1"),
        ("batch-size", "64", "down", "32"),
        ("batch-size", "1", "down", "1"),
        ("weight-decay", "0", "up", "0.0002"),
        ("clip-norm", "off", "up", "2"),
    ],
)
def test_a_key_changes_the_number_in_the_field(setting, text, key, made):
    assert settings.strode(setting, text, key) == made


def test_an_undo_takes_back_the_newest_change_and_leaves_what_was_trained_since():
    rate = SettingChanged("v", 1, 500, 20, "lr", 0.01, 0.001, 23)
    later = CommandAccepted("x", "loss", "l1", "epoch", 0.0)
    begun = run((0.0, SAVED), (20.0, SWAP), (55.0, rate), (100.0, later))
    change = settings.last_change(begun)
    assert change == ("lr 0.001 → 0.01 at step 500", 45)


def test_neither_a_pace_nor_a_resumption_is_a_change():
    pace = SettingChanged("p", 1, 9, 0, "pace", 60, None, 23)
    resumed = TakeOpened(None, 2, 9, 0, "resume", "f", 1, {"loss": "mse"}, 23, 9)
    assert settings.last_change(run((0.0, SAVED), (5.0, pace), (9.0, resumed))) is None
    assert settings.last_change(run()) is None


def test_a_change_that_the_log_has_dropped_is_still_known_and_long_ago():
    same = SettingChanged("v", 1, 500, 20, "lr", 0.001, 0.001, 23)
    later = [(100.0, CommandAccepted(f"a{n}", "pause", "", "batch", 0)) for n in range(300)]
    asked = CommandAccepted("v", "lr", "0.001", "batch", 0)
    change = settings.last_change(run((0.0, SAVED), (1.0, SWAP), (2.0, asked), (2.0, same), *later))
    assert change == ("loss cross-entropy → mse after step 69", math.inf)
