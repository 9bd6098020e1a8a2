"""Write docs/pictures/*.svg: the app itself, over runs that are trained for it.

python docs/make_pictures.py: trains in a folder that is deleted afterwards, in about a minute.
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tuitrain.store.paths import RunPaths
from tuitrain.tui.app import TuitrainApp

PICTURES = Path(__file__).parent / "pictures"
SIZE = (110, 32)
_PAINTED_S = 3
"""Long enough for charts that are drawn beside the event loop."""


_VIEWS = (
    ("training", "", "mse"),
    ("batch", "2", "what happened in this batch"),
    ("loss", "3", "the loss over one prediction"),
    ("model", "4", "confusion matrix"),
    ("health", "5", "shares of the last second"),
)
"""Name, key and words of the pictures of a run's views."""


def main() -> None:
    """Train the runs, and write a picture at each point of their story."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TUITRAIN_HOME"] = folder
        home = Path(folder)
        _tuitrain("run", "digits", "--name", "digits", "--detach", "--paused", "--seed", "1")
        _steer("step", "230")
        _steer("lr", "0.1")
        _steer("step", "60")
        _draw("spike", home, watch="digits", shows="cross-entropy · log y")
        _steer("undo")
        _steer("loss", "mse", "--at", "batch")
        _steer("step", "260")
        for name, keys, title in _VIEWS:
            _draw(name, home, keys, watch="digits", shows=title)
        _tuitrain("run", "digits", "--name", "other", "--epochs", "21", "--loss", "l1", "--plain")
        _draw("compare", home, ["m", "down", "m", "C"], shows="what differs")
        _steer("stop")


def _steer(*command: str) -> None:
    _tuitrain("ctl", "digits", *command, "--wait")


def _tuitrain(*arguments: str) -> None:
    command = [sys.executable, "-m", "tuitrain", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _draw(name: str, home: Path, keys: Sequence[str] = (), *, shows: str, watch: str = "") -> None:
    """Write the app's screen after some keys: of a run, or of the list of runs.

    Raises ValueError if the words that it `shows` are not on it.
    """
    run = RunPaths(home / "runs" / watch) if watch else None
    picture = asyncio.run(_screenshot(TuitrainApp(home, watch=run), keys))
    if shows not in _text_of(picture):
        raise ValueError(f"the picture {name} does not show {shows!r}")
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.svg").write_text(_without_fonts(picture))


async def _screenshot(app: TuitrainApp, keys: Sequence[str]) -> str:
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(_PAINTED_S)
        await pilot.press(*keys)
        await pilot.pause(_PAINTED_S)
        return app.export_screenshot()


def _text_of(svg: str) -> str:
    """Return the text of a picture, its lines one after the other."""
    return html.unescape(re.sub(r"<[^>]*>", "", svg)).replace("\xa0", " ")


def _without_fonts(svg: str) -> str:
    """Leave out the fonts that a viewer would have to download."""
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace(
        "Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono"
    )


if __name__ == "__main__":
    main()
