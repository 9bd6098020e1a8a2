"""Problems that only a task of the user's own has: several labels, and counts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tuitrain.catalog import fitting_losses, new_spec
from tuitrain.core.detail import LABELS, LOSS_CURVES
from tuitrain.core.errors import Refused, UnknownName, WrongUse
from tuitrain.core.events import Detail, EpochEnded
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.loss_curves import loss_curves
from tuitrain.engine.monitor import Monitored
from tuitrain.engine.predict import predict
from tuitrain.engine.preflight import preflight
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.state.resume import resume
from tuitrain.engine.state.start import Start
from tuitrain.engine.steering import Steering
from tuitrain.engine.step_probe import batch_detail
from tuitrain.engine.training import Training
from tuitrain.engine.user_code import UserCode
from tuitrain.steering.steerable import Position

TASKS = """\
import torch, tuitrain
from torch import nn
x = torch.randn(90, 3, generator=torch.Generator().manual_seed(0))
linear, line = lambda: nn.Linear(3, 3), lambda: nn.Linear(3, 1)
labels = tuitrain.Task(kind="multilabel", classes=["a", "b", "c"], model=linear, lr=0.1,
                       train=lambda: (x, (x + x.roll(1, 1) > 0).float()))
counts = tuitrain.Task(kind="regression", model=line, lr=0.1, unit="visits",
                       train=lambda: (x, (2 * x[:, 0]).exp().round()))
numbers = tuitrain.Task(kind="regression", model=line, train=lambda: (x, x[:, 0]))

class Unknown(torch.utils.data.Dataset):
    def __len__(self):
        return len(x)
    def __getitem__(self, index):
        return x[index], x[index, 0].abs()

