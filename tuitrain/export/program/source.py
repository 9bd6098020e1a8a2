"""Functions of the engine as text, to be copied into a program.

Their modules are read, not imported, since that would import torch. A function comes with
everything it uses: imports, and other functions and constants of the engine. Annotations are left
out, so that nothing is needed for them.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from tuitrain.export.program.part import WIDTH, Part

_ENGINE = "tuitrain.engine."


class CannotStandAlone(Exception):
    """A function of the engine uses a name that cannot be copied into a program."""


@cache
def function(place: str) -> Part:
    """Return the function, class or constant at `module:name`, with everything that it needs.

    Raises CannotStandAlone if it needs anything but built-in names, imported packages, and
    functions of the engine.
    """
    module, _, name = place.partition(":")
    definitions = _definitions(module)
    statement = definitions[name]
    assert isinstance(statement, ast.stmt)
    text = _without_annotations(_text_of(statement, _source(module)))
    imports, functions = [], []
    for used in _names_used(text):
        origin = definitions.get(used)
        match origin:
            case str() if origin.startswith(_ENGINE):
                functions.append(function(origin))
            case str() if not origin.startswith("tuitrain."):
                imports.append(_import(origin, used))
            case ast.stmt() if used != name:
                functions.append(function(f"{module}:{used}"))
            case _ if used != name and not hasattr(builtins, used):
                raise CannotStandAlone(f"{place} uses {used}, which a program does not have")
    return Part(text, tuple(imports), tuple(functions))


@cache
def _source(module: str) -> str:
    package, *path = module.split(".")
    return files(package).joinpath(*path[:-1], f"{path[-1]}.py").read_text(encoding="utf-8")


@cache
def _definitions(module: str) -> Mapping[str, ast.stmt | str]:
    """Return the names of a module, each with its statement or the place it is imported from."""
    definitions: dict[str, ast.stmt | str] = {}
    for statement in ast.parse(_source(module)).body:
        match statement:
            case ast.Import(names=names):
                definitions |= {alias.asname or alias.name: alias.name for alias in names}
            case ast.ImportFrom(module=str(origin), names=names):
                definitions |= {
                    alias.asname or alias.name: f"{origin}:{alias.name}" for alias in names
                }
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                definitions[name] = statement
            case ast.Assign(targets=[ast.Name(id=name)]):
                definitions[name] = statement
    return definitions


def _import(origin: str, name: str) -> str:
    module, _, attribute = origin.partition(":")
    line = f"from {module} import {attribute}" if attribute else f"import {module}"
    return line if name == (attribute or module) else f"{line} as {name}"


def _names_used(text: str) -> list[str]:
    """Return the names that a definition uses but does not bind, without duplicates."""
    tables = [symtable.symtable(text, "", "exec")]
    for table in tables:
        tables += table.get_children()
    symbols = [symbol for table in tables for symbol in table.get_symbols()]
    used = (
        symbol.get_name() for symbol in symbols if symbol.is_global() and symbol.is_referenced()
    )
    return list(dict.fromkeys(used))


def _text_of(statement: ast.stmt, source: str) -> str:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(source.splitlines()[first - 1 : statement.end_lineno]) + "\n"


def _without_annotations(text: str) -> str:
    """Return a definition without the annotations of its functions."""
    lines = text.splitlines()
    for node in sorted(_annotated(ast.parse(text)), key=lambda node: node.lineno, reverse=True):
        at = node.lineno - 1
        if isinstance(node, ast.FunctionDef):
            lines[at : node.body[0].lineno - 1] = _signature(node)
        else:
            line = lines[at].encode()  # ast counts bytes
            begin, end = node.target.end_col_offset, node.annotation.end_col_offset
            lines[at] = (line[:begin] + line[end:]).decode()
    return "\n".join(lines) + "\n"


def _annotated(tree: ast.AST) -> set[ast.FunctionDef | ast.AnnAssign]:
    """Return functions and the annotated variables in them; a class keeps its annotations."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = (node for function in functions for node in ast.walk(function))
    return {node for node in inside if isinstance(node, ast.FunctionDef | ast.AnnAssign)}


def _signature(function: ast.FunctionDef) -> list[str]:
    for node in ast.walk(function.args):
        if isinstance(node, ast.arg):
            node.annotation = None
    indent, arguments = " " * function.col_offset, ast.unparse(function.args).replace("'", '"')
    line = f"{indent}def {function.name}({arguments}):"
    if len(line) <= WIDTH:
        return [line]
    return [f"{indent}def {function.name}(", f"{indent}    {arguments}", f"{indent}):"]
