"""Two launchers on this machine, as two hosts that meet over loopback, train one run."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import Shell, until
from tests.forks import Forks
from tests.process.test_ranks import launcher_of, ranks_of
from tests.watching import Script, free_port
from tuitrain import connect
from tuitrain.connection.run import Run
from tuitrain.core.events import RunStarted

NET = """
from pathlib import Path

from torch import nn


class Net(nn.Sequential):
    "Fails once on the host in whose home there is a file of that name."

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, images):
        if (fail := Path.home() / "fail").exists():
            fail.unlink()
            raise ValueError("planted")
        return super().forward(images)
"""
ONE_IS_STOPPED = """
"The rank of one host ends once the launcher of the other is stopped, whose rank never ends."
import os, signal, sys, time
from multiprocessing import get_context
from pathlib import Path

from tuitrain.worker import agent, elastic

elastic._ENDS_WITHIN_S = 1
RANKS = (
    "import sys, time; sys.stdin.close()\\nwhile not open('stopped').read(): time.sleep(0.05)",
    "import os, signal; open('began', 'w').write(str(os.getpid())); signal.pause()",
)


def host(number):
    ranks = agent.LocalRanks(1, [sys.executable, "-S", "-c", RANKS[number]], 0)
    meeting = agent.Meeting(2, f"localhost:{sys.argv[1]}", "x", is_first=not number)
    failure = agent.run_ranks(ranks, meeting, has_ended=lambda failure: False)
    os._exit(failure is not None)


Path("stopped").touch()
fork = get_context("fork")
first, second = hosts = [fork.Process(target=host, args=(number,)) for number in (0, 1)]
for one in hosts:
    one.start()
began = time.monotonic()
while not (Path("began").exists() and Path("began").read_text()):
    time.sleep(0.05)
    assert time.monotonic() < began + 60
os.kill(second.pid, signal.SIGSTOP)
Path("stopped").write_text("yes")
first.join(60)
os.kill(int(Path("began").read_text()), signal.SIGKILL)
code = first.exitcode
for one in hosts:
    one.kill()
assert code == 0, code
"""


ITS_RANK_NEVER_COMES = """
import sys
from tuitrain.worker import agent

ranks = agent.LocalRanks(1, [sys.executable, "-S", "-c", "import signal; signal.pause()"], 0)
meeting = agent.Meeting(2, sys.argv[1], "both", is_first=False)
agent.run_ranks(ranks, meeting, has_ended=lambda failure: False)
"""
ONE_IS_LOST_WHILE_THEY_MEET = """
"A host comes and is lost before it says how many ranks it has; another one comes in its place."
import os, sys
from datetime import timedelta
from multiprocessing import get_context

from torch.distributed.elastic.rendezvous import registry
from tuitrain.worker import agent, elastic

elastic._TOLD_WITHIN = timedelta(seconds=1)


def meeting(number):
    return agent.Meeting(2, f"localhost:{sys.argv[1]}", "x", is_first=not number)


def host(number):
    ranks = agent.LocalRanks(1, [sys.executable, "-S", "-c", ""], 0)
    failure = agent.run_ranks(ranks, meeting(number), has_ended=lambda failure: False)
    os._exit(failure is not None)


def lost():
    registry.get_rendezvous_handler(agent._rendezvous(meeting(1))).next_rendezvous()
    os._exit(0)


fork = get_context("fork")
hosts = [fork.Process(target=host, args=(number,)) for number in (0, 1)]
hosts[0].start()
one = fork.Process(target=lost)
one.start()
one.join()
hosts[1].start()
for host in hosts:
    host.join(100)
codes = [host.exitcode for host in hosts]
for host in hosts:
    host.kill()
assert codes == [0, 0], codes
"""


ONE_FAILS = """
"The rank of one host is killed, whom that of the other does not miss: it waits, or has ended."
import os, sys
from multiprocessing import get_context

from tuitrain.worker import agent, elastic

elastic._ENDS_WITHIN_S = 1000
BEGIN = "import os, signal, sys; began = os.environ['TORCHELASTIC_RESTART_COUNT'] == '0'\\n"
RANKS = {
    "ends": "",
    "waits": BEGIN + "if began: signal.pause()",
    "fails": BEGIN + "if began: os.kill(os.getpid(), signal.SIGKILL)",
}


def host(number, what):
    ranks = agent.LocalRanks(1, [sys.executable, "-S", "-c", RANKS[what]], 1)
    meeting = agent.Meeting(2, f"localhost:{sys.argv[1]}", "x", is_first=not number)

    def has_ended(failure):
        os.write(1, f"{number}: {failure.text}\\n".encode())
        return False

    failure = agent.run_ranks(ranks, meeting, has_ended=has_ended)
    os._exit(failure is not None)


fork = get_context("fork")
hosts = [
    fork.Process(target=host, args=place) for place in enumerate((sys.argv[2], "fails"))
]
for host in hosts:
    host.start()
