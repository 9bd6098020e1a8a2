"""Write docs/pictures/*.svg: the app itself, over runs that are trained for it.

python docs/make_pictures.py: trains in a folder that is deleted afterwards, in about a minute.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tuitrain.store.paths import RunPaths
from tuitrain.tui.app import TuitrainApp

PICTURES = Path(__file__).parent / "pictures"
SIZE = (110, 32)
_PAINTED_S = 3
"""Long enough for charts that are drawn beside the event loop."""


def main() -> None:
    """Train the runs, and write a picture at each point of their story."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TUITRAIN_HOME"] = folder
        home = Path(folder)
        _tuitrain("run", "digits", "--name", "digits", "--detach", "--paused", "--seed", "1")
        _steer("step", "230")
        _steer("lr", "0.1")
        _steer("step", "60")
        _draw("spike", home, watch="digits")
        _steer("undo")
        _steer("loss", "mse", "--at", "batch")
        _steer("step", "260")
        for name, keys in (("training", ""), ("batch", "2"), ("loss", "3"), ("model", "4")):
            _draw(name, home, keys, watch="digits")
        _tuitrain("run", "digits", "--name", "other", "--epochs", "21", "--loss", "l1", "--plain")
        _draw("compare", home, "mjmC")
        _steer("stop")


def _steer(*command: str) -> None:
    _tuitrain("ctl", "digits", *command, "--wait")


def _tuitrain(*arguments: str) -> None:
    command = [sys.executable, "-m", "tuitrain", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _draw(name: str, home: Path, keys: str = "", *, watch: str = "") -> None:
    """Write the app's screen after some keys: of a run, or of the list of runs."""
    run = RunPaths(home / "runs" / watch) if watch else None
    picture = asyncio.run(_screenshot(TuitrainApp(home, watch=run), keys))
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.svg").write_text(_without_fonts(picture))


async def _screenshot(app: TuitrainApp, keys: str) -> str:
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(_PAINTED_S)
        await pilot.press(*keys)
        await pilot.pause(_PAINTED_S)
        return app.export_screenshot()


def _without_fonts(svg: str) -> str:
    """Leave out the fonts that a viewer would have to download."""
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace(
        "Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono"
    )


if __name__ == "__main__":
    main()
