"""The losses, with the texts that teach them."""

from __future__ import annotations

from collections.abc import Mapping
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
    when_not: str = ""
    takes: Mapping[Kind, str] = field(default_factory=dict)
    """Shapes and dtypes of prediction and target, by supported problem kind."""
    misfits: Mapping[Kind, str] = field(default_factory=dict)
    """Why it does not support the other kinds."""

    def taken(self, kind: str | None) -> str | None:
        """Return its input shapes for that problem kind; None if it does not support the kind."""
        return next((text for known, text in self.takes.items() if known == kind), None)

    def misfit(self, kind: str | None) -> str | None:
        """Return why it does not support that problem kind; None if no reason is known."""
        return next((text for known, text in self.misfits.items() if known == kind), None)

    def why_not(self, kind: str | None) -> str:
        """Return one sentence on why it does not support that problem kind."""
        reason = self.misfit(kind) or f"it is for {', '.join(self.takes)}"
        return f"{self.name} does not fit {kind or 'these'} problems: {reason}"


_ON_PROBABILITIES: Mapping[Kind, str] = {
    "multiclass": "probabilities softmax(z) (N, C) float; one-hot targets (N, C) float",
    "binary": "probabilities sigmoid(z) (N,) float; targets 0 or 1 (N,) float",
    "regression": "numbers (N,) float; numbers (N,) float",
}

LOSSES: Mapping[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(
            "cross-entropy",
            "tuitrain.engine.losses:cross_entropy",
            "How surprised the model is by the right class",
            aliases=("CrossEntropyLoss",),
            formula="−log softmax(z)[y]",
            inside="Log-softmax turns the logits z into log-probabilities that add up to one "
            "class; the negative log-likelihood then reads off the right class y.",
            when="For one class out of several. Its gradient, softmax(z) − onehot(y), stays large "
            "while the model is wrong.",
            when_not="Not where several classes may be right at once, nor for numbers.",
            options={
                "label_smoothing": Option(
                    Between(0, 1), 0.0, "share of the target for all classes alike"
                )
            },
            takes={
                "multiclass": "logits (N, C) float; class indices (N,) int64",
                "binary": "one logit per sample as the two logits (0, z) (N, 2) float; "
                "targets 0 or 1 (N,) as class indices. The same value as bce-with-logits",
            },
            misfits={"regression": "a number is no class, and has no index; try mse"},
        ),
        Loss(
            "bce-with-logits",
            "tuitrain.engine.losses:bce_with_logits",
            "How surprised the model is by each yes or no",
            aliases=("BCEWithLogitsLoss",),
            formula="−y·log σ(z) − (1 − y)·log(1 − σ(z))",
            inside="The sigmoid σ is folded into the logarithm, so that a large |z| neither "
            "overflows nor rounds to log 0.",
            when="For yes or no, and where several labels may be right at once.",
            when_not="With C classes it asks C questions that know nothing of each other: "
            "cross-entropy uses that just one of them is right.",
            options={"pos_weight": Option(Between(1e-6, 1e6), 1.0, "weight of the positive class")},
            takes={
                "multiclass": "logits (N, C) float; one-hot targets (N, C) float: "
                "one yes or no for each class (one-versus-rest)",
                "binary": "one logit per sample (N,) float; targets 0 or 1 (N,) float",
            },
            misfits={"regression": "a target outside 0 to 1 makes it negative; try mse"},
        ),
        Loss(
            "mse",
            "tuitrain.engine.losses:mse",
            "The mean of the squared errors",
            aliases=("MSELoss",),
            formula="mean (p − t)²",
            inside="Squaring punishes large errors: one of 10 counts as much as a hundred of 1. "
            "Its best constant guess is the mean.",
            when="For numbers whose errors are about normal.",
            when_not="One outlier can rule it (see l1). On classes it learns slowly where the "
            "model is surely wrong: there the softmax is flat.",
            takes=_ON_PROBABILITIES,
        ),
        Loss(
            "l1",
            "tuitrain.engine.losses:l1",
            "The mean of the absolute errors",
            aliases=("L1Loss",),
            formula="mean |p − t|",
            inside="The absolute value does not mind outliers: every error pulls with the same "
            "force. Its best constant guess is the median.",
            when="For numbers where outliers lurk.",
            when_not="The force does not fade near the target, so it settles less finely; on "
            "classes it may give up on the hard ones.",
            takes=_ON_PROBABILITIES,
        ),
    )
}

_USUAL: Mapping[str, str] = {
    "multiclass": "cross-entropy",
    "binary": "bce-with-logits",
    "regression": "mse",
}


def fitting_losses(kind: str | None) -> list[Loss]:
    """Return the losses that support that problem kind, the default first."""
    fitting = [loss for loss in LOSSES.values() if kind in loss.takes]
    return sorted(fitting, key=lambda loss: loss.name != _USUAL.get(str(kind)))
