"""Tables and TensorBoard files, read back by other libraries."""

import csv
import json
import math
import sys

import pytest

from tests.recorded import STEPS, decay, in_home
from tuitrain.core.errors import Refused, TuitrainError, WrongUse
from tuitrain.export import tables, tensorboard
from tuitrain.export.files import check_free, output_at
from tuitrain.export.lineage import RunLineage
from tuitrain.store.paths import RunPaths


def with_a_gap(step: int) -> float:
    return math.nan if step == 30 else math.inf if step == 31 else decay(step)


@pytest.fixture
def line(home):
    """Four epochs with a swap, of which the last two were undone and trained again."""
    run = in_home(home, "a")
    run.trains(2, with_a_gap)
    run.swaps("mse")
    run.trains(2, lambda _: 77.0)
    run.goes_back(2, "cross-entropy")
    run.trains(1)
    run.finishes()
    return RunLineage.read(RunPaths(home / "runs" / "a"))


def test_tables_have_the_lineage_and_nothing_that_was_undone(line, tmp_path):
    tables.write_csv(line, [{"id": "w", "kind": "loss"}], tmp_path / "a")
    with (tmp_path / "a" / "batches.csv").open() as file:
        batches = list(csv.DictReader(file))
    with (tmp_path / "a" / "epochs.csv").open() as file:
        epochs = list(csv.DictReader(file))

    assert [int(row["step"]) for row in batches] == list(range(1, 3 * STEPS + 1))
    assert {row["loss_name"] for row in batches} == {"cross-entropy"}
    assert float(batches[0]["loss"]) == decay(1)
    assert (batches[29]["loss"], batches[30]["loss"]) == ("nan", "inf")
    assert [int(row["epoch"]) for row in epochs] == [1, 2, 3]
    assert {"val_mse", "val_l1", "accuracy", "train_loss"} <= set(epochs[0])
    with (tmp_path / "a" / "interventions.csv").open() as file:
        (swap,) = csv.DictReader(file)
    assert (swap["id"], swap["kind"], swap["reason"]) == ("w", "loss", "")


def test_a_swap_to_a_loss_with_a_parameter_is_a_column_of_its_own(home, tmp_path):
    smooth = "cross-entropy:label_smoothing=0.1"
    run = in_home(home, "a")
    run.trains(1)
    run.swaps(smooth)
    run.trains(1, lambda _: 0.5)
    run.finishes()

    tables.write_csv(RunLineage.read(RunPaths(home / "runs" / "a")), [], tmp_path / "a")
    with (tmp_path / "a" / "epochs.csv").open() as file:
        first, second = csv.DictReader(file)
    assert (first[f"val_{smooth}"], second[f"val_{smooth}"]) == ("", "0.5")


def test_a_table_without_rows_has_its_header(home, tmp_path):
    in_home(home, "a").close()
    tables.write_csv(RunLineage.read(RunPaths(home / "runs" / "a")), [], tmp_path / "a")
    headers = {
        file.stem: file.read_text().removesuffix("\n") for file in (tmp_path / "a").iterdir()
    }
    assert headers["batches"].startswith("take,step,epoch,loss,")
    assert ",accuracy,f1_macro,auroc,val_cross-entropy," in headers["epochs"]
    assert headers["series"] == "take,step,name,value,unit"
    assert headers["interventions"].startswith("id,kind,detail,")


def test_a_loss_with_parameters_of_its_own_has_a_column_that_earlier_epochs_leave_empty(
    home, tmp_path
):
    run = in_home(home, "b")
    run.trains(1)
    run.swaps("huber:delta=2")
    run.trains(1, val_losses={"huber": 0.4, "huber:delta=2": 0.5})
    run.finishes()

    tables.write_csv(RunLineage.read(RunPaths(home / "runs" / "b")), [], tmp_path / "b")

    with (tmp_path / "b" / "epochs.csv").open() as file:
        assert [row["val_huber:delta=2"] for row in csv.DictReader(file)] == ["", "0.5"]


def test_half_a_character_in_a_name_is_escaped(home, tmp_path):
    run = in_home(home, "c")
    run.trains(1, metrics={"\ud800": 1.0})
    run.finishes()
    line = RunLineage.read(RunPaths(home / "runs" / "c"))

    tables.write_csv(line, [], tmp_path / "c")
    tables.write_jsonl(line, {}, [], tmp_path / "c.jsonl")
    tensorboard.write(line, tmp_path / "c-tensorboard")

    assert ",\\ud800," in (tmp_path / "c" / "epochs.csv").read_text()
    last = (tmp_path / "c.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["\ud800"] == 1.0


def test_lines_of_json_are_strict(line, tmp_path):
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    file = tmp_path / "a.jsonl"
    tables.write_jsonl(line, {"name": "a", "kind": "binary"}, [{"id": "w", "kind": "lr"}], file)
    rows = [json.loads(item, parse_constant=refuse) for item in file.read_text().splitlines()]

    assert [row["kind"] for row in rows[:3]] == ["run", "intervention", "batch"]
    assert rows[1]["intervention"] == "lr"
    losses = [row["loss"] for row in rows if row["kind"] == "batch"]
    assert losses[29:31] == ["nan", "inf"]
    steps = [row["step"] for row in rows if "step" in row]
    assert steps == sorted(steps)


def test_tensorboards_own_reader_opens_it(line, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tensorboard.write(line, tmp_path / "a")
    read = EventAccumulator(str(tmp_path / "a"), size_guidance={"scalars": 0})
    read.Reload()

    losses = read.Scalars("train/loss")
    assert [loss.step for loss in losses] == list(range(1, 3 * STEPS + 1))
    assert losses[0].value == pytest.approx(decay(1))
    assert math.isnan(losses[29].value)
    assert [scalar.step for scalar in read.Scalars("metrics/accuracy")] == [23, 46, 69]
    assert "val_loss_by/mse" in read.Tags()["scalars"]


def test_tensorboards_dashboard_of_hyperparameters_has_the_settings(line, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    tensorboard.write(line, tmp_path / "a")
    read = EventAccumulator(str(tmp_path / "a"))
    read.Reload()
    content = read.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    settings = metadata.parse_session_start_info_plugin_data(content).hparams
    assert settings["task"].string_value == "digits"
    assert settings["lr"].number_value == line.spec.lr
    assert settings["batch_size"].number_value == 64
    assert "monitor" not in settings, "which was not given"


def test_without_tensorboard_it_says_how_to_get_it(line, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(TuitrainError, match=r"pip install 'tuitrain\[tensorboard\]'"):
        tensorboard.write(line, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "empty").mkdir()

    check_free(tmp_path / "new", for_folder=False)
    check_free(tmp_path / "empty", for_folder=True)
    for taken in ("full", "full/file"):
        with pytest.raises(Refused, match="is there already"):
            check_free(tmp_path / taken, for_folder=True)
    with pytest.raises(WrongUse, match="there is no folder"):
        check_free(tmp_path / "nowhere" / "file", for_folder=False)


def test_an_export_that_breaks_off_leaves_nothing(tmp_path):
    def break_off() -> None:
        with output_at(tmp_path / "a") as path:
            path.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_trained_nothing_has_nothing_to_export(home):
    run = in_home(home, "a")
    run._writer._connection.execute("delete from event")
    run.close()
    with pytest.raises(Refused, match="nothing to export"):
        RunLineage.read(RunPaths(home / "runs" / "a"))
