"""A task in a Python file of the user's, through the command line and real trainers."""

import dataclasses
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import PATIENCE_S, PROJECT, Shell, until
from tuitrain import Task
from tuitrain.cli import complete
from tuitrain.cli.common import how_it_died
from tuitrain.connection import run as connection
from tuitrain.trainer import supervisor

LOCAL = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2),
            nn.Linear(width, 3))
    def forward(self, inputs):
        return self.layers(inputs)
"""
TASK = """\
from pathlib import Path
import torch, tuitrain
from torch import nn
from local_net_{name} import Net

SCALE = float((Path(__file__).parent / "scale.txt").read_text())

def points():
    inputs = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)) * SCALE
    return inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0.5).long()

class Points(torch.utils.data.Dataset):
    def __init__(self):
        self.inputs, self.targets = points()
    def __len__(self):
        return 200
    def __getitem__(self, index):
        return self.inputs[index] + 0.1 * torch.randn(2), self.targets[index]

def focal(output, target, gamma=2.0):
    losses = nn.functional.cross_entropy(output, target, reduction="none")
    return ((1 - torch.exp(-losses)) ** gamma * losses).mean()

def prepare():
    with (Path(__file__).parent / "prepared.txt").open("a") as file:
        file.write("once\\n")

shared = dict(
    kind="multiclass", classes=["low", "mid", "high"], model=Net, losses={{"focal": focal}},
    optimizer=lambda params: torch.optim.AdamW(params, weight_decay=0.01), lr=0.01, batch_size=16,
    epochs=3, prepare=prepare)
arrays = tuitrain.Task(train=points, **shared)
stream = tuitrain.Task(train=Points, augment=lambda x, g: x + torch.rand((), generator=g), **shared)
"""
OTHER = """\
import torch
def hinge(output, target, margin=1.0):
    return torch.nn.functional.multi_margin_loss(output, target, margin=margin)
def each(output, target):
    return torch.nn.functional.cross_entropy(output, target, reduction="none")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch) -> Path:
    """A user's folder, which is the working folder, too."""
    folder = tmp_path / "project"
    folder.mkdir()
    name = os.urandom(4).hex()  # one process of pytest imports many
    (folder / f"local_net_{name}.py").write_text(LOCAL)
    (folder / "task.py").write_text(TASK.format(name=name))
    (folder / "scale.txt").write_text("1.5")
    (folder / "other.py").write_text(OTHER)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


WAYS = [("arrays", "0"), ("stream", "2")]


@pytest.mark.parametrize(("task", "workers"), WAYS, ids=["arrays", "stream-2-workers"])
def test_an_own_task_is_killed_resumed_undone_replayed_and_forked_exactly(
    tuitrain: Shell, project: Path, monkeypatch, task: str, workers: str
):
    """Its trainer is a process of its own; what is compared are the weights, to the bit."""
    monkeypatch.setitem(tuitrain.env, "XDG_CACHE_HOME", os.environ["XDG_CACHE_HOME"])
    options = (f"task.py:{task}", "--workers", workers, "--seed", "1", "--detach")
    tuitrain("run", *options, "--name", "killed", "--paused")
    until(lambda: tuitrain.show("killed")["state"] == "paused", "it waits")
    steer(tuitrain, "killed")
    (project / "scale.txt").write_text("1.5")
    original = (project / "task.py").read_text()
    (project / "task.py").write_text(original.replace("lr=0.01", "lr=7.0"))
    supervisor.kill(tuitrain.client("killed").paths)
    assert tuitrain.ended("killed")["state"] == "crashed"
    said = tuitrain("resume", "killed", "--plain").stdout
    assert "task.py has changed since; the run goes on with its own copy" in said
    assert "resume is not exact" not in said
    killed = tuitrain.show("killed")

    tuitrain("replay", "killed", "--plain", "--name", "again")
    assert tuitrain.show("again")["weights_sha256"] == killed["weights_sha256"]
    assert (killed["lr"], killed["loss"]) == (0.01, "other.py:hinge:margin=0.5")
    assert [change["state"] for change in killed["interventions"] if change["kind"] == "loss"] == [
        "undone",
        "applied",
    ]

    (project / "other.py").write_text(OTHER.replace("margin=1.0", "margin=2.0"))
    tuitrain("fork", "killed", "--epoch", "3", "--epochs", "4", "--plain", "--name", "as-it-was")
    assert tuitrain.show("as-it-was")["loss"] == "other.py:hinge:margin=0.5", "of its copy"
    tuitrain("fork", "killed", "--epoch", "3", "--epochs", "4", "--plain", "--loss", "focal")
    assert tuitrain.show("killed-fork")["epoch"] == 4
    if workers == "0":
        assert (project / "prepared.txt").read_text() == "once\n"


