"""A line that silences a tool says why."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SILENCED = re.compile(r"# noqa|# type: ignore")
WITH_REASON = re.compile(r"# noqa: [A-Z0-9, ]+ - \S|# type: ignore\[[a-z,-]+\]  # \S")


def test_each_silenced_complaint_has_its_reason():
    lines = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("tuitrain", "tests", "benchmarks", "docs", "examples")
        for path in (ROOT / folder).rglob("*.py")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if SILENCED.search(line) and not WITH_REASON.search(line) and '"# noqa"' not in line
    ]
    assert lines == []
