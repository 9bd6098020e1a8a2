# ruff: noqa: E501 - a task stands on one line
"""Tasks that cannot be trained, or only to nonsense, are refused in one sentence before a run."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tuitrain.catalog import new_spec
from tuitrain.core.errors import TuitrainError, WrongUse
from tuitrain.core.events import BatchDone, EpochEnded, Warned
from tuitrain.engine.build import build
from tuitrain.engine.data import Part
from tuitrain.engine.loop import by_every_loss, train
from tuitrain.engine.preflight import preflight
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import Training

PRELUDE = """\
import numpy as np, torch, tuitrain
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset
x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
three, yes, number = ["a", "b", "c"], (y > 0).float(), x.sum(dim=1)
"""
LINES = PRELUDE.count("\n")


def written(folder: Path, *lines: str, prelude: str = PRELUDE) -> Path:
    file = folder / "task.py"
    file.write_text(prelude + "\n".join(lines) + "\n")
    return file


def built(folder: Path, *lines: str, ranks: int = 1, **settings: object) -> Training:
    spec = new_spec(str(written(folder, *lines)), seed=1, device="cpu", **settings)
    return build(spec, part=Part(0, ranks))


def refused(folder: Path, *lines: str, ranks: int = 1, **settings: object) -> str:
    """Return the sentence with which a task is refused."""
    with pytest.raises(TuitrainError) as caught:
        preflight(built(folder, *lines, ranks=ranks, **settings))
    assert caught.value.exit_code == 2, caught.value
    said = str(caught.value)
    assert "\n" not in said
    assert "Traceback" not in said
    return said


def task(arguments: str, *, model: str = "lambda: nn.Linear(3, 3)") -> str:
    return f"task = tuitrain.Task(batch_size=16, model={model}, {arguments})"


def multiclass(more: str = "", **how: str) -> str:
    return task(f'kind="multiclass", classes=three, train=lambda: (x, y), {more}', **how)


def regression(more: str = "", train: str = "(x, number)", model: str = "lambda: nn.Linear(3, 1)"):
    return task(f'kind="regression", train=lambda: {train}, {more}', model=model)


def binary(more: str = "", train: str = "(x, yes)", model: str = "lambda: nn.Linear(3, 1)"):
    return task(f'kind="binary", train=lambda: {train}, {more}', model=model)


def free(criterion: str, train: str = "(x, y)", model: str = "lambda: nn.Linear(3, 3)") -> str:
    """Return a task of no kind, whose loss alone says what it takes."""
    return task(f"train=lambda: {train}, criterion={criterion}", model=model)


NONSENSE = [
    (free("nn.NLLLoss()"), "nll_loss takes log-probabilities", "log_softmax(output, dim=1)"),
    (
        free("nn.KLDivLoss(reduction='batchmean')", "(x, x.softmax(1))",
             "lambda: nn.Sequential(nn.Linear(3, 3), nn.Softmax(1))"),
        "kl_div takes log-probabilities", "log_softmax(output, dim=1)",
    ),
    (free("F.binary_cross_entropy_with_logits", "(x, x * 0 + 5)"), "there is a 5", "from 0 to 1"),
    (binary(train="(x, yes * 5)"), "there is a target 5", "must be 0 or 1"),
    (free("nn.MSELoss()", "(x, number)", "lambda: nn.Linear(3, 1)"),
     "an output (16, 1) and a target (16,)", "write output.squeeze(1)"),
    (free("nn.HuberLoss()", "(x, number[:, None])", "lambda: nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))"),
     "an output (16,) and a target (16, 1)", "write target.squeeze(1)"),
    (free("nn.CrossEntropyLoss(ignore_index=0)", "(x, y * 0)"), "every target of the batch is 0", "NaN"),
    (free("nn.CrossEntropyLoss()", "(x, y * 0)", "lambda: nn.Linear(3, 1)"),
     "over one class is always 0", "binary_cross_entropy_with_logits"),
    (free("nn.CrossEntropyLoss()", "(x, y + 1)"), "indices 0 to 2", "there is a target 3"),
    (multiclass().replace("(x, y)", "(x, y + 1)"), "there is a target 3", "0 to 2"),
    (multiclass().replace("(x, y)", "(x, y - 1)"), "there is a target -1", "0 to 2"),
    (free("nn.CrossEntropyLoss()", "(x, y.float())"), "cross_entropy takes class indices", "target.long()"),
    (multiclass().replace("(x, y)", "(x, y.float())"), "the targets are float32", "write .long()"),
    (multiclass().replace("(x, y)", "(x, y.int())"), "the targets are int32", "write .long()"),
    (binary(train="(x, yes[:, None])"), "(40, 1), not (40,)", "write .squeeze(1)"),
    (multiclass().replace("(x, y)", "(x, F.one_hot(y))"), "have shape (40, 3), not (40,)", "train"),
    (binary(train="(x, yes.long())"), "the targets are int64", "write .float()"),
    (free("F.binary_cross_entropy_with_logits", "(x, x.long())"), "takes float targets", "target.float()"),
    (regression(train="(x, number.double())"), "the targets are float64", "write .float()"),
    (regression(train="(x, number[:, None])"), "(40, 1), not (40,)", "write .squeeze(1)"),
    (multiclass("criterion=nn.CrossEntropyLoss(reduction='none')"), "returns a tensor of shape (16,)",
     'reduction="mean"'),
    (multiclass("collate_fn=lambda samples: (x[:0], y[:0])"), "a batch has no samples", "train"),
    (free("nn.KLDivLoss(reduction='batchmean')", "(x, x.abs() * 9)",
          "lambda: nn.Sequential(nn.Linear(3, 3), nn.LogSoftmax(1))"),
     "some are above 1", "softmax(target, dim=1)"),
    (multiclass().replace("(x, y)", "(x, y * 0)"), "every target is 0", "nothing to tell apart"),
    (binary(train="(x, yes * 0 + 1)"), "every target is 1", "nothing to tell apart"),
    (free("lambda o, t: torch.where(t > 0, o, -o).mean()", "(x, number)", "lambda: nn.Linear(3, 1)"),
     "where of an output (16, 1) and a target (16,) makes (16, 16)", "write output.squeeze(1)"),
    (free("nn.HingeEmbeddingLoss()", "(x, number.sign())", "lambda: nn.Linear(3, 1)"),
     "hinge_embedding_loss of an output (16, 1)", "write output.squeeze(1)"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "what", "mend"), NONSENSE, ids=[item[1] for item in NONSENSE])
def test_silent_nonsense_is_one_sentence_that_says_what_to_write(tmp_path, lines, what, mend):
    said = refused(tmp_path, lines)
    assert what in said
    assert mend in said
    assert "task.py, line " in said


def test_a_loss_written_by_hand_is_told_with_its_own_line(tmp_path):
    said = refused(
        tmp_path,
        "def squared(output, target):",
        "    return ((output - target) ** 2).mean()",
        regression('losses={"squared": squared}, criterion=squared'),
    )
    assert f"task.py, line {LINES + 2}, in squared: sub of an output (16, 1)" in said
    assert "write output.squeeze(1)" in said


def test_a_loss_that_compares_outputs_with_each_other_is_no_mistake(tmp_path):
    run = built(
        tmp_path,
        "def ranking(output, target):",
        "    apart = (output - output.squeeze(1)) * torch.sign(target[:, None] - target)",
        "    return F.softplus(-apart).mean()",
        regression('losses={"ranking": ranking}'),
    )
    assert preflight(run) == []


@pytest.mark.parametrize("name", ["soft-margin", "huge"])
def test_only_losses_that_the_run_needs_must_be_finite(tmp_path, name):
    lines = (
        "far = nn.Linear(3, 1)",
        "nn.init.constant_(far.bias, -100)",
        "def huge(output, target):",
        "    return output.square().exp().mean()",
        binary('losses={"huge": huge}, criterion="bce-with-logits"', model="lambda: far"),
    )
    assert preflight(built(tmp_path, *lines)) == []
    for needed in ({"loss": name}, {"val_losses": (name,)}):
        assert f"{name} is inf on the first batch" in refused(tmp_path, *lines, **needed)


MISTAKES = [
    (multiclass(model="lambda: nn.Linear(4, 3)"), "inputs (16, 3) float32", "RuntimeError"),
    (multiclass(model="lambda: nn.Linear(3, 4)"), "returns shape (16, 4)", "3 outputs"),
    (multiclass(model="lambda: nn.Linear(3, 1)"), "needs (16, 3)", "3 outputs"),
    (multiclass().replace("(x, y)", "(x.double(), y)"), "inputs (16, 3) float64", "write .float()"),
    (multiclass().replace("(x, y)", "(x / 0 * 0, y)"), "120 of the inputs are NaN", "train"),
    (regression(train="(x, number / 0 * 0)"), "40 of the targets are NaN", "train"),
    (multiclass(model="lambda: None"), "NoneType", "torch.nn.Module"),
    (multiclass(model="lambda: nn.LazyLinear(3)"), "lazy layers", "call the model once"),
    (multiclass(model="lambda: nn.LSTM(3, 3)"), "returns tuple", "not a tensor"),
    (multiclass("criterion=lambda o, t: 1.0"), "returns float", "not a tensor"),
    (multiclass("criterion=lambda o, t: o.detach().sum()"), "does not depend on the output", "detach"),
    (multiclass("criterion=lambda o, t: (o * float('nan')).sum()"), "is nan", "first batch"),
    (multiclass('metrics={"bad": lambda o, t: o}'), "the metric bad", "Tensor of shape (10, 3), not one number"),
    (multiclass('metrics={"bad": (max, "smaller")}'), "the metric bad is a function, or", '(function, "min")'),
    (multiclass('metrics={"bad": lambda o, t: 1 / 0}'), "the metric bad: task.py, line", "ZeroDivision"),
    (multiclass().replace("(x, y)", "TensorDataset(x, x, y)"), "these are 3 parts", "one dict or tuple"),
    (multiclass().replace("(x, y)", "[{'x': 1.0, 'y': 2}] * 9"), "these are dict", "(input, target)"),
    (multiclass('collate_fn=lambda samples: 1 / 0'), "make no batch: task.py, line", "ZeroDivision"),
    (multiclass().replace("(x, y)", "[(x[i], y[i]) for i in range(0)]"), "train has no samples", ""),
    (multiclass().replace("(x, y)", "(x[:0], y[:0])"), "train has no samples", ""),
    (multiclass().replace("(x, y)", "(x, np.array(['a'] * 50))"), "must be of numbers", "train returns arrays"),
    (multiclass(model="nn.Identity"), "no weights to train", "Identity"),
    (multiclass("losses=[F.cross_entropy]"), "losses has a name for each", "losses={"),
    (multiclass("metrics=[F.cross_entropy]"), "metrics has a name for each", "metrics={"),
    (multiclass(model="nn.Linear(3, 3)"), "write model=lambda: ...", "task.py"),
    (multiclass("optimizer=3"), "a function of the parameters", "optimizer"),
    (task('kind="multiclass", classes=3, train=lambda: (x, y)'), "classes is a list of names", "task.py"),
    (task('kind="multiclass", classes="abc", train=lambda: (x, y)'), "classes is a list of names", "task.py"),
    (multiclass().replace("(x, y)", "(x, y[:-1])"), "(50, 3)", "one row for each sample"),
    (multiclass().replace("(x, y)", "7"), "train returns int", "Dataset with a length"),
    (multiclass().replace("(x, y)", "x"), "train returns Tensor", "two arrays"),
    (multiclass().replace("(x, y)", "(x.tolist(), y.tolist())"), "returns tuple of list, list", "two arrays"),
    (multiclass().replace("(x, y)", "(x, y, y)"), "returns tuple of Tensor, Tensor, Tensor", "two arrays"),
    (multiclass().replace("(x, y)", "(row for row in x)"), "train returns generator", "Dataset with a length"),
    (multiclass().replace("(x, y)", "TensorDataset"), "train returns the class TensorDataset", "Dataset with"),
    (multiclass().replace("(x, y)", "type('D', (), {'__len__': lambda d: 8.5, '__getitem__': None})()"),
     "the length of train: ", "TypeError"),
    (multiclass().replace("(x, y)", "torch.load('missing.pt')"), "FileNotFoundError", "missing.pt"),
    (multiclass().replace("three", "['a', 'b', 'a']"), "classes has a name twice", "predictions"),
    (multiclass(model="lambda: nn.Sequential(nn.Linear(3, 3), nn.LazyBatchNorm1d(affine=False))"),
     "lazy layers", "call the model once"),
    (multiclass('metrics={"bad": lambda o, t: "good"}'), "the metric bad: ", "returns str, not one number"),
    (multiclass("val=1.5"), "share between 0 and 1", "1.5"),
    (multiclass('monitor="acuracy"', ), "did you mean 'accuracy'", "acuracy"),
    (multiclass("optimizer=torch.optim.LBFGS"), "LBFGS evaluates the loss several times", "tuitrain watch"),
    (multiclass("schedule=lambda done: 1 / done"), "the schedule: task.py, line", "ZeroDivision"),
    (multiclass("schedule=lambda done: float('inf')"), "returns inf for 0.0", "a factor"),
    (multiclass("optimizer=lambda params: torch.optim.SGD(nn.Linear(1, 1).parameters())"), "none of the model's weights", "params"),
    (multiclass("optimizer=lambda params: 1"), "the optimizer is a int", "PyTorch"),
    (task('kind="multiclass", train=lambda: (x, y)'), "needs classes=", "two or more"),
    (task("train=lambda: (x, y)"), "needs a criterion", "None"),
    (task('kind="many", train=lambda: (x, y)'), "kind is multiclass", "many"),
    ("pass", "has no task", "tuitrain.Task("),
    (f"a = {multiclass()[7:]}\nb = a", "has several tasks", "task.py:a"),
]  # fmt: skip


GROWING = """\
class Growing(nn.Linear):
    def __init__(self):
        super().__init__(3, 3)
        self.register_buffer("seen", FIRST)
    def forward(self, output, target=None):
        self.seen = torch.cat([output.detach()[:1], *([] if self.seen is None else [self.seen])])
        return super().forward(output) if target is None else F.cross_entropy(output, target)