def test_a_process_that_reads_ahead_and_is_killed_ends_the_run_which_is_resumed_exactly(
    tuitrain: Shell, project: Path
):
    options = ("task.py:stream", "--workers", "2", "--seed", "1")
    tuitrain("run", *options, "--plain", "--name", "calm")
    tuitrain("run", *options, "--detach", "--paused", "--name", "a")
    tuitrain("ctl", "a", "step", "4")
    reader, *_ = psutil.Process(tuitrain.show("a")["pid"]).children()
    reader.kill()
    tuitrain("ctl", "a", "resume", "--no-wait", code=None)  # it may be noticed in the pause
    shown = tuitrain.ended("a")
    assert shown["state"] == "failed"
    assert str(reader.pid) in shown["error"]
    tuitrain("resume", "a", "--plain")
    assert tuitrain.show("a")["weights_sha256"] == tuitrain.show("calm")["weights_sha256"]


def steer(tuitrain: Shell, name: str) -> None:
    for command in (
        ("step", "7"),
        ("loss", "focal:gamma=1", "--at", "batch", "--wait"),
        ("step", "2"),
        ("undo", "--wait"),
        ("loss", "other.py:hinge:margin=0.5", "--at", "batch", "--wait"),
        ("step", "6"),
    ):
        tuitrain("ctl", name, *command)


@pytest.fixture
def own(threaded: Shell, project: Path) -> Shell:
    """Trainers are threads, and the user's folder is the working folder."""
    return threaded


def test_a_refused_task_leaves_nothing_behind(own: Shell, project: Path):
    (project / "bad.py").write_text(TASK_OF_WRONG_SHAPE)
    for ways in (("--plain",), ("--detach",)):
        message = own("run", "bad.py", "--name", "a", *ways, code=2).stderr
        assert "bad.py" in message or "an output (64, 1)" in message
        assert "write output.squeeze(1)" in message
        assert not (own.home / "runs" / "a").exists()
    own("run", "missing.py", code=2)
    assert json.loads(own("ls", "--json").stdout) == []


@pytest.mark.parametrize("where", ["at the top", "in train", "in the model"])
def test_a_task_file_that_exits_leaves_nothing_behind(own: Shell, project: Path, where: str):
    (project / "exits.py").write_text(
        "import sys, torch, tuitrain\n"
        f"{'sys.exit(3)' if where == 'at the top' else ''}\n"
        "class Net(torch.nn.Linear):\n"
        f"    def forward(self, x): {'sys.exit(3)' if where == 'in the model' else 'pass'}\n"
        "def data():\n"
        f"    {'sys.exit(3)' if where == 'in train' else ''}\n"
        "    return torch.zeros(9, 3), torch.zeros(9)\n"
        "task = tuitrain.Task(kind='regression', train=data, model=lambda: Net(3, 1))\n"
    )
    message = own("run", "exits.py", "--name", "a", "--plain", code=2).stderr
    assert re.search(r"tuitrain: exits.py, line \d.*: SystemExit: 3\n", message)
    assert not (own.home / "runs" / "a").exists()


TASK_OF_WRONG_SHAPE = """\
import torch, tuitrain
from torch import nn
x = torch.randn(100, 3)
task = tuitrain.Task(train=lambda: (x, x.sum(1)), model=lambda: nn.Linear(3, 1),
                     criterion=lambda output, target: ((output - target) ** 2).mean())
"""


