"""A table of a user's own: what is found out about it, and what is said where it is none."""

import gzip
import os
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tuitrain.catalog import new_spec
from tuitrain.core.errors import Refused, TuitrainError, WrongUse
from tuitrain.core.safe import safe
from tuitrain.engine.tasks.opened import OpenedTask
from tuitrain.engine.tasks.table import open_table, read
from tuitrain.engine.tasks.table.target import unit_in

ROWS = 40


def opened(file: Path, content: str | bytes, **options) -> OpenedTask:
    """Return the task of a file with that content."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_table(new_spec(str(file), **options))


def table(**columns) -> str:
    """Return CSV with these columns, and `y`, which is 0 or 1 in turn."""
    columns = {name: list(values) for name, values in columns.items()}
    columns["y"] = [row % 2 for row in range(len(next(iter(columns.values()))))]
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n"


def line(task: OpenedTask, column: str) -> str:
    """Return what is said of a column, with single blanks."""
    found = [note for note in task.card.notes if note.startswith(f"{column} ")]
    return " ".join(found[0].split())


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return tmp_path / "my.csv"


NUMBERS = [row * 1.5 % 7 for row in range(ROWS)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (NUMBERS, "a number standardised"),
        ([*NUMBERS[:-2], "", ""], "a number 2 missing: the median, and a bit that says so; "),
        ([*NUMBERS[:-1], "1e999"], "a number 1 infinite or beyond what float32 holds ('inf'): the"),
        ([*NUMBERS[:-1], "9" * 40], "a number 1 infinite or beyond"),
        (range(7, 7 + ROWS), "a dropped it counts the rows"),
        (["same"] * ROWS, "a dropped one value only: same"),
        ([""] * ROWS, "a dropped no values"),
        ([f"only {row}" for row in range(ROWS)], "a dropped 40 texts in 40 rows: no two alike"),
        (
            [f"{row} EUR" if row % 2 else f"{row}.5" for row in range(ROWS)],
            "a dropped 40 texts in 40 rows: no two alike; 20 are numbers",
        ),
        (["red", "blue", "", "green"] * 10, "a category 10 missing: a category of their own; one"),
        (["True", "False", "True", ""] * 10, "a category 10 missing"),
        ([f"2024-02-{1 + row % 28:02}" for row in range(ROWS)], "a date seconds, and the time"),
        ([f"{1 + row % 28}/2/2024" for row in range(ROWS)], "a date seconds"),
        ([f"{1 + row % 28} Feb 2024" for row in range(ROWS)], "a date seconds"),
        ([f"3/{1 + row % 9}/2024" for row in range(ROWS)], "a category one-hot into 9"),
    ],
)
def test_a_column_is_what_its_cells_show(csv, values, said):
    assert line(opened(csv, table(a=values, b=NUMBERS)), "a").startswith(said)


@pytest.mark.parametrize("name", ["id", "user_id", "PassengerId", "row index", "sort-key", "UUID"])
def test_whole_numbers_that_are_called_a_key_are_dropped(csv, name):
    task = opened(csv, table(**{name: [row * row % 17 for row in range(ROWS)]}, b=NUMBERS))
    assert line(task, name).endswith("dropped a key by its name")


def test_names_and_prose_are_dropped_and_many_values_are_cut_to_forty(csv):
    prose = [f"word {row % 300} and more" for row in range(400)]
    many = [f"city {row % 50 if row % 3 else row % 5}" for row in range(400)]
    task = opened(csv, table(a=prose, c=many, b=[row % 7 for row in range(400)]))
    assert line(task, "a") == "a dropped free text: 300 texts in 400 rows"
    assert line(task, "c").endswith("the 39 commonest of 50 and other, one-hot into 40")
    assert task.data.input_shape == (41,)


def test_an_option_overrules_what_was_found_out(csv):
    text = table(a=range(ROWS), b=NUMBERS, c=["1", "2", "?", "4"] * 10, d=[2001, 2002] * 20)
    task = opened(csv, text, as_number=("c", "a"), as_date=("d",), drop=("b",))
    assert line(task, "a") == "a number standardised"
    assert line(task, "b") == "b dropped as asked"
    assert line(task, "c").startswith("c number 10 not a number ('?'): the median, and a bit")
    assert line(task, "d").startswith("d date seconds")
    assert line(opened(csv, text, as_category=("d",)), "d") == "d category one-hot into 2"


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        (["no", "yes"] * 20, "binary", ("no", "yes")),
        ([10, 9, 100, 9] * 10, "multiclass", ("9", "10", "100")),
        (["b", "a", "c", "b"] * 10, "multiclass", ("a", "b", "c")),
        ([1.0, 2.0, 3.0, ""] * 10, "multiclass", ("1", "2", "3")),
        (range(40), "regression", ()),
        ([row / 3 for row in range(40)], "regression", ()),
    ],
)
def test_the_kind_of_problem_follows_from_the_target(csv, values, kind, classes):
    text = "b,t\n" + "\n".join(f"{b},{t}" for b, t in zip(NUMBERS, values, strict=True))
    task = opened(csv, text, target="t")
    assert (task.data.kind, task.data.classes) == (kind, classes)
    assert task.defaults["target"] == "t"
    assert any(note.startswith(f"target 't': {kind}, since it ") for note in task.card.notes)


def test_rows_of_fewer_cells_than_the_header_are_left_out_and_named_by_their_lines(csv):
    whole = table(a=NUMBERS, b=reversed(NUMBERS)).splitlines()
    text = "\n".join([*whole[:3], "1", '"2\n",3', "", *whole[3:], "4"]) + "\n"
    task = opened(csv, text)
    said = "3 rows have fewer cells than the header, and are left out: lines 4, 5, 46"
    assert said in task.card.notes
    assert "missing" not in " ".join(task.card.notes)
    assert len(task.data.train) + len(task.data.val) == ROWS
    assert torch.equal(task.data.val.inputs, opened(csv, "\n".join(whole)).data.val.inputs)
    with pytest.raises(WrongUse, match="has no row with as many cells as its header"):
        opened(csv, "a,b,y\n1,2\n3\n")


def test_a_cell_is_counted_once_whatever_it_lacks(csv):
    cells = ["", "?", "1e999", *NUMBERS[3:]]
    said = line(opened(csv, table(a=cells, b=NUMBERS), as_number=("a",)), "a")
    assert said.startswith(
        "a number 1 missing, 1 not a number ('?'), 1 infinite or beyond what float32 holds ('1e999'"
        "): the median, and a bit that says so"
    )


def test_a_target_of_free_text_is_refused_instead_of_called_classes(csv):
    texts = [f"note {row}" if row % 4 else "none" for row in range(ROWS)]
    with pytest.raises(WrongUse, match="a class of one row cannot be learned: choose another"):
        opened(csv, table(b=NUMBERS, t=texts), target="t")


@pytest.mark.parametrize(
    ("column", "unit"), [("mass [kg]", "kg"), ("Bill (mm) ", "mm"), ("mass", ""), ("(a) b", "")]
)
def test_the_unit_of_a_target_is_in_brackets_behind_its_name(column: str, unit: str):
    assert unit_in(column) == unit


def test_rows_without_a_target_are_left_out_and_regression_keeps_its_unit(csv):
    values = [3.5 * row for row in range(38)] + ["", "inf"]
    text = "b,y\n" + "\n".join(f"{b},{t}" for b, t in zip(NUMBERS, values, strict=True))
    task = opened(csv, text)
    assert "2 rows without a target are left out" in task.card.notes
    assert len(task.data.train) + len(task.data.val) == 38
    assert task.data.unit == pytest.approx(3.5 * 11, rel=0.2)
    assert float(task.data.train.targets.std(correction=0)) == pytest.approx(1)


def test_preparation_is_fitted_on_the_rows_for_training_only(csv):
    parts = ["train"] * 30 + ["val"] * 8 + ["test"] * 2
    numbers = [*range(0, 60, 2), *[1000] * 10]
    colours = ["red", "blue", "red"] * 10 + ["grey"] * 10
    task = opened(csv, table(a=numbers, c=colours, part=parts), split="part")
    train, val = task.data.train.inputs, task.data.val.inputs
    assert (len(train), len(val)) == (30, 8)
    assert train[:, 0].mean().item() == pytest.approx(0, abs=1e-6)
    assert val[0, 0] > 50
    assert train.shape[1] == 3, "grey was not seen in training"
    assert val[0, 1:].tolist() == [0, 0]
    assert "2 rows of other parts are left out" in task.card.notes


def test_a_split_is_of_the_table_alone_and_keeps_the_share_of_each_class(csv):
    text = table(a=NUMBERS, b=reversed(NUMBERS))
    first, second = opened(csv, text, seed=0), opened(csv, text, seed=5)
    assert torch.equal(first.data.val.inputs, second.data.val.inputs)
    assert first.data.val.targets.mean() == first.data.train.targets.mean() == 0.5


def test_no_group_is_in_both_parts(csv):
    who = [f"p{row // 4}" for row in range(ROWS)]
    task = opened(csv, table(a=range(0, 2 * ROWS, 2), who=who), group="who")
    (train, val) = (
        {round(value, 4) for value in part.inputs[:, 0].tolist()}
        for part in (task.data.train, task.data.val)
    )
    assert len(val) == 8
    assert line(task, "who") == "who dropped as asked"
    ordered = sorted(train | val)
    groups = {frozenset(ordered[at : at + 4]) for at in range(0, ROWS, 4)}
    assert all(group <= train or group <= val for group in groups)


def test_a_column_that_gives_the_target_away_is_warned_of(csv):
    values = [row * 7919 % 1000 / 10 for row in range(200)]
    other = [row * 104729 % 997 for row in range(200)]
    text = "twice,other,y\n" + "\n".join(
        f"{2 * value},{noise},{value}" for value, noise in zip(values, other, strict=True)
    )
    (warning,) = opened(csv, text).warnings
    assert warning.startswith("'twice' alone explains ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "my.csv is empty"),
        ("\n\n", "my.csv is empty"),
        ("a,y\n", "my.csv has a header and no rows"),
        ("a,y\n1,2\n", "the target 'y' has one value only, 2: there is nothing to learn"),
        ("a,y\n1,2\n3,2\n", "the target 'y' has one value only"),
        ("a,y\n1,\n3,\n", "the target 'y' has no values"),
        ("a,y\n1,x\n3,z\n", "2 come once, and a class of one row"),
        ("a,y\n1,2\n3,4,5\n", "my.csv: line 3 has 3 cells, and the header has 2"),
        ("a,y\n1,2,3\n3,4,5\n", "the rows of my.csv have more cells than its header has columns"),
        ('a,y\n1,"2\n3,4\n', "a quotation mark is opened and not closed"),
        ("a,y\n1,\x002\n", "my.csv is not a text file: there is a NUL byte in line 2"),
        ("a,b\n1,2\n3,4\n", "which column is to be predicted? --target one of: a, b"),
        ("y\n1\n2\n3\n", "no column is left to predict the target from"),
        ("k,y\n1,1\n1,2\n1,3\n", "target from, dropped: 'k' (one value only: 1); --as-number, "),
        ("x z\n1 2\n", "it has one column only, 'x z': a table has two or more"),
        ("a\x1b[2J,b\x1b]0;\n1,2\n", "one of: a␛[2J, b␛]0;"),
    ],
)
def test_what_cannot_be_learned_from_is_one_sentence(csv, content, reason):
    with pytest.raises(WrongUse) as caught:
        opened(csv, content)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"target": "Y"}, "no column 'Y'; columns: a, c, y; did you mean 'y'?"),
        ({"drop": ("q",)}, "no column 'q'; columns: a, c, y"),
        ({"drop": ("y",)}, "two options want column 'y' to be different things"),
        ({"as_number": ("a",), "as_date": ("a",)}, "two options want column 'a'"),
        ({"as_number": ("c",)}, "column 'c' has no numbers"),
        ({"as_date": ("c",)}, "column 'c' has no dates"),
        ({"target": "c", "kind": "regression"}, "is text, such as 'no'"),
        ({"target": "a", "kind": "binary"}, "has 14 values; binary takes two"),
        ({"group": "c", "split": "c"}, "choose one"),
        ({"split": "c"}, "must say train or val in each row; it says: no"),
        ({"group": "y", "target": "a"}, None),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(csv, options, reason):
    content = table(a=NUMBERS, c=["no", "yes", "no", "no"] * 10)
    if reason is None:
        assert opened(csv, content, **options)
        return
    with pytest.raises(WrongUse) as caught:
        opened(csv, content, **options)
    assert reason in str(caught.value)


def test_a_target_with_decimal_commas_among_points_is_said_to_be_both(csv):
    rows = "".join(f"{row}.5;{row},25\n" for row in range(20))
    with pytest.raises(WrongUse, match="numbers such as '0,25', and the table others with a dec"):
        opened(csv, f"a;y\n{rows}", target="y", kind="regression")


def test_a_target_of_too_many_texts_is_refused(csv):
    rows = [f"{row % 9},text {row % 1200}" for row in range(2400)]
    with pytest.raises(WrongUse, match="1,200 values; multiclass takes at most 1,000"):
        opened(csv, "\n".join(["b,y", *rows]))


PLAIN = table(name=["é", "ö", "ü", "ö"] * 10, b=NUMBERS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xef\xbb\xbf" + PLAIN.encode(), None),
        (PLAIN.encode("utf-16"), "its text is not UTF-8; it was read as UTF-16"),
        (PLAIN.encode("latin-1"), "its text is not UTF-8; it was read as Windows-1252"),
        (PLAIN.replace(".", "_").replace(",", ";").replace("_", ",").encode(), None),
        (PLAIN.replace(",", "\t").encode(), None),
        (PLAIN.replace(",", " | ").encode(), None),
        (PLAIN.replace("\n", "\r\n").encode(), None),
        (PLAIN.replace("é", '"é\n, and more"').encode(), None),
    ],
)
def test_however_it_is_written_it_is_the_same_table(csv, content, said):
    plain, task = opened(csv, PLAIN), opened(csv, content)
    assert torch.equal(task.data.train.inputs, plain.data.train.inputs)
    assert said is None or said in task.card.notes


@pytest.mark.parametrize(
    "content", [PLAIN.encode("utf-16")[:-1], PLAIN.encode("utf-32"), b"\xff\xfea\0\0\0"]
)
def test_what_begins_as_utf_16_and_is_none_is_one_sentence(csv, content):
    with pytest.raises(
        WrongUse, match=r"my\.csv begins as UTF-16 does and is none: save it as UTF"
    ):
        opened(csv, content)


def test_dates_of_any_year_are_numbers(csv):
    years = ["0001-01-01", "9999-12-31", "2024-02-03", "1066-10-14"] * 10
    task = opened(csv, table(a=years, b=NUMBERS))
    assert line(task, "a").startswith("a date seconds")
    assert torch.isfinite(task.data.train.inputs).all()


def test_a_compressed_table_is_the_table_and_a_cut_one_is_none(csv):
    plain = opened(csv, PLAIN)
    packed = csv.with_name("my.csv.gz")
    whole = gzip.compress(PLAIN.encode())
    assert torch.equal(opened(packed, whole).data.val.inputs, plain.data.val.inputs)
    for part in (whole[:-9], b"no gzip"):
        with pytest.raises(WrongUse, match=r"my\.csv\.gz is not a whole gzip file"):
            opened(packed, part)


def test_a_file_too_large_for_memory_is_refused_before_it_is_read(csv, monkeypatch):
    monkeypatch.setattr(read, "MEMORY_PER_BYTE", 1 << 45)
    for file, content in ((csv, PLAIN), (csv.with_name("my.csv.gz"), gzip.compress(b""))):
        with pytest.raises(Refused, match="more than fits into the memory that is free"):
            opened(file, content)


def test_what_is_no_file_is_not_waited_for(csv):
    csv.write_text(PLAIN)
    spec = new_spec(str(csv))
    csv.unlink()
    os.mkfifo(csv)
    with pytest.raises(WrongUse, match="there is no file"):
        open_table(spec)


def test_a_table_of_more_columns_than_can_be_looked_at_is_refused(csv):
    with pytest.raises(WrongUse, match=r"my\.csv has 20,001 columns; a table has at most 20,000"):
        opened(csv, ",".join(["a"] * 20_001) + "\n")


def test_columns_of_one_name_are_numbered_and_said(csv):
    task = opened(csv, PLAIN.replace("name,b", "b,b"))
    assert "2 columns are called 'b': they have numbers now" in task.card.notes
    assert line(task, "b.1") == "b.1 number standardised"


def test_a_column_that_is_missing_in_all_rows_for_training_is_no_trap(csv):
    parts = ["train"] * 30 + ["val"] * 10
    text = table(a=[""] * 30 + [1, 2] * 5, b=NUMBERS, part=parts)
    inputs = opened(csv, text, split="part").data.val.inputs
    assert torch.isfinite(inputs).all()


def test_what_comes_out_of_a_terminal_in_a_name_or_a_cell_is_shown_harmlessly(csv):
    evil = "\x1b]0;owned\x07\u202e"
    task = opened(csv, table(**{evil: ["\x1b[31m"] * ROWS}, b=NUMBERS))
    assert all(note.isprintable() for note in task.card.notes)


def test_the_digest_is_filled_in_and_another_file_is_refused(csv):
    task = opened(csv, PLAIN)
    digest = task.defaults["data_sha256"]
    assert opened(csv, PLAIN, data_sha256=digest).defaults["data_sha256"] == digest
    with pytest.raises(Refused, match=r"my\.csv has changed since the run began with it"):
        opened(csv, PLAIN + "é,1,1\n", data_sha256=digest)
    with pytest.raises(WrongUse, match="data_sha256 must be a SHA-256"):
        opened(csv, PLAIN, data_sha256="../../etc/passwd")


CELLS = st.one_of(
    st.integers(-5, 5).map(str),
    st.floats(allow_nan=True).map(str),
    st.sampled_from(["", "NA", "nan", "1e999", "-inf", "True", "2024-02-30", "1/2/2024", "x", '"']),
    st.text(st.characters(exclude_characters="\0"), max_size=6),
)


def outcome(file: Path, content: bytes) -> OpenedTask | TuitrainError:
    """Return the task, or why there is none; any other error is a fault."""
    try:
        return opened(file, content)
    except TuitrainError as error:
        return error


def check(found: OpenedTask | TuitrainError) -> None:
    """Fail unless it is finite numbers, or one line that a terminal may show."""
    if isinstance(found, TuitrainError):
        assert str(found) == safe(found)
        assert found.exit_code in (2, 3)
        return
    for part in (found.data.train, found.data.val):
        assert torch.isfinite(part.inputs).all()
        assert torch.isfinite(part.targets.float()).all()


@settings(max_examples=150)
@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=12),
    head=st.lists(st.text(max_size=4), min_size=2, max_size=2),
    delimiter=st.sampled_from(",;\t|"),
)
@example([["0", "0", "1"], ["0", "0", "3.8e-67"], ["0", "1.0", "0"]], ["", ""], ",")
def test_any_cells_are_finite_numbers_or_one_sentence(tmp_path_factory, rows, head, delimiter):
    lines = [delimiter.join(cells) for cells in [[*head, "y"], *rows]]
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    check(outcome(tmp_path_factory.getbasetemp() / "any.csv", content))


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_any_bytes_are_finite_numbers_or_one_sentence(tmp_path_factory, content):
    check(outcome(tmp_path_factory.getbasetemp() / "bytes.csv", b"a,y\n" + content))
