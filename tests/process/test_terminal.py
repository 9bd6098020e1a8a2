"""The screen in a real terminal."""

import os
import pty
import re
import signal
import subprocess

import pyte
import pytest

from tests.conftest import Shell, until
from tests.process.conftest import TUITRAIN, Terminal, opened
from tuitrain.catalog import fitting_losses

_APC, _LEFT = "\x1b_G{}\x1b\\\\", "\x1b[?1049l"


@pytest.mark.parametrize("size", [(80, 24)])
def test_enter_trains_and_a_loss_is_swapped_between_two_epochs(tuitrain: Shell, terminals, size):
    screen = opened(terminals, tuitrain, size=size)
    screen.expect("new run")
    screen.press("\r")
    screen.expect("● starting")
    screen.expect("● running")
    screen.press("p")
    screen.expect("● paused")
    (name,) = (path.name for path in (tuitrain.home / "runs").iterdir())
    paused = tuitrain.show(name)
    assert paused["state"] == "paused"
    assert paused["step"] == paused["epoch"] * 23 > 0
    screen.press("l")
    screen.expect("enter swaps")
    downs = [loss.name for loss in fitting_losses("multiclass")].index("mse")
    screen.press("\x1b[B" * downs + "\r")
    screen.expect("loss: mse")
    assert tuitrain.show(name)["loss"] == "mse"
    screen.press(" ")
    screen.expect("● running")
    screen.press("q")
    screen.expect("Detach")
    screen.press("d")
    screen.expect("1 run")
    screen.press("q")
    until(screen.has_ended, "the app has ended")
    assert screen.status == 0
    assert tuitrain.show(name)["state"] == "running", "it trains on"

    stop_by_key(opened(terminals, tuitrain, "attach", size=size))
    assert tuitrain.show(name)["state"] == "stopped"


def stop_by_key(screen: Terminal) -> None:
    screen.expect("● running")
    screen.expect("cross-entropy")
    screen.press("S")
    screen.expect("Stop the run")
    screen.press("y")
    screen.expect("● stopped")


def test_the_end_of_the_terminal_leaves_the_run_training(tuitrain: Shell, terminals):
    screen = opened(terminals, tuitrain, "run", "--epochs", "100000", "--pace", "50", "--name", "a")
    screen.expect("● running")

    screen.hang_up()

    until(screen.has_ended, "the app has ended")
    step = tuitrain.show("a")["step"]
    until(lambda: tuitrain.show("a")["step"] > step, "it trains on")


def test_the_end_of_a_terminal_that_sends_no_signal_ends_the_app_too(tuitrain: Shell):
    tuitrain.trained("a")
    ours, theirs = pty.openpty()
    env = {**tuitrain.env, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [*TUITRAIN, "attach", "a"], stdin=theirs, stdout=theirs, stderr=theirs, env=env,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    painted = b""
    while b"finished" not in painted:
        painted += os.read(ours, 65536)

    os.close(ours)

    until(lambda: process.poll() is not None, "the app has ended")


def test_a_killed_app_leaves_the_run_training_and_attach_shows_its_history(
    tuitrain: Shell, terminals
):
    screen = opened(terminals, tuitrain, "run", "--epochs", "100000", "--pace", "50", "--name", "a")
    screen.expect("● running")

    screen.kill()

    step = tuitrain.show("a")["step"]
    until(lambda: tuitrain.show("a")["step"] > step + 46, "it trains on")
    again = opened(terminals, tuitrain, "attach", "a")
    again.expect("parameters on cpu")
    again.expect("cross-entropy")


def test_a_terminal_that_reads_nothing_and_is_lost_leaves_no_process_behind(
    tuitrain: Shell, terminals
):
    run = tuitrain.start("a", "--epochs", "100000")
    screen = opened(terminals, tuitrain, "attach", "a", size=(200, 50))
    begun = tuitrain.show("a")["step"]
    for _ in range(200):  # each makes the screen repaint: its writes fill the terminal's buffer
        screen.press("?")
    until(lambda: tuitrain.show("a")["step"] > begun + 1000, "the run went on meanwhile")
    tuitrain("ctl", "a", "pace", "60")

    screen.hang_up()

    until(screen.has_ended, "the app has ended")
    assert run.look(run.record.end()).alive


def test_sigterm_restores_the_terminal(tuitrain: Shell, terminals):
    tuitrain.start("a", "--epochs", "100000", "--pace", "50")
    screen = opened(terminals, tuitrain, "attach", "a")
    screen.expect("● running")

    os.kill(screen.pid, signal.SIGTERM)

    until(screen.has_ended, "the app has ended")
    assert b"\x1b[?1049l" in screen.raw, "the alternate screen is left"
    assert screen.status == 0


def test_a_refused_run_gives_its_exit_code_and_leaves_nothing(tuitrain: Shell, terminals):
    screen = opened(terminals, tuitrain, "run", "--device", "cuda:77", "--name", "a")
    screen.expect("● failed")
    screen.expect("no device cuda:77 here")
    screen.press("q")
    until(screen.has_ended, "the app has ended")
    assert screen.status == 3
    assert list((tuitrain.home / "runs").iterdir()) == [], "nothing is left behind"


@pytest.mark.parametrize(
    ("env", "size"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, (40, 10)),
        ({"NO_COLOR": "1"}, (40, 10)),
        ({"TEXTUAL_COLOR_SYSTEM": "standard", "TERM": "xterm"}, (80, 24)),
    ],
    ids=["latin-1", "no-color", "standard-colors"],
)
def test_a_terminal_that_can_do_less_shows_the_run_all_the_same(
    tuitrain: Shell, terminals, env: dict, size
):
    tuitrain.trained("a")
    tuitrain.env |= env
    screen = opened(terminals, tuitrain, "attach", "a", size=size)
    screen.expect("finished")
    until(lambda: any(sign in screen.text() for sign in "*⠤⠒⠉⠶⠛"), "the curve is drawn")
    assert "\\u28" not in screen.text()
    screen.press("q")
    until(screen.has_ended, "the app has ended")
    assert screen.status == 0
    assert b"its best weights: tuitrain export a --format weights --which best" in screen.raw


