"""What a picture of 28 x 28 pixels costs on its way to a terminal."""

import zlib

import pytest
from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.drivers import headless_driver
from textual.drivers.headless_driver import HeadlessDriver
from torch.nn import functional

from tuitrain.engine.pixels import pixels_of
from tuitrain.engine.tasks.digits import digits
from tuitrain.tui.display import Display
from tuitrain.tui.images import Images
from tuitrain.tui.widgets.cells import Cells
from tuitrain.view.panel.pixels import Pixels
from tuitrain.view.picture import Image, Picture

SIZE = 28, 14
"""Cells."""


class OneDriver(HeadlessDriver):
    """Sends what the app's own driver sends."""

    is_headless = False
    terminal = Display()

    def write(self, data: str) -> None:
        OneDriver.terminal.take(data)


class OnePicture(App[None]):
    def compose(self) -> ComposeResult:
        yield Cells()


def picture_of(label: int) -> Picture:
    """Return a written digit as those of MNIST are: black or white but for edges, in a margin."""
    inputs, labels, _, _ = digits()
    small = inputs[labels == label][:1]
    large = functional.interpolate(small.reshape(1, 1, 8, 8), (20, 20), mode="bilinear")
    sharp = (1.5 * (large - large.mean()) / large.std()).clamp(-1, 1)
    body = pixels_of(functional.pad(sharp[0], [4] * 4, value=-1.0))
    return tuple(Pixels.read(body["pixels"], body["width"]).lines())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Display:
    monkeypatch.setattr(headless_driver, "HeadlessDriver", OneDriver)
    monkeypatch.setattr(OneDriver, "terminal", Display())
    OneDriver.terminal.forget(*SIZE)
    return OneDriver.terminal


@pytest.mark.parametrize("label", range(10))
async def test_in_half_blocks_it_is_two_and_a_half_kilobytes_at_most_and_far_less_compressed(
    terminal: Display, label: int
):
    app = OnePicture()
    app.console._color_system = ColorSystem.TRUECOLOR  # which costs most
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        "".join(iter(terminal.next_chunk, ""))
        app.query_one(Cells).show(picture_of(label))
        await pilot.pause()
        sent = "".join(iter(terminal.next_chunk, "")).encode()
    assert sent.count("▀".encode()) > 20
    assert len(sent) <= 2.5 * 1024
    assert len(zlib.compress(sent)) <= 0.4 * 1024


@pytest.mark.parametrize("label", range(10))
def test_as_an_image_it_is_sent_once_in_less_than_half_a_kilobyte(label: int):
    sent: list[str] = []
    images, held = Images(sent.append), dict[Image, int]()
    wanted = [span.role.image for line in picture_of(label) for span in line]
    for _ in range(3):
        held = images.hold(held, wanted)
    assert len(held) == len(sent) == 1
    assert 100 < len(sent[0]) <= 512
