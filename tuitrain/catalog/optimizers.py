"""The optimizers, by the names and with the options of `torch.optim`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tuitrain.catalog.entry import Entry
from tuitrain.catalog.entry_options import Between, Joined, Option, YesOrNo
from tuitrain.core.schedules import ScheduleText
from tuitrain.core.values import Integer


@dataclass(frozen=True, slots=True)
class OptimizerEntry(Entry):
    """An optimizer, and how it works without making the host wait for an accelerator."""

    is_fused: bool = False
    """It has one kernel for all weights, on the CPU and on CUDA."""
    of_model: Mapping[str, str] = field(default_factory=dict)
    """The `module:name` of a function of the model for each argument that depends on it."""
    needs_whole: bool = False
    """It computes with a whole weight at once, and not with each number by itself."""
    is_capturable: bool = False
    """It can keep all of its state on a CUDA device."""

    def on(self, device_type: str) -> dict[str, bool]:
        """Return the arguments for weights on a `cpu`, `cuda`, ... device."""
        if self.is_fused and device_type in ("cpu", "cuda"):
            return {"fused": True}
        return {"capturable": True} if self.is_capturable and device_type == "cuda" else {}


_SCHEDULE = {
    "schedule": Option(
        ScheduleText(),
        "constant",
        "learning rate schedule; cosine, linear and one-cycle reach 0 at the end",
    )
}
_BELOW_1 = Between(0, 0.9999999)
_BETAS = Joined(_BELOW_1, count=2)
_EPS = Option(Between(0, 1), 1e-8, "added to the denominator")


def _weight_decay(default: float, how: str = "weight decay (L2 penalty)") -> Mapping[str, Option]:
    return {"weight_decay": Option(Between(0, 1e6), default, how)}


def _betas(second: str) -> Mapping[str, Option]:
    what = f"decay rates of the mean gradient and of {second}"
    return {"betas": Option(_BETAS, (0.9, 0.999), what)}


_ADAM = {**_betas("its square"), "eps": _EPS}
_AMSGRAD = {"amsgrad": Option(YesOrNo(), False, "use the greatest square so far")}
_DECOUPLED = {"decoupled_weight_decay": Option(YesOrNo(), False, "weight decay as in adamw")}
_MOMENTUM = Option(Between(0, 1), 0.0, "momentum")

REFUSED: Mapping[str, str] = {
    "sparseadam": "takes only the sparse gradients of embeddings, which no built-in model has; "
    "a file of your own can use it",
    "lbfgs": "evaluates the loss several times a step, which this trainer does not; tuitrain watch "
    "takes a script that uses it",
}
"""Optimizers of PyTorch that no run can use, in lower case, and the reason."""

OPTIMIZERS: Mapping[str, OptimizerEntry] = {
    optimizer.name: optimizer
    for optimizer in (
        OptimizerEntry(
            "adam",
            "torch.optim:Adam",
            "Adaptive step size for each weight; a safe first choice",
            aliases=("Adam",),
            options={**_ADAM, **_weight_decay(0.0), **_AMSGRAD, **_SCHEDULE},
            is_fused=True,
        ),
        OptimizerEntry(
            "adamw",
            "torch.optim:AdamW",
            "Adam with decoupled weight decay; the usual choice for transformers",
            aliases=("AdamW",),
            options={
                **_ADAM, **_weight_decay(0.01, "decoupled weight decay"), **_AMSGRAD, **_SCHEDULE,
            },
            is_fused=True,
        ),
        OptimizerEntry(
            "sgd",
            "torch.optim:SGD",
            "Stochastic gradient descent, with optional momentum",
            aliases=("SGD",),
            options={
                "momentum": _MOMENTUM,
                "dampening": Option(Between(0, 1), 0.0, "share of the gradient left out of it"),
                **_weight_decay(0.0),
                "nesterov": Option(YesOrNo(), False, "Nesterov's momentum, which looks ahead"),
                **_SCHEDULE,
            },
            is_fused=True,
        ),
        OptimizerEntry(
            "muon",
            "tuitrain.engine.muon:MuonAdamW",
            "Orthogonal steps for layers before the last, adamw for the rest; its usual lr is 0.02",
            aliases=("Muon",),
            options={
                "momentum": Option(_BELOW_1, 0.95, "momentum of the matrices"),
                "nesterov": Option(YesOrNo(), True, "Nesterov's momentum for them"),
                "ns_steps": Option(Integer(1, 99), 5, "iterations that make a step orthogonal"),
                "eps": Option(Between(0, 1), 1e-7, "least norm by which a matrix is divided"),
                "adamw_betas": Option(_BETAS, (0.9, 0.999), "decay rates of adamw's means"),
                "adamw_eps": Option(Between(0, 1), 1e-8, "added to adamw's denominator"),
                **_weight_decay(0.1, "decoupled weight decay, of all weights"),
                **_SCHEDULE,
            },
            of_model={"matrices": "tuitrain.engine.muon:hidden_matrices"},
            needs_whole=True,
            is_fused=True,
        ),
        OptimizerEntry(
            "nadam",
            "torch.optim:NAdam",
            "Adam with Nesterov's momentum",
            aliases=("NAdam",),
            options={
                **_ADAM, **_weight_decay(0.0),
                "momentum_decay": Option(Between(0, 1), 0.004, "how fast the momentum grows"),
                **_DECOUPLED, **_SCHEDULE,
            },
            is_capturable=True,
        ),
        OptimizerEntry(
            "radam",
            "torch.optim:RAdam",
            "Adam whose first steps are rectified, in place of a warm-up",
            aliases=("RAdam",),
            options={**_ADAM, **_weight_decay(0.0), **_DECOUPLED, **_SCHEDULE},
            is_capturable=True,
        ),
        OptimizerEntry(
            "adamax",
            "torch.optim:Adamax",
            "Adam by the greatest gradient instead of the mean square",
            aliases=("Adamax",),
            options={
                **_betas("the greatest"), "eps": _EPS, **_weight_decay(0.0), **_SCHEDULE,
            },
            is_capturable=True,
        ),
        OptimizerEntry(
            "adafactor",
            "torch.optim:Adafactor",
            "Adam with little memory: a matrix has one square for each row and column",
            aliases=("Adafactor",),
            options={  # without eps, which is None or a number, and a number
                "beta2_decay": Option(Between(-1, 0), -0.8, "exponent of its growing memory"),
                "d": Option(Between(1e-6, 1e6), 1.0, "size at which a step is clipped"),
                **_weight_decay(0.0, "decoupled weight decay"), **_SCHEDULE,
            },
            needs_whole=True,
        ),
        OptimizerEntry(
            "rmsprop",
            "torch.optim:RMSprop",
            "Step size by the mean square of recent gradients",
            aliases=("RMSprop",),
            options={
                "alpha": Option(Between(0, 1), 0.99, "decay rate of the mean square"), "eps": _EPS,
                **_weight_decay(0.0), "momentum": _MOMENTUM,
                "centered": Option(YesOrNo(), False, "divide by the standard deviation"),
                **_SCHEDULE,
            },
            is_capturable=True,
        ),
        OptimizerEntry(
            "adagrad",
            "torch.optim:Adagrad",
            "Step size that shrinks with the sum of all squared gradients; for rare features",
            aliases=("Adagrad",),
            options={
                "lr_decay": Option(Between(0, 1e6), 0.0, "decay of the learning rate with steps"),
                **_weight_decay(0.0),
                "initial_accumulator_value": Option(Between(0, 1e6), 0.0, "first sum of squares"),
                "eps": Option(Between(0, 1), 1e-10, "added to the denominator"),
                **_SCHEDULE,
            },
            is_fused=True,
        ),
        OptimizerEntry(
            "adadelta",
            "torch.optim:Adadelta",
            "Step size by the size of recent steps; its usual lr is 1",
            aliases=("Adadelta",),
            options={
                "rho": Option(Between(0, 1), 0.9, "decay rate of the mean squares"),
                "eps": Option(Between(0, 1), 1e-6, "added to both means"),
                **_weight_decay(0.0), **_SCHEDULE,
            },
            is_capturable=True,
        ),
        OptimizerEntry(
            "asgd",
            "torch.optim:ASGD",
            "SGD whose rate decays and whose weights are averaged beside it",
            aliases=("ASGD",),
            options={
                "lambd": Option(Between(0, 1), 0.0001, "decay of the weights"),
                "alpha": Option(Between(0, 10), 0.75, "power of the decay of the rate"),
                "t0": Option(Between(0, 1e12), 1e6, "step at which averaging begins"),
                **_weight_decay(0.0), **_SCHEDULE,
            },
            is_capturable=True,
        ),
        OptimizerEntry(
            "rprop",
            "torch.optim:Rprop",
            "Steps by the signs of gradients alone; for whole data sets as one batch",
            aliases=("Rprop",),
            options={
                "etas": Option(
                    Joined(Between(1e-6, 1e6), count=2), (0.5, 1.2),
                    "factors after a change of sign, and without one",
                ),
                "step_sizes": Option(
                    Joined(Between(0, 1e6), count=2), (1e-6, 50.0), "least and greatest step"
                ),
            },
            is_capturable=True,
        ),
    )
}  # fmt: skip
