"""What README and the pages behind it promise is there: commands, options, keys, exit codes, tasks,
losses, links."""

import ast
import re
import shlex
import tomllib

import click
import pytest

from tests.conftest import PROJECT, Shell, until
from tests.contract.test_keys import sign
from tuitrain import Run
from tuitrain.catalog import LOSSES, TASKS, fitting_losses, new_spec
from tuitrain.cli import cli
from tuitrain.core import errors
from tuitrain.tui.app import TuitrainApp
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.screens.runs import RunsScreen
from tuitrain.watcher.loop import WatchedLoop

README = (PROJECT / "README.md").read_text()
CATALOGUE, DATA, RUNS, TOUR = (
    (PROJECT / "docs" / f"{page}.md").read_text() for page in ("catalogue", "data", "runs", "tour")
)
PAGES = CATALOGUE, DATA, RUNS, TOUR
BLOCKS = re.findall(r"```sh\n(.*?)```", README + RUNS, re.DOTALL)
LINES = [
    shlex.split(line, comments=True)
    for line in "\n".join(BLOCKS).splitlines()
    if line.startswith("tuitrain ")
]


def rows(heading: str, page: str) -> list[list[str]]:
    """Return the cells of a page's table whose first heading this is, without its head."""
    table = page.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def command_named(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None, name
    return found


def options_of(command: click.Command) -> set[str]:
    return {
        name
        for option in (*command.params, *cli.params)
        for name in (*option.opts, *option.secondary_opts)
        if name.startswith("-")
    }


def words_of(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_every_line_to_type_can_be_typed(line: list[str]):
    command = command_named(line[1])
    words = line[2:]
    if line[1] == "watch":  # what follows the script is its own
        words = words[: next(place for place, word in enumerate(words) if word.endswith(".py"))]
    if isinstance(command, click.Group):
        known, words = options_of(command.commands[line[3]]), line[4:]
    else:
        known = options_of(command)
    assert words_of(" ".join(words)) <= known


@pytest.mark.parametrize("row", rows("command", README), ids=lambda row: row[0])
def test_every_option_in_the_table_of_commands_is_one_of_its_command(row: list[str]):
    names = re.findall(r"tuitrain (\w+)", row[0])
    known = options_of(command_named("run"))  # which the text refers to
    known = known.union(*(options_of(command_named(name)) for name in names))
    assert words_of(" ".join(row)) <= known


def test_the_first_block_does_what_its_comments_say(threaded: Shell):
    """Each line is typed as it stands, and the replays of what came of it after them."""
    block = next(item for item in BLOCKS if "--detach --name a" in item)
    lines = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    said = []
    for line in lines:
        said.append(threaded(*line).stdout)
        if "pause" in line:  # a user who types sees that it is
            until(lambda: threaded.show("a")["state"] == "paused", "it is paused")
    run = threaded.ended("a")
    pause, loss, *_ = run["interventions"]

    assert pause["step"] == loss["step"] == run["steps_per_epoch"] * loss["epoch"]
    assert run["checkpoints"][-1]["step"] == run["step"]
    assert all(intervention["id"] in said[-1] for intervention in run["interventions"])
    assert "the same weights as a, to the last bit" in threaded("replay", "a", "--plain").stdout
    assert loss["id"] in said[-1], "for --without"


@pytest.mark.parametrize(
    ("heading", "screen"),
    [("## 1 Training", RunScreen), ("## Steering", RunScreen), ("## The list", RunsScreen)],
)
def test_every_key_of_the_tour_is_one_of_its_screen(heading, screen):
    table = rows("key", TOUR.partition(heading)[2])
    named = {key for row in table for key in re.findall(r"`([^`]+)`", row[0])}
    bound = {
        shown
        for binding in (*screen.BINDINGS, *TuitrainApp.BINDINGS)
        for key in binding.key.split(",")
        for shown in (sign(key), binding.key_display)
    }
    assert named
    assert named <= bound


def test_every_exit_code_of_an_error_is_explained():
    explained = set(
        map(int, re.findall(r"(?:^|[·:])\s*(\d+) ", RUNS.partition("## Exit codes")[2]))
    )
    kinds = [errors.TuitrainError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    assert {kind.exit_code for kind in kinds} <= {1, 2, 3}
    assert {0, 1, 2, 3, 130} <= explained


def test_every_task_is_there_with_its_defaults():
    named = []
    for tasks, _, default in rows("task", CATALOGUE):
        for name in re.findall(r"`([^`]+)`", tasks):
            spec = new_spec(name)
            assert default == f"`{spec.model}`, {spec.epochs} epochs"
            named.append(name)
    assert named == list(TASKS)


def test_every_loss_is_there_with_what_it_fits():
    kinds = ("multiclass", "binary", "multilabel", "regression")
    usual = {kind: fitting_losses(kind)[0].name for kind in kinds}
    found = rows("loss", CATALOGUE)
    assert {row[0].strip("`") for row in found} == set(LOSSES)
    for name, *cells in ([row[0].strip("`"), *row[1:]] for row in found):
        for kind, cell in zip(kinds, cells, strict=True):
            assert (cell != "–") == (kind in LOSSES[name].takes), (name, kind)
            assert cell.startswith("**the usual one**") == (usual[kind] == name), (name, kind)


def test_what_python_is_shown_to_do_a_run_can():
    block = "".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    used = {
        node.attr
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "run"
    }
    assert used
    assert all(hasattr(Run, name) or hasattr(WatchedLoop, name) for name in used)


def test_every_page_and_every_make_target_is_there():
    for text, folder in ((README, PROJECT), *((text, PROJECT / "docs") for text in PAGES)):
        for page in re.findall(r"\]\((?!http)([^)]+)\)", text):
            assert (folder / page).exists(), page
    targets = re.findall(r"^(\w+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make (\w+)`", README)) <= set(targets)


def test_the_python_that_it_asks_for_is_the_one_that_is_required():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    (version,) = re.findall(r"Python (3\.\d+) or newer", README)
    assert project["requires-python"] == f">={version}"
