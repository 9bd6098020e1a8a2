"""A program can be written for whatever the catalogue offers, and trains as the engine does."""

import ast
import builtins
import contextlib
import dis
import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, cycle, product
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.engine.test_images import written
from tuitrain import catalog
from tuitrain.catalog import LOSSES, MODELS, OPTIMIZERS, TASKS, fitting_losses
from tuitrain.catalog.entry_options import Between, Joined, YesOrNo
from tuitrain.catalog.problems import FIRST_METRICS
from tuitrain.core.errors import Refused
from tuitrain.core.events import RateReduced
from tuitrain.core.problem import Card, Metric
from tuitrain.core.schedules import SCHEDULES, ScheduleText
from tuitrain.core.spec import RunSpec
from tuitrain.core.values import Integer, OneOf
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.export.program import program
from tuitrain.export.program.part import Part
from tuitrain.export.program.source import function
from tuitrain.export.recipe import Recipe
from tuitrain.history.lineage import Lineage

LONGEST_LINE = 100
"""As in the engine, whose functions a program copies."""
EMBEDDED = [task for task in TASKS.values() if not task.is_downloaded]
BY_KIND = {task.kind: [other for other in EMBEDDED if other.kind == task.kind] for task in EMBEDDED}
FITTING = [
    pair
    for kind, tasks in BY_KIND.items()
    for pair in zip(cycle(tasks), fitting_losses(kind), strict=False)
]
"""Every loss with a task, the tasks of a kind in turn."""
PLACES = [
    *(entry.place for entry in chain(TASKS.values(), LOSSES.values(), MODELS.values())),
    *dict.fromkeys(
        f"tuitrain.core.schedules:{shape.function.__name__}" for shape in SCHEDULES.values()
    ),
    *FIRST_METRICS.values(),
    "tuitrain.engine.models:torchvision_model",
    "tuitrain.engine.muon:MuonAdamW",
    "tuitrain.engine.muon:hidden_matrices",
    "tuitrain.core.schedules:rate_factor",
    "tuitrain.engine.data:shuffled",
    "tuitrain.engine.data:standardised",
    "tuitrain.engine.state.weights:state_sha256",
]
"""Of what a program has a copy."""


def recipe_of(spec: RunSpec) -> tuple[Recipe, str]:
    """Train a run in this process; return what a program of it must know, and its digest."""
    torch.set_num_threads(1)
    run = build(spec)
    started = run.started()
    events = list(train(run, Steering(run)))
    reductions = tuple(event for event in events if isinstance(event, RateReduced))
    digest = weights_sha256(run.model)
    return Recipe("a", spec, Lineage.of(spec, [started, *reductions]), run.step, digest), digest


def stating(recipe: Recipe, **fields: Any) -> Recipe:
    """Return the recipe of a run whose start has other fields."""
    started = replace(recipe.started, **fields)
    return replace(recipe, lineage=Lineage.of(recipe.spec, [started]))


def printed_by(text: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(text, "program", "exec"), {"__name__": "__main__"})
    return said.getvalue().splitlines()[-1]


@pytest.mark.parametrize(("task", "loss"), FITTING, ids=lambda item: item.name)
def test_its_program_ends_with_the_engines_weights(task, loss):
    number = FITTING.index((task, loss))
    models = [
        name
        for name, item in MODELS.items()
        if item.why_not((1, 8, 8) if task.has_images else (1,)) is None
    ]
    optimizers = [name for name in OPTIMIZERS if name != "muon"]  # it does not fit each model
    spec = catalog.new_spec(
        task.name, loss=loss.name, epochs=1, seed=number,
        model=models[number % len(models)], optimizer=optimizers[number % len(optimizers)],
    )  # fmt: skip
    recipe, digest = recipe_of(spec)
    text = program(recipe, written_by="this test")

    assert printed_by(text) == digest
    assert max(len(line) for line in text.splitlines()) <= LONGEST_LINE


@pytest.mark.parametrize("kind", BY_KIND)
def test_it_uses_every_option_that_a_loss_a_model_or_an_optimizer_has(kind):
    spec = catalog.new_spec(BY_KIND[kind][0].name, epochs=1)
    recipe, _ = recipe_of(spec)
    entries = {
        "loss": fitting_losses(kind),
        "model": catalog.CATALOG["model"].values() if kind == "multiclass" else (),
        "optimizer": catalog.CATALOG["optimizer"].values() if kind == "multiclass" else (),
    }
    for what, entry in ((what, entry) for what, some in entries.items() for entry in some):
        for key, option in entry.options.items():
            if not option.is_for(kind):
                continue
            value = OTHERS[type(option.type)](option)
            chosen = replace(spec, **{what: f"{entry.name}:{key}={value}"})
            settings = dict(recipe.started.settings) | {
                "loss": chosen.loss, "schedule": chosen.settings["schedule"],
            }  # fmt: skip
            other = stating(replace(recipe, spec=chosen), settings=settings)
            text = program(other, written_by="this test")
            compile(text, "program", "exec")
            assert text != program(recipe, written_by="this test"), f"{entry.name}:{key}"


