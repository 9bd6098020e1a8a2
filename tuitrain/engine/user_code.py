"""Python files of the user: imported in the trainer only, and copied into the run directory.

A run goes on with the code that it began with. The copy has the file and whatever it imported from
its own folder. A later change of the original is reported and not used.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from tuitrain.core import code_copies
from tuitrain.core.code_copies import FileCopy
from tuitrain.core.errors import Refused, TuitrainError, UnknownName, WrongUse
from tuitrain.core.known_code import KnownCode, digest_of
from tuitrain.core.own import OwnPython
from tuitrain.core.safe import safe
from tuitrain.engine.local_modules import Copies, Files, LocalFinder, Originals
from tuitrain.engine.user_errors import user_code_message


class UserCode:
    """The user's files of one run, by their names; `folder` has the copies, None: nothing is kept.

    A run has one file of each name. With `known`, only code that the user has started by name is
    executed.
    """

    def __init__(self, folder: Path | None = None, known: KnownCode | None = None) -> None:
        self._folder, self._known = folder, known
        self._kept = code_copies.read_manifest(folder) if folder else {}
        self._modules: dict[str, ModuleType] = {}
        self._finders: dict[str, LocalFinder] = {}
        self._uncommitted: list[str] = []
        self._pid = os.getpid()

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
        self._check_unchanged(own.file, name)
        names = _names_of(module)
        if not own.name:
            has = f"has {', '.join(names)}" if names else "has no function and no class"
            raise WrongUse(f"{safe(name)} {has}: write {safe(name)}:{min(names, default='NAME')}")
        if not hasattr(module, own.name):
            raise UnknownName(f"name in {safe(name)}", own.name, names or ("(none)",))
        return getattr(module, own.name), name

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file that was loaded, as the run has it."""
        return self._kept[name].files[name]

    def has(self, own: OwnPython) -> bool:
        """Return whether the run has that file already, and not just for what is asked now."""
        name = Path(own.file).name
        return name in self._kept and name not in self._uncommitted

    def changed(self) -> list[str]:
        """Return the originals that differ from the copies of the run, by path.

        A file that only a later swap named is loaded after a resume has begun, and is one of them.
        """
        return [
            str(kept.origin / file)
            for kept in self._kept.values()
            for file, digest in kept.files.items()
            if _differs(kept.origin / file, digest)
        ]

    def commit(self) -> None:
        """Keep the files imported so far: `forget` leaves them."""
        self._uncommitted.clear()

    def forget(self) -> None:
        """Forget the files imported since `commit`: what they were named for was refused.

        Else the run would go on with its copy after the user has mended the original.
        """
        for name in self._uncommitted:
            del self._modules[name], self._kept[name]
            sys.meta_path.remove(self._finders.pop(name))
        if self._uncommitted and self._folder is not None:
            code_copies.write_manifest(self._folder, self._kept)
        self.commit()

    def _origin_of(self, file: str, name: str) -> Path:
        """Return the folder of the original; Refused for a second file of a name."""
        path = Path(file).expanduser()
        known = self._kept.get(name)
        if known is None:
            if not path.is_file():
                raise WrongUse(f"there is no file {safe(file)}")
            return path.parent.resolve()
        is_other = path.is_absolute() and path.parent.resolve() != known.origin
        if is_other and _differs(path, known.files.get(name, "")):
            raise Refused(
                f"this run has a {safe(name)} of its own, from {safe(known.origin)}; "
                "rename the other one"
            )
        return known.origin

    def _check_unchanged(self, file: str, name: str) -> None:
        """Raise Refused where the user names a file that the run has an earlier copy of."""
        path = Path(file).expanduser()
        if path.is_absolute() and _differs(path, self._kept[name].files[name]):
            raise Refused(
                f"{safe(file)} has changed since this run copied it; save it under another name"
            )

    def _import(self, name: str, origin: Path) -> ModuleType:
        kept = self._kept.get(name)
        if kept is not None and self._folder is not None:
            self._check_known(name, kept)
            return self._imported(name, origin, Copies(self._folder, name, kept.files))
        if self._known and not self._known.has(digest_of(origin / name)):
            raise Refused(code_copies.unknown(origin / name))
        originals = Originals(origin)
        module = self._imported(name, origin, originals)
        originals.on_use = lambda: self._keep(name, origin, originals)
        self._keep(name, origin, originals)
        self._uncommitted.append(name)
        return module

    def _imported(self, name: str, origin: Path, files: Files) -> ModuleType:
        stem = code_copies.folder_of(name)
        finder = self._finders[name] = LocalFinder(origin, files)
        sys.meta_path.insert(0, finder)
        has_gradients = torch.is_grad_enabled()
        try:
            module = finder.module(stem if _is_free(stem) else f"own_{stem}", Path(name))
            _check_defaults(name, has_gradients=has_gradients)
        except Exception as error:
            said = user_code_message(error)
            has_no_place = isinstance(error, SyntaxError) and error.filename is None
            if has_no_place or "null bytes" in str(error):  # before Python 3.11.4 a ValueError
                said = f"{safe(name)}: {said}"
            sys.meta_path.remove(self._finders.pop(name))
            if isinstance(error, TuitrainError) and not isinstance(error, WrongUse):
                raise
            raise WrongUse(said) from error
        return module

    def _check_known(self, name: str, kept: FileCopy) -> None:
        assert self._folder is not None
        for file, digest in kept.files.items():
            if self._known and not self._known.has(digest):
                raise Refused(
                    code_copies.unknown(self._folder / code_copies.folder_of(name) / file)
                )

    def _keep(self, name: str, origin: Path, originals: Originals) -> None:
        """Copy what was imported; a process that reads ahead has nothing to keep."""
        if os.getpid() != self._pid:
            return
        before = self._kept[name].files if name in self._kept else {}
        digests = {file: hashlib.sha256(text).hexdigest() for file, text in originals.used.items()}
        self._kept[name] = FileCopy(origin, digests)
        if self._known:
            self._known.add(digests.values())
        if self._folder is not None:
            for file in digests.keys() - before.keys():
                code_copies.write_copy(self._folder, name, file, originals.used[file])
            code_copies.write_manifest(self._folder, self._kept)


