"""Images in a terminal that speaks kitty's graphics protocol."""

import base64
import re
import zlib

import pytest

from tuitrain.tui.display import Display
from tuitrain.tui.images import Images, placeholder, shows_images
from tuitrain.view.picture import Image

ONE, OTHER, THIRD = (Image(digits, 2, 4, 2) for digits in ("0f8", "ffff", "1234"))


@pytest.mark.parametrize(
    ("environment", "shows"),
    [
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-ghostty"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, True),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, True),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1", "TERM_PROGRAM": "vscode"}, False),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1", "TMUX": "/tmp/tmux"}, False),
        ({"TERM": "xterm-kitty", "STY": "1.pts"}, False),
        ({"TERM": "xterm-kitty", "TUITRAIN_PICTURES": "blocks"}, False),
        ({}, False),
    ],
)
def test_images_are_for_terminals_that_say_that_they_show_them(environment: dict, shows: bool):
    assert shows_images(environment) is shows


def test_an_image_is_sent_once_and_another_takes_its_number():
    sent: list[str] = []
    images = Images(sent.append)

    held = images.hold({}, [ONE, OTHER])
    assert images.hold(held, [ONE, OTHER]) == held == {ONE: 1, OTHER: 2}
    first, second = sent
    assert len(first) < 100
    head, pixels = re.fullmatch("\x1b_G(.*);(.*)\x1b\\\\", first).groups()
    assert head == "a=T,U=1,q=2,i=1,f=24,o=z,s=2,v=2,c=4,r=2"
    greys = zlib.decompress(base64.b64decode(pixels))
    assert greys == bytes([0, 0, 0, 255, 255, 255, 136, 136, 136, 0, 0, 0]), "cut short: dark"
    assert ",i=2," in second

    held = images.hold(held, [THIRD, OTHER])
    assert held == {OTHER: 2, THIRD: 1}
    assert ",i=1," in sent[2]
    assert images.hold(held, [OTHER]) == {OTHER: 2}
    images.clear()
    assert sent[3:] == [f"\x1b_Ga=d,d=I,i={number},q=2\x1b\\" for number in (1, 2)]


def test_an_image_that_is_too_large_or_one_too_many_has_no_number():
    many = [Image("0", 1, 1, row) for row in range(1, 100)]
    held = Images(lambda _: None).hold({}, many)
    assert 40 < len(held) < len(set(held.values())) + 1
    assert max(image.rows for image in held) < 60


def test_the_number_of_an_image_outlives_the_colours_of_a_dialog_over_it():
    display = Display()
    display.forget(20, 2)
    display.take(
        f"\x1b[1;3H\x1b[2;38;2;90;80;70m{placeholder(7, 0, 1)}{placeholder(7, 1, 1)}\x1b[0m"
    )
    painted = display.next_chunk()
    cells = "\U0010eeee\u030d\u0305" + "\U0010eeee\u030d\u030d"
    assert f"\x1b[38;5;7m{cells}\x1b[m" in painted, "row, column; no move between them"
