"""A signal ends what a library computes for long."""

import hashlib
import signal
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from tuitrain.catalog import new_spec
from tuitrain.engine.tasks.interruptible import interruptible
from tuitrain.engine.tasks.open_task import open_task
from tuitrain.engine.user_code import UserCode

_LONG = 6_000_000
"""Rounds of a hash that takes seconds in C, without Python's lock, as pandas's parser does."""


class Stopped(BaseException):
    """Raised by the signal."""


def test_a_signal_ends_the_reading_of_a_table_while_pandas_parses_it(tmp_path: Path, monkeypatch):
    parsed: list[bytes] = []

    def parse(*_arguments: object, **_options: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        parsed.extend(map(partial(hashlib.pbkdf2_hmac, "sha256", b"", b""), [_LONG]))

    def stop(_signal: int, _frame: object) -> None:
        raise Stopped

    monkeypatch.setattr(pd, "read_csv", parse)
    table = tmp_path / "a.csv"
    table.write_text("a,y\n1,2\n")
    before = signal.signal(signal.SIGALRM, stop)
    try:
        with pytest.raises(Stopped):
            open_task(new_spec(str(table)), UserCode())
        assert not parsed
    finally:
        signal.signal(signal.SIGALRM, before)


def test_what_a_call_returns_or_raises_comes_through():
    assert interruptible(lambda: 3) == 3
    with pytest.raises(KeyError):
        interruptible(lambda: {}["x"])
