"""Write the tables of docs/options.md anew, from tuitrain/core/options.py: make docs"""

from itertools import groupby
from pathlib import Path

from tuitrain.core.options import OPTIONS, Place, RunOption

PAGE = Path(__file__).with_name("options.md")
_HEAD = "| option | does | takes | default | where |\n|---|---|---|---|---|\n"
_PLACES: dict[Place, str] = {
    "run": "`run`", "fork": "`fork`", "resume": "`resume`", "replay": "`replay`", "form": "form",
    "config": "file", "live": "live",
}  # fmt: skip
_COMMANDS = {"run", "fork", "resume", "replay"}


def page(text: str) -> str:
    """Return the page with everything from its first group on written anew."""
    introduction = text.partition("\n## ")[0]
    groups = groupby(OPTIONS.values(), key=lambda option: option.group)
    tables = [f"\n## {name}\n\n{_HEAD}{''.join(map(_row, options))}" for name, options in groups]
    return introduction + "".join(tables)


def _row(option: RunOption) -> str:
    on_command_line = f"--{option.key} {option.type.metavar}".strip()
    name = on_command_line if _COMMANDS & set(option.places) else option.key
    kept = {"fork"} if option.is_of_weights else set()
    places = [place for place in option.places if place not in kept]
    where = ", ".join(description for place, description in _PLACES.items() if place in places)
    cells = (f"`{name}`", option.help, option.description, option.shown_default or "–", where)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
