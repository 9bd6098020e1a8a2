"""Python files of the user: imported in the trainer only, and copied into the run directory.

A run goes on with the code that it began with. The copy has the file and whatever it imported from
its own folder; the modules keep the `__file__` of the original, so that paths made of it work.
A later change of the original is reported and not used.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tuitrain.core.errors import Refused, TuitrainError, UnknownName, WrongUse
from tuitrain.core.files import write_atomically
from tuitrain.core.own import OwnPython
from tuitrain.core.safe import safe

_MANIFEST = "code.json"
_LARGEST_FILE = 10 << 20


class UserCode:
    """The user's files of one run, by their names; `folder` has the copies, None: nothing is kept.

    A run has one file of each name.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._origins = _read_manifest(folder)
        self._modules: dict[str, ModuleType] = {}

    def load(self, own: OwnPython) -> tuple[ModuleType, str]:
        """Import the file once and return its module, and the name that the run has for the file.

        Raises WrongUse with the line of the file where its own code fails.
        """
        name = Path(own.file).name
        origin = self._origin_of(own.file, name)
        if name not in self._modules:
            self._modules[name] = self._import(name, origin)
        return self._modules[name], name

    def object(self, own: OwnPython) -> tuple[Any, str]:
        """Return the object that `own` names, and the name of the file; WrongUse if it has none."""
        module, name = self.load(own)
        if not hasattr(module, own.name):
            raise UnknownName(f"name in {name}", own.name, _public_names(module))
        return getattr(module, own.name), name

    def changed(self) -> list[str]:
        """Return the originals that differ from the copies that the run uses, by path."""
        return [
            str(origin / file)
            for name, (origin, files) in self._origins.items()
            if name in self._modules
            for file, digest in files.items()
            if _digest_of(origin / file) not in (digest, None)
        ]

    def _origin_of(self, file: str, name: str) -> Path:
        """Return the folder of the original; Refused for a second file of a name."""
        path = Path(file).expanduser()
        known = self._origins.get(name)
        if known is None:
            if not path.is_file():
                raise WrongUse(f"there is no file {safe(file)}")
            return path.resolve().parent
        origin, files = known
        is_other = path.is_absolute() and path.resolve().parent != origin
        if is_other and _digest_of(path) not in (files.get(name), None):
            raise Refused(
                f"this run has a {safe(name)} of its own, from {safe(origin)}; rename the other one"
            )
        return origin

    def _import(self, name: str, origin: Path) -> ModuleType:
        copies = self._folder / name.removesuffix(".py") if self._folder else None
        is_kept = name in self._origins and copies is not None
        finder = _LocalFinder(origin, copies if is_kept and copies else origin)
        stem = name.removesuffix(".py")
        module_name = stem if _is_free(stem) else f"own_{stem}"
        sys.meta_path.insert(0, finder)
        try:
            module = finder.module(module_name, Path(name))
        except SyntaxError as error:
            raise WrongUse(f"{name}, line {error.lineno}: {safe(error.msg)}") from None
        except TuitrainError:
            raise
        except Exception as error:
            raise WrongUse(told_by_user_code(error, {origin})) from error
        if not is_kept:
            self._keep(name, origin, finder.used, copies)
        return module

    def _keep(self, name: str, origin: Path, used: Sequence[Path], copies: Path | None) -> None:
        files = {}
        for file in used:
            text = (origin / file).read_bytes()
            files[str(file)] = hashlib.sha256(text).hexdigest()
            if copies is not None:
                target = copies / file
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                target.write_bytes(text)
                target.chmod(0o600)
        self._origins[name] = (origin, files)
        if self._folder is not None:
            write_atomically(
                self._folder / _MANIFEST,
                json.dumps({
                    key: {"from": str(where), "files": digests}
                    for key, (where, digests) in self._origins.items()
                }, indent=1),
            )  # fmt: skip


class _Loader(importlib.abc.SourceLoader):
    """Loads a module from a copy, as if it were the original."""

    def __init__(self, original: Path, copy: Path) -> None:
        self._original, self._copy = original, copy

    def get_filename(self, fullname: str) -> str:  # noqa: ARG002 - importlib's signature
        return str(self._original)

    def get_data(self, path: str | bytes) -> bytes:  # noqa: ARG002 - importlib's signature
        return self._copy.read_bytes()


