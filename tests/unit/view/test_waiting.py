"""What stands in the chart's place before there is a batch."""

from dataclasses import replace
from pathlib import Path

import pytest

from tuitrain.catalog import new_spec
from tuitrain.view.panel.panels import waiting
from tuitrain.view.picture import plain
from tuitrain.view.state.snapshot import Snapshot

run = Snapshot.begin("a", Path("a"), new_spec("mnist"), 0.0)


def said(now: Snapshot, width: int = 60) -> str:
    lines = plain(waiting(now, 3.0, width, 8)).splitlines()
    assert all(len(line) <= width for line in lines)
    return " ".join(" ".join(lines).split())


def test_a_download_tells_how_far_it_is():
    going = replace(run, stage="downloading a.gz", loaded=(1_000_000, 4_000_000))
    assert "downloading a.gz … 3 s" in said(going)
    assert "1.0 of 4.0 MB, 25%" in said(going)


@pytest.mark.parametrize("width", [30, 80])
def test_a_run_that_ended_before_its_first_batch_says_so_and_not_what_it_did_then(width):
    ended = replace(run, stage="downloading a.gz", loaded=(1, 4), state="stopped")
    assert "stopped before the first batch: R goes on" in said(ended, width)
    assert "downloading" not in said(ended, width)


@pytest.mark.parametrize("width", [30, 80])
def test_why_it_failed_is_told_in_full(width):
    reason = "cannot download it: nobody is there; --data DIR reads mnist from a folder"
    assert f"failed: {reason}" in said(replace(run, state="failed", error=reason), width)


@pytest.mark.parametrize("width", [30, 80])
def test_what_it_waits_for_is_told_in_full(width):
    stage = "waiting for 2 hosts at a-long-name:29400"
    assert f"{stage} … 3 s" in said(replace(run, stage=stage), width)
    paused = said(replace(run, state="paused"), width)
    assert "paused before the first batch: space goes on, l chooses a loss" in paused