"""


@pytest.mark.parametrize("first", ["None", "torch.zeros(1, 3)"])
@pytest.mark.parametrize("role", ["model", "criterion"])
def test_a_buffer_that_no_checkpoint_can_be_loaded_into_is_named(tmp_path, first, role):
    lines = GROWING.replace("FIRST", first)
    whole = multiclass(model="Growing") if role == "model" else multiclass("criterion=Growing")
    said = refused(tmp_path, lines, whole)
    assert "Growing changes the shape of its buffer seen" in said
    assert "in __init__" in said


@pytest.mark.parametrize(
    ("lines", "what", "also"), MISTAKES, ids=[mistake[1] for mistake in MISTAKES]
)
def test_a_mistake_in_a_task_is_one_sentence_with_its_line(tmp_path, lines, what, also):
    said = refused(tmp_path, lines)
    assert what in said
    assert also in said
    assert "task.py, line " in said or what in ("has no task", "has several tasks")


def trained(run: Training, *, tried: bool) -> str:
    warnings = preflight(run) if tried else []
    assert warnings == []
    assert list(train(run, Steering(run)))
    return weights_sha256(run.model)


DROPOUT = "lambda: nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3))"


MOVING = (
    "class Moving(nn.Module):",
    "    def __init__(self):",
    "        super().__init__()",
    "        self.register_buffer('mean', torch.zeros(()))",
    "    def forward(self, output, target):",
    "        loss = F.cross_entropy(output + torch.rand_like(output), target)",
    "        self.mean += loss.detach()",
    "        return loss / (1 + self.mean)",
)


def test_a_loss_that_keeps_a_state_and_draws_is_part_of_a_checkpoint(tmp_path):
    lines = (*MOVING, multiclass("criterion=Moving(), epochs=3", model=DROPOUT))
    run, state = built(tmp_path, *lines), {}
    for event in train(run, Steering(run)):
        if isinstance(event, BatchDone) and event.step == 4:
            state = copy.deepcopy(run.state())
    resumed = built(tmp_path, *lines)
    resumed.restore(state)
    for event in train(resumed, Steering(resumed)):
        if isinstance(event, BatchDone):
            by_every_loss(resumed, *resumed.newest_batch)  # as a screen has it looked at
    assert weights_sha256(resumed.model) == weights_sha256(run.model)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("data", ["(x, y)", "TensorDataset(x, y)"])
def test_a_trial_changes_nothing(tmp_path, data: str, workers: int):
    """Dropout draws, batch norm counts, and the loss keeps a state and draws: all as without."""
    lines = (
        *MOVING,
        multiclass("criterion=Moving(), epochs=2", model=DROPOUT).replace("(x, y)", data),
    )
    if workers and data == "(x, y)":
        pytest.skip("arrays are not read by workers")
    plain = trained(built(tmp_path, *lines, workers=workers), tried=False)
    assert trained(built(tmp_path, *lines, workers=workers), tried=True) == plain


def test_a_model_that_cannot_be_copied_is_given_back_as_it_was(tmp_path):
    lines = multiclass(model=f"lambda: nn.utils.weight_norm(({DROPOUT})()[0])").replace(
        "nn.Linear(8, 3)", "nn.Identity()"
    )
    lines = lines.replace("nn.Linear(3, 8)", "nn.Linear(3, 3)")
    with pytest.warns(FutureWarning, match="weight_norm"):
        run = built(tmp_path, lines)
    before = copy.deepcopy({name: value.clone() for name, value in run.model.state_dict().items()})
    with pytest.raises(RuntimeError, match="deepcopy"):
        run.model(torch.zeros(1, 3)), copy.deepcopy(run.model)
    assert preflight(run) == []
    assert all(torch.equal(value, before[name]) for name, value in run.model.state_dict().items())
    assert all(weights.grad is None for weights in run.weights)


def test_weights_that_no_loss_depends_on_are_a_warning(tmp_path):
    (said,) = preflight(
        built(
            tmp_path,
            "class Net(nn.Module):",
            "    def __init__(self):",
            "        super().__init__()",
            "        self.used, self.unused = nn.Linear(3, 3), nn.Linear(3, 3)",
            "    def forward(self, inputs):",
            "        return self.used(inputs)",
            multiclass(model="Net"),
        )
    )
    assert "does not depend on unused.weight, unused.bias" in said


def test_probabilities_into_cross_entropy_are_a_warning(tmp_path):
    softmax = "lambda: nn.Sequential(nn.Linear(3, 3), nn.Softmax(1))"
    (said,) = preflight(built(tmp_path, multiclass(model=softmax)))
    assert "leave the softmax out" in said


def without_one(train: int, val: int, size: int) -> list[str]:
    """Return the lines of a task whose model cannot take a batch of one sample."""
    return [
        "class Net(nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        "        self.layer = nn.Linear(3, 3)",
        "    def forward(self, inputs):",
        "        return self.layer(inputs).squeeze()",
        "x, y = x.repeat(30, 1), y.repeat(30)",
        free("lambda o, t: F.cross_entropy(o, t)", f"(x[:{train}], y[:{train}])", "Net").replace(
            "criterion", f"val=lambda: (x[:{val}], y[:{val}]), batch_size={size}, criterion", 1
        ).replace("batch_size=16, ", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("train", "val", "size", "ranks", "whole"),
    [
        (41, 48, 8, 1, "an epoch"),
        (50, 48, 8, 2, "an epoch"),
        (48, 129, 8, 1, "a validation"),
        (48, 258, 8, 2, "a validation"),
        (400, 1025, 100, 1, "a validation"),
    ],
)
def test_a_last_batch_of_one_sample_is_tried_too(tmp_path, train, val, size, ranks, whole):
    said = refused(tmp_path, *without_one(train, val, size), ranks=ranks)
    assert f"the last batch of {whole} has one sample" in said
    assert "squeeze(1)" in said


@pytest.mark.parametrize(("val", "size", "ranks"), [(49, 8, 1), (129, 8, 2)])
def test_a_batch_of_one_sample_that_no_validation_has_is_not_tried(tmp_path, val, size, ranks):
    run = built(tmp_path, *without_one(48, val, size), ranks=ranks)
    assert not preflight(run)


def test_too_few_samples_for_the_batch_norm_are_told_with_a_batch_size_that_works(tmp_path):
    with pytest.raises(TuitrainError, match=r"task.py, line 8: batch norm needs 2 samples.* try 6"):
        built(tmp_path, multiclass("val=lambda: (x, y)", model=DROPOUT).replace(
            "train=lambda: (x, y)", "train=lambda: (x[:41], y[:41])"), batch_size=4)  # fmt: skip


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = = 1", "SyntaxError: invalid syntax"),
        ("torch.zeros(3) @ torch.zeros(4)", "RuntimeError: inconsistent tensor size"),
        ("task = tuitrain.Task(train=1)", "TypeError: "),
    ],
)
def test_an_error_of_the_file_itself_is_told_with_its_line(tmp_path, line: str, where: str):
    assert f"task.py, line {LINES + 1}: {where}" in refused(tmp_path, line)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_dataset_is_told_with_its_line_and_sample(tmp_path, workers: int):
    said = refused(
        tmp_path,
        "class Pictures(Dataset):",
        "    def __len__(self): return 50",
        "    def __getitem__(self, index):",
        "        if index: raise OSError(f'cannot open {index}.png')",
        "        return x[index], y[index]",
        multiclass().replace("(x, y)", "Pictures()"),
        workers=workers,
    )
    assert f"task.py, line {LINES + 4}, in __getitem__: OSError: cannot open" in said
    assert "sample " in said


DRAWING = (
    "class Noisy(Dataset):",
    "    count = 0",
    "    def __len__(self): return 50",
    "    def __getitem__(self, index):",
    "        self.count += 1",
    "        return x[index] + {}, y[index]",
    multiclass("epochs=1").replace("(x, y)", "Noisy()"),
)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("noise", "is_exact"),
    [
        ("torch.rand(3)", True),
        ("float(np.random.rand())", True),
        ("float(np.random.default_rng().random())", False),
        ("self.count", False),
    ],
)
def test_samples_that_a_resume_would_not_repeat_are_a_warning(tmp_path, noise, is_exact, workers):
    lines = [line.replace("{}", noise) for line in DRAWING]
    warnings = preflight(built(tmp_path, *lines, workers=workers, batch_size=8))
    assert bool(warnings) is not is_exact
    if not is_exact:
        assert "a resume is not exact" in warnings[0]
        assert "validation samples differ" in warnings[1]


def swap(run: Training, text: str) -> str | None:
    return run.why_not("loss", run.loss_named(text))


def test_a_loss_of_a_file_is_tried_before_it_is_swapped_to(tmp_path):
    run = built(tmp_path, multiclass("epochs=1"))
    file = tmp_path / "losses.py"
    file.write_text(
        "import torch\n"
        "def plain(output, target, scale=1.0):\n"
        "    return scale * torch.nn.functional.cross_entropy(output, target)\n"
        "def each(output, target):\n"
        "    return torch.nn.functional.cross_entropy(output, target, reduction='none')\n"
        "def broken(output, target):\n"
        "    return output.no_such_thing()\n"
    )
    assert "shape (16,), not one number" in str(swap(run, f"{file}:each"))
    assert "losses.py, line 7, in broken: AttributeError" in str(swap(run, f"{file}:broken"))
    with pytest.raises(WrongUse, match="did you mean 'plain'"):
        swap(run, f"{file}:plane")

    file.write_text(file.read_text().replace("no_such_thing()", "sum()"))
    assert swap(run, f"{file}:broken") is None, "the user has mended it"
    assert swap(run, f"{file}:plain:scale=2") is None
    run.change("loss", run.loss_named(f"{file}:plain:scale=2"))
    assert run.loss_name == "losses.py:plain:scale=2.0"
    assert list(train(run, Steering(run)))
    assert isinstance(run.newest_batch[0], Tensor)
    assert swap(run, "losses.py:broken") is None, "and now on the newest batch"

    file.write_text(file.read_text() + "\n")
    with pytest.raises(TuitrainError, match="has changed since this run copied it"):
        swap(run, f"{file}:plain")


def test_kinds_inputs_and_metrics_of_all_sorts_pass(tmp_path):
    lines = (
        "from torchmetrics import Accuracy, MeanSquaredError",
        "class Two(nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        "        self.layer = nn.Linear(6, 3)",
        "    def forward(self, inputs):",
        "        return self.layer(torch.cat((inputs['a'], inputs['b']), dim=1))",
        "pairs = [({'a': row, 'b': -row}, label) for row, label in zip(x, y)]",
        "many = torch.stack((y == 0, y > 0, x[:, 2] > 0), dim=1).float()",
        "def flipped(row, generator):",
        "    return row * torch.randint(0, 2, (), generator=generator)",
        multiclass('metrics={"top": Accuracy("multiclass", num_classes=3)}, monitor="top", '
                   'augment=None', model="Two").replace("(x, y)", "pairs"),
        "dicts = task",
        task('kind="multilabel", classes=three, train=lambda: (x, many), augment=flipped, '
             'criterion=nn.BCEWithLogitsLoss(), metrics={"mse": MeanSquaredError()}'),
        "many_labels = task",
        regression('schedule=lambda done: 1 - done, lr=0.5, losses={"log": lambda o, t: F.smooth_l1_loss(o.squeeze(1), t)}, '
                   'val=lambda: (x[:9], number[:9]), '
                   'optimizer=lambda params: torch.optim.SGD(params, lr=0.25)'),
        "numbers = task",
        free("nn.TripletMarginLoss()", "(x, x)").replace(
            "criterion=nn.TripletMarginLoss()", "criterion=lambda o, t: (o - t).square().mean(), "
            'metrics={"gap": (lambda o, t: (o - t).abs().max(), "min")}'),
        "nothing = task",
        binary('criterion="cross-entropy", classes=["no", "yes"]'),
        "yes_or_no = task",
    )  # fmt: skip
    file = written(tmp_path, *lines)
    found = {}
    for name in ("dicts", "many_labels", "numbers", "nothing", "yes_or_no"):
        run = build(new_spec(f"{file}:{name}", seed=1, device="cpu", epochs=1))
        assert preflight(run) == [], name
        assert list(train(run, Steering(run))), name
        found[name] = run
    assert found["dicts"].monitor.quantity.name == "top"
    assert [metric.name for metric in found["dicts"].problem.metrics][-1] == "top"
    assert found["many_labels"].problem.metrics[-1].direction == "min"
    assert found["many_labels"].problem.metrics[0].name == "f1_macro"
    assert found["many_labels"].loss_name == "bce-with-logits", "a module that the catalogue has"
    assert found["nothing"].problem.metrics[0].direction == "min"
    assert found["numbers"].spec.optimizer == ""
    assert (found["numbers"].base_lr, found["numbers"].lr) == (0.5, 0.5 * (1 - 3 / 4))
    assert len(found["numbers"].data.val) == 9
    assert found["yes_or_no"].loss_name == "cross-entropy"


OPTIONS = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, shape, outputs, width=8):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, outputs))
    def forward(self, x):
        return self.layers(x)

def deep(depth):
    return nn.Linear(64, 10)

def sgd(params, momentum=0.0):
    return torch.optim.SGD(params, lr=0.1, momentum=momentum)

def focal(output, target, gamma):
    return output.mean()

class Margin(nn.Module):
    def __init__(self, margin):
        super().__init__()
    def forward(self, output, target):
        return output.mean()
"""


