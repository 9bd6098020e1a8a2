"""What a user does with a chart: zoom, cursor, smoothing."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tuitrain.view.chart.chart_view import USUAL, ChartView, Window

LIVE = Window(0, 1000)


def test_zooming_in_keeps_the_step_in_its_place_and_zooming_out_again_is_live():
    closer = USUAL.zoomed(0.5, 400, LIVE)
    assert closer.window == Window(200, 700)
    assert closer.zoomed(2, 400, LIVE) == USUAL


@given(st.lists(st.sampled_from(["in", "out", "left", "right"]), max_size=30),
       st.integers(1, 10**7), st.data())  # fmt: skip
def test_a_window_stays_within_the_run_and_shows_the_cursor(keys, newest, data):
    live = Window(0, newest + data.draw(st.integers(0, newest)))
    view = USUAL
    for key in keys:
        if key in ("in", "out"):
            at = newest if view.cursor is None else view.cursor
            view = view.zoomed(0.5 if key == "in" else 2, at, live)
        else:
            by = max(1, (view.window or live).steps // 80)
            view = view.moved(-by if key == "left" else by, 1, newest, live)
        shown = view.window or live
        assert live.first <= shown.first < shown.last <= live.last
        if view.cursor is not None:
            assert 1 <= view.cursor <= newest
            assert shown.first <= view.cursor <= shown.last


def test_the_first_arrow_begins_at_the_newest_step():
    assert USUAL.moved(-10, 1, 800, LIVE).cursor == 790


def test_a_window_moves_along_with_the_cursor():
    view = ChartView(window=Window(200, 300), cursor=285)
    assert view.moved(20, 1, 800, LIVE) == ChartView(window=Window(215, 315), cursor=305)


def test_esc_gives_up_zoom_and_cursor_and_keeps_the_rest():
    view = ChartView("time", log_y=True, half_life=5, window=Window(1, 99), cursor=5)
    assert view.live() == ChartView("time", log_y=True, half_life=5)
    assert view.live().is_live


def test_smoothing_goes_on_from_what_is_shown_and_has_a_least():
    assert USUAL.smoothing(LIVE) == 10
    assert USUAL.smoother(2, LIVE).half_life == 20
    assert USUAL.smoother(0.5, LIVE).half_life == 5
    off = ChartView(half_life=0)
    assert off.smoother(2, LIVE).half_life == 1, "plus switches it on"
    assert off.smoother(0.5, LIVE).half_life == 1
    assert ChartView(half_life=900).smoother(2, LIVE).half_life == 1000


def test_the_notes_say_what_is_unusual_and_nothing_else():
    assert USUAL.notes(is_log=False) == []
    view = ChartView("epoch", half_life=0, full_range=True, window=Window(1000, 2000))
    assert view.notes(is_log=True) == [
        "log y", "by epoch", "not smoothed", "with outliers", "steps 1,000–2,000"
    ]  # fmt: skip
    assert replace(USUAL, half_life=1.0).notes(is_log=False) == ["smoothed over 1 step"]
    assert replace(USUAL, half_life=7.5).notes(is_log=False) == ["smoothed over 7.5 steps"]
