"""The entry of a loss in the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuitrain.catalog.entry import Entry, read_options
from tuitrain.core.errors import WrongUse
from tuitrain.core.problem import Kind


@dataclass(frozen=True, slots=True)
class Loss(Entry):
    """A loss function, with an explanation for learners."""

    formula: str = ""
    inside: str = ""
    """How it is computed, and its gradient."""
    when: str = ""
    """When to use it."""
    when_not: str = ""
    """When to use another one."""
    takes: Mapping[Kind, str] = field(default_factory=dict)
    """Shapes and dtypes of prediction and target, by supported problem kind."""
    misfits: Mapping[Kind, str] = field(default_factory=dict)
    """The reason why it does not support a problem kind, by kind."""
    only_counts: str = ""
    """The reason why it takes only targets of 0 or more in their own unit, which the trainer alone
    knows; empty: it takes the targets of any problem of its kinds."""
    positive_with: Mapping[str, Any] = field(default_factory=dict)
    """Options, with their values, with which it takes positive predictions only."""

    def shapes(self, kind: str | None) -> str | None:
        """Return `takes` for that problem kind; None if it does not support the kind."""
        return next((text for known, text in self.takes.items() if known == kind), None)

    def misfit(self, kind: str | None) -> str | None:
        """Return why it does not fit, or need not fit, that problem kind; None if not known."""
        reason = next((text for known, text in self.misfits.items() if known == kind), None)
        return reason or (self.only_counts if kind in self.takes else "") or None

    def why_not(self, kind: str | None) -> str:
        """Return one sentence on why it does not support that problem kind."""
        reason = self.misfit(kind) or f"it is for {', '.join(self.takes)}"
        return f"{self.name} does not fit {kind or 'these'} problems: {reason}"

    def arguments(self, texts: Mapping[str, str], kind: str | None) -> dict[str, Any]:
        """Return the keyword arguments of its function for a problem kind.

        Raises WrongUse for an unknown option, an invalid value, and an option of another kind.
        """
        for key in texts:
            option = self.options.get(key)
            if option is not None and not option.is_for(kind):
                raise WrongUse(f"{self.name}:{key} is for {' and '.join(option.kinds)} problems")
        values = read_options(self, texts)
        options = {key: value for key, value in values.items() if self.options[key].is_for(kind)}
        return options if len(self.takes) == 1 else {"kind": kind, **options}
