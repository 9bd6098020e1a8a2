"""The job for Slurm, with small programs in the place of Slurm's own and of `tuitrain`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click

from tests.conftest import PROJECT
from tuitrain.cli import cli
from tuitrain.cli.train import run

PROGRAMS = {
    "scontrol": f"""#!{sys.executable}
import sys
assert sys.argv[1:] == ["show", "hostnames", "ash[1-2]"]
print("ash1\\nash2")
""",
    "srun": """#!/bin/sh
for host in 0 1; do SLURM_NODEID=$host "$@" || exit; done
""",
    "tuitrain": f"""#!{sys.executable}
import json, sys
print(json.dumps(sys.argv[1:]))
""",
}


def test_each_host_of_a_job_is_given_the_same_run_and_its_own_number(tmp_path: Path):
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o700)
    env = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_NODELIST": "ash[1-2]",
        "SLURM_NNODES": "2", "SLURM_JOB_ID": "17",
    }  # fmt: skip
    done = subprocess.run(
        ["sh", "-u", str(PROJECT / "examples" / "slurm.sh")], env=env, check=True, text=True,
        capture_output=True,
    )  # fmt: skip
    hosts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [arguments.pop(0) for arguments in hosts] == ["run", "run"]
    group = click.Context(cli, **cli.context_settings)
    first, second = (run.make_context("run", arguments, parent=group).params for arguments in hosts)
    assert [one.pop("node_rank") for one in (first, second)] == [0, 1]
    assert first == second
    asked = {"task": "digits", "nproc": None, "nnodes": 2, "rdzv_id": "17", "plain": True,
             "rdzv_endpoint": "ash1:29400"}  # fmt: skip
    assert {name: first[name] for name in asked} == asked
