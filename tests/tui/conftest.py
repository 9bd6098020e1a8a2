"""A run for the screen to follow: a real record, written here in a trainer's place."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

from tests.recorded import started
from tuitrain.catalog import new_spec
from tuitrain.core.commands import Request
from tuitrain.core.events import Detail, EpochEnded, Event, LastWord
from tuitrain.core.series import Series
from tuitrain.core.spec import RunSpec
from tuitrain.store import inbox, lock
from tuitrain.store.paths import RunPaths
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.store.writer import MeasuredRow, RunWriter, Stamped
from tuitrain.trainer import warm
from tuitrain.trainer.torch_query import TorchQuery
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.refresh import UPDATE_EVERY
from tuitrain.tui.screens import new_run
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.widgets.async_picture import AsyncPicture

STARTED = started("digits", epochs=4)


def epoch(number: int, **more) -> EpochEnded:
    values = {"loss_name": "cross-entropy", "train_loss": 0.5, "val_loss": 0.75,
              "metrics": {"accuracy": 0.875}, "improved": True}  # fmt: skip
    return EpochEnded(1, 23 * number, number, **{**values, **more})


class ScriptedTrainer:
    """Says what the test tells it to, and holds the run's lock until it is told to let go."""

    def __init__(self, paths: RunPaths, spec: RunSpec) -> None:
        self.paths = paths
        paths.write_spec(spec)
        self._lock = lock.acquire(paths.lock)
        self._writer = RunWriter(paths.record)
        self._step = 0
        self.ms_per_step: float = 10
        self.now = 1_800_000_000.0

    def records(self, *events: Event) -> None:
        self.says_last(*events)
        if isinstance(events[-1], LastWord):
            self.dies()

    def says_last(self, *events: Event) -> None:
        """Say it, and hold the lock a moment longer."""
        self._writer.write([], [Stamped(self.now, self._elapsed_ms, event) for event in events])

    @property
    def _elapsed_ms(self) -> int:
        return round(self.ms_per_step * self._step)

    def trains(self, losses: list[float]) -> None:
        rows = []
        for loss in losses:
            self._step += 1
            times = (10, 5, 120, 30, 200, 90)
            rows.append(
                BatchRow(key_of(1, self._step), (self._step - 1) // 23 + 1, loss, 0.001,
                         64, self._elapsed_ms, *times)
            )  # fmt: skip
        self._writer.write(rows, [])

    def measures(self, **values: float) -> None:
        """Record a value of each of these series at the newest step."""
        key = key_of(1, self._step)
        rows = [
            MeasuredRow(key, Series(name.replace("_", "-")), value)
            for name, value in values.items()
        ]
        self._writer.write([], [], rows)

    def details(self, name: str, body: dict[str, object]) -> None:
        """Record a detail of the newest step."""
        self._writer.write([], [], [], [Detail(1, self._step, name, body)])

    def latest_batch_losses(self, take: int, step: int, losses: dict[str, float]) -> None:
        self._writer.latest_batch_losses(take, step, losses)

    def commands(self) -> list[Request]:
        found = [inbox.read(path) for path in inbox.waiting(self.paths.inbox)]
        return [request for request in found if request is not None]

    def dies(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def close(self) -> None:
        self._writer.close()


@pytest.fixture(scope="session", autouse=True)
def styles_are_parsed_once() -> Iterator[None]:
    """Let the apps of all tests share the rules that Textual reads from the same styles.

    Reading them takes a tenth of the time of a test, and each app reads them twice.
    """
    parse, known = getattr(Stylesheet, "_parse_rules", None), {}

    def parse_once(sheet: Stylesheet, *source: object, **about: object) -> list[RuleSet]:
        key = (*source, *sorted(about.items()), frozenset(sheet._variables.items()))
        if key not in known:
            known[key] = parse(sheet, *source, **about)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        if parse is not None:  # private to Textual, which may have no such function one day
            patch.setattr(Stylesheet, "_parse_rules", parse_once)
        yield


class QueryHere(TorchQuery):
    """Has queries answered in this process, which has PyTorch, instead of in one that starts it."""

    def _send(self, line: str) -> dict[str, object]:
        from tuitrain.worker.torch_query import answer  # torch, only where it is needed

        return json.loads(json.dumps(answer(line)))


@pytest.fixture(scope="session")
def torch_query() -> TorchQuery:
    """The answers that the forms of all tests share."""
    return QueryHere()


@pytest.fixture(autouse=True)
def one_torch_query(torch_query: TorchQuery, monkeypatch) -> None:
    """Let every form ask this process, since each of its own would start PyTorch.

    For the same reason no trainer waits for the run of a form.
    """

    class Shared:
        def query(self, question: str, **about: object) -> object:
            return torch_query.query(question, **about)

        def close(self) -> None:
            """It is asked again."""

    monkeypatch.setattr(new_run, "TorchQuery", Shared)
    monkeypatch.setattr(warm, "warm_up", lambda: None)


@pytest.fixture
def trainer(run_paths: RunPaths) -> Iterator[ScriptedTrainer]:
    scripted = ScriptedTrainer(run_paths, new_spec("digits", epochs=4))
    yield scripted
    scripted.close()


@pytest.fixture
def app(trainer: ScriptedTrainer) -> TuitrainApp:
    return TuitrainApp(Path("unused"), watch=trainer.paths)


async def seen(app: TuitrainApp) -> str:
    """Follow the run and draw it now, and return the screen's text."""
    screen = next(item for item in app.screen_stack if isinstance(item, RunScreen))
    for _ in range(UPDATE_EVERY):  # a run that does not train is read less often
        await screen.follow()
    for panel in screen.query(AsyncPicture):
        await panel.draw_if_stale()
    return text_of(app)


def text_of(app: TuitrainApp) -> str:
    """Return what stands on the screen, line by line."""
    strips = app.screen._compositor.render_strips()  # the app's own pictures are SVG, and slow
    return "\n".join(strip.text for strip in strips)