@pytest.mark.parametrize(
    ("option", "text", "what", "also"),
    [
        ("model", "Net:widht=9", "no parameter of Net (net.py, line 5) 'widht'", "mean 'width'"),
        ("model", "Net:zzz=9", "no parameter of Net (net.py, line 5) 'zzz'", "outputs, shape, width"),
        ("model", "deep", "deep: net.py, line 11: depth has no default", "write net.py:deep:depth=VALUE"),
        ("model", "", "net.py has Net, deep, sgd, focal, Margin", "write net.py:Margin"),
        ("model", "__import__", "no name in net.py '__import__'", "Margin, Net, deep, focal, sgd"),
        ("optimizer", "sgd:momentun=1", "no parameter of sgd (net.py, line 14)", "mean 'momentum'"),
        ("loss", "", "net.py has Net, deep", "write net.py:Margin"),
        ("loss", "focal:gama=1", "no parameter of focal (net.py, line 17) 'gama'", "(none)"),
        ("loss", "focal:gamma=1", "net.py, line 17: gamma of focal has no number", "default"),
        ("loss", "focal", "the loss net.py:focal (", "net.py, line 17: TypeError"),
        ("loss", "Margin", "the loss net.py:Margin: net.py, line 21: TypeError", "margin"),
    ],
)  # fmt: skip
def test_a_wrong_option_of_an_own_function_is_told_with_its_line_and_parameters(
    tmp_path, option, text, what, also
):
    file = written(tmp_path, prelude=OPTIONS).rename(tmp_path / "net.py")
    given = f"{file}:{text}" if text else str(file)
    with pytest.raises(WrongUse) as caught:
        preflight(build(new_spec("digits", device="cpu", **{option: given})))
    said = str(caught.value)
    assert what in said
    assert also in said