WEIGHTED = [item for item in FITTING if item[0].name in ("digits", "breast-cancer")]


@pytest.mark.parametrize(("task", "loss"), WEIGHTED, ids=lambda item: item.name)
def test_its_program_weighs_the_classes_as_the_run_did(task, loss):
    torch.set_num_threads(1)
    run = build(
        catalog.new_spec(task.name, loss=loss.name, epochs=1, class_weights="balanced", lr=0.01)
    )
    recipe, digest = recipe_of(run.spec)
    text = program(recipe, written_by="this test")

    assert "weight=WEIGHTS" in text
    assert printed_by(text) == digest
    assert max(map(len, text.splitlines())) <= LONGEST_LINE
    assert digest != recipe_of(replace(run.spec, class_weights=None))[1]


@pytest.mark.parametrize("model", ["mlp:hidden=128", "mlp:hidden=16,norm=batch"])
def test_it_leaves_out_the_batches_whose_numbers_were_not_finite_as_the_run_did(model):
    spec = catalog.new_spec(
        "diabetes", model=model, optimizer="sgd", lr=1e25, epochs=2, on_nonfinite="skip"
    )
    recipe, digest = recipe_of(spec)
    text = program(replace(recipe, skips_nonfinite=True), written_by="this test")
    assert printed_by(text) == digest
    assert printed_by(program(recipe, written_by="this test")) != digest


@pytest.mark.parametrize(
    "schedule",
    ["constant:warmup=1.5", "cosine", "linear:warmup=1", "step:size=2:gamma=0.5", "one-cycle",
     "plateau:factor=0.5:patience=0:warmup=1"],
)  # fmt: skip
def test_its_rate_follows_the_schedule_of_the_run(schedule):
    spec = catalog.new_spec(
        "diabetes", model="linear", optimizer=f"adam:schedule={schedule}", lr=0.5, epochs=6
    )
    recipe, digest = recipe_of(spec)
    text = program(recipe, written_by="this test")

    assert printed_by(text) == digest
    assert bool(recipe.reductions) == ("lr_scale = 0.5  # no better rmse for 1 epoch" in text)
    assert bool(recipe.reductions) == schedule.startswith("plateau")


def test_its_program_builds_a_classifier_of_torchvision_as_the_run_did():
    spec = catalog.new_spec(
        "digits", model="shufflenet_v2_x0_5", optimizer="sgd", batch_size=1437, epochs=1, lr=0.01
    )
    recipe, digest = recipe_of(spec)
    text = program(recipe, written_by="this test")
    assert 'torchvision_model(train_inputs.shape[1:], 10, name="shufflenet_v2_x0_5")' in text
    assert printed_by(text) == digest
    assert "torchvision" in recipe.started.environment


def test_weights_that_it_begins_with_are_loaded_as_data_only(tmp_path: Path):
    spec = catalog.new_spec("digits", init_from=str(tmp_path / "w.pt"), epochs=1)
    recipe, _ = recipe_of(catalog.new_spec("digits", epochs=1))
    text = program(replace(recipe, spec=spec), written_by="this test")
    assert "weights_only=True" in text


@pytest.mark.parametrize("task", EMBEDDED, ids=lambda item: item.name)
def test_whatever_fits_a_task_makes_a_program_of_lines_that_fit_a_screen(task):
    usual, _ = recipe_of(catalog.new_spec(task.name, epochs=1))
    models = [
        name
        for name, item in MODELS.items()
        if item.why_not((1, 8, 8) if task.has_images else (1,)) is None
    ]
    losses = [item.name for fitting, item in FITTING if fitting is task]
    for loss, model, optimizer in product(losses, models, OPTIMIZERS):
        spec = replace(usual.spec, loss=loss, model=model, optimizer=optimizer)
        settings = {**usual.started.settings, "loss": loss}
        text = program(
            stating(replace(usual, spec=spec), settings=settings), written_by="this test"
        )
        compile(text, f"{loss}, {model}, {optimizer}", "exec")
        assert max(map(len, text.splitlines())) <= LONGEST_LINE, (loss, model, optimizer)


