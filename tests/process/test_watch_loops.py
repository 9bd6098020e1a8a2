"""Loops of every kind, watched: their weights are the same bits, and each recorded loss is theirs."""

import pytest

from tests.conftest import Shell
from tests.watching import Pair, Scripts, Server, pair, server  # noqa: F401 - a fixture

FRAMEWORKS = {
    "lightning_fit": "lightning",
    "hf_trainer": "transformers",
    "accelerated": "accelerate",
    "skorch_fit": "skorch",
}


@pytest.fixture(scope="module")
def scripts(server: Server, tmp_path_factory) -> Scripts:  # noqa: F811 - the fixture
    folder = tmp_path_factory.mktemp("watched")
    return Scripts(server, Shell(folder / "home"), folder)


def watched_in_silence(scripts: Scripts, script: str, *arguments: str) -> Pair:
    """Return the script both ways, whose weights and losses must be the same."""
    pytest.importorskip(FRAMEWORKS.get(script, "torch"))
    both = pair(scripts, script, *arguments)
    assert both.watched == both.alone
    assert both.losses == both.alone["losses"]
    assert [row.step for row in both.run.batches()] == sorted(
        row.step for row in both.run.batches()
    )
    return both


def test_the_textbook_loop_has_epochs_validations_and_names(scripts):
    both = watched_in_silence(scripts, "textbook")
    started = both.started
    assert (started.model, started.optimizer, started.steps_per_epoch) == ("Sequential", "Adam", 8)
    assert started.parameters == 64 * 32 + 32 + 2 * 32 + 32 * 10 + 10
    assert [one.loss_name for one in both.epochs] == ["cross-entropy"] * 3
    assert [one.step for one in both.epochs] == [8, 16, 24]
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.alone["val_losses"])


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("nll", ()),
        ("by_hand", ()),
        ("vae", ()),
        ("gan", ()),
        ("accumulation", ("4",)),
        ("accumulation", ("1",)),
        ("scaler", ()),
        ("compiled", ()),
        ("one_cycle", ()),
        ("lbfgs", ()),
        ("lightning_fit", ()),
        ("hf_trainer", ()),
        ("accelerated", ()),
        ("skorch_fit", ()),
    ],
)
def test_a_loop(scripts, script, arguments):
    both = watched_in_silence(scripts, script, *arguments)
    print(both.started)
    print(*both.epochs, sep="\n")
    print(both.alone.get("val_losses"), both.log)
    for one in both.run.events(follow=False):
        print(one)
