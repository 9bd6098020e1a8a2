"""The lineage of a run: the takes that led to its present weights.

An undo, a rollback or a resume after a crash restores a checkpoint and opens a new take there.
The steps of older takes after that checkpoint stay on record, but are abandoned. Code that shows,
exports or repeats a run asks here what belongs to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from itertools import chain, pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

from tuitrain.core.events import (
    CheckpointGone,
    CheckpointSaved,
    EpochEnded,
    Event,
    LossSwapped,
    RateReduced,
    RunStarted,
    SettingChanged,
    TakeOpened,
)
from tuitrain.core.segment import FAR, Segment
from tuitrain.core.spec import RunSpec
from tuitrain.history.epoch_boundaries import EpochBoundaries, EqualEpochs, StatesLength

_Relevant = (
    RunStarted, CheckpointSaved, CheckpointGone, LossSwapped, SettingChanged, TakeOpened,
    RateReduced,
)  # fmt: skip
"""The events that a lineage depends on."""


class _Mark(NamedTuple):
    """The start of a segment: after that step and so many completed epochs."""

    step: int
    epoch: int
    take: int
    loss: str

    @property
    def place(self) -> tuple[int, int]:
        return self.step, self.epoch


@dataclass(frozen=True)
class Lineage:
    """A value made from the ordered events of a run; it does not need `EpochEnded`.

    Its takes and the events on them do not depend on the fields before `events`.
    """

    step: int = 0
    epoch: int = 0
    """The start of its first take: a fork continues from its parent's position."""
    of_spec: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """The settings that its spec begins with."""
    events: tuple[Event, ...] = ()

    @classmethod
    def of(cls, spec: RunSpec, events: Iterable[Event] = ()) -> Lineage:
        """Return the lineage of a run that begins as its spec says."""
        return cls(*spec.began_at, spec.settings).after(events)

    def after(self, events: Iterable[Event]) -> Lineage:
        """Return the lineage extended by later events of the run."""
        new = tuple(event for event in events if isinstance(event, _Relevant))
        return replace(self, events=(*self.events, *new)) if new else self

    @cached_property
    def openings(self) -> dict[int, TakeOpened]:
        """The opening event of each take but the first, in order."""
        return {event.take: event for event in self.events if isinstance(event, TakeOpened)}

    @property
    def take(self) -> int:
        """The present take: the one that was opened last."""
        return next(reversed(self.openings), 1)

    @cached_property
    def takes(self) -> tuple[int, ...]:
        """The takes that led to the present weights, oldest first."""
        return self.takes_to(self.take)

    def takes_to(self, take: int) -> tuple[int, ...]:
        """Return that take and the takes that led to it, oldest first."""
        takes = [take]
        while takes[-1] in self.openings:
            origin = self.openings[takes[-1]].origin_take
            if origin >= takes[-1]:
                break  # no trainer writes that
            takes.append(origin)
        return tuple(reversed(takes))

    @cached_property
    def kept_events(self) -> tuple[Event, ...]:
        """The events of these takes, each up to the checkpoint from which the next one went on."""
        kept: list[Event] = []
        for take, following in pairwise((*self.takes, None)):
            assert take is not None
            events: Sequence[Event] = self._by_take.get(take, ())
            kept += events if following is None else _up_to(events, self.openings[following])
        return tuple(kept)

    @cached_property
    def _by_take(self) -> dict[int, list[Event]]:
        return _grouped(self.events)

    def segments(self, step: int = FAR, epoch: int = FAR) -> tuple[Segment, ...]:
        """Return the segments of the lineage, oldest first; each has one loss.

        The newest segment goes on to `step` and so many completed `epoch`s.
        """
        return tuple(_between(self._marks, _Mark(step, epoch, 0, "")))

    @cached_property
    def abandoned(self) -> tuple[Segment, ...]:
        """Segments that are not part of the lineage, in the order in which they were abandoned."""
        abandoned: list[Segment] = []
        newest = 1
        for opening in self.openings.values():
            marks = list(self._marks_of(newest, self._by_take.get(newest, ())))
            begin = self._ends.get(newest, marks[0].place)
            later = [mark._replace(step=max(mark.step, begin[0]), epoch=max(mark.epoch, begin[1]))
                     for mark in marks]  # fmt: skip
            abandoned += _between(later, _Mark(opening.left_at, FAR, 0, ""))
            newest = opening.take
        return tuple(segment for segment in abandoned if segment.steps)

    @property
    def reductions(self) -> tuple[RateReduced, ...]:
        """Where a plateau schedule lowered the learning rate, oldest first."""
        reduced = (event for event in self.kept_events if isinstance(event, RateReduced))
        return tuple(event for event in reduced if self.has_epoch(event))

    def has_epoch(self, ended: EpochEnded | RateReduced) -> bool:
        """Return whether that validation, or what followed from it, belongs to the lineage."""
        bounds = self._epochs.get(ended.take)
        return bounds is not None and bounds[0] < ended.epoch <= bounds[1]

    def best_of(self, ended: Iterable[EpochEnded | None]) -> EpochEnded | None:
        """Return the last one, in this order, that improved and belongs to the lineage."""
        best = [epoch for epoch in ended if epoch and epoch.improved and self.has_epoch(epoch)]
        return best[-1] if best else None

    def has_trained(self, ended: EpochEnded) -> bool:
        """Return whether a batch of that epoch was trained on its take and with its loss.

        None was if the take or the loss began between the epoch's last batch and its validation.
        """
        opening = self.openings.get(ended.take)
        if opening is not None and ended.step <= opening.step:
            return False
        swapped = (ended.take, ended.step, ended.epoch - 1) in self._swaps
        return not (swapped and math.isnan(ended.train_loss))  # a watched script's mean goes on

    def has_checkpoint(self, saved: CheckpointSaved) -> bool:
        """Return whether a checkpoint was saved on the lineage.

        Its place does not decide: a checkpoint from just before an undo may lie where the undo
        went back to, and has the settings that were undone.
        """
        return saved.file in self._files

    @cached_property
    def checkpoints(self) -> tuple[CheckpointSaved, ...]:
        """Those of the lineage that are kept, oldest first."""
        gone = {event.file for event in self.events if isinstance(event, CheckpointGone)}
        saved = (event for event in self.kept_events if isinstance(event, CheckpointSaved))
        return tuple(event for event in saved if event.file not in gone)

    @cached_property
    def epoch_boundaries(self) -> EpochBoundaries:
        """Where the epochs of the lineage begin; those of a watched script are unknown."""
        return self.epoch_boundaries_of(self.take)

    def epoch_boundaries_of(self, take: int) -> EpochBoundaries:
        """Return where the epochs of a take begin, and of the takes that led to it."""
        length = self.first_start.steps_per_epoch if self.first_start else 0
        first = EpochBoundaries((EqualEpochs(self.step, self.epoch, length),))
        events = chain(*(self._by_take.get(earlier, ()) for earlier in self.takes_to(take)))
        stating = (event for event in events if isinstance(event, StatesLength))
        return reduce(EpochBoundaries.after, stating, first)

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """Those in use now: the loss, and those of `tuitrain.core.commands.SETTINGS`."""
        *_, (_, settings) = (None, self.initial_settings), *self.settled()
        return settings

    def settled(self) -> Iterator[tuple[Event, Mapping[str, Any]]]:
        """Yield each event of these takes, with the settings that are in use after it."""
        settings = self.initial_settings
        for event in self.kept_events:
            match event:
                case LossSwapped(loss=loss):
                    settings = {**settings, "loss": loss}
                case SettingChanged(setting=setting, value=value):
                    settings = {**settings, setting: value}
                case TakeOpened(settings=opened):
                    settings = {**settings, **opened}
                case _:
                    pass
            yield event, settings

    @cached_property
    def initial_settings(self) -> Mapping[str, Any]:
        """The settings with which the run began; those of its spec until it has."""
        return {**self.of_spec, **(self.first_start.settings if self.first_start else {})}

    @cached_property
    def first_start(self) -> RunStarted | None:
        """The event with which training began; a resumption adds others."""
        return next((event for event in self.events if isinstance(event, RunStarted)), None)

    def up_to(self, saved: CheckpointSaved) -> Lineage:
        """Return the lineage as it was when that checkpoint was saved."""
        return replace(self, events=self.events[: self.events.index(saved) + 1])

    @cached_property
    def _files(self) -> frozenset[str]:
        return frozenset(
            event.file for event in self.kept_events if isinstance(event, CheckpointSaved)
        )

    @cached_property
    def _ends(self) -> dict[int, tuple[int, int]]:
        """The position where each take of the lineage was left; FAR for the present one."""
        left = [(self.openings[take].step, self.openings[take].epoch) for take in self.takes[1:]]
        return dict(zip(self.takes, [*left, (FAR, FAR)], strict=True))

    @cached_property
    def _epochs(self) -> dict[int, tuple[int, int]]:
        """For each take of the lineage: epochs completed when it began, and when it was left."""
        begins = [
            self.openings[take].epoch if take in self.openings else self.epoch
            for take in self.takes
        ]
        return dict(zip(self.takes, zip(begins, [*begins[1:], FAR], strict=True), strict=True))

    @cached_property
    def _swaps(self) -> frozenset[tuple[int, int, int]]:
        """The take, step and completed epochs at which the loss was swapped."""
        swaps = (event for event in self.events if isinstance(event, LossSwapped))
        return frozenset((event.take, event.step, event.epoch) for event in swaps)

    @cached_property
    def _marks(self) -> Sequence[_Mark]:
        kept = _grouped(self.kept_events)
        return [mark for take in self.takes for mark in self._marks_of(take, kept.get(take, ()))]

    def _marks_of(self, take: int, events: Iterable[Event]) -> Iterator[_Mark]:
        """Yield where a take begins, and where its loss is swapped in these events of it."""
        opening = self.openings.get(take)
        loss = str(self.initial_settings.get("loss", ""))
        if opening is None:
            yield _Mark(self.step, self.epoch, take, loss)
        else:
            loss = str(opening.settings.get("loss", loss))
            yield _Mark(opening.step, opening.epoch, take, loss)
        for event in events:
            if isinstance(event, LossSwapped):
                yield _Mark(event.step, event.epoch, take, event.loss)


