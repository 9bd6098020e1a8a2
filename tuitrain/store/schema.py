"""The tables of `run.db`, and the parts of their layout that reader and writer share.

The key of a row is (take, step) packed into one integer: it needs no index of its own, and within a
take it is ordered by step. SQLite stores NaN as NULL.
"""

from __future__ import annotations

import math
from typing import NamedTuple

VERSION = 4
"""Version 1 had neither series nor details; `older_versions` has all differences."""

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
create table if not exists latest_batch_losses (
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
"""`latest_batch_losses` has one row."""

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
"""Values and buckets of the scalars that are not columns of `batch`; details of steps."""

EPOCH_TABLES = """
create table if not exists epoch_bucket (
    level integer not null,
    key integer not null,
    body text not null,
    primary key (level, key)
) strict, without rowid;
"""
"""The extremes of many epochs together: of those that ended in 2^level steps from its key on."""

TABLES = BASE_TABLES + SERIES_TABLES + EPOCH_TABLES

_TAKE_AT = 40
STEP_BITS = (1 << _TAKE_AT) - 1
"""Mask of the bits of a key that hold the step."""


class BatchRow(NamedTuple):
    """A row of `batch`: the loss of a step, and the duration of its parts in microseconds."""

    key: int
    epoch: int
    loss: float
    lr: float
    samples: int
    elapsed_ms: int
    """Training time of the run so far, without pauses."""
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
    """Return the key of a step; takes count from 1, so the keys of the first take are its steps."""
    return (take - 1 << _TAKE_AT) | step


def split(key: int) -> tuple[int, int]:
    """Return the (take, step) of a key."""
    return (key >> _TAKE_AT) + 1, key & STEP_BITS


def from_column(value: float | None) -> float:
    """Return the number in a column, NaN for NULL."""
    return math.nan if value is None else value