OTHERS = {
    Between: lambda option: "0.5" if option.type.high >= 0.5 else str(option.type.low),
    Integer: lambda option: str(option.type.most),
    Joined: lambda option: "9-7" if option.type.count is None else "0.6-0.6",
    ScheduleText: lambda option: option.type.words[-1],
    OneOf: lambda option: option.type.words[-1],
    YesOrNo: lambda option: "no" if option.default else "yes",
}
"""Makes, for a type, the text of a value that its option does not have by default."""


def with_all_that_it_calls(part: Part) -> list[Part]:
    return [*chain.from_iterable(map(with_all_that_it_calls, part.functions)), part]


def names_of(text: str) -> set[str]:
    """Return what a text defines at its top."""
    found = set()
    for node in ast.parse(text).body:
        found |= {node.name} if isinstance(node, ast.FunctionDef | ast.ClassDef) else set()
        targets = node.targets if isinstance(node, ast.Assign) else []
        found |= {item.id for target in targets for item in ast.walk(target)
                  if isinstance(item, ast.Name)}  # fmt: skip
    return found


def looked_up_by(code: CodeType) -> Iterator[str]:
    """Yield the global names that a program looks up while it runs."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from looked_up_by(constant)


@pytest.mark.parametrize("place", PLACES)
def test_a_function_of_the_engine_stands_alone(place):
    parts = with_all_that_it_calls(function(place))
    imports = "\n".join(line for part in parts for line in part.imports)
    text = "".join(part.text for part in parts)
    namespace = {}
    exec(imports + "\n" + text, namespace)

    looked_up = set(looked_up_by(compile(text, place, "exec")))
    assert looked_up <= set(namespace) | set(dir(builtins))
    assert not any(line.split()[1].startswith("tuitrain") for line in imports.splitlines())
    assert not any(tool in text for tool in ("# fmt", "# noqa", "# type:")), (
        "said to our tools only"
    )


def test_no_two_functions_of_a_program_share_a_name_nor_one_with_its_loop():
    parts = {part for place in PLACES for part in with_all_that_it_calls(function(place))}
    names = [name for part in parts for name in names_of(part.text)]
    assert len(names) == len(set(names))

    spec = catalog.new_spec("diabetes", optimizer="sgd:schedule=linear", loss="l1", epochs=1)
    recipe, _ = recipe_of(spec)
    text = program(recipe, written_by="this test")
    places = (TASKS["diabetes"].place, LOSSES["l1"].place, FIRST_METRICS["regression"])
    calls = {place.partition(":")[2] for place in places}
    assert calls < names_of(text)
    script = text[text.index("SEED = ") :]
    assert not names_of(script) & set(names)


def test_a_program_without_any_change_is_short_enough_to_be_read_at_once():
    recipe, _ = recipe_of(catalog.new_spec("digits", epochs=1))
    assert len(program(recipe, written_by="this test").splitlines()) <= 124


def test_a_program_says_of_the_problem_what_the_run_says_and_not_what_the_catalogue_says_today():
    recipe, _ = recipe_of(catalog.new_spec("breast-cancer", epochs=1))
    problem = replace(
        recipe.problem, kind="multiclass", classes=("a", "b", "c"), metrics=(Metric("hits", "max"),)
    )
    recipe = stating(recipe, problem=problem, card=Card("tumours of yesterday"))
    text = program(recipe, written_by="this test")
    assert "# The data: tumours of yesterday." in text
    assert "model = mlp(train_inputs.shape[1:], 3" in text
    assert "hits = class_accuracy(prediction, val_targets)" in text

    crafted = replace(problem, metrics=(Metric("hits = exit()\nhits", "max"),))
    recipe = stating(recipe, problem=crafted)
    with pytest.raises(Refused, match=r"the name of its metric, 'hits = exit\(\)\\nhits'"):
        program(recipe, written_by="this test")


@pytest.mark.parametrize("parts", [("train",), ("train", "t10k")])
def test_a_program_reads_images_from_the_folder_that_its_run_read(tmp_path: Path, parts):
    some = np.random.default_rng(0)
    pixels, labels = some.integers(0, 256, (80, 28, 28), np.uint8), np.arange(80, dtype=np.uint8)
    data = dict.fromkeys(parts, (pixels, labels % 10))
    written(tmp_path / "data" / "raw", zipped=len(parts) > 1, **data)
    spec = catalog.new_spec("fashion-mnist", data=str(tmp_path / "data"), model="cnn", epochs=1)
    recipe, digest = recipe_of(spec)

    assert printed_by(program(recipe, written_by="this test")) == digest
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(Refused, match=r"the data are no longer in .*data"):
        program(recipe, written_by="this test")