for host in hosts[: len(hosts) if sys.argv[2] == "waits" else 1]:
    host.join(60)
codes = [host.exitcode for host in hosts]
for host in hosts:
    host.kill()
os.write(1, f"{codes}\\n".encode())
"""


@contextmanager
def second_host(forks: Forks, folder: Path, *options: str) -> Iterator[Script]:
    """Start the ranks of another host, with folders of its own: home, working and temporary."""
    (folder / "temporary").mkdir(parents=True, exist_ok=True)
    env = {
        "TUITRAIN_HOME": str(folder / "home"), "HOME": str(folder),
        "TMPDIR": str(folder / "temporary"),
    }  # fmt: skip
    pid = forks.submit(
        run=["run", "digits", *options, "--node-rank", "1"], log=str(folder / "log"), env=env,
        folder=str(folder),
    )  # fmt: skip
    process = psutil.Process(pid)
    yield Script(forks, pid, folder)
    with suppress(psutil.NoSuchProcess):
        process.kill()


@pytest.fixture
def hosts() -> tuple[str, ...]:
    """The options that two hosts are given."""
    return ("--nnodes", "2", "--rdzv-endpoint", f"localhost:{free_port()}", "--rdzv-id", "both")


def test_two_hosts_train_one_run_and_either_may_be_lost_and_a_signal_to_both_stops_it(
    tuitrain: Shell, forks: Forks, tmp_path: Path, hosts: tuple[str, ...]
):
    (tmp_path / "net.py").write_text(NET)
    b, net = tmp_path / "b", f"{tmp_path / 'net.py'}:Net"
    with second_host(forks, b, *hosts) as second:
        tuitrain.start("a", *hosts, "--model", net, "--batch-size", "32", "--epochs", "4000")
        run = connect("a", home=tuitrain.home)
        until(lambda: run.epoch >= 2, "it trains")
        assert len(run.show()["ranks"]) == len(tuitrain.show("a")["ranks"]) == 2
        fails_there(run, second)
        fails_here(run, second)
        launcher = psutil.Process(second.pid)
        ranks = launcher.children()
        launcher.kill()
        assert [len(some) for some in psutil.wait_procs(ranks, timeout=10)] == [1, 0]
        until(lambda: run.state == "starting", "it waits for the other host")
    assert any((b / "temporary").glob("tuitrain-*")), "what torch's agent wrote"
    with second_host(forks, b, *hosts) as second:
        until(lambda: run.state == "running", "it goes on", lambda: second.log)
        launcher_of(run).kill()
        assert second.ended() == 1, second.log
    assert second.log.splitlines()[-1] == "tuitrain: the first host cannot be reached"
    assert run.state == "crashed"
    tuitrain("resume", "a", "--detach")
    with second_host(forks, b, *hosts) as second:
        until(lambda: run.state == "running", "both train", lambda: second.log)
        until(lambda: run.metrics.get("accuracy", 0) > 0.95, "it has learned", lambda: second.log)
        shown = stopped_as_by_a_scheduler(tuitrain, run, second)
    assert any("lost its connection to another rank" in text for text in shown["warnings"])
    assert not (b / "home").exists()
    assert not any((b / "temporary").glob("tuitrain-*"))


def waiting_rank_of(launcher: int) -> psutil.Process | None:
    """Return the rank that a launcher started, which also starts others, as it loads PyTorch."""
    with suppress(psutil.Error):
        children = psutil.Process(launcher).children()
        return next((one for one in children if "signal.pause" in " ".join(one.cmdline())), None)
    return None


def fails_there(run: Run, second: Script) -> None:
    """Let the rank of the second host fail: it is named on both, and all start anew."""
    before = starts(run)
    (second.folder / "fail").touch()
    named = r"rank 1 on \S+ failed: ValueError: planted"  # rank 0 is the one that leads
    until(lambda: re.search(named, str(run.show()["warnings"])), "it is named")
    started_anew(run, second, before)
    assert "Traceback" in second.log
    assert second.log.count("ValueError: planted\n") == 1, "the last line of the traceback"
    assert re.search(f"tuitrain: {named}; waiting for the other hosts", second.log)


def fails_here(run: Run, second: Script) -> None:
    """Kill the rank of the first host, and let the other one say what its own rank lost."""
    before = starts(run)
    ranks_of(run)[0].kill()
    until(lambda: "ended by SIGKILL; waiting" in second.log, "it is told", lambda: second.log)
    assert "tuitrain: rank 1: " in second.log, second.log
    started_anew(run, second, before)


def starts(run: Run) -> int:
    """Return how often its ranks have come as far as their first batch."""
    return sum(isinstance(event, RunStarted) for event in run.events(follow=False))


def started_anew(run: Run, second: Script, before: int) -> None:
    """Wait for the ranks to have started once more than `before`, and to train."""

    def trains() -> bool:
        return starts(run) > before and run.state == "running"

    until(trains, "all have started anew", lambda: second.log)


def stopped_as_by_a_scheduler(shell: Shell, run: Run, second: Script) -> dict[str, Any]:
    """Tell both hosts that their time is over; return what is shown of the run."""
    for process in (psutil.Process(second.pid), launcher_of(run)):
        process.terminate()
    shown = shell.ended("a")
    assert second.ended() == 0, second.log
    assert second.log.splitlines()[-1] == "tuitrain: the run has ended"
    assert shown["state"] == "stopped"
    assert shown["checkpoints"][-1]["step"] == shown["step"]
    return shown


def test_a_host_that_is_lost_before_its_ranks_come_is_named_and_waited_for(
    tuitrain: Shell, forks: Forks, tmp_path: Path, hosts: tuple[str, ...]
):
    """No connection of theirs is there to be closed."""
    b, lost = tmp_path / "b", r"host \S+ was lost: it told nothing for 20 s; all ranks started anew"
    tuitrain("run", "digits", *hosts, "--epochs", "4000", "--name", "a", "--detach")
    run, endpoint = connect("a", home=tuitrain.home), hosts[hosts.index("--rdzv-endpoint") + 1]
    command = [sys.executable, "-c", ITS_RANK_NEVER_COMES, endpoint]
    with subprocess.Popen(command, env=tuitrain.env) as host:
        rank = until(lambda: waiting_rank_of(host.pid), "its rank is there")
        until(lambda: ranks_of(run), "rank 0 is there, too")
        until(lambda: "waiting for" not in tuitrain("show", "a").stdout, "it is shown")
        for process in (host, rank):
            process.kill()
    until(lambda: "waiting for 2 hosts" in tuitrain("show", "a").stdout, "it is noticed")
    assert run.state == "starting"
    with second_host(forks, b, *hosts) as second:
        until(lambda: run.steps, "they train", lambda: second.log)
        warnings = run.show()["warnings"]
        assert any(re.fullmatch(lost, text) for text in warnings), warnings
        stopped_as_by_a_scheduler(tuitrain, run, second)


def test_a_host_that_is_lost_while_they_meet_is_waited_for(tuitrain: Shell, tmp_path: Path):
    (tmp_path / "hosts.py").write_text(ONE_IS_LOST_WHILE_THEY_MEET)
    tuitrain.python("hosts.py", str(free_port()), folder=tmp_path)


def test_a_failure_is_named_on_a_host_that_misses_no_rank_and_counts_there(
    tuitrain: Shell, tmp_path: Path
):
    """As one whose rank validates, or saves a checkpoint."""
    (tmp_path / "hosts.py").write_text(ONE_FAILS)
    said = tuitrain.python("hosts.py", str(free_port()), "waits", folder=tmp_path).stdout
    named = r"rank 1 on \S+ ended by SIGKILL\n"
    assert re.fullmatch(rf"1: {named}0: {named}\[0, 0\]\n", said), said


def test_a_host_whose_ranks_have_ended_waits_for_none_that_waits_for_new_ones(
    tuitrain: Shell, tmp_path: Path
):
    (tmp_path / "hosts.py").write_text(ONE_FAILS)
    said = tuitrain.python("hosts.py", str(free_port()), "ends", folder=tmp_path).stdout
    assert said.endswith("[0, None]\n"), said


def test_a_host_waits_a_while_for_the_end_of_another_and_not_for_ever(
    tuitrain: Shell, tmp_path: Path
):
    (tmp_path / "hosts.py").write_text(ONE_IS_STOPPED)
    tuitrain.python("hosts.py", str(free_port()), folder=tmp_path)


def test_a_stop_ends_the_wait_for_a_host_that_nobody_knows(tuitrain: Shell):
    hosts = ("--nnodes", "2", "--rdzv-endpoint", "nowhere.invalid:29400")
    tuitrain("run", "digits", *hosts, "--detach", "--name", "a")
    assert "2 hosts at nowhere.invalid:29400" in tuitrain("show", "a").stdout
    tuitrain("ctl", "a", "stop")
    assert tuitrain.ended("a")["state"] == "stopped"


@pytest.mark.parametrize(("options", "said"), [
    (("--nnodes", "2"), "--nnodes needs --rdzv-endpoint HOST:PORT"),
    (("--nnodes", "2", "--rdzv-endpoint", "a"), "takes HOST:PORT, with a port"),
    (("--nnodes", "2", "--rdzv-endpoint", "a:99999"), "with a port from 1 to 65535"),
    (("--rdzv-endpoint", "a:1"), "is for several hosts"),
    (("--node-rank", "1"), "from 0 to one less than --nnodes"),
])  # fmt: skip
def test_options_that_do_not_fit_together_are_refused(
    tuitrain: Shell, options: tuple[str, ...], said: str
):
    assert said in tuitrain.here("run", "digits", *options, code=2).stderr
    assert not (tuitrain.home / "runs").exists()