@pytest.mark.parametrize(
    ("lines", "what", "also"),
    [
        (multiclass("modle=1"), f"task.py, line {LINES + 1}: no field of tuitrain.Task 'modle'", "'model'"),
        (multiclass("optimizer=lambda: 1"), f"optimizer: task.py, line {LINES + 1}: TypeError", "0 positional"),
        (multiclass('metrics={"one": lambda o: 1}'), f"the metric one: task.py, line {LINES + 1}: TypeError", "2 were given"),
        (multiclass(model="lambda x: nn.Linear(3, 3)"), f"model: task.py, line {LINES + 1}: TypeError", "'x'"),
        (multiclass("criterion=lambda o: o.mean()"), f"task.py, line {LINES + 1}: TypeError", "2 were given"),
        ("torch.set_default_device('meta')", "task.py sets the default device of torch", "--device meta"),
        ("torch.set_default_device('cuda:0')", "task.py sets the default device of torch", "--device cuda:0"),
        ("torch.set_default_device('cuda')", "task.py sets the default device of torch", "--device "),
        ("torch.set_grad_enabled(False)", "task.py turns gradients off", "leave"),
        ("\0", "task.py: ", "null bytes"),
    ],
)  # fmt: skip
def test_a_call_that_fails_is_told_with_the_line_of_its_function(tmp_path, lines, what, also):
    said = refused(tmp_path, lines)
    assert what in said
    assert also in said
    assert torch.empty(0).device.type == "cpu"
    assert torch.is_grad_enabled()


