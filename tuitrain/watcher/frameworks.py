"""Frameworks that own the loop: how each of them is asked to end its training."""

from __future__ import annotations

from tuitrain.watcher.objects import named

_TRAINERS = {
    "lightning": ("lightning.pytorch.trainer.trainer", "pytorch_lightning.trainer.trainer"),
    "transformers": ("transformers.trainer",),
}


def request_end() -> bool:
    """Ask the trainer of Lightning or Transformers that trains to end; return if there is one.

    An interrupt would end Lightning without the code after `fit`, Transformers in a traceback.
    """
    asked = False
    for trainer in named(lambda kind: _framework(kind) is not None):
        if _framework(type(trainer)) == "lightning" and trainer.training:
            trainer.should_stop = asked = True
        elif _framework(type(trainer)) == "transformers" and trainer.is_in_train:
            trainer.control.should_training_stop = asked = True
    return asked


def _framework(kind: type) -> str | None:
    """Return the framework that a class is the trainer of, or one of its subclasses."""
    for base in kind.__mro__:
        if base.__name__ in ("Trainer", "Seq2SeqTrainer"):
            for framework, modules in _TRAINERS.items():
                if base.__module__ in modules:
                    return framework
    return None
