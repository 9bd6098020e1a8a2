"""Functions copied out of a module, with what they need and nothing else."""

from pathlib import Path

import pytest

from tuitrain.export.program.source import CannotStandAlone, function

MODULE = '''\
from __future__ import annotations

import math
from collections import OrderedDict as Ordered
from functools import cache

from tuitrain.core.errors import Refused

Number = float | int
_FACTORS: list[Number] = [2, 3]
_FACTOR = 2 * math.pi


@cache
def root(x: Number, *, digits: int = 3, unit: str = "µm") -> str:
    """Return √x → text."""
    value: Number = halved(x) ** 0.5 * _FACTOR  # as ever
    return f"{value:.{digits}} {unit}"


def halved(x: Number) -> Number:
    def half(y: Number = 2.0) -> Number:
        return y / 2

    return half(x)


def of_many_arguments(
    first_of_them: Number, second_of_them: Number, third_of_them: Number, last_of_them: str = "none"
) -> Ordered[str, Number]:
    return Ordered(a=first_of_them)


class Pair:
    """Two of them."""

    left: int = 1

    def both(self) -> list[Number]:
        return [self.left, round(root.__sizeof__())]


def refusing(x: Number) -> Number:
    raise Refused("no")


def dreaming() -> Number:
    return halved(undefined)
'''


@pytest.fixture(autouse=True)
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with the module above, under a unique name, since sources are cached."""
    (tmp_path / tmp_path.name).mkdir()
    (tmp_path / tmp_path.name / "__init__.py").touch()
    (tmp_path / tmp_path.name / "room.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def copied(tmp_path: Path):
    return lambda name: function(f"{tmp_path.name}.room:{name}")


def test_a_function_comes_without_annotations_and_otherwise_as_it_is(copied):
    assert (
        copied("root").text
        == '''\
@cache
def root(x, *, digits=3, unit="µm"):
    """Return √x → text."""
    value = halved(x) ** 0.5 * _FACTOR  # as ever
    return f"{value:.{digits}} {unit}"
'''
    )
    assert "    def half(y=2.0):\n" in copied("halved").text


def test_what_it_uses_comes_along_and_nothing_else(copied):
    part = copied("root")
    assert part.imports == ("from functools import cache",)
    assert [function.text.partition("(")[0] for function in part.functions] == [
        "def halved", "_FACTOR = 2 * math.pi\n"
    ]  # fmt: skip
    assert part.functions[1].imports == ("import math",)


def test_arguments_that_do_not_fit_a_line_have_one_of_their_own(copied):
    part = copied("of_many_arguments")
    assert part.text.splitlines()[:3] == [
        "def of_many_arguments(",
        '    first_of_them, second_of_them, third_of_them, last_of_them="none"',
        "):",
    ]
    assert part.imports == ("from collections import OrderedDict as Ordered",)


def test_a_class_keeps_the_annotations_that_make_it(copied):
    part = copied("Pair")
    assert "    left: int = 1\n" in part.text
    assert "    def both(self):\n" in part.text
    assert [function.text.partition("(")[0] for function in part.functions] == ["@cache\ndef root"]


@pytest.mark.parametrize(
    ("name", "description"),
    [("refusing", "refusing uses Refused"), ("dreaming", "dreaming uses undefined")],
)
def test_what_a_program_cannot_have_is_found_out(copied, name, description):
    with pytest.raises(CannotStandAlone, match=description):
        copied(name)
