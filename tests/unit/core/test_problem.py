"""A run's own statement of its losses: their one text, their options, and what does not fit."""

import pytest

from tuitrain.catalog import LOSSES, fitting_losses, loss_text, problem
from tuitrain.core.errors import UnknownName, WrongUse
from tuitrain.core.problem import KINDS, LossOption, Problem

OWN = Problem(
    "ranking", losses=("lambda-rank",), aliases={"LambdaRank": "lambda-rank"},
    options={
        "lambda-rank": (
            LossOption("cut", "10", "a number from 1 to 99", "places that count", (1, 99)),
            LossOption("form", "log"),
        )
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "one"),
    [
        ("LambdaRank", "lambda-rank"),
        ("lambda-rank:cut=10.0", "lambda-rank"),
        ("lambda-rank:form=sqrt,cut=5.50", "lambda-rank:cut=5.5,form=sqrt"),
    ],
)
def test_a_loss_that_no_catalogue_knows_has_one_text(text: str, one: str):
    assert OWN.loss_text(text) == one
    assert OWN.loss_text(one) == one


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        ("mse", UnknownName, "no loss 'mse'"),
        ("lambda-rank:top=3", UnknownName, "no option 'top' of lambda-rank"),
        ("lambda-rank:cut", WrongUse, "write NAME:key=value"),
        ("lambda-rank:cut=100", WrongUse, r"cut takes a number from 1 to 99 \(places that count\)"),
        ("lambda-rank:cut=nan", WrongUse, "not nan"),
        ("lambda-rank:cut=many", WrongUse, "not many"),
    ],
)
def test_a_loss_that_the_run_does_not_state_is_said_to_be_none(text: str, error: type, why: str):
    with pytest.raises(error, match=why):
        OWN.loss_text(text)


def test_the_parameters_of_a_loss_have_their_defaults_where_its_text_has_none():
    assert OWN.parameters("lambda-rank:cut=5") == ["cut=5", "form=log"]
    assert OWN.parameters("mse") == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_built_in_problem_states_all_that_the_catalogue_knows_of_its_losses(kind: str):
    stated = problem(kind)
    for loss in fitting_losses(kind):
        text = f"{loss.name}:{','.join(stated.parameters(loss.name))}".removesuffix(":")
        assert stated.loss_text(text) == loss_text(loss.name)
    assert stated.misfits.keys() == LOSSES.keys() - {*stated.losses} - {
        name for name, loss in LOSSES.items() if not loss.misfit(kind)
    }
