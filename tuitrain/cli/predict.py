"""tuitrain predict"""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find_run, home_option, print_safe
from tuitrain.core.files import expanded, missing
from tuitrain.core.numbers import to_strict
from tuitrain.core.safe import safe
from tuitrain.core.watched import check_not_watched


@click.command(
    epilog="""\b
Examples:
  tuitrain predict a                     the validation data, as CSV
  tuitrain predict a new.csv > out.csv   rows of a table like its own
  tuitrain predict a *.png --json        images, or folders of them"""
)
@click.argument("run", shell_complete=complete.trained_runs)
@click.argument("data", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--which", type=click.Choice(["best", "last"]), default="best",
    metavar="best|last", help="The weights of the best epoch, or of the last checkpoint.  [best]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="JSON instead of CSV: predictions, notes.")
@home_option
@click.pass_context
def predict(ctx: click.Context, run: str, data: tuple[Path, ...], which: str, as_json: bool) -> int:
    """Print what RUN predicts for DATA: a row for each sample. Default: its validation data.

    DATA are tables, or images and folders of them, as the run was trained on. What the model cannot
    use of them as it is stands on stderr, or in the notes of --json.
    """
    from tuitrain.cli.export import chosen_checkpoint
    from tuitrain.export.lineage import RunLineage
    from tuitrain.trainer.torch_query import query

    files = [expanded(str(path)).absolute() for path in data]
    for given, file in zip(data, files, strict=True):
        if not file.exists():
            raise missing("file or folder", str(given))
    client = find_run(ctx, run)
    check_not_watched(client.spec(), client.name, "asked for predictions")
    saved, _ = chosen_checkpoint(RunLineage.read(client.paths), which)
    answer = query(
        "predict", run=str(client.paths.directory.absolute()), file=saved.file, sha256=saved.sha256,
        data=list(map(str, files)),
    )  # fmt: skip
    if as_json:
        rows = [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]
        said = {"predictions": to_strict(rows), "notes": answer["notes"]}
        click.echo(json.dumps(said, indent=1))
    else:
        print_safe(*_as_csv(answer["columns"], answer["rows"]))
        if answer["notes"]:
            print_safe(*(f"tuitrain: {note}" for note in answer["notes"]), err=True)
    return 0


def _as_csv(columns: list[str], rows: list[list[Any]]) -> list[str]:
    """Return the lines of a table; a cell that would begin a line of its own is made safe first."""
    lines = []
    for row in (columns, *rows):
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(_cell(value) for value in row)
        lines.append(text.getvalue())
    return lines


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    return safe("" if value is None else value, limit=1_000)
