"""The columns, the order and the filter of the list of runs."""

from dataclasses import replace

import pytest

from tests.recorded import in_home
from tuitrain.connection.client import Client
from tuitrain.connection.follower import snapshot
from tuitrain.core.notes import Note
from tuitrain.store.reader import RunReader
from tuitrain.view.chart.sparkline import sparkline
from tuitrain.view.text.cells import width_of
from tuitrain.view.text.listing import (
    TREND_CELLS,
    Row,
    columns,
    ordered,
    to_be_deleted,
)
from tuitrain.view.text.run_list import RunList


@pytest.mark.parametrize("width", [20, 40, 58, 62, 66, 70, 80, 109, 110, 116, 200])
def test_no_column_of_numbers_is_cut_at_the_edge(home, width):
    run = in_home(home, "digits-1127-102723", epochs=40_000)
    run.trains(2)
    row = Row(home / "digits-1127-102723", run.now())
    unreadable = Row(home / "other", None, "its record is damaged, in many words " * 9)
    names, name_cells, _ = columns([row, unreadable], width)
    texts = {name: max(width_of(name), width_of(row.cell(name).text)) for name in names[2:]}
    texts |= {"trend": TREND_CELLS} if "trend" in names else {}
    cells = 3 + name_cells + 2 + sum(cells + 2 for cells in texts.values())
    assert cells <= width or names == ("mark", "name", "state")
    last = {40: "epoch", 80: "best", 110: "best", 200: "started"}
    assert names[-1] == last.get(width, names[-1]), "numbers stay longer than other columns"
    assert name_cells >= 12, "a name is cut before a number is left out"


@pytest.fixture
def rows(home):
    """Runs of two tasks: digits whose last losses are 0.3, 0.2 and none, and a sine."""

    def row(name, task="digits", loss=None):
        run = in_home(home, name, task=task)
        if loss:
            run.trains(1, way=lambda _step: loss)
        run.finishes()
        return Row(home / "runs" / name, snapshot(Client(home / "runs" / name)))

    return [row("alpha", loss=0.3), row("beta", loss=0.2), row("sine", "sine", 0.1), row("new")]


def names(rows):
    return [row.name for row in rows]


def test_runs_are_sorted_by_their_best_beside_those_that_they_compare_with(rows):
    assert names(ordered(rows, "best")) == ["beta", "alpha", "new", "sine"]


def test_a_filter_has_words_of_name_task_and_tags(rows):
    client = Client(rows[0].directory)
    client.write(Note.new("tag", "Baseline", (1, 0, 0)))
    tagged = [rows[0]._replace(run=snapshot(client)), *rows[1:]]
    assert names(ordered(tagged, "name", "sin")) == ["sine"]
    assert names(ordered(tagged, "name", "digits a")) == ["alpha", "beta"]
    assert names(ordered(tagged, "name", "digits #base")) == ["alpha"]
    assert ordered(tagged, "name", "digits zebra") == []
    assert "tags" in columns(tagged, 140).names
    assert "tags" not in columns(rows, 140).names, "nothing is in it"


def test_a_long_name_of_a_metric_leaves_the_numbers_of_all_runs_room(rows):
    own = "share_of_the_patients_that_are_found"
    begun = rows[0].run.started
    known = replace(begun, problem=replace(begun.problem, monitor=own))
    best = replace(rows[0].run.best, metrics={own: 0.9})
    long = rows[0]._replace(run=replace(rows[0].run, started=known, best=best))
    assert long.cell("best").text == "share_of_the_pati… 0.9000"
    assert columns([long, *rows[1:]], 80).names[-2:] == ("val loss", "best")


@pytest.mark.parametrize("width", [80, 100, 110, 140])
def test_a_tag_stays_longer_than_what_a_run_has_from_its_start(rows, width):
    client = Client(rows[0].directory)
    client.write(Note.new("tag", "a-long-tag-of-one-run", (1, 0, 0)))
    tagged = [rows[0]._replace(run=snapshot(client)), *rows[1:]]
    names, name_cells, tag_cells = columns(tagged, width)
    assert "tags" in names
    assert "best" in names
    assert tag_cells >= 8
    assert width < 140 or tag_cells == len("a-long-tag-of-one-run")
    others = [name for name in names if name not in ("mark", "name", "tags", "trend")]
    cells = [max(width_of(row.cell(name).text) for row in rows) for name in others]
    heads = sum(2 + max(cell, width_of(name)) for cell, name in zip(cells, others, strict=True))
    trend = 2 + TREND_CELLS if "trend" in names else 0
    assert 3 + name_cells + 2 + tag_cells + 2 + heads + trend <= width


def test_the_marked_runs_that_ended_are_deleted_together(rows):
    one, two, *_ = rows
    runs = RunList().read(rows)
    assert names(runs.toggled(one.directory).to_delete(rows[2])) == ["alpha"]
    assert runs.to_delete(rows[2]) == [rows[2]], "none is marked"
    assert to_be_deleted([one, two]).startswith("Delete 2 runs for good")
    assert "alpha, beta?" in to_be_deleted([one, two])
    assert to_be_deleted([one] * 7).endswith("and 2 more?")


def test_marks_stay_in_their_order_when_the_runs_are_read_again(rows):
    one, two, other, new = rows
    runs = RunList().read(rows).toggled(two.directory).toggled(one.directory)
    assert names(runs.to_compare(new)) == ["beta", "alpha"]
    assert [row.is_marked for row in runs.read([new, one]).shown] == [False, True]
    alone = runs.toggled(one.directory)
    assert names(alone.to_compare(other)) == ["beta", "new"], "the newest other run of its task"
    assert "1 marked: C compares" in alone.heading(100)


def test_a_list_turns_its_orders_and_keeps_its_filter(rows):
    runs = RunList().read(rows).with_words("digits").in_next_order()
    assert names(runs.shown) == ["alpha", "beta", "new"]
    assert runs.heading(100).startswith(" 3 runs · with 'digits' in name, tag or task · ")
    for _ in range(4):
        runs = runs.in_next_order()
    assert "by newest" in runs.heading(100)


def test_a_line_of_blocks_shows_how_the_loss_went_since_the_last_swap(home):
    run = in_home(home, "a")
    assert sparkline(run.now(), run.reader, 10) == ""
    run.trains(1, way=lambda step: 1.0 if step < 12 else float("nan"))
    assert set(sparkline(run.now(), run.reader, 10)) == {"▄", " "}, "flat, then not finite"
    run.swaps("mse")
    run.trains(3, way=lambda step: 10.0 ** (-step / 23))
    assert sparkline(run.now(), run.reader, 8) == "█▇▆▅▄▃▂▁", "on a logarithmic scale"


def test_a_run_of_any_length_costs_a_few_dozen_rows(home, monkeypatch):
    run = in_home(home, "long")
    run.trains(400)
    rows = []

    class Counted(RunReader):
        def losses(self, *where):
            found = super().losses(*where)
            rows.extend(found)
            return found

    assert len(sparkline(run.now(), Counted(home / "runs/long/run.db"), 10)) == 10
    assert len(rows) <= 20


@pytest.mark.parametrize(
    ("cells", "said"),
    [(80, " no runs yet: n begins one · tuitrain tour in a shell teaches it step by step"),
     (40, " no runs yet: n begins one")],
)  # fmt: skip
def test_an_empty_list_says_how_to_begin_and_where_there_is_room_who_teaches_it(cells, said):
    assert RunList().heading(cells) == said
