"""The table of a run's options: name, type, range, default, help, and where each is offered.

Specs check their settings against this table. The command line, the form, the configuration file,
what can change during training with its commands and dialogs, and docs/options.md are made from it.
To add an option, add its row, and a field of that name to `RunSpec` if the trainer needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tuitrain.core.errors import WrongUse
from tuitrain.core.live import BY_ONE, TENFOLD, TWICE, Dialog, Live
from tuitrain.core.own import Source
from tuitrain.core.problem import OF_ONE_TARGET
from tuitrain.core.schedules import ScheduleText
from tuitrain.core.values import (
    ClassWeights,
    Device,
    File,
    Flag,
    Folder,
    Integer,
    ListOf,
    Named,
    Number,
    OneOf,
    OrNone,
    Switch,
    Text,
    ValueType,
    Weights,
)

Place = Literal["run", "fork", "resume", "replay", "form", "config"]
"""The places that offer an option: commands that start a trainer, the form, a file."""
Group = Literal[
    "Training",
    "Data and weights",
    "A table or images of your own",
    "The run",
    "While it trains",
    "Many devices",
    "How it is shown",
]
MOST_STEPS = 1 << 40
ALL = "all"
"""Stands, in a list of losses, for all that fit."""


@dataclass(frozen=True, slots=True)
class RunOption:
    """An option of a run."""

    name: str
    type: ValueType
    help: str
    default: Any = None
    default_says: str = ""
    """Text for the user where `default` is not the effective default."""
    group: Group = "Training"
    places: tuple[Place, ...] = ()
    sources: tuple[Source, ...] = ()
    """The kinds of tasks that it is for; empty: all."""
    is_of_weights: bool = False
    """True if the weights depend on it, so that a fork keeps its parent's value."""
    word: str = ""
    """Its key where that is not its name, which is that of another field of a spec."""
    live: Live | None = None
    """How it changes while the run trains; None: it does not."""

    @property
    def key(self) -> str:
        """Its name in a configuration file, and after `--` on the command line."""
        return self.word or self.name.replace("_", "-")

    @property
    def description(self) -> str:
        """Its valid values, as a phrase that follows "takes"."""
        return self.type.description

    @property
    def none_word(self) -> str:
        """The word for None where that is one of its values, and not its default; else empty."""
        if isinstance(self.type, OrNone) and self.default is not None:
            return self.type.word
        return ""

    @property
    def shown_default(self) -> str:
        """Its default as text for the user; empty for a flag and where there is none."""
        if self.default_says or self.default is None or isinstance(self.type, Flag):
            return self.default_says
        return self.type.write(self.default)

    @property
    def help_and_default(self) -> str:
        return f"{self.help}  [{self.shown_default}]" if self.shown_default else self.help

    def read(self, text: str) -> Any:
        """Return the value for a user's text; WrongUse if it is invalid."""
        try:
            return self.type.read(text)
        except ValueError:
            raise self._wrong(text) from None

    def take(self, value: Any) -> Any:
        """Return the checked value from a file or a record; WrongUse if it is invalid.

        It is the value that a spec holds: "off" becomes None, an int for a float becomes a float.
        """
        try:
            return self.type.take(value)
        except ValueError:
            raise self._wrong(value) from None

    def check(self, value: object) -> None:
        """Raise WrongUse unless a spec can hold the value: it can hold None, not the word "off"."""
        if self.take(value) != value:
            raise self._wrong(value)

    def holds(self, value: object) -> bool:
        """Return whether a spec can hold the value."""
        try:
            self.check(value)
        except WrongUse:
            return False
        return True

    def _wrong(self, value: object) -> WrongUse:
        return WrongUse(f"{self.key} takes {self.description}, not {value!r:.40}")


_COLUMN = Text("a column's name", "COLUMN")
_NEW: tuple[Place, ...] = ("run", "fork", "form", "config")
_ANY: tuple[Place, ...] = ("run", "fork", "resume", "replay", "config")

