"""What the package asks to be installed is what it imports."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

PROJECT = Path(__file__).parents[2]
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> set[str]:
    return {canonical(re.split(r"[^\w.-]", requirement)[0]) for requirement in requirements}


def canonical(name: str) -> str:
    return name.lower().replace("_", "-")


def imported_by(folder: str) -> set[str]:
    """Return the distributions of all that is imported anywhere in the code of a folder."""
    distributions = packages_distributions()
    modules = {
        name.partition(".")[0]
        for path in (PROJECT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in imports(node)
    }
    files = [*(PROJECT / folder).glob("*.py"), *(PROJECT / folder / "watched").glob("*.py")]
    own = {"tuitrain", "tests", "benchmarks", *(path.stem for path in files)}
    foreign = modules - sys.stdlib_module_names - own
    return {canonical(item) for name in foreign for item in distributions.get(name, [name])}


def imports(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=aliases):
            return [alias.name for alias in aliases]
        case ast.ImportFrom(module=str(module), level=0):
            return [module]
        case _:
            return []


OPTIONAL = DECLARED["optional-dependencies"]
NEEDED = names(DECLARED["dependencies"])


def test_every_dependency_is_imported_and_every_import_is_a_dependency():
    of_callbacks = {"lightning", "transformers"}
    assert of_callbacks <= names(OPTIONAL["frameworks"])
    needed = NEEDED | names(OPTIONAL["tensorboard"]) | of_callbacks
    assert imported_by("tuitrain") - {"pytorch-lightning"} == needed  # has modules of lightning


def test_what_tests_and_benchmarks_import_is_declared_for_them():
    declared = NEEDED | names(OPTIONAL["dev"]) | names(OPTIONAL["bench"])
    declared |= names(OPTIONAL["frameworks"])
    assert imported_by("tests") | imported_by("benchmarks") <= declared
