"""A plain PyTorch program that trains as a run did, without tuitrain."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable
from itertools import pairwise

from tuitrain.core.safe import safe
from tuitrain.export.program import losses, model
from tuitrain.export.program.data import source
from tuitrain.export.program.loop import SHUFFLED, loop
from tuitrain.export.program.part import TORCH, WIDTH, Part, fitted, quoted
from tuitrain.export.recipe import Recipe

_HASHLIB = "import hashlib"
_DATA = ("train_inputs", "train_targets", "val_inputs", "val_targets")

_WEIGHTS_SHA256 = '''\
def weights_sha256(model):
    """Return the SHA-256 of names, types, shapes and bytes of all weights."""
    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        kind = str(weights.dtype).removeprefix("torch.")
        shape = ",".join(map(str, weights.shape))
        for text in (name, kind, shape):
            digest.update(text.encode() + b"\\0")
        digest.update(weights.cpu().numpy().tobytes())
    return digest.hexdigest()
'''


def program(recipe: Recipe, *, written_by: str) -> str:
    """Return the program; Refused where the run has something that no program can be written of."""
    data = source(recipe.spec)
    sections = [
        _constants(recipe),
        _several(data.part, _on_device(recipe, _DATA)),
        _several(
            Part("# The model and its optimizer.\ntorch.manual_seed(SEED)\n", (TORCH,)),
            model.model(recipe.spec.model, data.shape, data.outputs),
            _on_device(recipe, ("model",)),
            _given_weights(recipe),
            model.optimizer(recipe.spec.optimizer, recipe.setting("lr"), recipe.started.device),
            _inherited(recipe),
        ),
        *losses.functions(recipe.losses, recipe.kind),
        Part(SHUFFLED, (_HASHLIB, TORCH)),
        loop(recipe, has_many_samples=data.is_large),
        Part(_WEIGHTS_SHA256, (_HASHLIB,)),
        _farewell(recipe),
    ]
    text = _header(recipe, written_by) + "\n" + _imports(sections)
    for before, after in pairwise([Part(""), *sections]):
        apart = 2 if "def" in (before.text[:3], after.text[:3]) else 1
        text += "\n" * apart + after.text
    return text


def _several(*parts: Part) -> Part:
    imports = tuple(each for part in parts for each in part.imports)
    return Part("".join(part.text for part in parts), imports)


def _imports(sections: Iterable[Part]) -> str:
    """Return the import lines, as isort has them: the standard library's first."""
    needed = {each for part in sections for each in part.imports}
    ours = {each for each in needed if each.split()[1].partition(".")[0] in sys.stdlib_module_names}
    groups = [sorted(group, key=_as_isort) for group in (ours, needed - ours)]
    return "\n".join("".join(f"{each}\n" for each in group) for group in groups)


def _as_isort(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _header(recipe: Recipe, written_by: str) -> str:
    environment = recipe.environment
    had = [f"torch {environment['torch']}", f"{environment['threads']} threads",
           f"a CPU with {environment['cpu']}"]  # fmt: skip
    if recipe.started.device != "cpu":
        had.append(environment["device"])
    return _comment(
        f"Trains {recipe.spec.task} as the run {recipe.name} did. Written by {written_by}, "
        "which it does not need. The weights come out the same to the last bit with what the run "
        f"had: {', '.join(had)}."
    )


def _constants(recipe: Recipe) -> Part:
    lines = [f"SEED = {recipe.spec.seed}"]
    if recipe.started.device != "cpu":
        lines.append(f"device = torch.device({quoted(recipe.started.device)})")
    lines.append(f"torch.set_num_threads({int(recipe.environment['threads'])})")
    return Part("\n".join(lines) + "\n", (TORCH,))


def _on_device(recipe: Recipe, names: Iterable[str]) -> Part:
    if recipe.started.device == "cpu":
        return Part("")
    return Part("".join(f"{name} = {name}.to(device)\n" for name in names))


def _given_weights(recipe: Recipe) -> Part:
    if recipe.spec.init_from is None:
        return Part("")
    file = quoted(recipe.spec.init_from)
    return Part(
        fitted("given = torch.load(", f'{file}, map_location="cpu", weights_only=True')
        + 'model.load_state_dict(given.get("model", given))  # a checkpoint has more besides\n'
    )


def _inherited(recipe: Recipe) -> Part:
    if recipe.origin is None:
        return Part("")
    assert recipe.spec.parent is not None
    file = quoted(str(recipe.origin))
    text = "# It goes on from this checkpoint of another run.\n"
    text += fitted("origin = torch.load(", f'{file}, map_location="cpu", weights_only=True')
    text += 'model.load_state_dict(origin["model"])\n'
    if recipe.spec.parent.keeps_optimizer:
        text += 'optimizer.load_state_dict(origin["optimizer"])\n'
        text += f'optimizer.param_groups[0]["lr"] = {recipe.setting("lr")!r}\n'
    if model.draws(recipe.spec.model):
        text += 'if origin["seed"] == SEED:\n    torch.set_rng_state(origin["rng"]["cpu"])\n'
        text += "else:\n    torch.manual_seed(SEED)\n"
    return Part(text)


def _farewell(recipe: Recipe) -> Part:
    return Part(
        _comment(f"At step {recipe.until}, the weights of the run have this digest:")
        + f"# {safe(recipe.weights_sha256)}\n"
        + "print(weights_sha256(model))\n"
    )


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(safe(text), WIDTH - 2))
