"""The client of torch queries: devices, sizes and weights, read by a process that has torch."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import Any

from tuitrain.core import python
from tuitrain.core.errors import Refused, TuitrainError, WrongUse
from tuitrain.core.safe import safe

_ERRORS: dict[int | None, type[TuitrainError]] = {2: WrongUse, 3: Refused}


class TorchQuery:
    """Sends queries to a process that imports torch, `worker/torch_query.py`, and caches answers.

    It may be used from any thread.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._answers: dict[str, Any] = {}
        self._is_closed = False

    def query(self, question: str, **about: Any) -> Any:
        """Return the answer to a query; TuitrainError if it failed."""
        line = json.dumps({"query": question, **about}, sort_keys=True)
        with self._lock:
            if line not in self._answers:
                self._answers[line] = self._send(line)
        reply = self._answers[line]
        if "error" in reply:
            raise _ERRORS.get(reply.get("exit_code"), TuitrainError)(safe(reply["error"]))
        return reply["answer"]

    def close(self) -> None:
        """End the process and refuse further queries."""
        self._is_closed = True
        if self._process is not None:
            self._process.kill()
        with self._lock:  # a pending query may have started it again
            process, self._process = self._process, None
            if process is not None:
                process.kill()
                process.communicate()

    def _send(self, line: str) -> dict[str, Any]:
        if self._is_closed:
            return {"error": "the query was cancelled"}
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
            reply: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            return {"error": "PyTorch did not answer; does `python -c 'import torch'` work?"}
        return reply


def query(question: str, **about: Any) -> Any:
    """Return the answer to one query, from a process of its own."""
    process = TorchQuery()
    try:
        return process.query(question, **about)
    finally:
        process.close()
