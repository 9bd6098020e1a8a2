"""How old the screen of a run is, and how many bytes it sends, by the clock of the test.

The screen pulls its run every 0.3 seconds. Here a turn stands for such a pull: the trainer
trains as much as in that time, and then all that is due is drawn, until nothing more is
painted: what is sent depends on nothing that the machine does meanwhile.
"""

import math
import re
import sys
from collections.abc import Iterator
from itertools import count, cycle
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from rich.color import ColorSystem
from textual.drivers import headless_driver
from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot

from tests.recorded import started
from tests.tui.conftest import ScriptedTrainer, text_of
from tests.tui.test_run_screen import epoch
from tuitrain.core.events import Paused
from tuitrain.record.recorder import FLUSH_AFTER_S
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.display import Display
from tuitrain.tui.refresh import LIVELY_FOR_S, PULL_S, UPDATE_EVERY
from tuitrain.tui.screens import run
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.widgets import async_picture, metric_charts
from tuitrain.tui.widgets.async_picture import AsyncPicture
from tuitrain.view.chart.run_charts import loss_chart

SIZE = (140, 40)
EPOCH = 23
SECOND = math.ceil(1 / PULL_S)
"""Turns."""
PACE = round(60 * PULL_S)
"""Batches in a turn of a run that the form starts."""
MOST_CALLS = 200
"""Python functions that the looks of a second call while nothing happens, the event loop's too."""
KEYS = "l down escape left right_square_bracket plus y escape 2 4 5 1"


class CountedDriver(HeadlessDriver):
    """Sends what the app's own driver sends, to a terminal that counts it."""

    is_headless = False
    terminal = Display()
    writes = 0

    def write(self, data: str) -> None:
        CountedDriver.writes += 1
        self.terminal.take(data)


