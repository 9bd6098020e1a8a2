"""What a step costs, in calls: times would prove nothing on a machine that is busy."""

import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import torch

import tuitrain
from tuitrain.catalog import new_spec
from tuitrain.core.events import BatchDone
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.steering import Steering
from tuitrain.record.controls import Controls
from tuitrain.record.recorder import Recorder
from tuitrain.store.writer import RunWriter

_PACKAGE = str(Path(tuitrain.__file__).parent)
MOST = {"ours": 34, "optim": 0, "all": 75}
"""Python functions that most steps call: ours, those of `torch.optim`, and any."""


def test_most_steps_make_few_calls_while_the_best_epoch_waits_to_be_saved(tmp_path: Path):
    torch.set_num_threads(1)
    (tmp_path / "inbox").mkdir()
    run = build(new_spec("digits", model="linear", batch_size=16, epochs=2))
    recorder = Recorder(RunWriter(tmp_path / "run.db"), clock=lambda: 0.0)
    controls = Controls(tmp_path / "inbox", known=set(), ending=lambda: None, idle=lambda: None)
    checkpoints = Checkpoints(tmp_path, clock=lambda: 0.0)
    list(checkpoints.save(run, "start"))
    events = train(run, Steering(run, controls, checkpoints=checkpoints), clock=lambda: 0.0)
    while run.step < run.steps_per_epoch + 3:
        next(events)
    assert checkpoints.waiting
    calls = [Counter[str]()]

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            file = frame.f_code.co_filename
            calls[-1]["all"] += 1
            calls[-1]["ours"] += file.startswith(_PACKAGE)
            calls[-1]["optim"] += "/torch/optim/" in file

    sys.setprofile(count)
    for _ in range(20):
        event = next(events)
        recorder.take(event)
        if isinstance(event, BatchDone):
            calls.append(Counter())
    sys.setprofile(None)

    for whose, most in MOST.items():
        assert min(step[whose] for step in calls[1:-1]) <= most, whose