def _check_defaults(name: str, *, has_gradients: bool) -> None:
    """Raise WrongUse, and undo it, if a file changed what all tensors of the trainer go by."""
    if (device := _default_device()) != "cpu":
        torch.set_default_device(None)
        raise WrongUse(
            f"{safe(name)} sets the default device of torch, which holds for all of the trainer, "
            f"too: leave that out, and start the run with --device {device}"
        )
    if has_gradients and not torch.is_grad_enabled():
        torch.set_grad_enabled(True)
        raise WrongUse(f"{safe(name)} turns gradients off: leave torch.set_grad_enabled(False) out")


def _default_device() -> str:
    """Return the name of the device of new tensors, also of one that is not there."""
    try:
        device = torch.get_default_device()
    except AttributeError:  # up to PyTorch 2.9, once it was unset
        return "cpu"
    except (AssertionError, RuntimeError):  # of such a kind there is none
        return "NAME"
    return "cpu" if device.type == "cpu" else str(device)


def _differs(file: Path, digest: str) -> bool:
    """Return whether a file is there and not what that digest is of."""
    try:
        return digest_of(file) != digest
    except (OSError, Refused):
        return False


def _is_free(name: str) -> bool:
    return (
        name.isidentifier()
        and name not in sys.modules
        and name not in sys.stdlib_module_names
        and importlib.util.find_spec(name) is None
    )


def _names_of(module: ModuleType) -> list[str]:
    """Return the names of the functions and classes that a file defines, in its order."""
    return [
        name
        for name, value in vars(module).items()
        if callable(value)
        and not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
    ]