unread = tuitrain.Task(kind="regression", model=line, train=Unknown)
"""


@pytest.fixture
def own(tmp_path: Path):
    file = tmp_path / "own.py"
    file.write_text(TASKS)

    def built(name: str, **settings: object) -> Training:
        spec = new_spec(f"{file}:{name}", device="cpu", **{"epochs": 1, **settings})
        return build(spec, code=UserCode(tmp_path / "code"))

    return built


@pytest.mark.parametrize("loss", [None, *(loss.name for loss in fitting_losses("multilabel"))])
def test_a_task_of_several_labels_learns_by_every_loss_that_fits(own, loss):
    run = own("labels", loss=loss, epochs=20)
    assert preflight(run) == []
    assert run.losses.usual == "bce-with-logits"
    events = list(train(run, Steering(run)))
    ended = [event for event in events if isinstance(event, EpochEnded)][-1]

    assert list(ended.metrics) == ["f1_macro", "auroc", "label_accuracy", "subset_accuracy"]
    assert ended.metrics["label_accuracy"] > 0.8, "and a constant has about a half"
    assert run.problem.monitor == "f1_macro"
    details = [event for event in events if isinstance(event, Detail) and event.name == LABELS]
    f1 = [2 * right / (true + given) for right, true, given in details[-1].body["counts"]]
    assert sum(f1) / 3 == pytest.approx(ended.metrics["f1_macro"])
    curves = loss_curves(run)
    assert curves is not None
    assert curves.name == LOSS_CURVES
    assert set(curves.body["curves"]) == set(run.problem.losses)
    detail = batch_detail(run)
    assert isinstance(detail, Detail)
    assert len(detail.body["losses"]) == 8, "of the last batch"
    assert detail.body["places"] == [], "a sample has several"


def test_errors_are_in_the_unit_that_a_task_names_and_its_file_is_where_the_data_come_from(
    own, tmp_path
):
    started = own("counts").started()
    units = {metric.name: metric.unit for metric in started.problem.metrics}
    assert (units["rmse"], units["mae"], units["r2"]) == ("visits", "visits", "")
    assert started.card.origin == str(tmp_path / "own.py")


def test_a_record_from_before_labels_had_metrics_is_still_monitored_by_its_loss(own, tmp_path):
    run = own("labels")
    before = replace(run.problem, metrics=(), monitor="BCEWithLogitsLoss")
    events = [replace(run.started(), problem=before)]
    steering = Steering(run, checkpoints=Checkpoints(tmp_path, events), earlier=events)
    list(resume(run, steering, Start(run.spec, tmp_path / "origin.pt"), events, Position()))
    assert run.monitor.quantity == Monitored("bce-with-logits", -1, is_loss=True)


def test_counts_are_learned_as_logarithms_and_evaluated_and_predicted_as_counts(own, tmp_path):
    run = own("counts", loss="poisson-nll", epochs=60)
    assert preflight(run) == []
    assert "poisson-nll" in run.problem.losses
    events = list(train(run, Steering(run, checkpoints=Checkpoints(tmp_path, ()))))
    ended = [event for event in events if isinstance(event, EpochEnded)][-1]
    targets = run.data.val.targets
    logarithms = run.model(run.data.val.inputs).detach().flatten()
    assert ended.metrics["r2"] > 0.5
    assert ended.metrics["mae"] == pytest.approx(float((logarithms.exp() - targets).abs().mean()))
    assert "poisson-nll" not in loss_curves(run).body["curves"], "it is of no residual alone"
    errors = logarithms.exp() - targets
    assert list(ended.val_losses) == ["mse", "poisson-nll"]
    assert ended.val_losses["mse"] == pytest.approx(float(errors.square().mean()))
    assert ended.val_losses["poisson-nll"] == pytest.approx(ended.val_loss)

    saved = (
        run.losses.predictions("mse", logarithms),
        run.losses.predictions("poisson-nll:log_input=no", logarithms),
    )
    assert all(torch.equal(outputs, logarithms) for outputs in saved)
    checkpoint = next(event for event in reversed(events) if hasattr(event, "sha256"))
    found = predict(
        run.spec, tmp_path / checkpoint.file, checkpoint.sha256, UserCode(tmp_path / "code")
    )
    predicted = torch.tensor([row[-1] for row in found.rows])
    torch.testing.assert_close(predicted, logarithms.exp())


def test_a_loss_that_cannot_read_the_outputs_is_left_out_and_refuses_no_run(own):
    def of_counts(loss):
        run = own("counts", loss=loss, val_losses=("all",))
        with torch.no_grad():
            run.model.bias.fill_(100.0)  # whose exponential is infinite in float32
        assert preflight(run) == []
        return [event for event in train(run, Steering(run)) if isinstance(event, EpochEnded)]

    (ended,) = of_counts("l1")
    assert "poisson-nll" not in ended.val_losses
    assert set(ended.val_losses) == {loss.name for loss in fitting_losses("regression")}, (
        "all others"
    )
    with pytest.raises(WrongUse, match="poisson-nll is inf on the first batch"):
        of_counts("poisson-nll")


def test_a_loss_of_positive_predictions_says_so_where_others_make_it_nan(own):
    run = own("counts", loss="poisson-nll:log_input=no")
    with torch.no_grad():
        run.model.bias.fill_(-100.0)
    said = "is nan on the first batch: its predictions must be positive: .*Softplus.*poisson-nll,"
    with pytest.raises(WrongUse, match=said):
        preflight(run)
    with torch.no_grad():
        run.model.bias.fill_(100.0)
    assert preflight(run) == []


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("numbers", "there is a target -[0-9.]+, and counts must be 0 or more"),
        ("unread", "not known before they are read.*give the dataset an attribute `targets`"),
    ],
)
def test_a_loss_for_counts_is_refused_where_targets_are_none_also_in_a_live_run(own, task, reason):
    with pytest.raises(Refused, match=f"poisson-nll does not fit this task: .*{reason}"):
        own(task, loss="poisson-nll")
    run = own(task)
    assert "poisson-nll" not in run.problem.losses
    assert "poisson-nll does not fit this task" in str(run.why_not("loss", "poisson-nll"))
    with pytest.raises(Refused, match="poisson-nll does not fit regression problems: it needs"):
        new_spec("diabetes", loss="poisson-nll")


def test_only_losses_of_the_run_can_be_recorded(own):
    assert own("labels", val_losses=("MSELoss", "focal:gamma=1")).spec.val_losses == (
        "mse", "focal:gamma=1",
    )  # fmt: skip
    every = own("labels", val_losses=("all", "focal:gamma=1", "mse")).spec.val_losses
    assert every[-1] == "focal:gamma=1"
    assert set(every[:-1]) == {loss.name for loss in fitting_losses("multilabel")}
    with pytest.raises(Refused, match="hinge does not fit multilabel problems"):
        own("labels", val_losses=("hinge",))
    with pytest.raises(UnknownName, match="focel"):
        own("labels", val_losses=("all", "focel"))
