"""What only torch can answer, asked of a process that has it: devices, sizes, weights."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import Any

from tuitrain.core import python
from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe


class TorchQuery:
    """Asks what only torch can answer, of a process that imports it: `worker/torch_query.py`.

    Any thread may ask; answers are kept.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._one_at_a_time = threading.Lock()
        self._known: dict[str, Any] = {}
        self._is_closed = False

    def query(self, question: str, **about: Any) -> Any:
        """Return the answer; TuitrainError if there is none."""
        line = json.dumps({"ask": question, **about}, sort_keys=True)
        with self._one_at_a_time:
            if line not in self._known:
                self._known[line] = self._asked(line)
        found = self._known[line]
        if "error" in found:
            raise TuitrainError(safe(found["error"]))
        return found["answer"]

    def close(self) -> None:
        """Let the process end, and answer no more."""
        self._is_closed = True
        if self._process is not None:
            self._process.kill()
        with self._one_at_a_time:  # a question that was on its way may have begun it anew
            process, self._process = self._process, None
            if process is not None:
                process.kill()
                process.communicate()

    def _asked(self, line: str) -> dict[str, Any]:
        if self._is_closed:
            return {"error": "nobody asks any more"}
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                python.command("tuitrain.worker.torch_query"), env=python.environment(),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True, start_new_session=True,
            )  # fmt: skip
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            found: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            return {"error": "PyTorch could not be asked; does `python -c 'import torch'` work?"}
        return found


def query(question: str, **about: Any) -> Any:
    """Return the answer to one question."""
    process = TorchQuery()
    try:
        return process.query(question, **about)
    finally:
        process.close()
