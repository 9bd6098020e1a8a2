"""A watched script on another rank than 0: python -m tuitrain.watcher.follow SPEC SCRIPT ARGS...

SPEC is the JSON text of the run's settings; for a module, the rest is -m MODULE ARGS...
"""

from __future__ import annotations

import sys

from tuitrain.core.spec import RunSpec
from tuitrain.watcher import following, script
from tuitrain.watcher.frameworks import request_end


def main(argv: list[str]) -> int:
    """Run a script as rank 0 steers it, and return its exit code."""
    text, *command = argv
    session = following.Session(RunSpec.from_json(text), end=request_end)
    return script.run_watched(command, session)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