def _up_to(events: Sequence[Event], opening: TakeOpened) -> Sequence[Event]:
    """Return the events of a take up to the checkpoint from which another take went on."""
    if not opening.origin:
        return ()  # it went on from the very beginning
    files = [event.file if isinstance(event, CheckpointSaved) else None for event in events]
    if opening.origin in files:
        return events[: files.index(opening.origin) + 1]
    place = opening.step, opening.epoch  # older records may lack checkpoint events
    return [event for event in events if _place_of(event) <= place]


def _between(marks: Sequence[_Mark], end: _Mark) -> Iterator[Segment]:
    """Yield the segments that begin at the marks, but for those in which nothing happened."""
    for mark, following in zip(marks, [*marks[1:], end], strict=True):
        if mark.place < following.place:
            yield Segment(
                mark.take, mark.step + 1, following.step, mark.epoch, following.epoch, mark.loss
            )


def _grouped(events: Iterable[Event]) -> dict[int, list[Event]]:
    """Return the events of each take, in order; those of no take are left out."""
    groups: dict[int, list[Event]] = {}
    for event in events:
        take: int | None = getattr(event, "take", None)
        if take is not None:
            groups.setdefault(take, []).append(event)
    return groups


def _place_of(event: Event) -> tuple[int, int]:
    return getattr(event, "step", 0), getattr(event, "epoch", 0)
