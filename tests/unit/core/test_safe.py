import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuitrain.core.safe import safe

ESC, BEL, C1_CSI, RIGHT_TO_LEFT, ZERO_WIDTH = "\x1b", "\a", "\u009b", "\u202e", "\u200b"

anything = st.text(alphabet=st.characters(), max_size=80)
"""All of Unicode, lone surrogates included."""


def is_harmless(line: str) -> bool:
    return {unicodedata.category(sign) for sign in line}.isdisjoint(("Cc", "Cf", "Cs", "Zl", "Zp"))


@pytest.mark.parametrize(
    "hostile",
    [
        f"{ESC}[2J{ESC}[H",
        f"{ESC}]52;c;cm0gLXJmIH4={BEL}",
        f"{ESC}]0;title{ESC}\\",
        f"{C1_CSI}6n",
        f"gpj{RIGHT_TO_LEFT}exe.jpg",
        f"pa{ZERO_WIDTH}ypal\ufeff",
        "\ud800 and \udfff",
        "line\r\nline\u2028line\u2029line\x85line",
        "nul\x00 delete\x7f",
        "\U000e0041 tag",
    ],
)
def test_no_terminal_obeys_what_passed_the_door(hostile):
    assert is_harmless(safe(hostile))


@given(anything)
def test_whatever_comes_leaves_as_one_harmless_line(text):
    line = safe(text)
    assert is_harmless(line)
    line.encode()
    assert len(line.splitlines()) <= 1


@given(anything, st.integers(1, 100))
def test_a_line_is_never_longer_than_asked(text, limit):
    assert len(safe(text, limit=limit)) <= limit


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=80))
def test_harmless_text_passes_unchanged(text):
    assert safe(text) == text


def test_a_very_long_text_is_cut_and_says_so():
    line = safe("x" * 10_000_000)
    assert len(line) <= 500
    assert line.endswith("x…")


def test_a_text_of_exactly_the_limit_is_not_cut():
    assert safe("abcd", limit=4) == "abcd"
    assert safe("abcde", limit=4) == "abc…"


def test_a_reader_sees_that_a_control_was_there():
    assert safe(f"a{ESC}b\nc\x7f") == "a␛b␊c␡"
    assert safe(f"a{ZERO_WIDTH}b") == "a\ufffdb"


def test_what_passed_once_passes_again_unchanged():
    line = safe(f"{ESC}]52;c;x{BEL}{RIGHT_TO_LEFT}\ud800")
    assert safe(line) == line


def test_an_error_is_text_too():
    assert safe(ValueError(f"bad {ESC}[31m")) == "bad ␛[31m"
