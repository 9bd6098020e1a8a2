"""The loss functions of a program.

Each takes what the model returns and the targets, as in `tuitrain/engine/losses.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tuitrain.core.catalog import Kind
from tuitrain.core.choice import Choice
from tuitrain.core.errors import Refused
from tuitrain.core.safe import safe
from tuitrain.export.program.part import FUNCTIONAL, PARTIAL, TORCH, Part


def criterion(loss: str, kind: Kind) -> Part:
    """Return what stands for a loss in the program."""
    choice = Choice.read("loss", loss)
    if (choice.name, kind) == ("cross-entropy", "multiclass"):
        name = "functional.cross_entropy"
    elif (choice.name, kind) in _TEXTS:
        name = choice.name.replace("-", "_")
    else:
        raise Refused(f"no program can be written for the loss {safe(choice.name)}")
    if not choice.options:
        return Part(name, (FUNCTIONAL,))
    given = "".join(f", {key}={value}" for key, value in choice.options.items())
    return Part(f"partial({name}{given})", (FUNCTIONAL, PARTIAL))


def functions(losses: Iterable[str], kind: Kind) -> list[Part]:
    """Return the functions that those losses need; none where torch's own fits as it is."""
    choices = [Choice.read("loss", loss) for loss in losses]
    with_options = {each.name for each in choices if each.options}
    names = dict.fromkeys(each.name for each in choices)
    texts = [
        (_WITH_OPTIONS if name in with_options else _TEXTS)[name, kind]
        for name in names
        if (name, kind) in _TEXTS
    ]
    return [Part(text, (FUNCTIONAL, TORCH)) for text in texts]


_ONE_HOT = "functional.one_hot(classes, logits.shape[1]).float()"

_TEXTS: Mapping[tuple[str, Kind], str] = {
    ("bce-with-logits", "multiclass"): f'''\
def bce_with_logits(logits, classes):
    """Return how surprising it is, for each class, whether it is the right one."""
    right = {_ONE_HOT}
    return functional.binary_cross_entropy_with_logits(logits, right)
''',
    ("mse", "multiclass"): f'''\
def mse(logits, classes):
    """Return the mean squared error of the probabilities; the right one is 1."""
    right = {_ONE_HOT}
    return functional.mse_loss(logits.softmax(dim=1), right)
''',
    ("l1", "multiclass"): f'''\
def l1(logits, classes):
    """Return the mean absolute error of the probabilities; the right one is 1."""
    right = {_ONE_HOT}
    return functional.l1_loss(logits.softmax(dim=1), right)
''',
    ("bce-with-logits", "binary"): '''\
def bce_with_logits(logits, labels):
    """Return how surprising the labels are to whoever believes the logits."""
    return functional.binary_cross_entropy_with_logits(logits.squeeze(1), labels)
''',
    ("cross-entropy", "binary"): '''\
def cross_entropy(logits, labels):
    """Return the cross-entropy of two classes: a logit z stands for the two (0, z)."""
    both = torch.cat((torch.zeros_like(logits), logits), dim=1)
    return functional.cross_entropy(both, labels.long())
''',
    ("mse", "binary"): '''\
def mse(logits, labels):
    """Return the mean squared error of the probabilities."""
    return functional.mse_loss(logits.squeeze(1).sigmoid(), labels)
''',
    ("l1", "binary"): '''\
def l1(logits, labels):
    """Return the mean absolute error of the probabilities."""
    return functional.l1_loss(logits.squeeze(1).sigmoid(), labels)
''',
    ("mse", "regression"): '''\
def mse(predictions, targets):
    """Return the mean squared error."""
    return functional.mse_loss(predictions.squeeze(1), targets)
''',
    ("l1", "regression"): '''\
def l1(predictions, targets):
    """Return the mean absolute error."""
    return functional.l1_loss(predictions.squeeze(1), targets)
''',
}

_WITH_OPTIONS: Mapping[tuple[str, Kind], str] = {
    ("cross-entropy", "binary"): '''\
def cross_entropy(logits, labels, label_smoothing=0.0):
    """Return the cross-entropy of two classes: a logit z stands for the two (0, z)."""
    both = torch.cat((torch.zeros_like(logits), logits), dim=1)
    return functional.cross_entropy(both, labels.long(), label_smoothing=label_smoothing)
''',
    ("bce-with-logits", "binary"): '''\
def bce_with_logits(logits, labels, pos_weight=None):
    """Return how surprising the labels are, those that are 1 so many times as much."""
    weight = None if pos_weight is None else logits.new_full((), pos_weight)
    return functional.binary_cross_entropy_with_logits(
        logits.squeeze(1), labels, pos_weight=weight
    )
''',
    ("bce-with-logits", "multiclass"): f'''\
def bce_with_logits(logits, classes, pos_weight=None):
    """Return how surprising each class is, the right one so many times as much."""
    right = {_ONE_HOT}
    weight = None if pos_weight is None else logits.new_full((), pos_weight)
    return functional.binary_cross_entropy_with_logits(logits, right, pos_weight=weight)
''',
}
