"""The losses that are for classes and labels alone, with explanations for learners."""

from __future__ import annotations

from tuitrain.catalog.entry_options import Between, Option
from tuitrain.catalog.loss import Loss
from tuitrain.core.values import Integer

_CLASSES = "class indices (N,) int64"
_LABELS = "labels 0 or 1 (N, C) float"
_LOGIT = "one logit per sample (N,) float; targets 0 or 1 (N,) float"
_SIGNED = "one logit per sample (N,) float; targets 0 or 1 (N,) float, as the signs s = −1 or 1"
_NO_NUMBERS = "its target is a class, not a number; try mse"
_NO_LABELS = (
    "it is for one true class, and several labels can be true together; try bce-with-logits"
)
_NO_SIGNS = "it is for one label per sample; try multilabel-soft-margin"

CLASS_LOSSES = (
    Loss(
        "cross-entropy",
        "tuitrain.engine.losses:cross_entropy",
        "Negative log-probability of the true class",
        aliases=("CrossEntropyLoss",),
        formula="−log softmax(z)[y]",
        inside="Log-softmax turns the logits z into log-probabilities over the classes. The loss "
        "is the negative log-probability of the true class y.",
        when="For exactly one true class per sample. Its gradient, softmax(z) − onehot(y), stays "
        "large while the model is wrong.",
        when_not="Not for labels that can be true together, nor for regression.",
        options={
            "label_smoothing": Option(
                Between(0, 1), 0.0, "share of the target spread evenly over the classes"
            )
        },
        takes={
            "multiclass": f"logits (N, C) float; {_CLASSES}",
            "binary": "one logit z per sample as the two logits (0, z) (N, 2) float; "
            "targets 0 or 1 (N,) as class indices. Without label_smoothing and --class-weights, "
            "its value equals that of bce-with-logits",
        },
        misfits={
            "multilabel": _NO_LABELS,
            "regression": "its target is a class index, not a number; try mse",
        },
    ),
    Loss(
        "bce-with-logits",
        "tuitrain.engine.losses:bce_with_logits",
        "Negative log-probability of each binary label",
        aliases=("BCEWithLogitsLoss",),
        formula="−y·log σ(z) − (1 − y)·log(1 − σ(z))",
        inside="The sigmoid σ and the logarithm are computed as one function, so that a large |z| "
        "neither overflows nor rounds to log 0. Its gradient is σ(z) − y.",
        when="For binary labels, one or several per sample.",
        when_not="With C exclusive classes it trains C independent binary classifiers; "
        "cross-entropy makes use of the fact that exactly one class is true.",
        options={"pos_weight": Option(Between(1e-6, 1e6), 1.0, "weight of the positive class")},
        takes={
            "multiclass": "logits (N, C) float; one-hot targets (N, C) float: "
            "one binary label for each class (one-versus-rest)",
            "binary": _LOGIT,
            "multilabel": f"logits (N, C) float; {_LABELS}",
        },
        misfits={"regression": "its targets must be from 0 to 1; try mse"},
    ),
    Loss(
        "nll",
        "tuitrain.engine.losses:nll",
        "Negative log-probability of the true class, from log-probabilities",
        aliases=("NLLLoss",),
        formula="−log p[y]",
        inside="PyTorch's NLLLoss only picks the entry of the true class y from "
        "log-probabilities. Here log_softmax comes first, so that a model may return logits, too: "
        "applied to log-probabilities it changes nothing. Value and gradient are those of "
        "cross-entropy.",
        when="For a model that ends in log_softmax, as many examples of PyTorch do.",
        when_not="For a model that ends in softmax: probabilities are not log-probabilities. For "
        "a new model, cross-entropy gives the same without the last layer.",
        takes={"multiclass": f"log-probabilities or logits (N, C) float; {_CLASSES}"},
        misfits={
            "binary": "it needs a log-probability for each class, and one logit is one number; try "
            "cross-entropy",
            "multilabel": _NO_LABELS,
            "regression": _NO_NUMBERS,
        },
    ),
    Loss(
        "focal",
        "tuitrain.engine.losses:focal",
        "Cross-entropy that weighs easy samples less",
        formula="−(1 − p)^γ·log p, for labels −α_t·(1 − p)^γ·log p",
        inside="p is the probability of what is true, class or label. (1 − p)^γ is near 1 where "
        "the model is wrong and near 0 where it is sure and right. Its gradient is that of "
        "cross-entropy times (1 − p)^γ − γ·p·(1 − p)^(γ − 1)·log p: at γ = 2 and p = 0.9 the loss "
        "is a hundredth of cross-entropy, the gradient a thirtieth. For labels, α_t is α for "
        "positive ones and 1 − α for negative ones: γ = 0 is cross-entropy, weighted by α "
        "(T.-Y. Lin et al., 2017).",
        when="When many easy samples drown the few that matter, as the background does in object "
        "detection.",
        when_not="With wrong labels: they stay hard, so it learns just these. Its probabilities "
        "are not calibrated: the model is right more often than they say.",
        options={
            "gamma": Option(Between(0, 10), 2.0, "how much less an easy sample counts, γ"),
            "alpha": Option(
                Between(0, 1), 0.25, "weight of the positive class, α", ("binary", "multilabel")
            ),
        },
        takes={
            "multiclass": f"logits (N, C) float; {_CLASSES}",
            "binary": _LOGIT,
            "multilabel": f"logits (N, C) float; {_LABELS}",
        },
        misfits={"regression": _NO_NUMBERS},
    ),
    Loss(
        "multi-margin",
        "tuitrain.engine.losses:multi_margin",
        "How far other logits come within a margin of the true one",
        aliases=("MultiMarginLoss",),
        formula="Σ_j≠y max(0, m − z[y] + z[j])^p / C",
        inside="The logit of the true class must exceed each other logit by the margin m; what is "
        "missing, d, counts, with p = 2 its square. Its gradient is p·d^(p − 1)/C for each logit "
        "that comes too near, minus their sum for the true one, and 0 for a sample that keeps the "
        "margin, so that only the others train the model.",
        when="When only the order of the classes matters, as in a support vector machine.",
        when_not="Where probabilities are needed: nothing makes the softmax of these logits "
        "right. scikit-learn's hinge_loss of several classes counts only the nearest one.",
        options={
            "p": Option(Integer(1, 2), 1, "power of what is missing"),
            "margin": Option(Between(1e-6, 1e6), 1.0, "least lead of the true class, m"),
        },
        takes={"multiclass": f"logits (N, C) float; {_CLASSES}"},
        misfits={
            "binary": "it compares the logits of several classes; hinge is the loss for one logit",
            "multilabel": _NO_LABELS,
            "regression": _NO_NUMBERS,
        },
    ),
    Loss(
        "hinge",
        "tuitrain.engine.losses:hinge",
        "How far a logit falls short of the margin on its side of 0",
        formula="max(0, 1 − s·z), s = −1 or 1",
        inside="The logit must be at least 1 for the positive class and at most −1 for the "
        "negative one; what is missing counts. Its gradient is −s until then, and 0 after it: "
        "samples that keep the margin do not train the model any more.",
        when="For a support vector machine, or to leave alone what is classified well already.",
        when_not="Where probabilities are needed: σ(z) does not estimate one. PyTorch's "
        "HingeEmbeddingLoss is another loss, for distances.",
        takes={"binary": _SIGNED},
        misfits={
            "multiclass": "it has one logit for two classes; multi-margin is for several",
            "multilabel": _NO_SIGNS,
            "regression": _NO_NUMBERS,
        },
    ),
    Loss(
        "soft-margin",
        "tuitrain.engine.losses:soft_margin",
        "The logistic loss of a signed logit",
        aliases=("SoftMarginLoss",),
        formula="log(1 + exp(−s·z)), s = −1 or 1",
        inside="With signs for targets, this is bce-with-logits in another form: the same value "
        "and the gradient σ(z) − y. The exponential is computed as it stands.",
        when="To compare with a text or a program that writes the logistic loss with signs.",
        when_not="Where s·z is below −88 the exponential overflows in float32: the loss is "
        "infinite and its gradient NaN, so the step is skipped and the run pauses. "
        "bce-with-logits has no such limit.",
        takes={"binary": _SIGNED},
        misfits={
            "multiclass": "it has one logit for two classes; try cross-entropy",
            "multilabel": "multilabel-soft-margin is for several labels",
            "regression": _NO_NUMBERS,
        },
    ),
    Loss(
        "multilabel-soft-margin",
        "tuitrain.engine.losses:multilabel_soft_margin",
        "The mean over the labels of their logistic losses",
        aliases=("MultiLabelSoftMarginLoss",),
        formula="mean over labels of −y·log σ(z) − (1 − y)·log(1 − σ(z))",
        inside="Each label has a logit and a logistic loss of its own; a sample has their mean. "
        "Value and gradient are those of bce-with-logits.",
        when="For several labels per sample, to compare with programs that use it.",
        when_not="Where positive labels are rare: bce-with-logits has pos_weight for them, and "
        "focal gamma and alpha.",
        takes={"multilabel": f"logits (N, C) float; {_LABELS}"},
        misfits={
            "multiclass": "its labels can be true together, and here one class is; try "
            "bce-with-logits",
            "binary": "there is one label per sample; try soft-margin",
            "regression": _NO_NUMBERS,
        },
    ),
    Loss(
        "brier",
        "tuitrain.engine.losses:brier",
        "Squared error of the probabilities",
        formula="Σ_c (p_c − onehot(y)_c)², for one label (σ(z) − y)²",
        inside="The probabilities are compared with 1 for what is true and 0 for what is not; for "
        "several classes the squares are added, so that the worst value is 2, for labels 1. It is "
        "least for the true probabilities. Its gradient is 2·(p − y)·p·(1 − p) for one label, and "
        "2·p_k·[(p_k − y_k) − Σ_c p_c·(p_c − y_c)] for the logit of class k of several: nearly 0 "
        "where the model is sure, also where it is sure and wrong (G. Brier, 1950).",
        when="For calibrated probabilities where some labels may be wrong: no sample counts more "
        "than 2.",
        when_not="At the start of training it learns slowly where the model is confidently wrong; "
        "cross-entropy does not.",
        takes={
            "multiclass": "probabilities softmax(z) (N, C) float; one-hot targets (N, C) float. "
            "Its value is C times that of mse",
            "binary": "probabilities σ(z) (N,) float; targets 0 or 1 (N,) float. Its value equals "
            "that of mse",
            "multilabel": f"probabilities σ(z) (N, C) float; {_LABELS}. Its value equals that of "
            "mse",
        },
        misfits={"regression": "it is for probabilities; try mse"},
    ),
)
