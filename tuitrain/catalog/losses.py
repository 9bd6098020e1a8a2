"""The losses, with explanations for learners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tuitrain.catalog.entry import Entry, Kind
from tuitrain.catalog.entry_options import Between, Option


@dataclass(frozen=True, slots=True)
class Loss(Entry):
    """A loss function, with an explanation for learners."""

    formula: str = ""
    inside: str = ""
    """How it is computed."""
    when: str = ""
    """When to use it."""
    when_not: str = ""
    """When to use another one."""
    takes: Mapping[Kind, str] = field(default_factory=dict)
    """Shapes and dtypes of prediction and target, by supported problem kind."""
    misfits: Mapping[Kind, str] = field(default_factory=dict)
    """The reason why it does not support a problem kind, by kind."""

    def shapes(self, kind: str | None) -> str | None:
        """Return `takes` for that problem kind; None if it does not support the kind."""
        return next((text for known, text in self.takes.items() if known == kind), None)

    def misfit(self, kind: str | None) -> str | None:
        """Return `misfits` for that problem kind; None if no reason is known."""
        return next((text for known, text in self.misfits.items() if known == kind), None)

    def why_not(self, kind: str | None) -> str:
        """Return one sentence on why it does not support that problem kind."""
        reason = self.misfit(kind) or f"it is for {', '.join(self.takes)}"
        return f"{self.name} does not fit {kind or 'these'} problems: {reason}"


_ON_PROBABILITIES: Mapping[Kind, str] = {
    "multiclass": "probabilities softmax(z) (N, C) float; one-hot targets (N, C) float",
    "binary": "probabilities sigmoid(z) (N,) float; targets 0 or 1 (N,) float",
    "regression": "predictions (N,) float; targets (N,) float",
}

LOSSES: Mapping[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(
            "cross-entropy",
            "tuitrain.engine.losses:cross_entropy",
            "Negative log-probability of the true class",
            aliases=("CrossEntropyLoss",),
            formula="−log softmax(z)[y]",
            inside="Log-softmax turns the logits z into log-probabilities over the classes. The "
            "loss is the negative log-probability of the true class y.",
            when="For exactly one true class per sample. Its gradient, softmax(z) − onehot(y), "
            "stays large while the model is wrong.",
            when_not="Not for labels that can be true together, nor for regression.",
            options={
                "label_smoothing": Option(
                    Between(0, 1), 0.0, "share of the target spread evenly over the classes"
                )
            },
            takes={
                "multiclass": "logits (N, C) float; class indices (N,) int64",
                "binary": "one logit z per sample as the two logits (0, z) (N, 2) float; "
                "targets 0 or 1 (N,) as class indices. Its value equals that of bce-with-logits",
            },
            misfits={"regression": "its target is a class index, not a number; try mse"},
        ),
        Loss(
            "bce-with-logits",
            "tuitrain.engine.losses:bce_with_logits",
            "Negative log-probability of each binary label",
            aliases=("BCEWithLogitsLoss",),
            formula="−y·log σ(z) − (1 − y)·log(1 − σ(z))",
            inside="The sigmoid σ and the logarithm are computed as one function, so that a large "
            "|z| neither overflows nor rounds to log 0.",
            when="For binary labels, one or several per sample.",
            when_not="With C exclusive classes it trains C independent binary classifiers; "
            "cross-entropy uses that exactly one class is true.",
            options={"pos_weight": Option(Between(1e-6, 1e6), 1.0, "weight of the positive class")},
            takes={
                "multiclass": "logits (N, C) float; one-hot targets (N, C) float: "
                "one binary label for each class (one-versus-rest)",
                "binary": "one logit per sample (N,) float; targets 0 or 1 (N,) float",
            },
            misfits={"regression": "its targets must be from 0 to 1; try mse"},
        ),
        Loss(
            "mse",
            "tuitrain.engine.losses:mse",
            "Mean of the squared errors",
            aliases=("MSELoss",),
            formula="mean (p − t)²",
            inside="Squaring emphasises large errors: one error of 10 counts as much as a hundred "
            "of 1. The best constant prediction is the mean.",
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
            when_not="The gradient does not shrink near the target, so it converges less "
            "precisely. On classes it may never learn the hard ones.",
            takes=_ON_PROBABILITIES,
        ),
    )
}

_USUAL: Mapping[str, str] = {
    "multiclass": "cross-entropy",
    "binary": "bce-with-logits",
    "regression": "mse",
}


def loss_aliases(names: Iterable[str]) -> dict[str, str]:
    """Return the names of these losses by their other names."""
    known = [LOSSES[name] for name in names if name in LOSSES]
    return {alias: loss.name for loss in known for alias in loss.aliases}


def fitting_losses(kind: str | None) -> list[Loss]:
    """Return the losses that support that problem kind, the default first."""
    fitting = [loss for loss in LOSSES.values() if kind in loss.takes]
    return sorted(fitting, key=lambda loss: loss.name != _USUAL.get(str(kind)))
