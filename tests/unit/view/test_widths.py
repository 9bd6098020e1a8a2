"""Numbers at every width: whole, or cut with an ellipsis."""

import re
from dataclasses import replace

import pytest

from tests.recorded import in_home
from tuitrain.view.chart import compare
from tuitrain.view.panel import panels, vitals
from tuitrain.view.picture import Picture, plain
from tuitrain.view.state.metrics import comparable_metrics
from tuitrain.view.state.snapshot import Snapshot

WIDE = 400
PANELS = {
    "header": lambda run, width: panels.header(run, (), width),
    "vitals": vitals.vitals,
    "progress": panels.progress,
    "epochs": lambda run, width: panels.epochs(run, width, 12),
}


@pytest.fixture
def run(home) -> Snapshot:
    """A long run with large and small numbers."""
    recorded = in_home(home, "a-run-of-some-name", lr=1.25e-5, epochs=40_000, seed=1_234_567)
    recorded.trains(30, lambda step: 12_345.678 / step)
    return replace(recorded.now(), state="running", rate=0.3, elapsed_s=123_456.0)


def numbers(picture: Picture) -> set[str]:
    """Return the words that have a digit, without signs around them."""
    return {word.strip("·,()") for word in plain(picture).split() if re.search(r"\d", word)}


def are_whole(picture: Picture, whole: set[str]) -> None:
    assert {number for number in numbers(picture) if not number.endswith("…")} <= whole


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_a_number_of_a_panel_is_whole_or_ends_with_an_ellipsis(run, panel):
    whole = numbers(panel(run, WIDE))
    assert whole
    for width in range(1, 161):
        are_whole(panel(run, width), whole)


def test_a_number_of_a_comparison_is_whole_or_ends_with_an_ellipsis(home):
    runs = [in_home(home, f"run-{lr}", lr=lr, batch_size=4_096) for lr in (0.001, 1.25e-5, 0.3)]
    for recorded in runs:
        recorded.trains(12, lambda step: 12_345.678 / step)
        recorded.changes("lr", 0.000_123_4, "w")
    found = compare.read_all([one.now() for one in runs], [one.reader for one in runs], 100)
    shared = comparable_metrics(found[0].run.problem)
    for drawn in (
        lambda width: compare.settings_table(found, width),
        lambda width: compare.results_table(found, shared, width),
        lambda width: compare.legend(found, width),
    ):
        whole = numbers(drawn(WIDE))
        for width in range(24, 161):
            are_whole(drawn(width), whole)
