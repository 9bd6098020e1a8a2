"""A run as a file of settings, there and back."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuitrain.catalog import new_spec
from tuitrain.core.commands import Change, SwapLoss
from tuitrain.core.config import as_config, read_config
from tuitrain.core.errors import Refused, TuitrainError, UnknownName, WrongUse
from tuitrain.core.plan import Planned
from tuitrain.core.spec import Parent, RunSpec

COMMANDS = st.one_of(
    st.builds(SwapLoss, st.sampled_from(["mse", "l1", "CrossEntropyLoss"])),
    st.builds(Change, st.just("lr"), st.floats(1e-12, 1e12)),
    st.builds(Change, st.just("clip-norm"), st.none() | st.floats(1e-6, 1e6)),
    st.builds(Change, st.just("batch-size"), st.integers(1, 4096)),
    st.builds(Change, st.just("weight-decay"), st.just(0.0) | st.floats(1e-6, 1.0)),
)
PLANS = st.lists(
    st.builds(
        Planned,
        st.integers(0, 10**9),
        st.integers(0, 10**6),
        st.text("0123abc-", min_size=1),
        COMMANDS,
    ),
    max_size=5,
)


def read(tmp: Path, text: str) -> RunSpec:
    file = tmp / "run.toml"
    file.write_text(text)
    return new_spec(**read_config(file))


@example(plan=[], lr=0.1, data="".join(map(chr, range(0xA0))))  # every control character
@given(plan=PLANS, lr=st.floats(1e-9, 10), data=st.none() | st.text(st.characters(codec="utf-8")))
def test_a_spec_is_the_same_after_a_file(tmp_path_factory, plan, lr, data):
    folder = tmp_path_factory.getbasetemp()
    spec = new_spec("mnist", lr=lr, schedule=plan, until=70, data=data or None)

    assert read(folder, as_config(spec)) == spec
    assert RunSpec.from_json(spec.to_json()) == spec


def test_a_fork_is_no_file_of_settings():
    spec = new_spec("digits", parent=Parent("runs/a", sha256="00"))
    with pytest.raises(Refused, match="starts from a checkpoint"):
        as_config(spec)


@pytest.mark.parametrize(
    ("text", "error", "description"),
    [
        ('parent = "a"', UnknownName, "in run.toml"),
        ("schedule = 3", WrongUse, "schedule must be a list"),
        ("schedule = [3]", WrongUse, "change 1 of the schedule is no table"),
        ('[[schedule]]\nloss = "mse"', WrongUse, "needs a whole number from 0 as its step"),
        ("[[schedule]]\nstep = 1\nepoch = 0", WrongUse, "sets nothing; each sets one of: loss"),
        ("[[schedule]]\nstep = 1\nepoch = 0\nlr = -1", WrongUse, "lr takes a number above 0"),
        ("[[schedule]]\nstep = 1\nepoch = 0\nlr = 1\npace = 2", WrongUse, "sets lr, pace"),
        ('[[schedule]]\nstep = 1\nepoch = 0\nloss = "msr"', UnknownName, "did you mean 'mse'"),
        ('task="diabetes"\n[[schedule]]\nstep = 1\nepoch = 0\nloss = "cross-entropy"',
         Refused, "does not fit regression"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_says_what_is_wrong(tmp_path, text, error, description):
    with pytest.raises(error) as caught:
        read(tmp_path, text)
    assert description in str(caught.value)
    assert isinstance(caught.value, TuitrainError)


def test_a_file_may_begin_with_the_mark_that_some_editors_write(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbflr = 0.5\n")
    assert read_config(tmp_path / "a.toml") == {"lr": 0.5}


def test_a_word_for_none_is_written_where_none_is_not_the_default(tmp_path):
    text = as_config(new_spec("digits", nproc=None))
    assert 'nproc = "auto"' in text
    assert read(tmp_path, text).nproc is None
    assert new_spec("digits").nproc == 1
