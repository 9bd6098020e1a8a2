"""The losses for regression, two of which are for probabilities, too."""

from __future__ import annotations

from collections.abc import Mapping

from tuitrain.catalog.entry_options import Between, Option, YesOrNo
from tuitrain.catalog.loss import Loss
from tuitrain.core.problem import Kind

_NUMBERS: Mapping[Kind, str] = {"regression": "predictions p (N,) float; targets t (N,) float"}
_ON_PROBABILITIES: Mapping[Kind, str] = {
    "multiclass": "probabilities softmax(z) (N, C) float; one-hot targets (N, C) float",
    "binary": "probabilities sigmoid(z) (N,) float; targets 0 or 1 (N,) float",
    "multilabel": "probabilities sigmoid(z) (N, C) float; labels 0 or 1 (N, C) float",
    "regression": "predictions (N,) float; targets (N,) float",
}
_NO_CLASSES: Mapping[Kind, str] = {
    "multiclass": "it is for regression; try cross-entropy",
    "binary": "it is for regression; try bce-with-logits",
    "multilabel": "it is for regression; try bce-with-logits",
}
_SCALE = Between(1e-6, 1e6)
_UNIT = "in standard deviations where targets are standardised"

REGRESSION_LOSSES = (
    Loss(
        "mse",
        "tuitrain.engine.losses:mse",
        "Mean of the squared errors",
        aliases=("MSELoss",),
        formula="mean (p − t)²",
        inside="Squaring emphasises large errors: one error of 10 counts as much as a hundred of "
        "1. Its gradient for a number is 2·(p − t)/N, proportional to the error. The best constant "
        "prediction is the mean.",
        when="For regression with errors that are roughly normal.",
        when_not="One outlier can dominate it (see l1). On classes it learns slowly where the "
        "model is confidently wrong: there the gradient of the softmax is almost zero.",
        takes=_ON_PROBABILITIES,
    ),
    Loss(
        "l1",
        "tuitrain.engine.losses:l1",
        "Mean of the absolute errors",
        aliases=("L1Loss",),
        formula="mean |p − t|",
        inside="Its gradient has the same size for every error, so that it is robust against "
        "outliers. The best constant prediction is the median.",
        when="For regression with outliers.",
        when_not="The gradient does not shrink near the target, so it converges less precisely. "
        "On classes it may never learn the hard ones.",
        takes=_ON_PROBABILITIES,
    ),
    Loss(
        "smooth-l1",
        "tuitrain.engine.regression_losses:smooth_l1",
        "Absolute error with a rounded tip",
        aliases=("SmoothL1Loss",),
        formula="mean of (p − t)² / 2β where |p − t| < β, else |p − t| − β/2",
        inside="Small errors are squared, large ones are not. Its gradient is (p − t)/β, at most "
        "1 in size: it shrinks near the target, where that of l1 jumps from −1 to 1.",
        when="For regression with outliers; it is the usual loss for boxes in object detection.",
        when_not="Where large errors are those that cost: mse weighs them more. Its slope near "
        "the target depends on β, that of huber does not.",
        options={"beta": Option(_SCALE, 1.0, f"error up to which it is squared, β, {_UNIT}")},
        takes=_NUMBERS,
        misfits=_NO_CLASSES,
    ),
    Loss(
        "huber",
        "tuitrain.engine.regression_losses:huber",
        "Squared error up to a limit, absolute beyond it",
        aliases=("HuberLoss",),
        formula="mean of (p − t)² / 2 where |p − t| < δ, else δ·(|p − t| − δ/2)",
        inside="It is half of mse for errors below δ, and a straight line of the same slope "
        "beyond. Its gradient is p − t, clipped to −δ and δ. At δ = 1 it equals smooth-l1; in "
        "general it is δ times smooth-l1 with β = δ (P. Huber, 1964).",
        when="For regression with some outliers: the errors of the others are treated as by mse.",
        when_not="With δ beyond all errors it is half of mse; with a small one its gradients are "
        "small, too.",
        options={"delta": Option(_SCALE, 1.0, f"error beyond which it is linear, δ, {_UNIT}")},
        takes=_NUMBERS,
        misfits=_NO_CLASSES,
    ),
    Loss(
        "log-cosh",
        "tuitrain.engine.regression_losses:log_cosh",
        "A smooth curve between squared and absolute error",
        formula="mean log cosh(p − t)",
        inside="Near the target it is (p − t)²/2, far from it |p − t| − log 2, with no seam "
        "between them. Its gradient is tanh(p − t), between −1 and 1.",
        when="As huber, for an optimizer or a model that needs smooth second derivatives.",
        when_not="The place where it bends, an error of about 1, cannot be moved: huber's δ can.",
        takes=_NUMBERS,
        misfits=_NO_CLASSES,
    ),
    Loss(
        "quantile",
        "tuitrain.engine.regression_losses:quantile",
        "Pinball loss: the quantile that a share q of the targets is below",
        formula="mean of q·(t − p) where p is too low, (1 − q)·(p − t) where it is too high",
        inside="A prediction that is too low costs q for each unit, one that is too high 1 − q. "
        "Its gradient is −q or 1 − q, and they balance where a share q of the targets is below "
        "the prediction. q = 0.5 is half of l1, and predicts the median.",
        when="To predict a bound, such as what demand exceeds in one case of ten (q = 0.9), or an "
        "interval by two models.",
        when_not="For q far from 0.5 few samples decide, so it needs many. RMSE and R² are best "
        "for the mean, which it does not predict.",
        options={"q": Option(Between(0.001, 0.999), 0.5, "share of the targets below, q")},
        takes=_NUMBERS,
        misfits=_NO_CLASSES,
    ),
    Loss(
        "poisson-nll",
        "tuitrain.engine.regression_losses:poisson_nll",
        "Negative log-likelihood of counts",
        aliases=("PoissonNLLLoss",),
        formula="mean exp(z) − t·z, z the logarithm of the expected count",
        inside="The model predicts the logarithm z of the expected count, so that no count is "
        "negative; metrics, predictions and the other losses are of exp(z). Its gradient is "
        "exp(z) − t. Half of the Poisson deviance differs from it by a number that depends on the "
        "targets alone.",
        when="For counts, whose spread grows with their mean: visits, defects, cases a day.",
        when_not="Where the variance is far above the mean. With log_input=no the output is the "
        "expected count itself, and must never be negative: the model has to see to that.",
        options={"log_input": Option(YesOrNo(), True, "the output is the logarithm of the count")},
        positive_with={"log_input": False},
        takes={"regression": "logarithms z of counts (N,) float; targets of 0 or more (N,) float"},
        misfits=_NO_CLASSES,
        only_counts="it needs targets of 0 or more in their own unit, and those of built-in tasks "
        "and of tables are standardised; a task of your own can have them",
    ),
)