def test_a_loss_that_changes_the_targets_is_named_itself(tmp_path):
    said = refused(
        tmp_path,
        "def own(output, target):",
        "    target += 1",
        "    return F.cross_entropy(output, target - 1)",
        multiclass('losses={"own": own}'),
    )
    assert said.startswith(f"task.py, line {LINES + 1}: own changes the targets in place")


def test_a_metric_may_return_numbers_of_numpy(tmp_path):
    metrics = '{"half": lambda o, t: np.float32(0.5), "one": lambda o, t: np.ones(1)}'
    run = built(tmp_path, multiclass(f"metrics={metrics}, epochs=1"))
    assert preflight(run) == []
    (ended,) = [event for event in train(run, Steering(run)) if isinstance(event, EpochEnded)]
    assert (ended.metrics["half"], ended.metrics["one"]) == (0.5, 1.0)


def test_a_metric_that_is_nan_is_warned_of_after_the_first_validation(tmp_path):
    run = built(tmp_path, multiclass("metrics={'none': lambda o, t: float('nan')}, epochs=2"))
    warned = [event for event in train(run, Steering(run)) if isinstance(event, Warned)]
    assert [event.text for event in warned] == ["none is undefined"]


def test_an_own_loss_or_metric_with_the_name_of_a_built_in_one_is_warned_of(tmp_path):
    run = built(
        tmp_path,
        "def accuracy(output, target): return 0.5",
        multiclass('losses={"l1": nn.CrossEntropyLoss(), "mine": F.cross_entropy},'
                   'metrics={"accuracy": accuracy, "mine": accuracy}'),
    )  # fmt: skip
    loss, metric = run.warnings
    assert "the loss l1 is that of your file" in loss
    assert "the metric accuracy is that of your file" in metric
