"""Another loss in the place of a call: it has the call's reduction, targets and samples."""

import inspect

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tuitrain.watcher import hooks
from tuitrain.watcher.losses import Call, fitting, replaced, why_not

REDUCTIONS = st.sampled_from(["mean", "sum"])
SEEDS = st.integers(0, 1000)


def classes(seed: int, samples: int = 6, of: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(samples, of, generator=generator, dtype=torch.float64),
        torch.randint(0, of, (samples,), generator=generator),
    )


@given(SEEDS, REDUCTIONS, st.integers(1, 9))
def test_a_replaced_cross_entropy_is_the_squared_error_of_its_probabilities(
    seed, reduction, samples
):
    logits, target = classes(seed, samples)
    one_hot = functional.one_hot(target, 4).double()
    own = functional.mse_loss(logits.softmax(1), one_hot, reduction=reduction)
    call = Call("cross_entropy", (logits, target), {"reduction": reduction})
    torch.testing.assert_close(replaced(call, "mse"), own)


@given(SEEDS, REDUCTIONS)
def test_log_probabilities_are_logits_of_the_other_losses(seed, reduction):
    logits, target = classes(seed)
    own = functional.cross_entropy(logits, target, reduction=reduction)
    call = Call("nll_loss", (logits.log_softmax(1), target), {"reduction": reduction})
    torch.testing.assert_close(replaced(call, "cross-entropy"), own)


@pytest.mark.parametrize("loss", ["nll", "focal", "multi-margin", "brier"])
def test_the_sum_of_a_loss_of_samples_is_its_mean_times_their_number(loss):
    logits, target = classes(1)
    mean = replaced(Call("cross_entropy", (logits, target), {}), loss)
    summed = replaced(Call("cross_entropy", (logits, target), {"reduction": "sum"}), loss)
    torch.testing.assert_close(summed, mean * len(target))


@given(SEEDS, REDUCTIONS, st.sampled_from([-100, 2]))
def test_ignored_targets_are_left_out(seed, reduction, ignored):
    logits, target = classes(seed)
    target[0] = ignored
    used = target != ignored
    if not used.any():
        return
    call = Call(
        "cross_entropy", (logits, target), {"reduction": reduction, "ignore_index": ignored}
    )
    without = Call("cross_entropy", (logits[used], target[used]), {"reduction": reduction})
    torch.testing.assert_close(replaced(call, "mse"), replaced(without, "mse"))


@given(SEEDS, REDUCTIONS, st.booleans())
def test_probabilities_of_a_binary_loss_become_logits_again(seed, reduction, is_column):
    logits, _ = classes(seed, 8, 1)
    target = (classes(seed + 1, 8, 1)[0] > 0).double()
    if not is_column:
        logits, target = logits.flatten(), target.flatten()
    own = functional.binary_cross_entropy_with_logits(logits, target, reduction=reduction)
    call = Call("binary_cross_entropy", (logits.sigmoid(), target), {"reduction": reduction})
    torch.testing.assert_close(replaced(call, "bce-with-logits"), own)


@given(SEEDS, REDUCTIONS, st.sampled_from([(5,), (5, 1), (2, 3, 4)]))
def test_numbers_of_any_shape_have_another_regression_loss(seed, reduction, shape):
    generator = torch.Generator().manual_seed(seed)
    output, target = torch.randn(2, *shape, generator=generator)
    own = functional.l1_loss(output, target, reduction=reduction)
    call = Call("mse_loss", (output, target), {"reduction": reduction})
    torch.testing.assert_close(replaced(call, "l1"), own)


LOGITS, TARGET = classes(0)


@pytest.mark.parametrize(
    ("call", "loss", "reason"),
    [
        (None, "mse", "written out by hand"),
        (Call("cross_entropy", (LOGITS, TARGET), {"reduction": "none"}), "mse", "reduces it"),
        (Call("cross_entropy", (LOGITS, TARGET, torch.ones(4)), {}), "mse", "with weight"),
        (Call("cross_entropy", (LOGITS, TARGET), {"reduce": True}), "mse", "size_average"),
        (Call("cross_entropy", (LOGITS[None], TARGET[None]), {}), "mse", "only (N, C)"),
        (Call("cross_entropy", (LOGITS, LOGITS.softmax(1)), {}), "mse", "only (N, C)"),
        (Call("cross_entropy", (torch.ones(2, 5000), TARGET[:2]), {}), "mse", "too large"),
        (Call("mse_loss", (LOGITS, LOGITS[:1]), {}), "l1", "differ in shape"),
        (Call("ctc_loss", (LOGITS, TARGET, TARGET, TARGET), {}), "mse", "no input and target"),
        (Call("kl_div", (LOGITS, LOGITS), {}), "mse", "input of its own kind"),
        (Call("mse_loss", (LOGITS, LOGITS), {}), "cross-entropy", "regression"),
        (Call("mse_loss", (LOGITS, LOGITS), {}), "poisson-nll", "targets of 0 or more"),
    ],
)
def test_a_loss_that_would_be_another_number_is_refused_with_the_reason(call, loss, reason):
    assert reason in str(why_not(call, loss))
    if call is not None:
        assert why_not(call.without_data(), loss) == why_not(call, loss), "shapes are enough"


def test_the_own_loss_comes_first_among_those_that_fit():
    call = Call("nll_loss", (LOGITS, TARGET), {})
    assert fitting(call, None)[:2] == ["nll", "cross-entropy"]
    assert fitting(Call("ctc_loss", (LOGITS,), {}), None) == ["ctc"]


def test_a_function_that_was_wrapped_before_by_one_without_names_can_be_swapped(monkeypatch):
    outputs, target = torch.randn(4), torch.randn(4)
    nameless = inspect.signature(lambda *args, **kwargs: (args, kwargs))
    monkeypatch.setitem(hooks._SIGNATURES, "mse_loss", nameless)
    for call in (
        Call("mse_loss", (outputs, target), {"reduction": "sum"}),
        Call("mse_loss", (), {"target": target, "input": outputs, "reduction": "sum"}),
    ):
        torch.testing.assert_close(replaced(call, "l1"), (outputs - target).abs().sum())