def test_a_terminal_with_the_protocol_of_kitty_gets_images_at_the_places_of_half_blocks(
    tuitrain: Shell, terminals
):
    tuitrain.trained("a")
    both = [_view_4(tuitrain, terminals, term) for term in ("xterm-kitty", "xterm")]
    until(lambda: len({_in_blocks(screen) for screen in both}) == 1, "both show the same")

    images, blocks = (_left(screen) for screen in both)
    sent = re.findall(_APC.format(r"a=T,U=1,q=2,i=(\d+),[^\x1b]*"), images)
    assert len(sent) == len(set(sent)) > 1, "one transmission an image"
    assert set(sent) == set(re.findall("38;5;([0-9]+)(?:;48;[0-9;]+)?m\U0010eeee", images))
    assert sorted(re.findall(_APC.format(r"a=d,d=I,i=(\d+),q=2"), images)) == sorted(sent)
    assert images.rindex("\x1b_G") < images.rindex(_LEFT)
    assert "\x1b_G" not in blocks
    assert "\U0010eeee" not in blocks


def _view_4(tuitrain: Shell, terminals: list[Terminal], term: str) -> Terminal:
    """Return a screen that shows the worst samples, though perhaps not yet all that it will."""
    screen = opened(terminals, tuitrain, "attach", "a", size=(140, 40), TERM=term)
    screen.expect("finished")
    screen.press("4")
    screen.expect("says 5")
    return screen


def _left(screen: Terminal) -> str:
    """Leave the app, and return all that it wrote."""
    screen.press("q")
    until(screen.has_ended, "the app has ended")
    return screen.raw.decode()


def _in_blocks(terminal: Terminal) -> str:
    """Return the screen with blanks for images; half blocks of one colour are sent as blanks."""
    terminal.text()
    written = re.sub(_APC.format("[^\x1b]*"), "", terminal.raw.decode(errors="ignore"))
    screen = pyte.Screen(140, 40)
    pyte.Stream(screen).feed(re.sub(r"\x1b\[[?>]\w+", "", written))
    return re.sub("\U0010eeee[^ -~]{2}|▀", " ", "\n".join(screen.display))


def test_a_dumb_terminal_gets_lines(tuitrain: Shell, terminals):
    screen = opened(
        terminals, tuitrain, "run", "--epochs", "2", "--name", "a", size=(100, 30), TERM="dumb"
    )
    screen.expect("finished: epoch 2 of 2")
    until(screen.has_ended, "the run has ended")
    assert b"\x1b" not in screen.raw
    again = opened(terminals, tuitrain, TERM="dumb")
    until(again.has_ended, "it has ended")
    assert again.status == 2
    assert "the app needs a terminal" in again.text()
