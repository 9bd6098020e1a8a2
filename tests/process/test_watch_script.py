"""A watched script runs as `python` runs it: arguments, paths, output, exit code, children."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_S, PROJECT, Shell, until
from tests.forks import Forks

SHOWN = """
import json, os, pickle, sys
print(json.dumps([sys.argv, sys.path[0], __name__, os.getcwd(), __file__, sys.stdin.read()]))
class Here: pass
print(pickle.loads(pickle.dumps(Here())).__class__.__module__, neighbour.VALUE)
"""
STEPS = """
import torch
torch.manual_seed(0)
w = torch.nn.Linear(2, 1)
o = torch.optim.SGD(w.parameters(), lr=0.1)
for _ in range(3):
    o.zero_grad(); w(torch.ones(4, 2)).pow(2).mean().backward(); o.step()
"""


def as_python(script: list[str], tuitrain: Shell, text: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *script], input=text, capture_output=True, text=True, env=tuitrain.env,
        timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def watched(
    options: list[str], script: list[str], tuitrain: Shell, text: str = ""
) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tuitrain", "watch", "--plain", *options, *script]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, env=tuitrain.env, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip


def without_ours(err: str) -> str:
    return "".join(
        line for line in err.splitlines(keepends=True) if not line.startswith("tuitrain: ")
    )


@pytest.mark.parametrize("is_module", [False, True])
def test_a_script_sees_what_python_would_show_it(
    is_module: bool, tuitrain: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "neighbour.py").write_text("VALUE = 7\n")
    (tmp_path / "shown.py").write_text("import neighbour\n" + SHOWN)
    monkeypatch.chdir(tmp_path)
    script = ["-m", "shown"] if is_module else ["shown.py"]
    script += ["--epochs", "3", "--name", "its own"]

    alone = as_python(script, tuitrain, "from stdin")
    done = watched(["--name", "a"], script, tuitrain, "from stdin")

    assert alone.returncode == done.returncode == 0, done.stderr
    assert done.stdout == alone.stdout
    assert tuitrain.show("a")["state"] == "finished"
    assert "no training step was seen" in str(tuitrain.show("a")["warnings"])


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        ("import atexit, sys; atexit.register(print, 'the end'); sys.exit(7)", "failed"),
        (
            "import sys; sys.excepthook = lambda *e: print(e[1]) or sys.__excepthook__(*e)\n"
            "torch.nn.functional.cross_entropy(torch.ones(2, 3), torch.zeros(5).long())",
            "failed",
        ),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "failed"),
        (  # as an interrupt in code that the compiler made of no line
            "def stop(): raise ValueError\n"
            "stop.__code__ = stop.__code__.replace(co_linetable=b'')\nstop()",
            "failed",
        ),
    ],
)
def test_output_and_exit_code_are_the_scripts(
    ending: str, state: str, tuitrain: Shell, tmp_path: Path
):
    script = tmp_path / "ends.py"
    script.write_text(STEPS + ending + "\n")

    alone = as_python([str(script)], tuitrain)
    options = ("--plain", "--name", "a", "--kind", "regression")
    done = tuitrain("watch", *options, str(script), code=None)

    assert done.returncode == alone.returncode
    assert done.stdout == alone.stdout
    assert without_ours(done.stderr) == alone.stderr
    assert f"tuitrain: a: watching {script}; hooked: optimizers, loss functions" in done.stderr
    shown = tuitrain.show("a")
    assert (shown["state"], shown["step"], shown["kind"]) == (state, 3, "regression")


def test_the_text_of_an_exit_goes_to_the_errors_of_a_script_that_has_none(
    tuitrain: Shell, tmp_path: Path
):
    script = tmp_path / "ends.py"
    script.write_text("import sys; sys.stderr = None; sys.exit(['no', 'data'])\n")
    alone = as_python([str(script)], tuitrain)
    done = watched(["--name", "a"], [str(script)], tuitrain)
    assert (done.returncode, done.stdout) == (alone.returncode, alone.stdout)
    assert without_ours(done.stderr) == alone.stderr
    assert tuitrain.show("a")["error"] == "the script ended itself: ['no', 'data']"


def test_a_full_disk_and_a_lost_record_end_the_record_and_not_the_training(
    tuitrain: Shell, tmp_path: Path
):
    ignored = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    steps = ignored + STEPS.replace("range(3)", "range(3000)") + "print(*w.weight.tolist())\n"
    script = tmp_path / "script.py"
    script.write_text(steps)
    alone = tuitrain.python(str(script), folder=tmp_path)
    for name, harm in {
        "full": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, -1))",
        "lost": f"import os; os.unlink({str(tuitrain.home / 'runs/lost/run.db')!r})",
    }.items():
        script.write_text(steps.replace("for _", f"{harm}\nfor _"))
        done = tuitrain("watch", "--plain", "--name", name, str(script))
        assert done.stdout == alone.stdout
        said = [line for line in done.stderr.splitlines() if "cannot be seen any more" in line]
        assert len(said) == 1, done.stderr


def test_a_detached_script_is_stopped_before_its_first_step_and_in_the_middle(
    tuitrain: Shell, tmp_path: Path
):
    waits = tmp_path / "waits.py"
    waits.write_text("import time\nprint('loading', flush=True)\ntime.sleep(600)\n")
    tuitrain("watch", "--detach", "--name", "early", str(waits))
    until(lambda: "loading" in tuitrain.client("early").paths.log.read_text(), "it loads its data")
    tuitrain("ctl", "early", "stop", "--wait")
    assert tuitrain.ended("early")["state"] == "stopped"

    loop = PROJECT / "examples" / "loop.py"
    tuitrain("watch", "--detach", "--name", "a", "--pace", "50", str(loop), "--epochs", "1000")
    until(lambda: tuitrain.show("a")["step"], "it trains")
    tuitrain("ctl", "a", "stop", "--wait")
    run = tuitrain.ended("a")
    assert run["state"] == "stopped"
    assert run["checkpoints"][-1]["step"] == run["step"]
    assert "stopped at step" in tuitrain.client("a").paths.log.read_text()


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        ("import sys; sys.exit(7)", "the script ended with exit code 7"),
        ("import sys; sys.exit('no more data')", "the script ended itself: no more data"),
        ("raise ValueError('no more data')", "ValueError: no more data"),
    ],
)
def test_how_a_detached_script_ended_is_recorded(
    ending: str, error: str, tuitrain: Shell, tmp_path: Path
):
    script = tmp_path / "ends.py"
    script.write_text(f"{STEPS}{ending}\n")
    tuitrain("watch", "--detach", "--name", "a", str(script))
    run = tuitrain.ended("a")
    assert (run["state"], run["step"]) == ("failed", 3)
    assert error in run["error"]
    log = tuitrain("logs", "a").stdout
    assert ("no more data" in log) == ("no more data" in ending)


def test_an_interrupt_ends_a_script_as_python_would_and_saves_its_state(
    tuitrain: Shell, tmp_path: Path
):
    script = tmp_path / "long.py"
    script.write_text(
        STEPS.replace("for _ in range(3):", "import itertools\nfor i in itertools.count():\n"
                      "    if i == 5: print('training', flush=True)")
    )  # fmt: skip
    command = [sys.executable, "-m", "tuitrain", "watch", "--plain", "--name", "a", str(script)]
    with subprocess.Popen(
        command, env=tuitrain.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "training\n"
        os.kill(process.pid, 2)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert err.rstrip().endswith("KeyboardInterrupt")
    run = tuitrain.show("a")
    assert run["state"] == "stopped"
    assert run["checkpoints"][-1]["step"] == run["step"] >= 5


def test_a_signal_ends_a_script_that_takes_no_more_steps(
    tuitrain: Shell, of_forks: Callable[[], Forks], tmp_path: Path
):
    script, log = tmp_path / "evaluates.py", tmp_path / "log"
    script.write_text(STEPS + "import time\nprint('evaluating', flush=True)\ntime.sleep(600)\n")
    log.touch()
    line = ["watch", "--plain", "--home", str(tuitrain.home), "--name", "a", str(script)]
    pid = of_forks().submit(run=line, log=str(log))
    until(lambda: "evaluating" in log.read_text(), "it evaluates", log.read_text)
    os.kill(pid, signal.SIGTERM)
    run = tuitrain.ended("a")
    assert (run["state"], run["step"]) == ("stopped", 3)


def test_a_forked_child_neither_trains_for_the_run_nor_ends_it(tuitrain: Shell, tmp_path: Path):
    script = tmp_path / "forks.py"
    script.write_text(
        f"{STEPS}import os, sys\nif os.fork() == 0:\n    sys.exit(0)\nos.wait()\n{STEPS}"
    )
    done = tuitrain("watch", "--plain", "--name", "a", str(script))
    assert "cannot be seen" not in done.stderr
    assert (tuitrain.show("a")["state"], tuitrain.show("a")["step"]) == ("finished", 6)


@pytest.mark.parametrize(("module", "said"), [
    ("package.nosuch", "No module named package.nosuch"),
    ("package", "'package' is a package and cannot be directly executed"),
    ("package.imports", "No module named 'missing'"),
])  # fmt: skip
def test_a_module_that_cannot_be_run_is_told_as_python_tells_it(
    tuitrain: Shell, tmp_path: Path, module: str, said: str
):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "imports.py").write_text("import missing\n")
    done, alone = (
        subprocess.run(
            [sys.executable, "-m", *words, module], cwd=tmp_path, env=tuitrain.env, check=False,
            capture_output=True, text=True,
        )
        for words in (("tuitrain", "watch", "--plain", "--name", "a", "-m"), ())
    )  # fmt: skip
    last_words = [one.stderr.splitlines()[-1] for one in (done, alone)]
    assert said in last_words[1]
    assert last_words[0] == last_words[1]
    assert done.returncode == alone.returncode
    assert said in tuitrain.show("a")["error"]


def test_a_script_that_becomes_another_program_ends_its_run(tuitrain: Shell, tmp_path: Path):
    script = tmp_path / "becomes.py"
    other = "os.execl(sys.executable, sys.executable, '-c', 'print(5); raise SystemExit(7)')"
    script.write_text(f"{STEPS}import os, sys\n{other}\n")
    done = watched(["--name", "a"], [str(script)], tuitrain)
    assert (done.returncode, done.stdout) == (7, "5\n")
    shown = tuitrain.show("a")
    assert (shown["state"], shown["step"]) == ("finished", 3)
    assert any("became another program" in text for text in shown["warnings"])


def test_wrong_uses_are_refused_before_anything_starts(tuitrain: Shell, tmp_path: Path):
    for words, said in {
        "watch nosuch.py": "there is no file nosuch.py",
        f"watch {tmp_path}": "is a folder; tuitrain watch -m MODULE",
        "watch -m nosuch.module": "there is no module nosuch.module",
        "watch -m ''": "there is no module",
        "watch": "SCRIPT",
        "watch --pace -1 x.py": "pace",
        "watch --on-nonfinite sometimes x.py": "sometimes",
        f"watch --loss crossentropy {__file__}": "no loss 'crossentropy'",
        "watch --name .. x.py": "cannot name a run",
    }.items():
        done = tuitrain(*shlex.split(words), code=2)
        assert said in done.stderr, words
        assert not (tuitrain.home / "runs").exists()