class _LocalFinder(importlib.abc.MetaPathFinder):
    """Finds the modules beside a user's file; those of the standard library come first."""

    def __init__(self, origin: Path, copies: Path) -> None:
        self._origin, self._copies = origin, copies
        self.used: list[Path] = []
        """The files imported so far, relative to the folder."""

    def module(self, name: str, file: Path) -> ModuleType:
        """Import a file of the folder under that module name."""
        spec = self._spec(name, file, is_package=False)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            assert spec.loader is not None
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return how a module of the folder is loaded; None if the folder has none of that name."""
        del path, target
        parts = fullname.split(".")
        if parts[0] in sys.stdlib_module_names or parts[0] == "tuitrain":
            return None
        module = Path(*parts)
        for file, is_package in (
            (module / "__init__.py", True),
            (module.with_suffix(".py"), False),
        ):
            if (self._copies / file).is_file():
                return self._spec(fullname, file, is_package=is_package)
        return None

    def _spec(self, name: str, file: Path, *, is_package: bool) -> importlib.machinery.ModuleSpec:
        original, copy = self._origin / file, self._copies / file
        spec = importlib.util.spec_from_file_location(
            name, original, loader=_Loader(original, copy),
            submodule_search_locations=[str(original.parent)] if is_package else None,
        )  # fmt: skip
        assert spec is not None
        self.used.append(file)
        return spec


def call_own(own: OwnPython, code: UserCode, **arguments: Any) -> Any:
    """Call a function or class of a user's file with those of the arguments that it names.

    Its options come as keyword arguments, numbers as numbers. Raises WrongUse with the line where
    it fails.
    """
    if not own.name:
        raise WrongUse(f"{safe(own.file)} has many names; write {safe(own.file)}:NAME")
    function, _ = code.object(own)
    if not callable(function):
        raise WrongUse(f"{safe(own.name)} in {safe(own.file)} is no function and no class")
    try:
        wanted = inspect.signature(function).parameters
        takes_any = any(each.kind is each.VAR_KEYWORD for each in wanted.values())
        given = {key: value for key, value in arguments.items() if key in wanted}
        given |= {key: _literal(text) for key, text in own.options.items()}
        if "params" in arguments and "params" not in wanted and not takes_any:
            return function(arguments["params"], **given)
        return function(**given)
    except Exception as error:
        raise WrongUse(f"{safe(own.name)}: {told_by_user_code(error)}") from error


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def told_by_user_code(error: BaseException, folders: set[Path] | None = None) -> str:
    """Return one sentence on an error, with the file and line of the user's code that led to it.

    `folders` are those of the user's files; None: all that were imported.
    """
    known = folders or {each._origin for each in sys.meta_path if isinstance(each, _LocalFinder)}
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if any(Path(frame.filename).is_relative_to(folder) for folder in known)
    ]
    said = safe(str(error).partition("\n")[0], limit=300)
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if not frames:
        return what
    frame = frames[-1]
    where = "" if frame.name == "<module>" else f", in {frame.name}"
    return f"{safe(Path(frame.filename).name)}, line {frame.lineno}{where}: {what}"


def _read_manifest(folder: Path | None) -> dict[str, tuple[Path, Mapping[str, str]]]:
    if folder is None or not (folder / _MANIFEST).is_file():
        return {}
    try:
        found = json.loads((folder / _MANIFEST).read_text())
        return {
            name: (Path(entry["from"]), dict(_checked(folder / name.removesuffix(".py"), entry)))
            for name, entry in found.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise TuitrainError(f"the copies of its code are damaged: {safe(error)}") from None


def _checked(copies: Path, entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the files of an entry; ValueError for a copy that is not what was kept."""
    for file, digest in entry["files"].items():
        if Path(file).is_absolute() or ".." in Path(file).parts:
            raise ValueError(f"{file} is outside of its folder")
        if _digest_of(copies / file) != digest:
            raise ValueError(f"{file} is not what was kept")
        yield file, digest


def _digest_of(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if it cannot be read."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            return None
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _is_free(name: str) -> bool:
    return (
        name.isidentifier()
        and name not in sys.modules
        and name not in sys.stdlib_module_names
        and importlib.util.find_spec(name) is None
    )


def _public_names(module: ModuleType) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_")] or ["(none)"]
