"""Weights of the user's own to begin with: what is understood, and what is said of the rest."""

from pathlib import Path

import pytest
import torch

from tests.conftest import Shell
from tuitrain.catalog import new_spec
from tuitrain.engine.build import build

BEGIN = ("run", "digits", "--model", "linear", "--epochs", "1", "--plain", "--name", "a")


def prefixed(weights: dict, prefix: str) -> dict:
    return {prefix + name: tensor for name, tensor in weights.items()}


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return build(new_spec("digits", model="linear", seed=7)).model.state_dict()


@pytest.mark.parametrize(
    "form",
    [
        lambda weights: weights,
        lambda weights: {"state_dict": weights, "epoch": 3},
        lambda weights: {"model_state_dict": weights},
        lambda weights: prefixed(weights, "module."),
        lambda weights: prefixed(weights, "_orig_mod."),
        lambda weights: {"state_dict": prefixed(weights, "module._orig_mod.")},
    ],
    ids=["plain", "lightning", "tutorial", "ddp", "compiled", "all"],
)
def test_common_forms_of_saved_weights_are_understood(
    threaded: Shell, tmp_path: Path, weights, form
):
    file = tmp_path / "w.pt"
    torch.save(form(weights), file)
    threaded(*BEGIN, "--lr", "1e-30", "--init-from", str(file))
    threaded("export", "a", "--format", "weights", "--out", str(tmp_path / "out.pt"))
    begun = torch.load(tmp_path / "out.pt")
    assert all(torch.equal(begun[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize(
    ("content", "code", "description"),
    [
        (None, 2, "cannot read weights from own/w.pt (UnpicklingError)"),
        ({"epoch": 3}, 2, "own/w.pt holds no weights"),
        ({1: torch.ones(1), "x": "y"}, 2, "own/w.pt holds no weights"),
        ({"layer.weight": torch.ones(2)}, 3, "the weights in own/w.pt do not fit the model"),
    ],
)
def test_what_cannot_be_taken_is_named_as_the_user_gave_it(
    threaded: Shell, tmp_path: Path, monkeypatch, content, code: int, description: str
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    if content is None:
        (tmp_path / "own/w.pt").write_text("no weights")
    else:
        torch.save(content, tmp_path / "own/w.pt")
    said = threaded(*BEGIN, "--init-from", "own/w.pt", code=code).stderr
    assert description in said
    assert "init-" not in said
    assert not list((threaded.home / "runs").iterdir())


def test_what_cannot_be_read_is_wrong_use(threaded: Shell):
    said = threaded(*BEGIN, "--init-from", "/proc/self/mem", code=2).stderr
    assert "cannot read weights from /proc/self/mem: Input/output error" in said


def test_a_program_begins_with_such_weights_too(threaded: Shell, tmp_path: Path, weights):
    torch.save({"state_dict": prefixed(weights, "module.")}, tmp_path / "w.pt")
    threaded(*BEGIN, "--init-from", str(tmp_path / "w.pt"))
    threaded("export", "a", "--format", "script", "--out", str(tmp_path / "a.py"))
    said: list[str] = []
    program = (tmp_path / "a.py").read_text()
    exec(compile(program, "a.py", "exec"), {"__name__": "__main__", "print": said.append})
    assert said[-1] == threaded.show("a")["weights_sha256"]
