"""Runs steered and read from Python in this process, as in a notebook."""

import doctest
import math
import re
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import PROJECT, Library, Shell, until
from tests.trainer_thread import in_place_of_processes
from tuitrain import NoSuchRun, Refused, Run, RunEnded, WrongUse, connect, runs
from tuitrain.core.events import EpochEnded, Finished, Paused, RunStarted

PER_EPOCH, PER_EPOCH_OF_256 = 23, 6


@pytest.fixture(scope="module")
def shell(tmp_path_factory, library: Library) -> Iterator[Shell]:
    """A home for all of these tests, whose trainers are threads of this process."""
    with pytest.MonkeyPatch.context() as patched:
        threads = in_place_of_processes(patched)
        yield Shell(tmp_path_factory.mktemp("home"), library, in_threads=True)
        threads.close()


@pytest.fixture(scope="module")
def waiting(shell: Shell) -> Run:
    """A run that is paused before its first batch; no test changes it for good."""
    shell.start("waiting", "--epochs", "5000", "--paused")
    return connect("waiting", home=shell.home)


@pytest.fixture(scope="module")
def finished(shell: Shell) -> Run:
    shell.trained("finished")
    return connect("finished", home=shell.home)


def test_a_script_steers_a_run_and_reads_what_it_did(shell: Shell):
    shell.start("a", "--epochs", "5000", "--paused")
    run = connect("a", home=shell.home)
    until(lambda: run.state == "paused", "it waits before its first batch")
    assert (run.name, run.steps, run.epoch, run.loss) == ("a", 0, 0, "cross-entropy")
    assert run.metrics == {}

    stepped = run.step(3)
    assert (stepped.state, stepped.step, run.steps) == ("applied", 3, 3)
    settings_are_changed(run)
    assert run.swap_loss("L1Loss", at="batch").step == 3
    assert run.loss == "l1"
    run.undo()
    assert run.loss == "cross-entropy"
    assert run.checkpoint().step == 3
    assert run.set_batch_size(256).state == "accepted", "this epoch does not end while it waits"

    run.resume()
    held = run.pause(at="epoch")
    assert (held.state, run.state) == ("applied", "paused")
    assert held.step == PER_EPOCH + (run.epoch - 1) * PER_EPOCH_OF_256, "at the end of an epoch"
    assert run.show()["batch_size"] == 256
    assert run.metrics["accuracy"] > 0.2
    assert run.swap_loss("mse").state == "applied", "at once, since it is between two epochs"
    assert run.loss == "mse"
    run.rollback(0)
    assert (run.steps, run.loss) == (0, "mse")
    it_is_stopped(run)


def settings_are_changed(run: Run) -> None:
    run.set_lr(0.01)
    run.set_weight_decay(0.1)
    run.set_clip_norm(1)
    run.set_pace(1e5)
    run.set_epochs(4000)
    shown = run.show()
    assert (shown["lr"], shown["pace"], shown["epochs"]) == (0.01, 1e5, 4000)
    changed = [
        intervention
        for intervention in shown["interventions"]
        if intervention["kind"] not in ("step", "pause")
    ]
    assert [(item["kind"], item["state"]) for item in changed] == [
        (kind, "applied") for kind in ("lr", "weight-decay", "clip-norm", "pace", "epochs")
    ]


def it_is_stopped(run: Run) -> None:
    assert run.stop().state == "applied"
    assert run.state == "stopped"
    with pytest.raises(RunEnded, match="tuitrain resume a first"):
        run.resume()


def test_what_the_trainer_refuses_is_raised_with_its_reason(waiting: Run):
    with pytest.raises(Refused, match="nothing was changed yet"):
        waiting.undo()
    with pytest.raises(Refused, match="in use already"):
        waiting.swap_loss("cross-entropy")
    with pytest.raises(Refused, match="epoch 7 is not kept; kept are the epochs 0"):
        waiting.rollback(7)
    with pytest.raises(Refused, match="paused already"):
        waiting.pause()
    refused = [intervention["kind"] for intervention in waiting.show()["interventions"]]
    assert refused == ["undo", "loss", "rollback", "pause"], "each of them stands in the record"