OPTIONS: Mapping[str, RunOption] = {
    option.name: option
    for option in (
        RunOption(
            "task", Named("task", "TASK"),
            "Data and problem to train on: tuitrain tasks lists them.",
            default="digits", places=("form", "config"), is_of_weights=True,
        ),
        RunOption(
            "loss", Named("loss"), "Initial loss function.",
            default_says="by the task", places=_NEW,
        ),
        RunOption(
            "model", Named("model"), "Model: tuitrain models lists them.",
            default_says="by the task", places=_NEW, is_of_weights=True,
        ),
        RunOption(
            "optimizer", Named("optimizer"), "Optimizer: tuitrain optimizers lists them.",
            default="adam", places=_NEW,
        ),
        RunOption(
            "lr", Number(), "Learning rate.", default=0.001, places=_NEW,
            live=Live(
                "Use another learning rate from the next batch on.", "0.0003",
                Dialog("learning rate", "How far a step goes. From the next batch on:", TENFOLD),
            ),
        ),
        RunOption(
            "weight_decay", Number(can_be_zero=True), "Weight decay (L2 penalty).",
            default_says="by the optimizer",
            live=Live(
                "Use another weight decay (L2) from the next batch on.", "0.01",
                Dialog(
                    "weight decay", "How hard weights are drawn to 0. From the next batch on:",
                    TENFOLD, begin=1e-4,
                ),
            ),
        ),
        RunOption(
            "clip_norm", OrNone(Number(), "off"), "Maximum norm of all gradients together.",
            default_says="off",
            live=Live(
                "Clip the norm of all gradients together; off: do not.", "1.0",
                Dialog(
                    "clip norm",
                    "Gradients longer than this are cut to it; or off. From the next batch on:",
                    TENFOLD,
                ),
            ),
        ),
        RunOption(
            "batch_size", Integer(1, 1 << 24), "Samples per batch.",
            default=64, places=(*_NEW, "resume"),
            live=Live(
                "Take so many samples a step from the next epoch on.", "128",
                Dialog("batch size", "Samples a batch. From the next epoch on:", TWICE),
                boundary="epoch",
            ),
        ),
        RunOption(
            "accumulate", Integer(1, 1 << 16),
            "Batches whose gradients are added up to one optimizer step.",
            default=1, places=_NEW,
        ),
        RunOption(
            "epochs", Integer(1, 1 << 31), "Total passes over the data.",
            default_says="by the task", places=(*_NEW, "resume"),
            live=Live(
                "Train to so many epochs in all.", "80",
                Dialog("epochs", "How many epochs the run has in all:", BY_ONE),
            ),
        ),
        RunOption(
            "lr_schedule", ScheduleText(),
            "Learning rate from here on, beginning at lr: tuitrain optimizers explains each.",
            default_says="by the optimizer", places=("resume",), word="schedule",
            live=Live("Begin another schedule of the rate with the next batch.", "cosine"),
        ),
        RunOption(
            "patience", OrNone(Integer(1, 1 << 31)),
            "End after N epochs in which the monitor was not better.",
            default_says="never", places=_NEW,
        ),
        RunOption(
            "monitor", OrNone(Text("the name of a metric or of a loss", "NAME")),
            "What decides the best epoch, and patience.",
            default_says="the first metric", places=_NEW,
        ),
        RunOption(
            "val_losses", ListOf(Text("the name of a loss, or all", "NAME")),
            "Losses whose validation value is recorded at each epoch, besides the usual one and "
            "those used.",
            default=(), places=_NEW,
        ),
        RunOption(
            "seed", Integer(0, (1 << 63) - 1), "Seed of initial weights and data order.",
            default=0, places=_NEW,
        ),
        RunOption(
            "until", OrNone(Integer(0, MOST_STEPS, metavar="STEP")), "End after this step.",
            places=("replay", "config"),
        ),
        RunOption(
            "without", ListOf(Text("an id", "ID")),
            "Leave a change out, by its id or the beginning of it; may be repeated.",
            default=(), places=("replay",),
        ),
        RunOption(
            "data", OrNone(Folder("a path", "PATH")), "Folder with the task's data.",
            default_says="downloads", group="Data and weights", places=_NEW, is_of_weights=True,
        ),
        RunOption(
            "init_from", OrNone(Weights("a run or a file", "RUN|FILE")),
            "Begin with the weights of a run or file.",
            group="Data and weights", places=_NEW, is_of_weights=True,
        ),
        RunOption(
            "workers", OrNone(Integer(0, 1024)),
            "Processes that read samples ahead, where data are streamed.",
            default_says="by the task", group="Data and weights", places=_NEW,
        ),
        RunOption(
            "class_weights",
            OrNone(ClassWeights()),
            "Weights of the classes in the loss.",
            default_says="equal", group="Data and weights", places=_NEW, is_of_weights=True,
        ),
        RunOption(
            "kind", OrNone(OneOf(*OF_ONE_TARGET)), "Kind of problem.",
            default_says="by the target", group="A table or images of your own", places=_NEW,
            is_of_weights=True, sources=("table",),
        ),
        RunOption(
            "target", OrNone(_COLUMN), "Column to predict.",
            default_says="target, label, class or y", group="A table or images of your own",
            places=_NEW, is_of_weights=True, sources=("table",),
        ),
        *(
            RunOption(
                name, ListOf(_COLUMN) if takes_several else OrNone(_COLUMN), description,
                default=default,
                group="A table or images of your own", places=_NEW, is_of_weights=True,
                sources=("table",),
            )
            for name, takes_several, description, default in (
                ("group", False, "Column whose rows of one value stay in one part.", None),
                ("split", False, "Column that says train or val.", None),
                ("drop", True, "Leave a column out; may be repeated.", ()),
                ("as_number", True, "Read a column as numbers.", ()),
                ("as_category", True, "Read a column as categories.", ()),
                ("as_date", True, "Read a column as dates.", ()),
            )
        ),
        RunOption(
            "image_size", OrNone(Integer(1, 4096)), "Side to which images are resized.",
            default_says="64", group="A table or images of your own", places=_NEW,
            is_of_weights=True, sources=("images",),
        ),
        RunOption(
            "augment", ListOf(OneOf("flip", "crop", "color")),
            "Random changes to training images, several with commas between them.",
            default=(), group="A table or images of your own", places=_NEW, is_of_weights=True,
            sources=("images",),
        ),
        RunOption(
            "name", OrNone(Text("a name", "NAME")), "Name of the new run.",
            default_says="task and time", group="The run", places=(*_NEW, "replay"),
        ),
        RunOption(
            "device", Device("auto, cpu, cuda, cuda:N or mps", "NAME"),
            "auto (of several GPUs the one with the most free memory), cpu, cuda, cuda:N or mps.",
            default="auto", group="The run", places=_NEW,
        ),
        RunOption(
            "config", File("FILE.toml", is_read=True),
            "Read options from a file; the command line wins.",
            group="The run", places=("run", "fork"),
        ),
        RunOption(
            "as_config", File("FILE.toml", is_read=False),
            "Train nothing: write settings and changes as a file for run --config.",
            group="The run", places=("replay",),
        ),
        RunOption(
            "paused", Flag(), "Start paused.",
            default=False, group="While it trains", places=_NEW,
        ),
        RunOption(
            "pace", OrNone(Number(metavar="N"), "off"),
            "At most N batches a second; changes no weights.",
            default_says="off", group="While it trains", places=_NEW,
            live=Live(
                "Train at most N batches a second; changes no weights.", "30",
                Dialog("pace", "At most so many batches a second, or off:", TENFOLD),
            ),
        ),
        RunOption(
            "nproc", OrNone(Integer(1, 1 << 10), "auto"),
            "Processes that train together, each on its part of every batch; auto: one for each "
            "GPU, or processor. The batch size is that of each.",
            default=1, group="Many devices", places=(*_NEW, "resume"),
        ),
        RunOption(
            "strategy", OneOf("ddp", "fsdp"),
            "ddp: each of them has the whole model; fsdp: a shard of it, for one that does not "
            "fit.",
            default="ddp", group="Many devices", places=(*_NEW, "resume"),
        ),
        RunOption(
            "nnodes", Integer(1, 1 << 10),
            "Hosts that train together: each is given the same command, with its own --node-rank.",
            default=1, group="Many devices", places=(*_NEW, "resume"),
        ),
        RunOption(
            "node_rank", Integer(0, 1 << 10),
            "This host's number. The first one, 0, has the run; the others only train.",
            default=0, group="Many devices", places=("run",),
        ),
        RunOption(
            "rdzv_endpoint", OrNone(Text("HOST:PORT of the first host", "HOST:PORT")),
            "Where the hosts meet: the first one listens there while it trains.",
            group="Many devices", places=(*_NEW, "resume"),
        ),
        RunOption(
            "rdzv_id", OrNone(Text("a word", "WORD")),
            "Tells the run from others that meet there.", default_says="tuitrain",
            group="Many devices", places=(*_NEW, "resume"),
        ),
        RunOption(
            "max_restarts", Integer(0, 1 << 16),
            "How often all of them start anew after one of them failed.",
            default=3, group="Many devices", places=_NEW,
        ),
        RunOption(
            "on_nonfinite", OneOf("pause", "stop", "skip"),
            "Reaction to a nonfinite loss, gradient or weight.",
            default="pause", group="While it trains", places=_NEW,
        ),
        RunOption(
            "precision", OneOf("fp32", "bf16", "fp16"),
            "Numbers of the forward pass: 16 bits where that is safe, for speed on a GPU.",
            default="fp32", group="The run", places=_NEW,
        ),
        RunOption(
            "compile", Flag(),
            "Compile the model, on a GPU with CUDA graphs (never tried on one): the first steps "
            "take minutes or less, later ones less time.",
            default=False, group="The run", places=_NEW,
        ),
        RunOption(
            "deterministic", Switch(), "Repeat exactly on a GPU, too, where that takes longer.",
            default_says="yes without Python of your own", group="The run", places=_NEW,
        ),
        RunOption(
            "notify", OrNone(Text("a command", "COMMAND")),
            "Command to run when it finishes, fails or pauses by itself.",
            group="How it is shown", places=(*_ANY, "form"),
        ),
        RunOption(
            "detach", Flag(), "Start, print the name, return.",
            default=False, group="How it is shown", places=_ANY,
        ),
        RunOption(
            "plain", Flag(), "No app: lines on stdout; the run ends with it.",
            default=False, group="How it is shown", places=_ANY,
        ),
        RunOption(
            "log_interval", Integer(1, 1 << 31), "With --plain, batches between two lines.",
            default=100, group="How it is shown", places=_ANY,
        ),
    )
}  # fmt: skip
"""In the order in which help, the form and the docs list them."""

DISPLAY_OPTIONS = tuple(
    name for name, option in OPTIONS.items() if option.group == "How it is shown"
)
"""Options of how a command displays the run that it starts; they do not reach the trainer."""


def at(place: Place) -> tuple[RunOption, ...]:
    """Return the options that are offered there, in order."""
    return tuple(option for option in OPTIONS.values() if place in option.places)
