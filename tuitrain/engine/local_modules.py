"""The modules beside a user's file, imported from the folder itself or from a run's copies."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Protocol

from tuitrain.core.code_copies import read_copy


class Files(Protocol):
    """Python files by their paths in one folder."""

    def has(self, file: Path) -> bool:
        """Return whether there is such a file."""

    def read(self, file: Path) -> bytes:
        """Return its text."""


class Originals:
    """The files of a user's folder. What is read is remembered, to be copied."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.used: dict[str, bytes] = {}
        self.on_use: Callable[[], None] = lambda: None
        """Called when another file was read: functions may import as late as in training."""

    def has(self, file: Path) -> bool:
        """Return whether there is such a file."""
        return (self._folder / file).is_file()

    def read(self, file: Path) -> bytes:
        """Return its text."""
        text = self.used[str(file)] = (self._folder / file).read_bytes()
        self.on_use()
        return text


class Copies:
    """The copies that a run has; files that its manifest does not name are not there."""

    def __init__(self, code: Path, name: str, files: Mapping[str, str]) -> None:
        self._code, self._name, self._files = code, name, files

    def has(self, file: Path) -> bool:
        """Return whether the run has a copy."""
        return str(file) in self._files

    def read(self, file: Path) -> bytes:
        """Return its text; DamagedRecord if it is not what was kept."""
        return read_copy(self._code, self._name, str(file), self._files[str(file)])


class LocalFinder(importlib.abc.MetaPathFinder):
    """Finds the modules beside a user's file; those of the standard library come first.

    Modules have the `__file__` of the original, so that paths made of it work.
    """

    def __init__(self, origin: Path, files: Files) -> None:
        self._origin, self._files = origin, files
        self.loaded: set[str] = set()
        """The originals' paths."""

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
            if self._files.has(file):
                return self._spec(fullname, file, is_package=is_package)
        return None

    def _spec(self, name: str, file: Path, *, is_package: bool) -> importlib.machinery.ModuleSpec:
        original = self._origin / file
        self.loaded.add(str(original))
        spec = importlib.util.spec_from_file_location(
            name, original, loader=_Loader(original, file, self._files),
            submodule_search_locations=[str(original.parent)] if is_package else None,
        )  # fmt: skip
        assert spec is not None
        return spec


class _Loader(importlib.abc.SourceLoader):
    """Loads a module as if it were the original."""

    def __init__(self, original: Path, file: Path, files: Files) -> None:
        self._original, self._file, self._files = original, file, files

    def get_filename(self, fullname: str) -> str:  # noqa: ARG002 - importlib's signature
        return str(self._original)

    def get_data(self, path: str | bytes) -> bytes:  # noqa: ARG002 - importlib's signature
        return self._files.read(self._file)


def loaded_files() -> set[str]:
    """Return the paths of the originals of all files that finders of this process loaded."""
    finders = (finder for finder in sys.meta_path if isinstance(finder, LocalFinder))
    return {file for finder in finders for file in finder.loaded}