class Watched:
    """A run that trains and its screen, a turn at a time."""

    def __init__(self, trainer: ScriptedTrainer, clock: SimpleNamespace, pilot: Pilot) -> None:
        self._trainer, self._clock, self._pilot = trainer, clock, pilot
        self.steps = self._epochs = 0

    async def turn(self, steps: int = 0, key: str = "") -> int:
        """Press a key, train so many steps, draw what is due; return the bytes that are sent."""
        if key:
            await self._pilot.press(key)
        self._train(steps)
        self._clock.now += PULL_S
        screen = next(one for one in self._pilot.app.screen_stack if isinstance(one, RunScreen))
        await screen.follow()
        writes = -1
        while writes != CountedDriver.writes:
            writes = CountedDriver.writes
            await self._pilot.pause(0)
            for panel in screen.query(AsyncPicture):
                await panel.draw_if_due()
            await self._pilot.pause(0)
        return sum(len(piece.encode()) for piece in iter(CountedDriver.terminal.next_chunk, ""))

    @property
    def app(self) -> TuitrainApp:
        return self._pilot.app

    def _train(self, steps: int) -> None:
        if not steps:
            return
        numbers = range(self.steps + 1, self.steps + steps + 1)
        self._trainer.trains([(1.2 + math.sin(7 * n)) / n**0.5 for n in numbers])
        self.steps += steps
        done = range(self._epochs + 1, self.steps // EPOCH + 1)
        self._epochs = self.steps // EPOCH
        if done:
            self._trainer.records(*(_ended(number) for number in done))

    def shown(self, what: str) -> float:
        """Return the number that the screen shows under that name."""
        found = re.search(rf" {what} +([\d.,]+)(k?)", text_of(self._pilot.app))
        assert found, what
        return float(found[1].replace(",", "")) * (1000 if found[2] else 1)


def _ended(number: int):
    """Return an epoch whose every number differs from those of the epoch before."""
    losses = {"cross-entropy": 1 / number, "bce-with-logits": 2 / number, "mse": 0.1 / number}
    return epoch(
        number, train_loss=0.5 / number, val_loss=1 / number, val_losses=losses,
        metrics={"accuracy": 1 - 0.5 / number}, improved=False,
    )  # fmt: skip


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of the screen and its panels; no timer of theirs fires."""
    cpu_s = count()
    clock = SimpleNamespace(
        now=0.0, monotonic=lambda: clock.now, time=lambda: clock.now,
        a_drawing_takes=0.0, thread_time=lambda: clock.a_drawing_takes * next(cpu_s),
    )  # fmt: skip
    for module in (run, async_picture, metric_charts):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(run, "PULL_S", 3600.0)
    monkeypatch.setattr(AsyncPicture, "PERIOD_S", 3600.0)
    monkeypatch.setattr(headless_driver, "HeadlessDriver", CountedDriver)
    CountedDriver.terminal = Display()
    CountedDriver.terminal.forget(*SIZE)
    return clock


@pytest.fixture
async def watched(
    app: TuitrainApp, trainer: ScriptedTrainer, clock: SimpleNamespace
) -> Iterator[Watched]:
    trainer.records(started("digits", epochs=9000))
    app.console._color_system = ColorSystem.TRUECOLOR  # which costs most
    async with app.run_test(size=SIZE) as pilot:
        watched = Watched(trainer, clock, pilot)
        for _ in range(3):
            await watched.turn(PACE)
        yield watched


@pytest.mark.parametrize("per_second", [190, 2000])
async def test_the_state_of_a_fast_loop_is_at_most_a_second_old_and_its_rate_right(
    watched: Watched, trainer: ScriptedTrainer, clock: SimpleNamespace, per_second: int
):
    trainer.ms_per_step = 1000 / per_second
    clock.now += LIVELY_FOR_S  # no key is pressed
    steps = round(per_second * PULL_S)
    turns_old = 0
    for _ in range(4 * SECOND):
        await watched.turn(steps)
        turns_old = max(turns_old, math.ceil((watched.steps - watched.shown("step")) / steps))
        assert watched.shown("epoch") == watched.shown("step") // EPOCH
    oldest_s = FLUSH_AFTER_S + (turns_old + 1) * PULL_S
    assert oldest_s <= 1, f"{turns_old} turns, and the one until the next look"
    assert watched.shown("rate") == pytest.approx(per_second, rel=0.05)


async def test_a_screen_costs_few_bytes_with_keys_fewer_without_and_none_where_nothing_happens(
    watched: Watched, trainer: ScriptedTrainer, clock: SimpleNamespace
):
    sent: list[int] = []
    for key, turns in zip(KEYS.split(), cycle((SECOND, SECOND - 1, SECOND - 1))):  # three in 3 s
        sent.append(await watched.turn(PACE, key))
        sent += [await watched.turn(PACE) for _ in range(turns - 1)]
    assert 0 < sum(sent) / len(sent) <= 6 * 1024 * PULL_S, "a key each second"

    clock.now += LIVELY_FOR_S
    sent = [await watched.turn(PACE) for _ in range(8 * SECOND)]
    assert 0 < sum(sent) / len(sent) <= 1.5 * 1024 * PULL_S, "calm"
    assert "cannot" not in text_of(watched.app)

    trainer.records(Paused(None, 1, watched.steps, 0))
    quiet = [sum([await watched.turn() for _ in range(4 * SECOND)]) for _ in range(3)]
    assert quiet[-1] == 0, "paused; the first turns show that it is"


async def test_a_look_at_a_paused_run_calls_little_where_nothing_is_new(
    watched: Watched, trainer: ScriptedTrainer
):
    trainer.records(Paused(None, 1, watched.steps, 0))
    for _ in range(2 * UPDATE_EVERY):
        await watched.turn()
    screen, calls = watched.app.screen, []
    assert isinstance(screen, RunScreen)
    sys.setprofile(lambda frame, event, _: event == "call" and calls.append(frame.f_code.co_name))
    try:
        for _ in range(UPDATE_EVERY):
            await screen.follow()
    finally:
        sys.setprofile(None)
    assert "_publish" in calls, "one of them reads the record"
    assert len(calls) <= MOST_CALLS


async def test_a_chart_that_takes_long_to_draw_is_drawn_less_often(
    watched: Watched, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
):
    draw = Mock(wraps=loss_chart)
    monkeypatch.setattr(run, "loss_chart", draw)
    clock.now += LIVELY_FOR_S
    drawings = []
    for takes_s in (0.0, 0.02, 0.1):
        clock.a_drawing_takes = takes_s
        for _ in range(3 * SECOND):
            await watched.turn(PACE)
        draw.reset_mock()
        for _ in range(6 * SECOND):
            await watched.turn(PACE)
        drawings.append(draw.call_count)
    assert drawings[0] == drawings[1] >= 4, "about one a second, however fast they are"
    assert 1 <= drawings[2] <= 1 + 6 / (0.1 / AsyncPicture.MOST_CPU)
