"""The screen of a run says one thing at every moment: 240 samples of a run as it trains."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from tests.tui.conftest import text_of
from tuitrain.catalog import new_spec
from tuitrain.connection.client import Client
from tuitrain.core.commands import Rollback, SwapLoss, Undo
from tuitrain.core.events import Event, Fact
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.steering import Steering
from tuitrain.record.controls import Controls
from tuitrain.record.recorder import Recorder
from tuitrain.store import lock
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.widgets.async_picture import AsyncPicture

SAMPLES, EPOCHS, EVENTS_A_SAMPLE = 240, 50, 6
"""A minute, looked at four times a second."""
COMMANDS = {60: SwapLoss("mse"), 110: Undo(), 150: SwapLoss("l1"), 190: Rollback("best")}
STEPS = 23
NUMBER = r"(\d[\d.,e-]*)"
SAYS = {
    "step": [rf"^ step +{NUMBER}"],
    "epoch": [rf" epoch +{NUMBER}/{EPOCHS} ", rf"^ run +[━╸]+ +{NUMBER}/{EPOCHS} epochs"],
    "batch of the epoch": [rf"^ epoch +[━╸]+ +{NUMBER}/{STEPS} "],
    "accuracy": [rf" accuracy +{NUMBER}", rf"^ accuracy +{NUMBER} ★"],
    "best accuracy": [rf" best +{NUMBER} @", rf"^ accuracy +[\d.]+ ★{NUMBER}"],
    "val loss": [rf" val loss {NUMBER}", rf"▸\S+ +{NUMBER} ★"],
    "train loss": [rf" train +{NUMBER}"],
}
"""Where numbers stand, by what they are of."""
ROW = re.compile(rf"│ +{NUMBER} +{NUMBER} +{NUMBER} +{NUMBER} (.) ([\w-]+)")
"""A row of the table of epochs: number, train, val, accuracy, a star at the best, and the loss."""
IN_USE = re.compile(r"^─loss: ([\w-]+)")


def trained(paths: RunPaths, spec) -> Iterator[Fact | Event]:
    """Yield what a trainer records, which answers the commands in the run's inbox."""
    run = build(spec)
    controls = Controls(paths.inbox, known=set(), ending=lambda: None, idle=lambda: None)
    steering = Steering(run, controls, checkpoints=Checkpoints(paths.checkpoints, []))
    return chain(
        [run.started()],
        steering.checkpoints.save(run, "start", is_needed=True),
        train(run, steering),
    )


def said(text: str) -> dict[str, set[str]]:
    """Return all numbers on the screen by what they are of."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in text.splitlines():
        for what, patterns in SAYS.items():
            for pattern in patterns:
                found[what].update(re.findall(pattern, line))
    step, epoch = ({int(value) for value in found[what]} for what in ("step", "epoch"))
    if len(step) == len(epoch) == 1:
        found["batch of the epoch"].add(str(step.pop() - STEPS * epoch.pop()))
    rows = [row.groups() for row in map(ROW.search, text.splitlines()) if row]
    if rows:
        newest = max(rows, key=lambda row: int(row[0]))
        found["accuracy"].add(newest[3])
        if [newest[5]] == [title[1] for title in map(IN_USE.match, text.splitlines()) if title]:
            found["train loss"].add(newest[1])
            found["val loss"].add(newest[2])
        found["epoch"].add(newest[0])
        found["best accuracy"].update(row[3] for row in rows if row[4] == "★")
    return found


async def test_each_quantity_has_one_value_at_every_moment(run_paths: RunPaths):
    spec = new_spec("digits", epochs=EPOCHS, seed=1, device="cpu")
    run_paths.write_spec(spec)
    held = lock.acquire(run_paths.lock)
    writer, now = RunWriter(run_paths.record), [0.0]
    recorder = Recorder(writer, lambda: now[0])
    events, client = trained(run_paths, spec), Client(run_paths.directory)
    app = TuitrainApp(Path("unused"), watch=run_paths)
    seen: dict[str, int] = defaultdict(int)
    async with app.run_test(size=(150, 44)):
        screen = app.screen
        assert isinstance(screen, RunScreen)
        for sample in range(SAMPLES):
            if sample in COMMANDS:
                client.send(COMMANDS[sample])
            for event in islice(events, EVENTS_A_SAMPLE):
                recorder.take(event)
            now[0] += 0.25
            recorder.flush()
            await screen.follow()
            for panel in screen.query(AsyncPicture):
                await panel.draw_if_due()
            text = text_of(app)
            for what, values in said(text).items():
                assert len(values) <= 1, f"{what} at sample {sample}: {values}\n{text}"
                seen[what] += len(values)
    writer.close()
    os.close(held)
    assert min(seen[what] for what in SAYS) > SAMPLES * 3 // 4, seen
