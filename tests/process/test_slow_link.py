"""The screen over a link of 20 kB a second: what it sends, counted in bytes, not in seconds."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.conftest import Shell, until
from tests.process.conftest import Terminal, opened
from tests.recorded import started
from tests.tui.conftest import ScriptedTrainer
from tests.tui.test_run_screen import epoch
from tuitrain.catalog import new_spec
from tuitrain.store.paths import RunPaths

LINK = 20_000
SIZE = (140, 40)


@pytest.fixture
def trainer(tuitrain: Shell) -> Iterator[ScriptedTrainer]:
    paths = RunPaths(tuitrain.home / "runs" / "a")
    for folder in (paths.inbox, paths.checkpoints):
        folder.mkdir(parents=True)
    scripted = ScriptedTrainer(paths, new_spec("digits", epochs=60))
    scripted.records(started("digits", epochs=60))
    yield scripted
    scripted.close()
    scripted.dies()


@pytest.fixture
def trains(trainer: ScriptedTrainer) -> Callable[[], int]:
    """Return a function that trains an epoch and returns its number."""
    numbers = count(1)

    def train() -> int:
        number = next(numbers)
        # a loss that jumps: much of its chart changes
        trainer.trains([(1 + (7 * step + number) % 11) / number for step in range(23)])
        trainer.records(epoch(number, val_loss=1 / number))
        return number

    return train


def follows(screen: Terminal, trains: Callable[[], int], epochs: int) -> None:
    """Train so many epochs, each as soon as the screen shows the one before."""
    for _ in range(epochs):
        screen.expect(f"{trains()}/60")


def test_names_and_numbers_are_there_within_two_seconds_of_the_link(
    tuitrain: Shell, terminals, trains
):
    for _ in range(20):
        trains()
    screen = opened(terminals, tuitrain, "attach", "a", size=SIZE, bytes_per_s=LINK)
    screen.expect("● running")
    screen.expect("0.0500")
    assert len(screen.raw) < 2 * LINK


def test_a_dialog_over_a_live_run_sends_itself_and_then_next_to_nothing(
    tuitrain: Shell, terminals, trainer: ScriptedTrainer, trains
):
    screen = opened(terminals, tuitrain, "attach", "a", size=SIZE)
    follows(screen, trains, epochs=3)
    before = len(screen.raw)
    screen.press("l")
    screen.expect("enter swaps")
    assert len(screen.raw) - before < LINK, "there within a second"

    trainer.latest_batch_losses(1, 100, {"cross-entropy": 0.5, "mse": 0.25})
    screen.expect("on batch 100")
    before = len(screen.raw)
    for look in range(5):  # the dialog itself looks once a second
        number = trains()
        trainer.latest_batch_losses(
            1, 101 + look, {"cross-entropy": 0.5 / number, "mse": 0.25 / number}
        )
        screen.expect(f"on batch {101 + look}")
    assert len(screen.raw) - before < 5 * 1024
    assert "3/60" in screen.text(), "what is behind it has waited"

    screen.press("\x1b")
    screen.expect("8/60")


def test_the_app_is_left_within_a_second_of_the_link(tuitrain: Shell, terminals, trains):
    screen = opened(terminals, tuitrain, "attach", "a", size=SIZE, bytes_per_s=LINK)
    follows(screen, trains, epochs=5)
    before = len(screen.raw)
    screen.press("q")
    until(lambda: trains() and "Detach" in screen.text(), "the dialog is there")
    screen.press("d")
    until(screen.has_ended, "the app has ended")
    assert screen.status == 0
    assert len(screen.raw) - before < LINK
