"""The variable of cuBLAS, which is set before a trainer imports PyTorch."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Shell
from tuitrain.catalog import new_spec
from tuitrain.core.cublas import EXACT, VARIABLE
from tuitrain.trainer import supervisor

TELLING = f"""
import os, runpy, sys
class Telling:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get({VARIABLE!r}), flush=True)
            os._exit(0)
sys.meta_path.insert(0, Telling())
sys.argv = ["", *sys.argv[2:]]
runpy.run_module({{module!r}}, run_name="__main__")
"""
"""Runs a module up to where it imports PyTorch, and tells the variable there."""


@contextmanager
def a_run(tuitrain: Shell) -> Iterator[list[str]]:
    """Yield the arguments of a trainer."""
    with supervisor.new_run(tuitrain.home, new_spec("digits")) as (paths, lock):
        yield [str(paths.directory), str(lock)]


@contextmanager
def a_wait(_: Shell) -> Iterator[list[str]]:
    """Yield the argument of a trainer that waits for its run."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield [str(theirs.fileno())]


@contextmanager
def nothing(_: Shell) -> Iterator[list[str]]:
    yield []


@pytest.mark.parametrize("given", [None, ":16:8"])
@pytest.mark.parametrize(
    ("module", "given_to"),
    [
        ("tuitrain.worker", a_run),
        ("tuitrain.worker.warm", a_wait),
        ("tuitrain.worker.rank", nothing),
    ],
)
def test_it_is_set_when_a_trainer_imports_pytorch(tuitrain: Shell, module, given_to, given):
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if given is not None:
        environment[VARIABLE] = given
    with given_to(tuitrain) as arguments:
        code = TELLING.format(module=module)
        done = subprocess.run(
            [sys.executable, "-c", code, module, *arguments], env=environment, check=False,
            capture_output=True, text=True, pass_fds=[int(one) for one in arguments[-1:]],
        )  # fmt: skip
    assert done.stdout.split() == [given or EXACT], done.stderr
