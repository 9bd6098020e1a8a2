import io

from tuitrain.cli import encoding


def test_what_cannot_be_written_becomes_one_plain_character_each():
    encoding.speak_plainly()
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="tuitrain-plain")
    text = "● ⣿⠀│━ é 漢 \u202e"
    stream.write(text)
    stream.flush()

    assert raw.getvalue() == b"o *\x20|= e ? ?"
    assert len(raw.getvalue()) == len(text)
