"""Every command can be asked what it does, shows how, and stands in the README."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tuitrain.cli import COMMANDS, cli
from tuitrain.cli.ctl import ctl

README = Path(__file__).parents[2] / "README.md"

commands = list(COMMANDS)
ctl_commands = list(ctl.commands)


@pytest.fixture
def helped(tmp_path):
    """Return what a command line says of itself, in a home without runs."""

    def run(*arguments):
        done = CliRunner(env={"TUITRAIN_HOME": str(tmp_path), "COLUMNS": "80"}).invoke(
            cli, arguments, prog_name="tuitrain"
        )
        assert done.exit_code == 0, done.exception
        assert not done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_has_the_first_line_of_each_commands_own_help(helped, name):
    summary = COMMANDS[name].summary
    assert cli.get_command(click.Context(cli), name).get_short_help_str(200) == summary
    assert f"  {name:<10}  {summary}\n" in helped("--help")


@pytest.mark.parametrize("way", ["-h", "--help"])
@pytest.mark.parametrize("command", commands)
def test_a_command_says_what_it_does_and_shows_how(helped, command, way):
    said = helped(command, way)
    assert f"Usage: tuitrain {command}" in said
    assert "Example" in said
    assert f"  tuitrain {command}" in said


@pytest.mark.parametrize("command", ctl_commands)
def test_a_command_says_what_it_does_and_shows_how_before_there_is_any_run(helped, command):
    said = helped("ctl", "a", command, "--help")
    assert re.search(rf"Usage: tuitrain ctl \S+ {command}", said)
    assert "Example" in said
    assert f"  tuitrain ctl a {command}" in said


@pytest.mark.parametrize(
    "command", ["", *commands, "ctl a", *(f"ctl a {command}" for command in ctl_commands)]
)
def test_help_reads_well_in_80_columns(helped, command):
    said = helped(*command.split(), "--help").splitlines()
    assert not [line for line in said if len(line) > 80]
    assert not [line for line in said if re.match(r"  [a-z-]+  .+\.\.\.$", line)], "a cut sentence"


@pytest.mark.parametrize("command", ctl_commands)
def test_every_command_can_name_its_boundary_wait_and_answer_in_json(command):
    options = {name for option in ctl.commands[command].params for name in option.opts}
    assert {"--at", "--wait", "--json"} <= options


def test_help_lists_every_command(helped):
    said = helped("--help")
    assert re.findall(r"^  (\w+)  +[A-Z]", said, re.MULTILINE) == commands


@pytest.mark.parametrize("command", commands)
def test_every_option_says_what_it_is_for(command):
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    assert found.help
    options = [option for option in found.params if isinstance(option, click.Option)]
    assert all(option.help for option in options)


@pytest.mark.parametrize("command", commands)
def test_a_command_stands_in_the_readme(command):
    assert re.search(rf"\btuitrain {command}\b", README.read_text())


@pytest.mark.parametrize("command", ctl_commands)
def test_a_command_for_a_run_stands_in_the_readme(command):
    lines = [line for line in README.read_text().splitlines() if "tuitrain ctl" in line]
    assert any(re.search(rf"\b{command}\b", line) for line in lines)


def test_a_misspelt_command_is_answered_with_the_nearest_one(tuitrain):
    assert "did you mean 'attach'" in tuitrain("attch", code=2).stderr