def test_an_error_of_the_users_code_in_training_ends_the_run_with_its_line(own: Shell, project):
    (project / "late.py").write_text(
        "import torch, tuitrain\n"
        "x = torch.randn(640, 3)\n"
        "calls = []\n"
        "def criterion(output, target):\n"
        "    calls.append(1)\n"
        "    if len(calls) > 12: raise KeyError('late')\n"
        "    return (output - target).square().mean()\n"
        "task = tuitrain.Task(train=lambda: (x, x), model=lambda: torch.nn.Linear(3, 3),\n"
        "                     criterion=criterion)\n"
    )
    message = own("run", "late.py", "--plain", "--name", "a", code=1).stderr
    assert "late.py, line 6, in criterion: KeyError: 'late'" in message
    shown = own.show("a")
    assert (shown["state"], shown["error"]) == (
        "failed", "late.py, line 6, in criterion: KeyError: 'late'",
    )  # fmt: skip


def test_a_built_in_task_takes_an_own_model_loss_and_optimizer(own: Shell, project: Path):
    (project / "mine.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def net(shape, outputs, width=8):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, outputs))\n"
        "def sgd(params): return torch.optim.SGD(params, lr=0.5)\n"
    )
    own("run", "digits", "--model", "mine.py:net:width=9", "--optimizer", "mine.py:sgd",
        "--loss", "other.py:hinge", "--epochs", "1", "--plain", "--name", "a")  # fmt: skip
    shown = own.show("a")
    assert (shown["model"], shown["loss"]) == ("mine.py:net:width=9", "other.py:hinge")
    assert (shown["optimizer"], shown["lr"]) == ("mine.py:sgd", 0.5)
    copies = own.home / "runs" / "a" / "code"
    assert sorted(str(file.relative_to(copies)) for file in copies.rglob("*.py")) == [
        "mine/mine.py", "other/other.py",
    ]  # fmt: skip
    assert {oct(path.stat().st_mode & 0o777) for path in copies.rglob("*") if path.is_file()} == {
        "0o600"
    }
    assert {oct(path.stat().st_mode & 0o777) for path in (copies, *copies.glob("*/"))} >= {"0o700"}


def test_an_unfit_own_loss_is_refused_on_a_live_run_which_goes_on(own: Shell, project: Path):
    own("run", "task.py:arrays", "--detach", "--paused", "--name", "a")
    until(lambda: own.show("a")["state"] == "paused", "it waits")
    message = own("ctl", "a", "loss", "other.py:each", "--at", "batch", code=3).stderr
    assert "other.py:each returns a tensor of shape (16,), not one number" in message
    assert "no file nowhere/x.py" in own("ctl", "a", "loss", "nowhere/x.py:f", code=2).stderr
    run = connection.connect("a", home=own.home)
    assert run.swap_loss("other.py:hinge", at="batch").state == "applied"
    run.resume()
    shown = own.ended("a")
    assert (shown["state"], shown["loss"]) == ("finished", "other.py:hinge")


def test_a_replay_as_a_file_works_anywhere_with_losses_that_were_swapped_to(
    own: Shell, project: Path, monkeypatch
):
    swapped_to_hinge(own)
    own("ctl", "a", "resume")
    weights = own.ended("a")["weights_sha256"]
    monkeypatch.chdir(project.parent)
    own("replay", "a", "--as-config", "first.toml")
    assert f'loss = "{project}/other.py:hinge' in Path("first.toml").read_text()
    own("run", "--config", "first.toml", "--plain", "--name", "b")

    (project / "other.py").write_text(OTHER.replace("margin=1.0", "margin=2.0"))
    own("replay", "a", "--as-config", "second.toml")
    own("run", "--config", "second.toml", "--plain", "--name", "c")
    assert {own.show(name)["weights_sha256"] for name in "bc"} == {weights}

    (own.home / "known-code").unlink()
    said = own("replay", "a", "--as-config", "third.toml", code=3).stderr
    assert "which you never started by name" in said


def test_a_file_that_only_a_swap_named_is_checked_for_changes_like_the_others(
    own: Shell, project: Path
):
    swapped_to_hinge(own)
    own("ctl", "a", "stop")
    own.ended("a")
    (project / "other.py").write_text(OTHER.replace("margin=1.0", "margin=2.0"))
    said = own("resume", "a", "--plain").stdout
    assert "other.py has changed since; the run goes on with its own copy" in said


