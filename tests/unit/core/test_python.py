"""A module of ours is run apart from the folder that the user stands in."""

import os
import subprocess
import sys
from pathlib import Path

import tuitrain

PACKAGE = Path(tuitrain.__file__).parent
SCRIPT = """
import subprocess
from tuitrain.core import python
subprocess.run([*python.command("")[:2], "-c", "import tuitrain; print(tuitrain.__file__)"],
               env=python.environment(), check=True)
"""


def output_of(*command, cwd: Path, **env: str) -> str:
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_same_package_is_found_from_anywhere(tmp_path):
    assert output_of(sys.executable, "-c", SCRIPT, cwd=tmp_path) == str(PACKAGE / "__init__.py")


def test_a_package_that_only_the_working_folder_has_is_found_all_the_same(tmp_path):
    (tmp_path / "tuitrain").symlink_to(PACKAGE)
    elsewhere = sys._base_executable  # knows nothing of the folders that this one has
    assert output_of(elsewhere, "-c", SCRIPT, cwd=tmp_path) == str(PACKAGE / "__init__.py")


def test_the_app_as_a_module_looks_in_the_working_folder_for_nothing(tmp_path):
    for name in ("click", "json", "statistics", "random"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'a').close()")
    assert output_of(sys.executable, "-m", "tuitrain", "--version", cwd=tmp_path).startswith(
        "tuitrain"
    )
    assert not (tmp_path / "executed").exists()
