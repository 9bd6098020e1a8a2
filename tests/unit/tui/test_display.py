"""What is painted, and what of it a terminal is sent."""

from tuitrain.tui.display import PIECE_BYTES, Display

RED, BLUE = "\x1b[38;2;250;0;0;48;2;1;2;3m", "\x1b[38;2;0;0;250;48;2;1;2;3m"
END = "\x1b[0m"
HOME = "\x1b[1;1H"


def display(columns: int = 40, rows: int = 10) -> Display:
    made = Display()
    made.forget(columns, rows)
    return made


def sent(display: Display) -> str:
    pieces = []
    while display.is_pending:
        pieces.append(display.next_chunk())
    return "".join(pieces)


def test_a_picture_that_is_painted_again_is_not_sent_again():
    shown = display()
    picture = f"\x1b[2;3H{RED}loss 0.25{END}"
    shown.take(picture)
    assert "loss 0.25" in sent(shown)
    shown.take(picture)
    assert sent(shown) == ""


def test_of_a_row_only_the_cells_that_changed_are_sent():
    shown = display()
    shown.take(f"\x1b[2;3H{RED}loss 0.25 rate 90{END}{HOME}")
    sent(shown)
    shown.take(f"\x1b[2;3H{RED}loss 0.27 rate 91{END}{HOME}")
    assert sent(shown) == "\x1b[2;11H\x1b[38;2;250;0;0;48;2;1;2;3m7\x1b[19G1\x1b[m\x1b[1;1H"


def test_greys_are_sent_by_their_number_in_the_palette_of_256_colours():
    shown = display()
    shown.take(f"{HOME}\x1b[38;2;8;8;8;48;2;238;238;238m▀{END}\x1b[38;2;9;9;9;48;2;8;8;8m▀{END}")
    assert sent(shown).startswith("\x1b[1;1H\x1b[38;5;232;48;5;255m▀\x1b[38;2;9;9;9;48;5;232m▀")


def test_a_half_block_of_one_colour_is_sent_as_a_blank():
    shown = display()
    shown.take(f"{HOME}\x1b[38;2;8;8;8;48;2;8;8;8m▀▀{END}{RED}▀{END}")
    assert sent(shown).startswith(f"\x1b[1;1H\x1b[48;5;232m  {RED}▀")


def test_what_is_painted_over_before_it_is_sent_is_never_sent():
    shown = display()
    for number in range(100):
        shown.take(f"{HOME}{RED}batch {number:02}{END}")
    assert sent(shown).count("batch") == 1
    assert not shown.is_pending


def test_the_top_of_a_large_picture_is_sent_before_the_rest():
    shown = display(columns=140, rows=40)
    line = "".join(f"{colour}x" for colour in (RED, BLUE) * 70)
    shown.take("".join(f"\x1b[{row};1H{line}{END}" for row in range(40, 0, -1)))
    piece = shown.next_chunk()
    assert piece.startswith(HOME)
    assert PIECE_BYTES < len(piece) < 3 * PIECE_BYTES
    assert shown.is_pending


def test_a_change_at_the_top_goes_before_what_still_waits():
    shown = display(columns=140, rows=40)
    shown.take("".join(f"\x1b[{row};1H{RED}{'abcdefg' * 20}{END}" for row in range(1, 41)))
    shown.next_chunk()
    shown.take(f"{HOME}{RED}step 2{END}")
    assert "step 2" in shown.next_chunk()


def test_what_is_not_painting_is_passed_on_before_it():
    shown = display()
    shown.take(f"{HOME}{RED}a{END}\x1b[?1000h\x1b]52;c;YQ==\x07\x07")
    assert sent(shown).startswith("\x1b[?1000h\x1b]52;c;YQ==\x07\x07\x1b[1;1H")


def test_a_terminal_that_can_wait_for_the_end_of_a_picture_is_told_where_it_is():
    shown = display()
    shown.take(f"\x1b[?2026h{HOME}{RED}a{END}\x1b[?2026l")
    painted = sent(shown)
    assert painted.startswith("\x1b[?2026h")
    assert painted.endswith("\x1b[?2026l")
    shown.take("\x1b[?2026h\x1b[?2026l")
    assert sent(shown) == "", "brackets around nothing are not sent"


def test_after_forgetting_all_is_sent_again_and_nothing_that_was_pending():
    shown = display()
    shown.take(f"{HOME}{RED}here{END}")
    sent(shown)
    shown.take(f"{HOME}{RED}old{END}\x1b[?25h")
    shown.forget(40, 10)
    assert sent(shown) == "\x1b[?25h", "what is no picture is not forgotten"
    shown.take(f"{HOME}{RED}here{END}")
    assert "here" in sent(shown)


def test_what_does_not_fit_the_terminal_is_left_out():
    shown = display(columns=4, rows=2)
    shown.take(f"\x1b[2;3H{RED}abcdef{END}\x1b[3;1H{RED}below{END}\x1b[1;9H{RED}right{END}")
    assert "ab" in (painted := sent(shown))
    assert not set("cdef") & set(painted.replace(RED, "").replace(END, ""))
    assert "below" not in painted
    assert "right" not in painted


def test_half_of_a_wide_character_is_painted_over_as_a_blank():
    shown = display(columns=8, rows=1)
    shown.take(f"{HOME}{RED}損失x{END}")
    assert "損" in sent(shown)
    shown.take(f"\x1b[1;2H{RED}y{END}")
    painted = sent(shown)
    assert " " in painted
    assert "y" in painted
    assert "失" not in painted, "it stays"


def test_characters_of_uncertain_width_do_not_move_what_follows():
    shown = display(columns=20, rows=1)
    shown.take(f"{HOME}{RED}👩‍💻 é損z{END}{HOME}")
    assert "\x1b[7Gz" in sent(shown), "after two, one, one and two cells"


def test_underlined_blanks_stay_underlined():
    shown = display()
    shown.take(f"{HOME}\x1b[4m  {END}\x1b[1;5H\x1b[1;31m  x{END}")
    assert sent(shown).startswith("\x1b[1;1H\x1b[4m  ")