def test_an_impossible_command_is_refused_before_it_is_sent(waiting: Run):
    before = waiting.show()
    for ask in (
        lambda: waiting.set_lr(-1),
        lambda: waiting.set_lr(math.nan),
        lambda: waiting.set_batch_size(0),
        lambda: waiting.step(0),
        lambda: waiting.swap_loss("mse", at="now"),
        lambda: waiting.batches(every=0),
        lambda: waiting.set_epochs(2.5),
    ):
        with pytest.raises(WrongUse):
            ask()
    assert waiting.show() == before


def test_a_command_that_lost_its_point_is_raised_too(shell: Shell):
    shell.start("b", "--epochs", "5000", "--paused")
    run = connect("b", home=shell.home)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(run.step, 100_000_000)
        until(lambda: run.state == "running", "it trains these steps")
        run.pause()
        with pytest.raises(Refused, match="step 100000000: dropped: a pause came first"):
            asked.result()

    run.set_epochs(run.epoch + 3)
    run.resume()
    the_events_come_in_order_until_the_run_ends(run)


def the_events_come_in_order_until_the_run_ends(run: Run) -> None:
    heard = list(run.events())

    epochs = [event for event in heard if isinstance(event, EpochEnded)]
    assert [epoch.epoch for epoch in epochs] == list(range(1, run.epoch + 1))
    assert [epoch.step for epoch in epochs] == [PER_EPOCH * epoch.epoch for epoch in epochs]
    assert isinstance(heard[-1], Finished)
    assert [event.step for event in heard if hasattr(event, "step")] == sorted(
        event.step for event in heard if hasattr(event, "step")
    )
    kinds = [event.kind for event in heard]
    assert kinds.index("run_started") < kinds.index("paused") < kinds.index("resumed")
    assert kinds.index("resumed") < kinds.index("epoch_ended")
    assert heard == list(run.events(follow=False)), "what is on record, once more"


def test_recorded_events_are_returned_without_waiting_for_more(waiting: Run):
    events = list(waiting.events(follow=False))
    assert any(isinstance(event, RunStarted) for event in events)
    assert any(isinstance(event, Paused) for event in events)


def test_batches_and_losses_are_those_that_were_trained(finished: Run):
    run = finished
    rows = run.batches()
    assert [row.step for row in rows] == list(range(1, 47))
    assert run.batches(rows[40]) == rows[41:]
    assert [row.step for row in run.batches(every=10)] == [10, 20, 30, 40]
    steps, values = run.losses()
    assert steps == list(range(1, 47))
    assert values == [row.loss for row in rows]
    thinned = run.losses(points=10)
    assert len(thinned.steps) <= 14
    assert max(thinned.values) == max(values), "no spike is lost"
    assert run.losses("CrossEntropyLoss") == (steps, values)
    assert run.losses("mse") == ([], [])


def test_a_run_is_found_by_name_beginning_and_directory(
    shell: Shell, waiting: Run, finished: Run, monkeypatch
):
    monkeypatch.setenv("TUITRAIN_HOME", str(shell.home))

    assert {"waiting", "finished"} <= set(runs())
    assert connect().name == runs()[0]
    assert connect("fin").name == "finished"
    directory = shell.home / "runs" / "finished"
    assert connect(directory).directory == connect(str(directory)).directory == directory
    assert connect("finished").state == "finished"
    for nothing in ("nothing", Path("nothing")):
        with pytest.raises(NoSuchRun):
            connect(nothing)


def test_a_home_without_runs_has_none(tmp_path):
    assert runs(tmp_path) == []
    with pytest.raises(NoSuchRun, match="tuitrain run starts one"):
        connect(home=tmp_path)


def test_what_the_page_about_python_shows_is_what_happens(threaded: Shell, monkeypatch):
    tuitrain = threaded
    page = (PROJECT / "docs" / "python.md").read_text()
    (begin,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    blocks = re.findall(r"```pycon\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == page.count("```") // 2 - 1, "all other blocks are Python"
    tuitrain(*shlex.split(begin)[1:])
    until(lambda: tuitrain.show("demo")["state"] == "paused", "it waits")
    monkeypatch.setenv("TUITRAIN_HOME", str(tuitrain.home))

    session = doctest.DocTestParser().get_doctest("".join(blocks), {}, "python.md", None, 0)
    failures: list[str] = []
    doctest.DocTestRunner().run(session, out=failures.append)

    assert session.examples
    assert failures == []
