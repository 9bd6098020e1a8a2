import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuitrain.core.safe import safe

ESC, BEL, C1_CSI, RIGHT_TO_LEFT, ZERO_WIDTH = "\x1b", "\a", "\u009b", "\u202e", "\u200b"

anything = st.text(alphabet=st.characters(), max_size=80)
"""All of Unicode, lone surrogates included."""


JOINERS = ("\u200c", "\u200d")
WORDS = [
    "می\u200cخواهم", "کتاب\u200cها", "क्\u200dष", "नन्\u200dद", "നന്\u200d", "क्\u200cष",
    "👨\u200d👩\u200d👧", "🏳\ufe0f\u200d🌈", "👩🏽\u200d🚀", "❤\ufe0f", "1\ufe0f\u20e3", "©\ufe0f",
]  # fmt: skip
"""Words of Persian, Hindi and Malayalam, and emoji, that joiners and selectors belong to."""


def is_harmless(line: str) -> bool:
    left = line.translate(dict.fromkeys(map(ord, JOINERS)))
    return {unicodedata.category(sign) for sign in left}.isdisjoint(("Cc", "Cf", "Cs", "Zl", "Zp"))


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


@pytest.mark.parametrize("word", WORDS)
def test_joiners_and_selectors_stay_inside_words_and_emoji(word):
    assert safe(word) == word
    assert safe(f"the run {word} is there") == f"the run {word} is there"


@given(
    st.lists(st.sampled_from([*WORDS, "run", "0.5", " "])), st.sampled_from([*JOINERS, "\ufe0f"])
)
def test_no_joiner_hides_where_it_joins_nothing(words, joiner):
    for plain in ("a", " ", "-", "_"):
        line = safe(f"{joiner}{''.join(words)}{plain}{joiner}{plain}{joiner}")
        assert line[0] == "\ufffd"
        assert line[-3:] == f"\ufffd{plain}\ufffd"


@given(
    st.text(alphabet=[*JOINERS, "\ufe0f", "a", "1", " ", "م", "क", "\u094d", "👩", "🏽", "\u064e"])
)
def test_a_joiner_is_never_beside_ascii_nor_at_the_beginning(text):
    line = safe(text)
    assert safe(line) == line
    for at, sign in enumerate(line):
        if sign in JOINERS:
            assert at > 0
            assert not line[at - 1].isascii()
