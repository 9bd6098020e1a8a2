"""tuitrain export"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find_run, home_option, print_safe, snapshot
from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.files import expanded
from tuitrain.core.safe import safe
from tuitrain.core.watched import check_not_watched

if TYPE_CHECKING:
    from tuitrain.connection.client import Client
    from tuitrain.core.events import CheckpointSaved
    from tuitrain.export.lineage import RunLineage

ENDINGS = {
    "weights": ".pt", "csv": "-csv", "jsonl": ".jsonl", "tensorboard": "-tensorboard",
    "script": ".py",
}  # fmt: skip
"""Default suffix of an exported file after the run's name, by format."""


@click.command(
    epilog="""\b
Examples:
  tuitrain export a --format script            a.py trains as the run a did
  tuitrain export a --format weights --which best --out best.pt
  tuitrain export a --format csv               batches, epochs, interventions
  tuitrain export a --format csv --out a.csv   the batches alone"""
)
@click.argument("run", shell_complete=complete.runs)
@click.option(
    "--format", "form", type=click.Choice(list(ENDINGS)), required=True, metavar="FORMAT",
    help="weights: the model's state_dict; csv, jsonl, tensorboard: what was recorded; "
    "script: a plain PyTorch program that trains the same way.",
)  # fmt: skip
@click.option(
    "--which", type=click.Choice(["best", "last"]), metavar="best|last",
    help="Of weights: those of the best epoch, or of the last checkpoint.  [last]",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE|DIR",
    help="Where to write it; nothing is overwritten.  [named after the run, here]",
)  # fmt: skip
@home_option
@click.pass_context
def export(ctx: click.Context, run: str, form: str, which: str | None, out: Path | None) -> int:
    """Write RUN for other tools: weights, tables, or a program.

    Only the lineage of the run is exported, without what was undone or rolled back.
    """
    from tuitrain.export.files import check_free
    from tuitrain.export.lineage import RunLineage

    if which and form != "weights":
        raise WrongUse(
            f"--which chooses between weights, and {form} has the whole run; leave it out"
        )
    client = find_run(ctx, run)
    target = expanded(str(out or f"{client.name}{ENDINGS[form]}"))
    check_free(target, for_folder=form in ("csv", "tensorboard") and target.suffix != ".csv")
    lineage = RunLineage.read(client.paths)
    match form:
        case "weights":
            said = _weights(lineage, target, which or "last")
        case "script":
            said = _script(lineage, target)
        case "tensorboard":
            said = _tensorboard(lineage, target)
        case "jsonl":
            said = _jsonl(lineage, client, target)
        case _:
            said = _csv(lineage, client, target)
    print_safe(f"wrote {safe(target)}{said}")
    return 0


def _weights(lineage: RunLineage, target: Path, which: str) -> str:
    from tuitrain.trainer.torch_query import query

    saved, what = chosen_checkpoint(lineage, which)
    file = lineage.paths.checkpoints / saved.file
    query("export_weights", checkpoint=str(file.absolute()), sha256=saved.sha256,
        out=str(target.absolute()))  # fmt: skip
    return (
        f": the weights at step {saved.step:,}, epoch {saved.epoch:,}{what}; torch.load reads them"
    )


def chosen_checkpoint(lineage: RunLineage, which: str) -> tuple[CheckpointSaved, str]:
    """Return the checkpoint of the best epoch or the last one, and a remark on it."""
    return _best(lineage) if which == "best" else (_last(lineage), "")


def _script(lineage: RunLineage, target: Path) -> str:
    from tuitrain import __version__
    from tuitrain.export.files import output_at
    from tuitrain.export.program import program
    from tuitrain.export.recipe import Recipe

    check_not_watched(lineage.spec, lineage.paths.name, "exported as a script")
    recipe = Recipe.of(
        lineage, _last(lineage, after=lineage.spec.parent.step if lineage.spec.parent else 0)
    )
    text = program(recipe, written_by=f"tuitrain {__version__}")
    with output_at(target) as path:
        path.write_text(text, encoding="utf-8")
    return (
        f": it trains to step {recipe.until:,}, where the digest of the weights is "
        f"{safe(recipe.weights_sha256)}"
    )


def _tensorboard(lineage: RunLineage, target: Path) -> str:
    from tuitrain.export import tensorboard
    from tuitrain.export.files import output_at

    tensorboard.writer_and_event()
    with output_at(target) as path:
        tensorboard.write(lineage, path)
    return f"; tensorboard --logdir {safe(target)} shows it"


def _jsonl(lineage: RunLineage, client: Client, target: Path) -> str:
    from tuitrain.export import tables
    from tuitrain.export.files import output_at

    run = _run_json(client)
    interventions = run.pop("interventions")
    with output_at(target) as path:
        tables.write_jsonl(lineage, run, interventions, path)
    return ": an object a line, each of a kind: run, intervention, batch, series, epoch"


def _csv(lineage: RunLineage, client: Client, target: Path) -> str:
    from tuitrain.export import tables
    from tuitrain.export.files import output_at

    with output_at(target) as path:
        if target.suffix == ".csv":
            tables.write_batches(lineage, path)
            return ": its batches; a folder gets epochs, series and interventions, too"
        tables.write_csv(lineage, _run_json(client)["interventions"], path)
    return ": batches.csv, epochs.csv, series.csv, interventions.csv"


def _run_json(client: Client) -> dict[str, Any]:
    from tuitrain.view.text import report

    return report.as_json(snapshot(client), full=True)


def _last(lineage: RunLineage, *, after: int = -1) -> CheckpointSaved:
    """Return the last checkpoint after that step; raise Refused if there is none."""
    saved = [checkpoint for checkpoint in lineage.checkpoints if checkpoint.step > after]
    if not saved:
        name = lineage.paths.name
        raise Refused(
            f"{name} has no checkpoint {'after its first step ' if after >= 0 else ''}yet; "
            f"tuitrain ctl {name} checkpoint saves one while it goes on"
        )
    return saved[-1]


def _best(lineage: RunLineage) -> tuple[CheckpointSaved, str]:
    """Return the checkpoint of the best epoch, and a remark on it."""
    best, (saved, description) = lineage.best, lineage.best_checkpoint
    if best is None:
        raise Refused(
            f"{lineage.paths.name} has no best epoch yet: none was validated; "
            "--which last takes the last checkpoint"
        )
    if saved is None:
        _last(lineage)  # raises a clearer error if there is no checkpoint at all
        raise Refused(
            f"the best epoch, {best.epoch}, has no checkpoint; while the run trains, a pause saves "
            "one; --which last takes the last checkpoint"
        )
    return saved, f", {description}"
