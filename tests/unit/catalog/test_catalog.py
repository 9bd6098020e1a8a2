import math

import pytest

from tuitrain import catalog
from tuitrain.catalog import CATALOG, LOSSES, MODELS, OPTIMIZERS, TASKS, Entry
from tuitrain.core.errors import Refused, UnknownName, WrongUse

everything = [(what, entry) for what, entries in CATALOG.items() for entry in entries.values()]


def name_of(case):
    return case if isinstance(case, str) else case.name


@pytest.mark.parametrize(("what", "entry"), everything, ids=name_of)
def test_an_entry_is_found_by_its_name_and_by_its_aliases(what, entry):
    assert all(catalog.find(what, name) is entry for name in (entry.name, *entry.aliases))


@pytest.mark.parametrize("what", CATALOG)
def test_no_two_entries_answer_to_one_name(what):
    names = [name for entry in CATALOG[what].values() for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("what", "entry"), everything, ids=name_of)
def test_an_entry_says_what_it_is_for(what, entry):
    assert entry.summary
    assert all(option.description for option in entry.options.values())


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_loss_teaches(loss):
    assert all((loss.formula, loss.inside, loss.when, loss.when_not, loss.takes))
    assert not set(loss.takes) & set(loss.misfits)
    assert {*loss.takes, *loss.misfits} == {"multiclass", "binary", "multilabel", "regression"}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_task_has_a_model_and_a_loss_that_fit(task):
    assert task.model.partition(":")[0] in MODELS
    assert catalog.fitting_losses(task.kind)


def test_the_usual_loss_of_classes_comes_first():
    assert catalog.fitting_losses("multiclass")[0].name == "cross-entropy"


def test_defaults_stand_in_for_options_that_were_not_given():
    none_given = {"hidden": (256, 128), "norm": "none", "dropout": 0.0}
    assert catalog.read_options(MODELS["mlp"], {}) == none_given
    assert catalog.read_options(OPTIMIZERS["adamw"], {})["weight_decay"] == 0.01
    assert catalog.read_options(MODELS["linear"], {}) == {}


def test_options_are_read():
    assert catalog.read_options(MODELS["mlp"], {"hidden": "3-4-5"})["hidden"] == (3, 4, 5)
    assert catalog.read_options(OPTIMIZERS["sgd"], {"momentum": ".9"})["momentum"] == 0.9
    assert catalog.read_options(OPTIMIZERS["adam"], {"schedule": "cosine"})["schedule"] == "cosine"


@pytest.mark.parametrize("text", ["", "cos", "COSINE", "none"])
def test_a_name_that_an_option_does_not_have_is_wrong_use(text):
    with pytest.raises(WrongUse, match="schedule takes constant, cosine, linear, step"):
        catalog.read_options(OPTIMIZERS["adam"], {"schedule": text})


@pytest.mark.parametrize("text", ["", "-", "0", "3-0", "65537", "-3", "x", "1.5", "9" * 5000])
def test_widths_that_cannot_be_are_wrong_use(text):
    with pytest.raises(WrongUse, match="width of each hidden layer"):
        catalog.read_options(MODELS["mlp"], {"hidden": text})


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-inf", "1e999", "-0.1", "1.1"])
def test_a_number_out_of_its_bounds_is_wrong_use(text):
    with pytest.raises(
        WrongUse, match=r"sgd:momentum takes a number from 0 to 1 \(momentum\), not"
    ):
        catalog.read_options(OPTIMIZERS["sgd"], {"momentum": text})


def test_an_entry_without_options_says_so():
    with pytest.raises(UnknownName, match="none"):
        catalog.read_options(MODELS["linear"], {"hidden": "3"})


@pytest.mark.parametrize(("what", "entry"), everything, ids=name_of)
def test_the_default_of_an_option_is_a_value_of_its_type(what, entry):
    for option in entry.options.values():
        assert option.read(option.write(option.default)) == option.default


def test_an_entry_is_imported_only_when_it_is_loaded():
    entry = Entry("square root", "math:sqrt", "for this test")
    assert entry.load() is math.sqrt


def test_a_folder_without_its_slash_is_told_with_it(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongUse, match="photos is a folder: write photos/"):
        catalog.new_spec("photos")


@pytest.mark.parametrize("name", ["LBFGS", "lbfgs", "SparseAdam", "sparse-adam"])
def test_an_optimizer_that_no_run_can_use_is_refused_by_its_name(name):
    with pytest.raises(Refused, match=f"{name} (evaluates the loss|takes only the sparse)"):
        catalog.new_spec(optimizer=name)
