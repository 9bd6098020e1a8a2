"""The screen of a run, cell by cell and colour by colour, once it says in words what it should.

To have one drawn anew delete its file and run the test, which fails once; then look at it.
"""

import math
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.conftest import STARTED, ScriptedTrainer, seen
from tests.unit.view.panel.test_view_panels import CURVES
from tuitrain.core.detail import BATCH, CONFUSION, LOSS_CURVES
from tuitrain.core.events import (
    EpochEnded,
    Event,
    Finished,
    LossSwapped,
    NotFinite,
    Paused,
)
from tuitrain.tui.app import TuitrainApp

HERE = Path(__file__).parent / "snapshots"
STEPS, CLASSES = 23, 10
NARROW, MIDDLE, WIDE, HUGE, SHORT = (80, 24), (120, 36), (140, 40), (200, 55), (40, 10)
BODY = {
    "input": "(64, 1, 8, 8) float32", "target": "(64,) int64", "output": "(64, 10) float32",
    "gradient_norm": 0.83, "update_ratio": 0.0004, "losses": [0.25, 2.5], "places": [1.26, -2.41],
}  # fmt: skip
SWAP = LossSwapped("s", 1, 3 * STEPS, 3, "mse", "cross-entropy")


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Show the times of events as they are shown anywhere."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def trains(trainer: ScriptedTrainer, first: int, last: int, scale: float = 1.0) -> None:
    """Train these epochs and validate after each, as a run that learns."""
    for epoch in range(first, last + 1):
        steps = range((epoch - 1) * STEPS, epoch * STEPS)
        trainer.trains([scale * (0.1 + 2.2 * math.exp(-step / 40)) for step in steps])
        loss = scale * (0.15 + 2.0 * math.exp(-epoch / 2))
        accuracy = 1 - 0.9 * math.exp(-epoch / 2)
        trainer.records(
            EpochEnded(
                1, epoch * STEPS, epoch, "cross-entropy" if scale == 1 else "mse", loss, loss,
                {"accuracy": accuracy, "f1_macro": accuracy - 0.01, "auroc": 0.9},
                improved=True,
                val_losses={"cross-entropy": loss / scale, "bce-with-logits": 0.3, "mse": loss / 12,
                            "l1": 0.1},
            )
        )  # fmt: skip


def learned(trainer: ScriptedTrainer, *then: Event) -> None:
    trainer.records(STARTED)
    trains(trainer, 1, 3)
    counts = [
        [36 if true == predicted else (true * predicted) % 3 for predicted in range(CLASSES)]
        for true in range(CLASSES)
    ]
    for name, body in ((BATCH, BODY), (LOSS_CURVES, CURVES), (CONFUSION, {"counts": counts})):
        trainer.details(name, body)
    if then:
        trainer.records(*then)


def swapped(trainer: ScriptedTrainer) -> None:
    learned(trainer, SWAP)
    trains(trainer, 4, 4, scale=0.05)


CASES = {
    "training-80x24": (NARROW, learned, "", ["loss: cross-entropy", "epoch    3/4", "0.7992"]),
    "training-120x36": (
        MIDDLE, learned, "", ["comparable across swaps", "best     0.7992 @3", "1 Training"]
    ),
    "training-140x40": (WIDE, learned, "", ["comparable across swaps", "best     0.7992 @3"]),
    "training-200x55": (HUGE, learned, "", ["what happened in this batch", "2 forward"]),
    "training-40x10": (SHORT, learned, "", ["step", "69"]),
    "swap-140x40": (WIDE, swapped, "", ["loss: mse", "mse ▸", "epoch    4/4"]),
    "batch-80x24": (NARROW, learned, "2", ["1 zero_grad", "gradient norm 0.83", "120 µs"]),
    "loss-140x40": (WIDE, learned, "3", ["log-odds", "−log softmax(z)[y]"]),
    "model-140x40": (WIDE, learned, "4", ["confusion matrix", "true"]),
    "health-80x24": (NARROW, learned, "5", ["measured about once a second"]),
    "log-80x24": (NARROW, learned, "6", ["events", "output"]),
    "losses-80x24": (NARROW, learned, "l", ["cross-entropy", "bce-with-logits", "mse", "l1"]),
    "leaving-80x24": (NARROW, learned, "q", ["Leave"]),
    "nonfinite-80x24": (
        NARROW,
        lambda trainer: learned(
            trainer, NotFinite(1, 69, 3, "loss"), Paused(None, 1, 69, 3)
        ),
        "", ["step is not taken", "r lower the rate"],
    ),
    "finished-80x24": (
        NARROW, lambda trainer: learned(trainer, Finished(1, 92, 4)), "", ["finished", "R"]
    ),
}  # fmt: skip
"""By name: the size, what was recorded, the keys that are pressed, and words that are there."""


@pytest.mark.parametrize("name", CASES)
async def test_a_screen_says_it_and_looks_as_it_did(
    app: TuitrainApp, trainer: ScriptedTrainer, name: str
):
    size, recorded, keys, words = CASES[name]
    recorded(trainer)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await seen(app)
        await pilot.press(*keys)
        await pilot.pause()
        text = await seen(app)
        picture = re.sub(r"terminal-\d+", "terminal", app.export_screenshot())
    for word in words:
        assert word in text
    file = HERE / f"{name}.svg"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_text(picture, encoding="utf-8")
        pytest.fail(f"{file.name} was drawn anew: look at it")
    assert picture == file.read_text(encoding="utf-8"), text
