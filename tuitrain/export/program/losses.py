"""The loss functions of a program.

Each takes what the model returns and the targets, as in `tuitrain/engine/losses.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tuitrain.core.catalog import Kind
from tuitrain.core.choice import Choice
from tuitrain.core.errors import Refused
from tuitrain.core.safe import safe
from tuitrain.export.program.part import FUNCTIONAL, TORCH, Part


def criterion(loss: str, kind: Kind) -> str:
    """Return the name that a loss has in the program."""
    name = Choice.read("loss", loss).name
    if (name, kind) == ("cross-entropy", "multiclass"):
        return "functional.cross_entropy"
    if (name, kind) not in _TEXTS:
        raise Refused(f"no program can be written for the loss {safe(name)}")
    return name.replace("-", "_")


def functions(losses: Iterable[str], kind: Kind) -> list[Part]:
    """Return the functions that those losses need; none where torch's own fits as it is."""
    names = [Choice.read("loss", loss).name for loss in losses]
    texts = [_TEXTS[name, kind] for name in names if (name, kind) in _TEXTS]
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
    """Return the mean squared error of the probabilities; the right class should have 1."""
    right = {_ONE_HOT}
    return functional.mse_loss(logits.softmax(dim=1), right)
''',
    ("l1", "multiclass"): f'''\
def l1(logits, classes):
    """Return the mean absolute error of the probabilities; the right class should have 1."""
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