def swapped_to_hinge(own: Shell) -> None:
    """Leave run a paused after 6 steps, with a loss of another file since the fourth."""
    own("run", "task.py:arrays", "--seed", "1", "--detach", "--paused", "--name", "a")
    until(lambda: own.show("a")["state"] == "paused", "it waits")
    own("ctl", "a", "step", "4")
    own("ctl", "a", "loss", "other.py:hinge", "--at", "batch", "--wait")
    own("ctl", "a", "step", "2")


def test_data_that_have_become_fewer_are_said_wherever_a_run_goes_on(own: Shell, project: Path):
    (project / "few.py").write_text(
        "from pathlib import Path\n"
        "import torch, tuitrain\n"
        "def data():\n"
        "    x = torch.ones(int((Path(__file__).parent / 'count.txt').read_text()), 3)\n"
        "    return x, x\n"
        "task = tuitrain.Task(train=data, model=lambda: torch.nn.Linear(3, 3), epochs=1,\n"
        "                     criterion=torch.nn.MSELoss())\n"
    )
    (project / "count.txt").write_text("100")
    own("run", "few.py", "--plain", "--name", "a")
    (project / "count.txt").write_text("90")
    for command in (
        ("fork", "a", "--epoch", "1", "--epochs", "2"),
        ("resume", "a", "--epochs", "2"),
    ):
        assert (
            "not the same to the last bit any more: data was 80 samples to train, 20 to validate "
            "and is 72 samples to train, 18 to validate\n"
        ) in own(*command, "--plain").stdout


def test_code_of_a_run_from_elsewhere_is_not_executed(own: Shell, project: Path, monkeypatch):
    own("run", "task.py:arrays", "--epochs", "1", "--plain", "--name", "a")
    known = own.home / "known-code"
    assert oct(known.stat().st_mode & 0o777) == "0o600"
    assert len(known.read_text().split()) == 2, "the file, and what it imports"

    mail = project.parent / "mail"
    shutil.copytree(own.home / "runs" / "a", mail)
    known.unlink()
    for command in (("resume", str(mail), "--epochs", "2"), ("replay", str(mail)),
                    ("fork", str(mail), "--epoch", "1", "--epochs", "2")):  # fmt: skip
        message = own(*command, "--plain", code=3).stderr
        assert "mail/code/task/task.py, which you never started by name" in message
        assert "tuitrain run " in message
    assert [run["name"] for run in json.loads(own("ls", "--json").stdout)] == ["a"]
    message = own("predict", str(mail), code=None).stderr
    assert "which you never started by name" in message

    bare = project.parent / "bare"  # its spec names a file that is no copy
    shutil.copytree(mail, bare)
    shutil.rmtree(bare / "code")
    message = own("resume", str(bare), "--epochs", "2", "--plain", code=3).stderr
    assert "it would execute" in message
    assert "project/task.py, which you never started by name" in message

    for name in [name for name in sys.modules if name.startswith("local_net_")]:
        del sys.modules[name]  # another process would not have it
    shutil.copy(project / "scale.txt", mail / "code" / "task")
    own("run", f"{mail}/code/task/task.py:arrays", "--epochs", "1", "--plain", "--name", "b")
    own("resume", str(mail), "--epochs", "2", "--plain")


