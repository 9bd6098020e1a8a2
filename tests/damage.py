"""What a run directory from elsewhere may hold: ways to damage one, and to plant text in it."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

HOSTILE = (
    "\x1b]0;PWNED\x07\x1b]52;c;UFdORUQ=\x07\x1b[6n\x9b31m\u202eRLO[@click=app.quit]x[/]a[/b]\x1b[2J"
)
"""A title, a clipboard, a report, colours, a direction, markup that acts and that breaks."""

Damage = Callable[[Path], object]


def sql(statement: str, *values: object) -> Damage:
    """Return what changes a record by a statement."""

    def change(directory: Path) -> None:
        with closing(sqlite3.connect(directory / "run.db")) as db, db:
            db.execute(statement, values)

    return change


def bytes_of(name: str, change: Callable[[bytes], bytes]) -> Damage:
    def rewrite(directory: Path) -> None:
        path = directory / name
        path.write_bytes(change(path.read_bytes()))

    return rewrite


def instead(name: str, make: Callable[[Path], object]) -> Damage:
    """Return what puts something else in the place of a file."""

    def put(directory: Path) -> None:
        (directory / name).unlink(missing_ok=True)
        make(directory / name)

    return put


def spec(**changes: object) -> Damage:
    def change(directory: Path) -> None:
        path = directory / "spec.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def event(kind: str, **values: object) -> Damage:
    """Return what appends an event."""
    insert = "insert into event (at, elapsed_ms, kind, body) values (1, 1, ?, ?)"
    return sql(insert, kind, json.dumps(values))


def opens(take: int, origin_take: int, step: int = 1, **settings: object) -> Damage:
    return event(
        "take_opened", command=None, take=take, step=step, epoch=0, why="undo", origin="",
        origin_take=origin_take, settings=settings or {"loss": "mse"}, steps_per_epoch=23,
        left_at=5,
    )  # fmt: skip


def both(*damages: Damage) -> Damage:
    return lambda directory: [damage(directory) for damage in damages]


def endless_view(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "run.db")) as db:
        db.execute("alter table event rename to gone")
        db.execute(
            "create view event as with recursive n(id) as (select 1 union all select id + 1 from n)"
            " select id, 1.0 as at, 1 as elapsed_ms, 'warned' as kind, '{\"text\":\"x\"}' as body"
            " from n"
        )


def untyped(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "run.db")) as db, db:
        db.execute("create table other as select * from batch")
        db.execute("drop table batch")
        db.execute("alter table other rename to batch")
        db.execute("update batch set loss = ?", (HOSTILE,))


def filled_before_it_was_strict(statement: str, *values: object) -> Damage:
    """Return what changes a record whose tables are strict only by what its schema says."""

    def change(directory: Path) -> None:
        path = directory / "run.db"
        with closing(sqlite3.connect(path)) as db:
            stated = db.execute("select sql, name from sqlite_schema where type = 'table'")
            strict = stated.fetchall()
            free = [(said.rpartition(")")[0].replace("not null", "") + ")", name)
                    for said, name in strict if "without rowid" not in said]  # fmt: skip
        _state(path, free)
        sql(statement, *values)(directory)
        _state(path, strict)

    return change


def _state(path: Path, tables: list[tuple[str, str]]) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("pragma writable_schema = on")
        db.executemany("update sqlite_schema set sql = ? where name = ?", tables)


FIRST = "update event set body = ? where id = 1"
UNREADABLE: dict[str, Damage] = {
    "record cut": bytes_of("run.db", lambda found: found[: len(found) // 2]),
    "record garbage": bytes_of("run.db", lambda _: os.urandom(70_000)),
    "record a folder": instead("run.db", Path.mkdir),
    "record a FIFO": instead("run.db", os.mkfifo),
    "record a loop": instead("run.db", lambda path: path.symlink_to(path.name)),
    "record a device": instead("run.db", lambda path: path.symlink_to("/dev/zero")),
    "log of the record a FIFO": instead("run.db-wal", os.mkfifo),
    "spec empty": bytes_of("spec.json", lambda _: b""),
    "spec a FIFO": instead("spec.json", os.mkfifo),
    "spec a folder": instead("spec.json", Path.mkdir),
    "spec dangling": instead("spec.json", lambda path: path.symlink_to("/nonexistent")),
    "spec a loop": instead("spec.json", lambda path: path.symlink_to(path.name)),
    "spec endless": instead("spec.json", lambda path: path.symlink_to("/dev/zero")),
    "spec huge": bytes_of("spec.json", lambda found: found + b" " * (1 << 20)),
    "spec newer": spec(quantum=True),
    "spec a list": bytes_of("spec.json", lambda _: b"[1,2]"),
    "spec deep": bytes_of("spec.json", lambda _: b'{"task":' + b"[" * 200_000),
    "spec with a huge number": bytes_of("spec.json", lambda _: b'{"lr":' + b"9" * 10_000 + b"}"),
    "spec no utf-8": bytes_of("spec.json", lambda _: b'{"task":"\xff\xfe"}'),
    "spec with weights from elsewhere": spec(init_from="/etc/passwd"),
    "spec with a bad change": spec(schedule=[{"step": 1, "epoch": 0, "id": "x", "lr": "off"}]),
    "spec with a change that is none": spec(schedule=[{"step": 1, "epoch": 0, "rollback": "1"}]),
    "spec with a command of numbers": spec(watched=[1, 2]),
    "spec with a command that ends early": spec(watched=["train.py\0", HOSTILE]),
    "spec with a command that is text": spec(watched=HOSTILE),
    "parent of wrong types": spec(parent={"directory": 5, "take": "x", "step": "q", "epoch": []}),
    "event no JSON": sql(FIRST, "{"),
    "event without fields": sql(FIRST, "{}"),
    "event a list": sql(FIRST, "[]"),
    "event deep": sql(FIRST, "[" * 100_000),
    "event no utf-8": sql("update event set body = cast(x'7bff7d' as text) where id = 1"),
    "event huge": sql("update event set body = hex(zeroblob(20000000)) where id = 1"),
    "take without a loss": opens(2, 1, lr=0.1),
    "takes in a circle": both(opens(2, 3), opens(3, 2)),
    "take from nowhere": opens(5, 4),
    "take beyond its origin": opens(3, 1, step=9_999),
    "command long after the sun": event(
        "command_accepted", command="x", asks="lr", detail="", at="batch", asked_at=1e300
    ),
    "checkpoint elsewhere": event(
        "checkpoint_saved", take=1, step=1, epoch=0, why="pause", file="/home/me/thesis.tex",
        bytes=1, sha256="", weights_sha256="",
    ),
    "checkpoint above": event("checkpoint_gone", file="../../x", why="pruned"),
    "epochs off": event(
        "setting_changed", command="x", take=1, step=1, epoch=0, setting="epochs", value=None,
        previous=2, steps_per_epoch=23,
    ),
    "epoch that calls itself the first": sql(
        "update epoch set body = json_set(body, '$.epoch', 0)"
    ),
    "epoch of another step": sql("update epoch set body = json_set(body, '$.step', 1)"),
    "event of bytes": filled_before_it_was_strict("update event set body = cast(body as blob)"),
    "event of nothing": filled_before_it_was_strict("update event set body = null"),
    "batch of text": filled_before_it_was_strict("update batch set elapsed_ms = ?", HOSTILE),
    "batch of nothing": filled_before_it_was_strict("update batch set elapsed_ms = null"),
    "rate of text": filled_before_it_was_strict("update batch set lr = ?", HOSTILE),
    "epoch no JSON": sql("update epoch set body = 'nope'"),
    "newer record": sql("pragma user_version = 99"),
    "series without a name": sql("insert into series (name, unit, per) values ('', '', 'step')"),
    "series of a long name": sql("update series set name = hex(zeroblob(100)) where id = 1"),
    "series by the fortnight": sql("update series set per = 'fortnight'"),
    "series gone": sql("drop table series"),
    "values that are a view": both(
        sql("drop table measured"),
        sql("create view measured as select 1 as series, 1 as key, 1.0 as value"),
    ),
    "an endless view": endless_view,
    "an endless trigger": sql(
        "create trigger endless after insert on event begin insert into latest_batch_losses"
        " with recursive n(id) as (select 2 union all select id + 1 from n)"
        " select id, '{}' from n where id < 0; end"
    ),
    "a table without types": untyped,
}  # fmt: skip
"""Of these a run cannot be read, and that is said."""

READABLE: dict[str, Damage] = {
    "spec with a hostile task": spec(task=HOSTILE),
    "spec with a hostile command": spec(watched=["./" + HOSTILE, *[HOSTILE] * 60]),
    "spec with an endless command": spec(watched=["-m", "w", *["word"] * 10_000]),
    "record gone": lambda directory: (directory / "run.db").unlink(),
    "record empty": bytes_of("run.db", lambda _: b""),
    "lock a FIFO": instead("lock", os.mkfifo),
    "lock gone": lambda directory: (directory / "lock").unlink(missing_ok=True),
    "lock a folder": instead("lock", Path.mkdir),
    "lock a loop": instead("lock", lambda path: path.symlink_to(path.name)),
    "owner a FIFO": instead("owner.json", os.mkfifo),
    "owner a list": instead("owner.json", lambda path: path.write_text("[]")),
    "no metrics": sql("update epoch set body = json_set(body, '$.metrics', json('{}'))"),
    "a series of no number": sql("update measured set value = null"),
    "buckets from nowhere": sql(
        "insert into bucket values (1, 9, -9, 9e999, -9e999, null, -5), (0, 9, 513, 1, 1, 1, 1)"
    ),
    "a confusion matrix that is none": sql("update detail set body = '[]'"),
    "a confusion matrix that is no square": sql(
        """update detail set body = '{"counts": [[1, 2]]}'"""
    ),
    "event of a newer version": event("teleported"),
    "loss of a newer version": event(
        "loss_swapped", command="x", take=1, step=1, epoch=0, loss="nonesuch", previous="mse"
    ),
    "moment beyond calendars": sql("update event set at = 1e300"),
    "moment without an end": sql("update event set at = 9e999"),
    "parent gone": spec(parent={"directory": "/nonexistent\x00"}),
}
"""Of these a run can be read as far as it goes."""


def planted(source: Path, target: Path) -> None:
    """Copy a run with hostile text behind every text and name that a record may hold."""
    shutil.copytree(source, target)
    with closing(sqlite3.connect(target / "run.db")) as db, db:
        for table, key in (("event", "id"), ("epoch", "key")):
            for number, body in db.execute(f"select {key}, body from {table}").fetchall():
                update = f"update {table} set body = ? where {key} = ?"
                db.execute(update, (json.dumps(_planted(json.loads(body))), number))
        db.execute("update epoch set loss_name = loss_name || ?", (HOSTILE,))
        for number, body in db.execute("select key, body from latest_batch_losses").fetchall():
            found = json.loads(body)
            found["losses"] = {name + HOSTILE: loss for name, loss in found["losses"].items()}
            db.execute(
                "update latest_batch_losses set body = ? where key = ?", (json.dumps(found), number)
            )
        db.execute("update series set name = name || ?, unit = ?", (HOSTILE, HOSTILE[-20:]))
    (target / "trainer.log").write_text(f"hello {HOSTILE}\n")


_CHOSEN = {"file", "origin", "at", "what", "why", "setting", "direction", "schedule"}
"""Of few values, each known: any other is damage."""


def _planted(value: Any, name: str = "") -> Any:
    if name in _CHOSEN:
        return value
    if isinstance(value, str):
        return value + HOSTILE
    if isinstance(value, list):
        return [_planted(item) for item in value]
    if isinstance(value, dict):
        names = name in ("metrics", "val_losses", "environment")
        return {key + HOSTILE * names: _planted(item, key) for key, item in value.items()}
    return value
