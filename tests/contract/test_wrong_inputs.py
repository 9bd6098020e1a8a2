"""Wrong input as a new user makes it: what is said names it, and says what to do next.

The commands run in this process. What only the trainer can judge is in `tests/process`.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import tuitrain as package
from tests.conftest import Library, Shell
from tuitrain.cli import COMMANDS
from tuitrain.core.errors import TuitrainError

FILES = {
    "good.csv": "x,y\n1,0\n2,1\n",
    "notes.txt": "hello",
    "unknown.toml": "lrr = 0.01",
    "value.toml": 'lr = "fast"',
    "syntax.toml": "lr = = 3",
    "schedule.toml": "schedule = 3",
    "taken.py": "",
}


class Case(NamedTuple):
    """A command line, its exit code, and the words that stderr must have."""

    line: str
    code: int
    names: str
    """What the user gave."""
    next: str
    """What to do, or what there is."""


CASES = [
    # the command line itself
    Case("fly", 2, "'fly'", "there are: attach, compare, ctl"),
    Case("runs", 2, "'runs'", "did you mean 'run'?"),
    Case("--fly", 2, "'--fly'", "tuitrain --help"),
    Case("--home", 2, "'--home'", "tuitrain --help"),
    Case("ls --home", 2, "'--home'", "tuitrain ls --help"),
    Case("ls --home notes.txt", 1, "notes.txt is not a folder", "another place with --home"),
    Case("--home notes.txt run --plain", 1, "notes.txt", "another place with --home"),
    # what is not a command, but known from elsewhere
    Case("train digits", 2, "'train'", "did you mean: tuitrain run digits?"),
    Case("digits --epochs 3", 2, "'digits'", "did you mean: tuitrain run digits --epochs 3?"),
    Case("good.csv --target y", 2, "'good.csv'", "tuitrain run good.csv --target y?"),
    Case("taken.py --lr 3", 2, "'taken.py'", "tuitrain watch taken.py --lr 3?"),
    Case("help run", 2, "'help'", "did you mean: tuitrain run --help?"),
    Case("pause a", 2, "'pause'", "did you mean: tuitrain ctl a pause?"),
    Case("lr a 0.1", 2, "'lr'", "did you mean: tuitrain ctl a lr 0.1?"),
    Case("list", 2, "'list'", "did you mean: tuitrain ls?"),
    Case("-help", 2, "'-help'", "did you mean '--help'?"),
    Case("run -help", 2, "'-help'", "did you mean '--help'?"),
    # run: the task
    Case("run digit --plain", 2, "'digit'", "did you mean 'digits'?"),
    Case("run DIGITS --plain", 2, "'DIGITS'", "did you mean 'digits'?"),
    Case("run '' --plain", 2, "''", "there are: breast-cancer"),
    Case("run digits mnist --plain", 2, "mnist", "tuitrain run --help"),
    Case("run https://a.org/x.csv --plain", 2, "https://a.org/x.csv", "download it first"),
    Case("run '*.csv' --plain", 2, "*.csv", "paths begin in {here}"),
    Case("run --task digits --plain", 2, "'--task'", "write the task without it"),
    Case("run digits epochs=5 --plain", 2, "epochs=5", "tuitrain run --help"),
    Case("run good.cvs --plain", 2, "good.cvs", "did you mean good.csv?"),
    Case("run goood.csv --plain", 2, "goood.csv", "did you mean good.csv?"),
    Case("run nowhere.csv --plain", 2, "nowhere.csv", "paths begin in {here}"),
    Case("run /nowhere/at.csv --plain", 2, "/nowhere/at.csv", "check the path"),
    Case("run ~no-user/x.csv --plain", 2, "~no-user/x.csv", "paths begin in {here}"),
    Case("run taken.pyy:x --plain", 2, "taken.pyy:x", "did you mean taken.py?"),
    Case("run takn.py:x --plain", 2, "takn.py", "did you mean taken.py?"),
    Case("run photo/ --plain", 2, "no folder photo/", "did you mean photos?"),
    Case("run photos --plain", 2, "'photos'", "write photos/"),
    Case("run notes.txt --plain", 2, "notes.txt", "name a table (.csv"),
    Case("run ./notes.txt --plain", 2, "./notes.txt", "or a Python file (.py)"),
    # run: the options
    Case("run --plain --loss focl", 2, "'focl'", "did you mean 'focal'?"),
    Case("run --plain --loss MSE", 2, "'MSE'", "did you mean 'mse'?"),
    Case("run --plain --loss cross-entropy:smoothing=1", 2, "'smoothing' of cross-entropy",
         "did you mean 'label_smoothing'?"),
    Case("run --plain --loss cross-entropy:label_smoothing=5", 2, "not 5", "from 0 to 1"),
    Case("run diabetes --plain --loss cross-entropy", 3, "cross-entropy",
         "try mse (tuitrain losses --task diabetes)"),
    Case("run --plain --model mlp:hidden=x", 2, "not x", "mlp:hidden takes a whole number"),
    Case("run --plain --model mlp:hidden=256,128", 2, "'mlp:hidden=256,128'",
         "mlp:hidden takes a whole number from 1 to 65536, or several with - between them"),
    Case("run --plain --model resnet19", 2, "'resnet19'", "did you mean 'resnet18'?"),
    Case("run --plain --momentum 0.9", 2, "'--momentum'", "--optimizer sgd:momentum="),
    Case("run --plain --dropout 0.1", 2, "'--dropout'", "--model mlp:dropout="),
    Case("run --plain --schedule cosine", 2, "'--schedule'", "--optimizer adam:schedule="),
    Case("run --plain --lr-schedule cosine", 2, "'--lr-schedule'", "--optimizer adam:schedule="),
    Case("run --plain --weight-decay 1", 2, "'--weight-decay'", "tuitrain ctl RUN weight-decay"),
    Case("run --plain --clip-norm 1", 2, "'--clip-norm'", "tuitrain ctl RUN clip-norm"),
    Case("run --plain --optimizer sgd:momentum=2", 2, "not 2", "sgd:momentum takes a number"),
    Case("run --plain --optimizer adam:schedule=stp", 2, "not stp", "cosine"),
    Case("run --plain --optimizer sgd:lr=0.1", 2, "'lr' of sgd", "there are: "),
    Case("run --plain --loss 'cross entropy'", 2, "'cross entropy'", "'cross-entropy'?"),
    Case("run --plain --lr nan", 2, "'nan'", "lr takes a number above 0"),
    Case("run --plain --lr 1e400", 2, "'1e400'", "lr takes a number above 0"),
    Case("run --plain --epochs 1e3", 2, "'1e3'", "epochs takes a whole number from 1"),
    Case("run --plain --epochs=", 2, "''", "epochs takes a whole number from 1"),
    Case("run --plain --batch-size 64.0", 2, "'64.0'", "batch-size takes a whole number from 1"),
    Case("run --plain --seed -1", 2, "'-1'", "seed takes a whole number from 0"),
    Case("run --plain --patience 0", 2, "'0'", "patience takes a whole number from 1"),
    Case("run --plain --workers many", 2, "'many'", "workers takes a whole number from 0"),
    Case("run --plain --log-interval 0", 2, "'0'", "log-interval takes a whole number from 1"),
    Case("run good.csv --plain --kind regresion", 2, "'regresion'", "binary or regression"),
    Case("run --plain --init-from notes.pt", 2, "notes.pt", "tuitrain ls lists the runs"),
    Case("run --plain --name ..", 2, "'..'", "no leading dot"),
    Case("run --plain --name a/b", 2, "'a/b'", "A-Z a-z 0-9 . _ -"),
    Case("run --plain --config", 2, "'--config'", "tuitrain run --help"),
    Case("run --plain --config good.csv", 2, "good.csv", "line 1, column 2"),
    Case("run --plain --model linear:x=1", 2, "'x' of linear", "there are none"),
    Case("run --plain --model mlp:", 2, "'mlp:'", "write NAME or NAME:key=value"),
    Case("run breast-cancer --plain --model cnn", 3, "cnn", "try mlp"),
    Case("run --plain --optimizer adm", 2, "'adm'", "did you mean 'adam'?"),
    Case("run --plain --lr 1,5", 2, "'1,5'", "lr takes a number above 0"),
    Case("run --plain --lr", 2, "'--lr'", "tuitrain run --help"),
    Case("run --plain --epochs ten", 2, "'ten'", "epochs takes a whole number from 1"),
    Case("run --plain --batch-size -1", 2, "'-1'", "batch-size takes a whole number from 1"),
    Case("run --plain --pace fast", 2, "'fast'", "or off"),
    Case("run --plain --on-nonfinite panic", 2, "'panic'", "takes pause, stop or skip"),
    Case("run --plain --device gpu", 2, "'gpu'", "takes auto, cpu, cuda"),
    Case("run --plain --class-weights even", 2, "'even'", "takes balanced, or a weight"),
    Case("run --plain --augment spin", 2, "'spin'", "takes flip, crop or color"),
    Case("run --plain --image-size 32", 2, "--image-size", "leave it out"),
    Case("run --plain --target price", 2, "--target is for a table", "leave it out"),
    Case("run --plain --data photos", 2, "digits", "leave out --data"),
    Case("run mnist --plain --data photo", 2, "no folder photo", "did you mean photos?"),
    Case("run mnist --plain --data notes.txt", 2, "notes.txt is not a folder", "name one"),
    Case("run --plain --name 'a b'", 2, "'a b'", "A-Z a-z 0-9 . _ -"),
    Case("run --plain --name a", 3, "run a already", "choose another --name"),
    Case("run --plain --detach", 2, "--plain", "choose one"),
    Case("run --plain --leraning-rate 3", 2, "'--leraning-rate'", "tuitrain run --help"),
    Case("run --plain --batchsize 3", 2, "'--batchsize'", "did you mean '--batch-size'?"),
    Case("run --plain --init-from nowhere", 2, "nowhere", "tuitrain ls lists"),
    # run: the file of --config
    Case("run --plain --config unknwn.toml", 2, "unknwn.toml", "did you mean unknown.toml?"),
    Case("run --plain --config photos", 2, "photos is a folder", "name a file"),
    Case("run --plain --config unknown.toml", 2, "'lrr' in unknown.toml", "did you mean 'lr'?"),
    Case("run --plain --config value.toml", 2, "value.toml: lr", "takes a number above 0"),
    Case("run --plain --config syntax.toml", 2, "syntax.toml", "line 1, column 6"),
    Case("run --plain --config schedule.toml", 2, "schedule.toml", "must be a list of changes"),
    Case("run --plain --config utf16.toml", 2, "utf16.toml", "save it as UTF-8"),
    # a run that does not exist
    *(
        Case(line, 3, "no run nobody", "tuitrain ls lists")
        for line in (
            "attach nobody", "show nobody", "logs nobody", "plot nobody", "compare a nobody",
            "rm nobody --yes", "ctl nobody pause", "resume nobody", "replay nobody",
            "fork nobody --epoch 1", "export nobody --format csv", "predict nobody",
        )
    ),
    Case("watch nosuch.py", 2, "nosuch.py", "tuitrain watch SCRIPT [ARGS...]"),
    Case("watch --pace fast taken.py", 2, "'fast'", "or off"),
    Case("show ./photos", 3, "./photos", "tuitrain ls lists"),
    Case("show a b", 2, "b", "tuitrain show --help"),
    Case("tour a", 2, "unexpected extra argument", "tuitrain tour --help"),
    Case("attach a --plain", 2, "'--plain'", "tuitrain attach --help"),
    Case("logs a --tail", 2, "'--tail'", "tuitrain logs --help"),
    Case("ls --jsn", 2, "'--jsn'", "did you mean '--json'?"),
    # plot, compare, rm
    Case("plot a --metric acuracy", 2, "'acuracy'", "did you mean 'accuracy'?"),
    Case("plot a --metric ''", 2, "''", "there are: accuracy"),
    Case("plot a --width 5", 2, "'5'", "width takes a whole number from 20 to 1000"),
    Case("plot a --height tall", 2, "'tall'", "height takes a whole number from 2 to 500"),
    Case("compare a", 2, "not a alone", "tuitrain ls lists"),
    Case("compare a a", 2, "a is named twice", "compare it with another"),
    Case("compare a d", 3, "d is regression (diabetes)", "compare runs of one kind"),
    Case("rm", 2, "'RUN...'", "tuitrain rm --help"),
    Case("rm a", 130, "nothing is deleted", "--yes does not ask"),
    Case("plot a d", 2, "d", "tuitrain plot --help"),
    Case("plot a --metric lr,loss", 2, "'lr,loss'", "there are: accuracy"),
    Case("compare a,d", 2, "not a,d alone", "tuitrain ls lists"),
    Case("rm --all", 2, "'--all'", "tuitrain rm --help"),
    Case("rm a/", 3, "a/ is not a run directory", "tuitrain ls lists"),
    Case("watch --lr 3 taken.py", 2, "'--lr'", "tuitrain watch --help"),
    Case("watch --kind classification taken.py", 2, "'classification'", "multiclass, binary or"),
    Case("watch --name 'a b' taken.py", 2, "'a b'", "A-Z a-z 0-9 . _ -"),
    # ctl
    Case("ctl a", 2, "command", "tuitrain ctl --help"),
    Case("ctl pause", 2, "pause is a command", "tuitrain ctl RUN pause"),
    Case("ctl pause a", 2, "'a'", "did you mean: tuitrain ctl a pause?"),
    Case("ctl a set lr 0.1", 2, "'set'", "did you mean: tuitrain ctl a lr 0.1?"),
    Case("ctl a lr=0.1", 2, "'lr=0.1'", "did you mean: tuitrain ctl a lr 0.1?"),
    Case("ctl a lr 0.1 0.2", 2, "0.2", "tuitrain ctl RUN lr --help"),
    Case("ctl a rollback -1", 2, "'-1'", "or best"),
    Case("ctl a schedule cos", 2, "'cos'", "schedule takes constant, cosine, linear"),
    Case("ctl a stop --now", 2, "'--now'", "tuitrain ctl RUN stop --help"),
    Case("ctl a puase", 2, "'puase'", "did you mean 'pause'?"),
    Case("ctl a pause", 3, "a is finished", "tuitrain resume a first, with more --epochs"),
    Case("ctl a pause --at now", 2, "'now'", "'batch', 'epoch'"),
    Case("ctl a lr", 2, "'X'", "tuitrain ctl RUN lr --help"),
    Case("ctl a lr -1", 2, "'-1'", "lr takes a number above 0"),
    Case("ctl a epochs 1.5", 2, "'1.5'", "epochs takes a whole number from 1"),
    Case("ctl a clip-norm big", 2, "'big'", "or off"),
    Case("ctl a step some", 2, "some", "step takes a whole number of batches from 1"),
    Case("ctl a loss ''", 2, "''", "tuitrain losses lists them"),
    Case("ctl a rollback bset", 2, "'bset'", "the number of a completed one, or best"),
    Case("ctl a checkpoint now", 2, "now", "tuitrain ctl RUN checkpoint --help"),
    # resume, replay, fork
    Case("resume a", 3, "a is finished", "tuitrain resume a --epochs 4"),
    Case("resume a --lr 3", 2, "'--lr'", "tuitrain ctl RUN lr"),
    Case("resume a --loss mse", 2, "'--loss'", "run and fork take it"),
    Case("resume a d", 2, "d", "tuitrain resume --help"),
    Case("resume a --epochs 1", 3, "a is finished after 2", "tuitrain resume a --epochs 4"),
    Case("replay a --until now", 2, "'now'", "until takes a whole number from 0"),
    Case("replay a --name a --plain", 3, "run a already", "choose another --name"),
    Case("fork a --epoch 1.5", 2, "'1.5'", "the number of a completed one, or best"),
    Case("fork a --epoch best --epochs 1", 3, "with 1 in all", "--epochs 4 trains on"),
    Case("fork a best", 2, "'--epoch'", "tuitrain fork --help"),
    Case("replay a --until 99999", 3, "step 99999", "saved up to step 46"),
    Case("replay a --without zz", 3, "zz", "there is none"),
    Case("replay a --as-config value.toml", 2, "value.toml", "choose another file"),
    Case("replay a --as-config no/x.toml", 2, "no folder no", "make it first"),
    Case("fork a", 2, "'--epoch'", "tuitrain fork --help"),
    Case("fork a --epoch 7", 3, "epoch 7", "kept are the epochs 0, 2"),
    Case("fork a --epoch first", 2, "'first'", "the number of a completed one, or best"),
    Case("fork a --epoch 2", 3, "epoch 2 has nothing to train with 2", "--epochs 4"),
    Case("fork a --epoch 0 --model linear", 2, "--model", "tuitrain run begins anew"),
    Case("fork a --epoch 0 --init-from d", 2, "--init-from", "tuitrain run begins anew"),
    # export, predict
    Case("export a", 2, "'--format'", "weights, csv, jsonl, tensorboard, script"),
    Case("export a --format onnx", 2, "'onnx'", "'weights', 'csv', 'jsonl'"),
    Case("export a --format csv --which best", 2, "--which", "leave it out"),
    Case("export a --format script --out notes.txt", 3, "notes.txt", "choose another --out"),
    Case("export a --format weights --out no/x.pt", 2, "no folder no", "make it first"),
    Case("export a csv", 2, "'--format'", "weights, csv, jsonl, tensorboard, script"),
    Case("predict a good.csv", 3, "good.csv for digits", "without DATA, it predicts its"),
    Case("predict a --csv", 2, "'--csv'", "tuitrain predict --help"),
    Case("predict a goood.csv", 2, "goood.csv", "did you mean good.csv?"),
    Case("predict a --which worst", 2, "'worst'", "'best', 'last'"),
    # the catalogue
    Case("losses qwerty", 2, "'qwerty'", "there are: bce-with-logits"),
    Case("losses --task digit", 2, "'digit'", "did you mean 'digits'?"),
    Case("losses --task good.csv", 2, "good.csv", "tuitrain show RUN --json"),
    Case("tasks digits", 2, "digits", "tuitrain tasks --help"),
    Case("models mlpp", 2, "'mlpp'", "did you mean 'mlp'?"),
    Case("optimizers --all", 2, "'--all'", "tuitrain optimizers --help"),
    Case("metrics rmse", 2, "rmse", "tuitrain metrics --help"),
    Case("devices cpu", 2, "cpu", "tuitrain devices --help"),
]  # fmt: skip


@pytest.fixture(scope="module")
def shell(tmp_path_factory, library: Library) -> Iterator[Shell]:
    """A home with two runs, `a` and `d`, and files of a user in the working folder."""
    folder = tmp_path_factory.mktemp("wrong")
    shell = Shell(folder / "home", library)
    shell.trained("a")
    shell.copy_of("d of numbers", _train_numbers, "d")
    (folder / "photos").mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "utf16.toml").write_bytes("lr = 1".encode("utf-16"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TUITRAIN_HOME", str(shell.home))
        yield shell


def _train_numbers(shell: Shell) -> None:
    shell("run", "diabetes", "--seed", "1", "--epochs", "1", "--plain", "--name", "d")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.line)
def test_what_is_said_names_what_was_given_and_what_to_do_next(shell: Shell, case: Case):
    done = shell.here(*shlex.split(case.line), code=case.code)
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) <= 2
    assert lines[0].startswith("tuitrain: ")
    assert "Traceback" not in done.stderr
    assert "tuitrain: unexpected" not in done.stderr
    assert case.names in done.stderr
    assert case.next.format(here=Path.cwd()) in done.stderr
    assert sorted(path.name for path in (shell.home / "runs").iterdir()) == ["a", "d"]


def test_every_command_is_among_them():
    words = {word for case in CASES for word in case.line.split()}
    assert words >= set(COMMANDS)


@pytest.mark.parametrize(
    ("call", "names", "next_step"),
    [
        (lambda run: package.connect("nobody"), "nobody", "tuitrain ls lists"),
        (lambda run: package.connect("./photos"), "./photos", "tuitrain ls lists"),
        (lambda run: run.set_pace("abc"), "'abc'", "a number above 0, or off"),
        (lambda run: run.set_lr(-1), "-1", "lr takes a number above 0"),
        (lambda run: run.set_batch_size(1.5), "1.5", "a whole number from 1"),
        (lambda run: run.step(0), "0", "a whole number of batches from 1"),
        (lambda run: run.rollback("bset"), "'bset'", "or best"),
        (lambda run: run.swap_loss(""), "''", "tuitrain losses lists"),
        (lambda run: run.series("acuracy"), "'acuracy'", "there are: "),
        (lambda run: run.pause(), "a is finished", "tuitrain resume a first"),
    ],
)
@pytest.mark.usefixtures("shell")
def test_python_says_it_as_well(call, names: str, next_step: str):
    run = package.connect("a")
    with pytest.raises(TuitrainError, match=re.escape(names)) as caught:
        call(run)
    assert next_step in str(caught.value)