@pytest.mark.parametrize(
    "harm",
    [
        lambda code: (code / "code.json").write_text("[" * 100_000),
        lambda code: (code / "code.json").write_text('{"a.py": 7}'),
        lambda code: (code / "code.json").write_text("{" + " " * (2 << 20) + "}"),
        lambda code: (code / "code.json").write_text(
            json.dumps({"../a.py": {"from": "/", "files": {}}})
        ),
        lambda code: (code / "code.json").write_text(
            json.dumps({"a.py": {"from": "/", "files": {"../../a.py": "0" * 64}}})
        ),
        lambda code: (code / "code.json").write_bytes(b"\xff"),
        lambda code: (code / "code.json").unlink() or (code / "code.json").symlink_to("/dev/zero"),
        lambda code: (code / "code.json").unlink() or os.mkfifo(code / "code.json"),
        lambda code: (code / "task" / "task.py").write_text("import os\n"),
        lambda code: (code / "task" / "task.py").unlink()
        or (code / "task" / "task.py").symlink_to("/etc/passwd"),
        lambda code: (code / "task").rename(code / "b") and (code / "task").symlink_to("b"),
        lambda code: code.rename(code.parent / "c") and code.symlink_to("c"),
    ],
    ids=["deep", "types", "huge", "name", "outside", "bytes", "link", "fifo", "changed",
         "copy-link", "folder-link", "code-link"],
)  # fmt: skip
def test_harmed_copies_of_code_are_one_sentence(own: Shell, trained: Path, harm):
    shutil.copytree(trained, own.home / "runs" / "a")
    shutil.copy(trained.parents[1] / "known-code", own.home / "known-code")
    harm(own.home / "runs" / "a" / "code")
    for command in (("resume", "a", "--epochs", "2"), ("replay", "a")):
        done = own(*command, "--plain", code=None)
        assert done.returncode in (1, 3)
        assert done.stderr.startswith("tuitrain: ")
        assert done.stderr.count("\n") == 1
    assert own.show("a")["state"] == "finished"


@pytest.fixture
def trained(own: Shell, project: Path) -> Path:
    home = project.parent / "trained"
    own("--home", str(home), "run", "task.py:arrays", "--epochs", "1", "--plain", "--name", "a")
    shutil.copy(own.home / "known-code", home / "known-code")
    return home / "runs" / "a"


def test_a_module_that_no_trainer_kept_is_not_imported_from_the_copies(own: Shell, project: Path):
    (project / "lazy.py").write_text(
        "import torch, tuitrain\n"
        "x = torch.randn(64, 3)\n"
        "def data():\n"
        "    try:\n"
        "        import smuggled_in\n"
        "    except ModuleNotFoundError:\n"
        "        pass\n"
        "    return x, x\n"
        "task = tuitrain.Task(train=data, model=lambda: torch.nn.Linear(3, 3), epochs=1,\n"
        "                     criterion=torch.nn.MSELoss())\n"
    )
    own("run", "lazy.py", "--plain", "--name", "a")
    evil = own.home / "runs" / "a" / "code" / "lazy" / "smuggled_in.py"
    evil.write_text(f"open({str(project / 'pwned')!r}, 'w')\n")
    own("resume", "a", "--epochs", "2", "--plain")
    assert not (project / "pwned").exists()


def test_what_cannot_be_written_as_a_program_is_said_and_the_rest_is_exported(
    own: Shell, project: Path
):
    own("run", "task.py:arrays", "--epochs", "1", "--plain", "--name", "a")
    message = own("export", "a", "--format", "script", code=3).stderr
    assert "trains code of your own, which no program can contain: it is in" in message
    assert "--format weights exports the model, csv, jsonl and tensorboard" in message
    for form in ("weights", "csv", "jsonl", "tensorboard"):
        own("export", "a", "--format", form)
    assert {path.name for path in project.glob("a*")} >= {
        "a.pt", "a-csv", "a.jsonl", "a-tensorboard",
    }  # fmt: skip


def test_the_losses_of_a_task_file_are_known_to_its_trainer_only(own: Shell, project: Path):
    message = own("losses", "--task", "task.py", code=2).stderr
    assert "only its trainer knows the losses of task.py" in message


