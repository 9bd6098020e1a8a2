"""Without colours a screen says as much: what differs has a sign or a word of its own."""

import math
import re
from collections.abc import Iterator

import pytest
from rich.color import ColorTriplet

from tests.recorded import RecordedRun, in_home
from tests.tui.conftest import STARTED, ScriptedTrainer, seen
from tests.tui.test_run_screen import epoch
from tests.tui.test_snapshots import learned
from tests.unit.view.panel.test_view_panels import PLANE, worst_of
from tuitrain.core.detail import SURFACE, WORST
from tuitrain.core.events import Event, Failed, Finished, Paused, Stopped
from tuitrain.store.paths import RunPaths
from tuitrain.tui.app import TuitrainApp

WIDE = (140, 40)


@pytest.fixture(autouse=True)
def no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def recorded(tmp_path) -> Iterator[RecordedRun]:
    run = in_home(tmp_path, "a", task="moons", epochs=40)
    yield run
    run.close()


def shown(run: RecordedRun) -> TuitrainApp:
    folder = run.now().directory
    return TuitrainApp(folder.parents[1], watch=RunPaths(folder))


def colours(app: TuitrainApp) -> set[ColorTriplet]:
    """Return the colours of text that the screen has now."""
    strips = app.screen._compositor.render_strips()
    styles = (segment.style for strip in strips for segment in strip)
    return {style.color.get_truecolor() for style in styles if style and style.color}


async def view(app: TuitrainApp, *keys: str) -> str:
    """Press keys and return the screen's text, once it is sure that this is all there is."""
    async with app.run_test(size=WIDE) as pilot:
        await seen(app)
        await pilot.press(*keys)
        await pilot.pause()
        text = await seen(app)
        assert all(red == green == blue for red, green, blue in colours(app))
    return text


async def test_validations_a_new_take_and_the_best_epoch_have_signs(recorded: RecordedRun):
    recorded.trains(4)
    recorded.swaps("mse")
    recorded.trains(4, lambda _step: 0.05, improved=False)
    recorded.goes_back(4, recorded.spec.loss)
    recorded.trains(4, improved=False)
    lines = (await view(shown(recorded))).splitlines()
    title = next(at for at, line in enumerate(lines) if "loss: bce-with-logits" in line)
    chart = [line[:80] for line in lines[title + 1 : title + 10]]
    assert "o °: validation" in lines[title]
    assert any(re.search("[o°]", line.partition("│")[2]) for line in chart)
    assert any("↶ take 2" in line for line in chart)
    (best,) = (line for line in lines if re.search(r"│ +4 +\S+ +\S+ +\S+ ★", line))
    assert "0.5695 ★" in best


async def test_a_swap_has_the_names_of_both_losses(recorded: RecordedRun):
    recorded.trains(4)
    recorded.swaps("mse")
    recorded.trains(4, lambda _step: 0.05, improved=False)
    text = await view(shown(recorded))
    assert "bce-with-logits" in text
    assert "mse ▸" in text


async def test_an_abandoned_take_is_dashed(recorded: RecordedRun):
    recorded.trains(4, lambda _step: 2.0)
    recorded.goes_back(1, recorded.spec.loss)
    recorded.trains(3, lambda _step: 1.0)
    lines = [line[:80] for line in (await view(shown(recorded))).splitlines()]
    line = next(line for line in lines if " 2.0┤" in line)
    assert len(re.findall("[⠀-⣿]{2} ", line)) > 5


async def test_advice_has_a_sign(app: TuitrainApp, trainer: ScriptedTrainer):
    trainer.records(STARTED)
    trainer.trains([1.0] * 23)
    trainer.records(epoch(1, train_loss=math.nan))
    assert " ▲ diverging: the training loss is NaN" in await view(app)


async def test_the_loss_in_use_has_a_sign_and_the_curves_of_others_are_dashed(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    learned(trainer)
    text = await view(app, "3")
    assert " ● cross-entropy" in text
    chart = [line[:60] for line in text.splitlines()[5:]]
    assert any(" mse" in line for line in chart)
    assert any(re.search("[⠀-⣿]{2} [⠀-⣿]{2} [⠀-⣿]{2} ", line) for line in chart)


async def test_in_the_picker_the_loss_in_use_has_a_sign_and_others_are_unfit_in_words(
    app: TuitrainApp, trainer: ScriptedTrainer
):
    learned(trainer)
    text = await view(app, "l")
    assert " ● cross-entropy " in text
    assert " ● mse" not in text
    assert "unfit: " in text


async def test_wrong_samples_have_signs_and_words(recorded: RecordedRun):
    recorded.trains(1)
    recorded.details(SURFACE, PLANE)
    recorded.details(WORST, worst_of({"width": 2, "pixels": "0ff0"}))
    text = await view(shown(recorded), "4")
    assert "◇ ◆ wrong" in text
    assert text.count("◆") == 2, "the heading, and one sample"
    assert "says" in text


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (None, "running"),
        (Paused("p", 1, 1, 0), "paused"),
        (Finished(1, 1, 0), "finished"),
        (Stopped("s", 1, 1, 0, "asked"), "stopped"),
        (Failed("the disk is full"), "failed"),
    ],
)
async def test_a_state_is_a_word(
    app: TuitrainApp, trainer: ScriptedTrainer, event: Event | None, said: str
):
    trainer.records(STARTED)
    trainer.trains([1.0])
    if event is not None:
        trainer.records(event)
    assert said in (await view(app)).splitlines()[0]
