"""The tables of `run.db`, and the few facts about them that reader and writer share.

Rows are keyed by (take, step) folded into one integer, so that the key costs no index of its own
and, within a take, the step is the key. A NaN is stored as NULL, which is how SQLite has it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

VERSION = 2
"""1 had no series and no details."""

BASE_TABLES = """
create table if not exists batch (
    key integer primary key,
    epoch integer not null,
    loss real,
    lr real not null,
    samples integer not null,
    elapsed_ms integer not null,
    data_us integer, zero_us integer, forward_us integer,
    loss_us integer, backward_us integer, step_us integer
) strict;
create table if not exists rollup (
    key integer not null,
    level integer not null,
    low real, high real, total real,
    finite integer not null,
    primary key (level, key)
) strict, without rowid;
create table if not exists epoch (
    key integer primary key,
    elapsed_ms integer not null,
    epoch integer not null,
    loss_name text not null,
    train_loss real,
    val_loss real,
    improved integer not null,
    body text not null
) strict;
create index if not exists epoch_improved on epoch (key) where improved;
create table if not exists glance (
    key integer primary key,
    body text not null
) strict;
create table if not exists event (
    id integer primary key,
    at real not null,
    elapsed_ms integer not null,
    kind text not null,
    body text not null
) strict;
"""

SERIES_TABLES = """
create table if not exists series (
    id integer primary key,
    name text not null unique,
    unit text not null,
    per text not null
) strict;
create table if not exists measured (
    series integer not null,
    key integer not null,
    value real,
    primary key (series, key)
) strict, without rowid;
create table if not exists bucket (
    series integer not null,
    level integer not null,
    key integer not null,
    low real, high real, total real,
    finite integer not null,
    primary key (series, level, key)
) strict, without rowid;
create table if not exists detail (
    key integer not null,
    name text not null,
    body text not null,
    primary key (key, name)
) strict;
"""
"""Of scalars other than a batch's own: rows, and their buckets as `rollup` has them; details."""

TABLES = BASE_TABLES + SERIES_TABLES

_TAKE_AT = 40
STEP_BITS = (1 << _TAKE_AT) - 1
"""The bits of a key that are its step."""


class BatchRow(NamedTuple):
    """One row of `batch`: a step with its loss and what each part of it took, in microseconds."""

    key: int
    epoch: int
    loss: float
    lr: float
    samples: int
    elapsed_ms: int
    """Training time of the run so far, pauses left out."""
    data_us: int
    zero_us: int
    forward_us: int
    loss_us: int
    backward_us: int
    step_us: int

    @property
    def take(self) -> int:
        return split(self.key)[0]

    @property
    def step(self) -> int:
        return split(self.key)[1]


def key_of(take: int, step: int) -> int:
    """Return the key of a step; takes count from 1, so that a first take's keys are its steps."""
    return (take - 1 << _TAKE_AT) | step


def split(key: int) -> tuple[int, int]:
    """Return the (take, step) of a key."""
    return (key >> _TAKE_AT) + 1, key & STEP_BITS


def from_column(value: float | None) -> float:
    """Return a number as it was before SQLite made NULL of a NaN."""
    return math.nan if value is None else value