def test_what_the_page_about_own_tasks_shows_trains(own: Shell, project: Path):
    page = (PROJECT / "docs" / "own.md").read_text()
    (text,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (commands,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    (project / "flowers.py").write_text(text)
    for line in commands.splitlines():
        own(*shlex.split(line)[1:])
        until(lambda: own.show("flowers")["state"] != "starting", "it has started")
    shown = own.ended("flowers")
    assert (shown["state"], shown["loss"]) == ("finished", "poly:epsilon=2.0")
    assert shown["best"]["metric"] == "worst_class"
    assert shown["lr"] == 0.01
    fields = {field.name for field in dataclasses.fields(Task)}
    assert {name for name in fields if f"`{name}`" not in page} == set()


def test_the_example_learns_a_sine(own: Shell):
    file = PROJECT / "examples" / "sine.py"
    assert len(file.read_text().splitlines()) < 30
    own("run", str(file), "--seed", "1", "--plain", "--name", "sine")
    assert own.show("sine")["metrics"]["rmse"] < 0.05


def test_the_example_learns_digits_that_are_shifted_with_a_loss_of_its_own(own: Shell):
    own("run", str(PROJECT / "examples" / "digits.py"), "--seed", "1", "--plain", "--name", "a")
    shown = own.show("a")
    assert shown["loss"] == "poly"
    assert shown["metrics"]["accuracy"] > 0.9


def test_the_example_learns_characters_and_writes_on(own: Shell, tmp_path: Path):
    whole = (PROJECT / "examples" / "characters.py").read_text()
    fewer = whole.replace("in sorted(topics)]", "in sorted(topics)[::3]]")
    assert fewer != whole, "a third of the pages is enough to see that it learns"
    (tmp_path / "characters.py").write_text(fewer)
    file = str(tmp_path / "characters.py")
    own("run", file, "--epochs", "1", "--seed", "1", "--plain", "--name", "writer")
    assert own.show("writer")["metrics"]["bits"] < 5.5, "log2(96) is 6.6"
    weights = str(tmp_path / "writer.pt")
    own("export", "writer", "--format", "weights", "--out", weights)
    written = own.python(file, weights, "The for statement ", folder=tmp_path).stdout
    assert written.startswith("The for statement ")
    assert len(written) > 400


def test_a_shell_completes_files_where_a_name_may_be_one():
    for what in ("task", "model", "loss", "optimizer"):
        (item,) = complete.named(what)(None, None, "./mi")
        assert (item.type, item.value) == ("file", "./mi")


def test_the_trained_model_of_an_own_task_predicts(own: Shell, project: Path):
    own("run", "task.py:arrays", "--epochs", "1", "--plain", "--name", "a")
    (first, *_) = json.loads(own("predict", "a", "--json").stdout)["predictions"]
    assert {"target", "prediction", "p(low)", "p(mid)", "p(high)"} <= set(first)


SHAPES = """\
import torch, tuitrain
x = torch.randn(20, 3)
class Sum(torch.nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs).squeeze(1)
numbers = tuitrain.Task(kind="regression", train=lambda: (x, x.sum(1)), model=lambda: Sum(3, 1))
copies = tuitrain.Task(train=lambda: (x, x), model=lambda: torch.nn.Linear(3, 3),
                       criterion=torch.nn.MSELoss())
"""


def test_outputs_of_any_shape_are_predicted(own: Shell, project: Path):
    (project / "shapes.py").write_text(SHAPES)
    for name, columns in (
        ("numbers", ["sample", "target", "prediction"]),
        ("copies", ["sample", "output 0", "output 1", "output 2"]),
    ):
        own("run", f"shapes.py:{name}", "--epochs", "1", "--plain", "--name", name)
        rows = json.loads(own("predict", name, "--json").stdout)["predictions"]
        assert [list(row) for row in rows] == [columns] * 4


NOISY = """\
import warnings, torch, tuitrain
x = torch.randn(640, 3)
calls = []
class Noisy(torch.nn.Linear):
    def forward(self, inputs):
        if self.training:
            calls.append(1)
            print("batch", len(calls), "\\x1b]0;taken\\x07")
            warnings.warn(f"a doubt at batch {len(calls)}")
        outputs = super().forward(inputs)
        return outputs * float("nan") if len(calls) == LAST else outputs
task = tuitrain.Task(kind="regression", train=lambda: (x, x.sum(1)),
                     model=lambda: Noisy(3, 1), batch_size=16)
"""


def test_user_code_may_print_and_warn_and_a_loss_that_is_nan_at_step_40_ends_the_run_there(
    tuitrain: Shell, tmp_path: Path
):
    (tmp_path / "noisy.py").write_text(NOISY.replace("LAST", "41"))  # one is tried before
    options = ("--epochs", "2", "--on-nonfinite", "stop", "--plain", "--name", "a")
    tuitrain("run", str(tmp_path / "noisy.py"), *options, code=None)
    shown, log = tuitrain.show("a"), tuitrain("logs", "a").stdout
    assert "not finite" in shown["error"]
    assert "batch 41 " in log
    assert "a doubt at batch 7" in log
    assert "\x1b" not in log
    assert shown["step"] == 40


def test_a_task_file_that_never_returns_is_stopped(tuitrain: Shell, tmp_path):
    file = tmp_path / "endless.py"
    lines = ["print('here', flush=True)", "while True:", " try: pass", " except Exception: pass"]
    file.write_text("\n".join(lines))
    start = [sys.executable, "-m", "tuitrain", "run", str(file), "--detach", "--name", "a"]
    with subprocess.Popen(start, env=tuitrain.env, stdout=subprocess.DEVNULL) as started:
        log = tuitrain.home / "runs" / "a" / "trainer.log"
        until(lambda: log.exists() and "here" in log.read_text(), "its file runs")
        tuitrain("ctl", "a", "stop", "--no-wait", code=None)
        started.wait(timeout=PATIENCE_S)
    assert tuitrain.show("a")["state"] == "stopped"


DEADLY = """\
import os, torch, tuitrain
x = torch.randn(640, 3)
calls = []
def endless():
    while True: pass
def ends():
    os._exit(7)
def criterion(output, target):
    calls.append(1)
    if len(calls) > 12: {how}()
    return (output - target).square().mean()
task = tuitrain.Task(train=lambda: (x, x), model=lambda: torch.nn.Linear(3, 3),
                     criterion=criterion)
"""


def test_a_batch_that_never_ends_is_told_with_its_line_and_how_to_end_it(
    tuitrain: Shell, tmp_path: Path
):
    (tmp_path / "late.py").write_text(DEADLY.format(how="endless"))
    tuitrain("run", str(tmp_path / "late.py"), "--detach", "--name", "a")
    run = tuitrain.client("a")
    until(run.paths.busy.exists, "it is noted")
    command = [sys.executable, "-m", "tuitrain", "ctl", "a", "stop"]
    with subprocess.Popen(command, env=tuitrain.env, stderr=subprocess.PIPE, text=True) as asking:
        assert asking.stderr is not None
        said = asking.stderr.readline()
        assert "in late.py, line 5, in endless; kill -9 " in said
        supervisor.kill(run.paths)
        assert asking.wait() == 3
    shown = tuitrain.ended("a")
    assert shown["error"] == "the trainer process died unexpectedly", "its cause is not known"


def test_a_trainer_that_the_users_code_ends_is_told_with_its_exit_code(
    tuitrain: Shell, tmp_path: Path
):
    (tmp_path / "late.py").write_text(DEADLY.format(how="ends"))
    said = tuitrain("run", str(tmp_path / "late.py"), "--plain", "--name", "a", code=1).stderr
    assert "died unexpectedly (exit code 7, and not through tuitrain); see " in said
    assert "trainer.log" in said


def test_a_trainer_that_dies_while_it_loads_a_file_is_told_so_and_what_to_do(
    tuitrain: Shell, tmp_path: Path
):
    file = tmp_path / "crash.py"
    file.write_text("import ctypes\nctypes.string_at(0)\n")
    for way in ("--plain", "--detach"):
        said = tuitrain("run", str(file), way, "--name", "a", code=1).stderr
        assert said == (
            "tuitrain: the trainer process died unexpectedly while loading crash.py (SIGSEGV); "
            "tuitrain logs a has its last words, tuitrain rm a deletes it\n"
        )
        assert 'crash.py", line 2 in <module>' in tuitrain("logs", "a").stdout
        tuitrain("rm", "a", "--yes")


@pytest.mark.parametrize(
    ("code", "said"),
    [(None, ""), (0, "exit code 0"), (-9, "SIGKILL, which the system"), (-11, "(SIGSEGV)")],
)
def test_how_a_trainer_died_is_named_as_the_system_names_it(code: int | None, said: str):
    assert said in how_it_died(code)
