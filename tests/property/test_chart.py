"""Whatever a run's losses are, its chart has the size that was asked for and nothing odd in it."""

from typing import get_args

import wcwidth
from hypothesis import given, settings
from hypothesis import strategies as st

from tuitrain.store.rollup import summed
from tuitrain.view.chart import plot
from tuitrain.view.chart.x_axis import UNITS
from tuitrain.view.picture import ThemeRole

losses = st.floats() | st.floats(0, 3) | st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324])
names = st.text(max_size=40) | st.sampled_from(["mse", "cross-entropy"])


@st.composite
def segments(draw):
    made, step = [], draw(st.integers(0, 10**7))
    for name, values, size in draw(
        st.lists(
            st.tuples(names, st.lists(losses, max_size=60), st.sampled_from([1, 3, 16, 4096])),
            max_size=5,
        )
    ):
        first, buckets = step + 1, []
        for value in values:
            step += size
            buckets.append(summed([value] * min(size, 5), step - size + 1)._replace(last=step))
        validations = [(draw(st.integers(0, step + 9)), value) for value in values[:3]]
        made.append(plot.Segment(name, first, step, tuple(buckets), tuple(validations)))
    return made


options_of_charts = st.builds(
    plot.ChartOptions,
    planned=st.integers(0, 10**8),
    newest=st.integers(0, 10**8),
    half_life=st.none() | st.floats(0, 1e6),
    full_range=st.booleans(),
    log_y=st.none() | st.booleans(),
    unit=st.sampled_from(UNITS),
    window=st.none()
    | st.tuples(st.floats(0, 10**7), st.floats(1e-2, 10**7)).map(lambda at: (at[0], sum(at))),
    cursor=st.none() | st.floats(0, 10**7),
    has_colour=st.booleans(),
)
curves = st.builds(
    plot.Curve,
    points=st.lists(st.tuples(st.floats(0, 10**7), losses), max_size=40).map(sorted).map(tuple),
    role=st.sampled_from(["validation", "past"]),
    sign=st.sampled_from("●AB"),
)


@settings(max_examples=60, deadline=None)
@given(segments(), st.integers(0, 90), st.integers(0, 24), options_of_charts)
def test_a_chart_is_exactly_as_large_as_asked_and_made_of_roles_and_plain_signs(
    run, width, height, options
):
    picture = plot.draw_losses(run, width=width, height=height, options=options)
    assert_drawn(picture, width, height)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(curves, max_size=4),
    st.lists(st.floats(0, 10**7), max_size=3),
    st.integers(0, 90),
    st.integers(0, 24),
    options_of_charts,
)
def test_a_chart_of_curves_is_so_too(curves, rulers, width, height, options):
    picture = plot.draw_curves(curves, width=width, height=height, options=options, rulers=rulers)
    assert_drawn(picture, width, height)


def assert_drawn(picture, width, height):
    assert len(picture) == height
    for line in picture:
        text = "".join(piece.text for piece in line)
        assert len(text) == width
        assert {piece.role for piece in line} <= set(get_args(ThemeRole))
        assert all(wcwidth.wcwidth(sign) == 1 for sign in text)
