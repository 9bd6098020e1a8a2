"""The app draws attention to what happens while the user looks elsewhere."""

from tests.tui.conftest import STARTED, ScriptedTrainer, seen
from tuitrain.core.events import Finished, NotFinite, Paused, Resumed
from tuitrain.tui.alert import Alert
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.screens.runs import RunsScreen


async def test_a_pause_by_nan_and_an_end_are_announced_and_a_pause_by_hand_is_not(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    alerts = []
    trainer.records(STARTED)
    trainer.trains([1.0])
    async with app.run_test(size=(80, 24), message_hook=alerts.append) as pilot:
        for events in (
            [Paused("w", 1, 1, 0)], [Resumed("w", 1, 1, 0)],
            [NotFinite(1, 1, 0, "loss"), Paused(None, 1, 1, 0)], [Finished(1, 1, 0)],
        ):  # fmt: skip
            await seen(app)
            trainer.records(*events)
        await seen(app)
        await pilot.pause()
    said = [message.text for message in alerts if isinstance(message, Alert)]
    assert list(dict.fromkeys(said)) == [
        "tuitrain: a paused at step 1: loss not finite at step 1",
        "tuitrain: a finished at step 1",
    ]


async def test_the_list_announces_a_run_that_ends_while_it_is_shown(trainer: ScriptedTrainer):
    alerts = []
    trainer.records(STARTED)
    trainer.trains([1.0])
    app = TuitrainApp(trainer.paths.directory.parents[1])
    async with app.run_test(size=(80, 24), message_hook=alerts.append) as pilot:
        screen = app.screen
        assert isinstance(screen, RunsScreen)
        await screen.follow()
        trainer.records(Finished(1, 1, 0))
        await screen.follow()
        await pilot.pause()
    assert "tuitrain: a finished at step 1" in [
        message.text for message in alerts if isinstance(message, Alert)
    ]
