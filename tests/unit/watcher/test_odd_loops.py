"""Loops as people write them: watched, each trains to the same weights, and is seen to its end."""

import itertools
import math
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import tuitrain
from tests.conftest import until
from tuitrain.core.commands import Change, Command, Request, Rollback, Stop, SwapLoss, Undo
from tuitrain.core.events import CommandDropped, EpochEnded, RunStarted, TakeOpened, Warned
from tuitrain.store import inbox
from tuitrain.store.paths import RunPaths
from tuitrain.watcher.losses import Call, replaced

INPUTS = torch.randn(96, 8, generator=torch.Generator().manual_seed(1))
TARGETS = torch.randint(0, 4, (96,), generator=torch.Generator().manual_seed(2))


class Lived(NamedTuple):
    """What a loop lived."""

    weights: list[Tensor]
    losses: list[float]
    val_losses: list[float]


class Loop:
    """A small classifier that keeps what it lives."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 4))
        self.optimizer: Any = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.losses: list[float] = []
        self.val_losses: list[float] = []

    def loss(self, inputs: Tensor = INPUTS, targets: Tensor = TARGETS) -> Tensor:
        return functional.cross_entropy(self.model(inputs), targets)

    def step(self, loss: Tensor, *arguments: Any) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step(*arguments)
        self.losses.append(loss.item())

    def train(self, loader: Any) -> None:
        self.model.train()
        for inputs, targets in loader:
            self.step(self.loss(inputs, targets))

    @torch.no_grad()
    def validate(self, loader: Any = None) -> None:
        """Validate with a loader, or with the tensors of the part that is held back."""
        self.model.eval()
        batches = list(loader or [(INPUTS[64:], TARGETS[64:])])
        losses = [self.loss(*batch).item() * len(batch[1]) for batch in batches]
        self.val_losses.append(sum(losses) / sum(len(targets) for _, targets in batches))
        self.model.train()

    def lived(self) -> Lived:
        weights = [one.detach().clone() for one in self.model.parameters()]
        return Lived([*weights, torch.rand(1)], self.losses, self.val_losses)


class Both(NamedTuple):
    """A loop that was watched, and was the same without it."""

    run: tuitrain.Run
    lived: Lived

    @property
    def epochs(self) -> list[EpochEnded]:
        return [one for one in self.run.events(follow=False) if isinstance(one, EpochEnded)]

    @property
    def started(self) -> RunStarted:
        return next(one for one in self.run.events(follow=False) if isinstance(one, RunStarted))


def watched(home: Path, loop: Callable[[], Loop], capfd: Any, **options: Any) -> Both:
    """Run a loop without and with watching: weights, losses and random numbers are the same."""
    alone = loop().lived()
    with tuitrain.watch("a", home=home, **options):
        lived = loop().lived()
    assert all(map(torch.equal, alone.weights, lived.weights))
    run = tuitrain.connect("a", home=home)
    assert [row.loss for row in run.batches()] == pytest.approx(lived.losses, nan_ok=True)
    said = [one.text for one in run.events(follow=False) if isinstance(one, Warned)]
    assert (said, run.state) == ([], "finished")
    assert "tuitrain" not in capfd.readouterr().err
    return Both(run, lived)


def train_loader(**options: Any) -> DataLoader:
    return DataLoader(TensorDataset(INPUTS[:64], TARGETS[:64]), 16, shuffle=True, **options)


def val_loader() -> DataLoader:
    return DataLoader(TensorDataset(INPUTS[64:], TARGETS[64:]), 16)


# steps


class Scaled(torch.optim.SGD):
    """An optimizer whose step has an argument of its own."""

    def step(self, scale: float = 1.0, closure: Any = None) -> Any:  # type: ignore[override]
        for parameter in self.param_groups[0]["params"]:
            parameter.grad.mul_(scale)
        return super().step(closure)


class Careful(torch.optim.SGD):
    """An optimizer that calls its closure with an argument."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]
        with torch.enable_grad():
            loss = closure(backward=True)
        super().step()
        closure(backward=False)
        return loss


class Inherited(torch.optim.Adam):
    """An optimizer that calls the step of its base class, which other optimizers have, too."""

    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


def steps_with_a_number() -> Loop:
    loop = Loop()
    loop.optimizer = Scaled(loop.model.parameters(), lr=0.1)
    for _ in range(4):
        loop.step(loop.loss(), 0.5)
    return loop


def closures_with_an_argument() -> Loop:
    loop = Loop()
    loop.optimizer = Careful(loop.model.parameters(), lr=0.1)

    def closure(*, backward: bool) -> Tensor:
        loss = loop.loss()
        if backward:
            loop.optimizer.zero_grad()
            loss.backward()
        return loss

    loop.losses += [loop.optimizer.step(closure).item() for _ in range(4)]
    return loop


def steps_within_steps() -> Loop:
    loop = Loop()
    torch.optim.Adam(loop.model.parameters())
    loop.optimizer = Inherited(loop.model.parameters())
    for _ in range(4):
        loop.step(loop.loss())
    return loop


def steps_in_backward() -> Loop:
    loop = Loop()

    def step(_: Tensor) -> None:
        loop.optimizer.step()
        loop.optimizer.zero_grad()

    next(loop.model.parameters()).register_post_accumulate_grad_hook(step)
    for _ in range(4):
        loss = loop.loss()
        loss.backward()
        loop.losses.append(loss.item())
    return loop


@pytest.mark.parametrize(
    "loop",
    [steps_with_a_number, closures_with_an_argument, steps_within_steps, steps_in_backward],
)
def test_a_step_of_an_optimizer_of_ones_own_is_one_step(tmp_path: Path, capfd, loop):
    assert watched(tmp_path, loop, capfd).run.show()["loss"] == "cross-entropy"


# losses


def propagated_in_many_ways() -> Loop:
    loop = Loop()
    one = torch.tensor(1.0)
    for way in range(5):
        loop.optimizer.zero_grad()
        first, second = loop.loss(), loop.model(INPUTS).square().mean()
        match way:
            case 0:
                torch.autograd.backward([first, second])
            case 1:
                torch.autograd.backward((first, second), (one, one))
            case 2:
                torch.autograd.backward([first + second], one)
            case 3:
                torch.autograd.backward(term for term in (first, second))
            case 4:
                (first + second).expand(4).backward(gradient=torch.full((4,), 0.25))
        loop.optimizer.step()
        loop.losses.append((first + second).item())
    return loop


def propagated_from_an_edge() -> Loop:
    """From a node of the graph, which has no value."""
    loop = Loop()
    for _ in range(3):
        edge = torch.autograd.graph.get_gradient_edge(loop.loss())
        torch.autograd.backward(edge, torch.tensor(1.0))
        loop.optimizer.step()
        loop.losses.append(math.nan)
    return loop


def scaled_in_many_ways() -> Loop:
    loop, scaler = Loop(), torch.amp.GradScaler("cpu")
    for way in range(5):
        loop.optimizer.zero_grad()
        first, second = loop.loss(), loop.model(INPUTS).square().mean()
        if way != 4:
            scaled = scaler.scale(first), scaler.scale(second)
        match way:
            case 0:
                scaled[0].backward()
                scaled[1].backward()
            case 1:
                (scaled[0] + scaled[1]).backward()
            case 2:
                torch.autograd.backward(scaled)
            case 3:
                torch.autograd.backward(scaler.scale([first, second]))
            case 4:
                scaler.scale(first + second).backward()
        scaler.step(loop.optimizer)
        scaler.update()
        loop.losses.append((first + second).item())
    return loop


def reduced_by_the_script() -> Loop:
    loop = Loop()
    for _ in range(4):
        losses = functional.cross_entropy(loop.model(INPUTS), TARGETS, reduction="none")
        loop.step((losses * torch.rand(96)).mean())
    return loop


def complex_numbers() -> Loop:
    loop = Loop()
    loop.model = nn.Sequential(nn.Linear(8, 4, dtype=torch.complex64))
    loop.optimizer = torch.optim.Adam(loop.model.parameters())
    for _ in range(4):
        outputs = loop.model(INPUTS.to(torch.complex64))
        loop.step(functional.l1_loss(outputs, torch.ones_like(outputs)))
    return loop


def distances_that_draw() -> Loop:
    loop = Loop()

    def distance(one: Tensor, other: Tensor) -> Tensor:
        return (loop.model(one) - loop.model(other)).norm(dim=1)  # it has a dropout

    for _ in range(4):
        shifted = INPUTS + 1
        loop.step(
            functional.triplet_margin_with_distance_loss(
                INPUTS, shifted, -INPUTS, distance_function=distance
            )
        )
    return loop


def gradients_of_samples() -> Loop:
    """Of torch.func, beside a step as usual."""
    loop = Loop()
    loop.model = nn.Sequential(nn.Linear(8, 4))
    loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.1)

    def loss(parameters: Any, one: Tensor, target: Tensor) -> Tensor:
        output = torch.func.functional_call(loop.model, parameters, (one[None],))
        return functional.cross_entropy(output, target[None])

    for _ in range(3):
        parameters = {name: one.detach() for name, one in loop.model.named_parameters()}
        for function in (loss, torch.func.grad(loss), torch.no_grad()(loss)):
            torch.func.vmap(function, (None, 0, 0))(parameters, INPUTS, TARGETS)
        loop.step(torch.vmap(functional.cross_entropy)(loop.model(INPUTS), TARGETS).mean())
    return loop


def traced_by_fx() -> Loop:
    loop = Loop()
    net = loop.model

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
            return functional.cross_entropy(self.net(inputs), targets)

    traced = torch.fx.symbolic_trace(Whole())
    assert len(list(traced.graph.nodes)) == 2 + len(net) + 2
    for _ in range(3):
        loop.step(traced(INPUTS, TARGETS))
    return loop


@pytest.mark.parametrize(
    "loop",
    [
        propagated_in_many_ways, propagated_from_an_edge, scaled_in_many_ways,
        reduced_by_the_script, complex_numbers, distances_that_draw, gradients_of_samples,
        traced_by_fx,
    ],
)  # fmt: skip
def test_the_loss_of_a_step_is_what_was_propagated(tmp_path: Path, capfd, loop):
    watched(tmp_path, loop, capfd)


class Parts(nn.Module):
    """A criterion with outputs by name, and losses by name."""

    def forward(self, outputs: dict[str, Tensor], targets: Tensor) -> dict[str, Tensor]:
        return {"loss": functional.cross_entropy(outputs["logits"], targets)}


class Whole(Parts):
    def forward(self, outputs: dict[str, Tensor], targets: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(outputs, targets)["loss"] * 2


@pytest.mark.parametrize("criterion", [Parts(), Whole()])
def test_a_criterion_of_outputs_and_losses_by_name_is_seen(tmp_path: Path, capfd, criterion):
    def loop() -> Loop:
        trained = Loop()
        for _ in range(3):
            loss = criterion({"logits": trained.model(INPUTS)}, TARGETS)
            trained.step(loss["loss"] if isinstance(loss, dict) else loss)
        return trained

    both = watched(
        tmp_path, loop, capfd, criterion=criterion, kind="multiclass",
        losses={"own": functional.cross_entropy},
    )  # fmt: skip
    assert both.run.show()["loss"] in ("its own loss", "criterion")


# loaders


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(INPUTS[:64], TARGETS[:64], strict=True)


class WithoutLength(Stream):
    def __len__(self) -> int:
        raise NotImplementedError("nobody knows")


class WithWrongLength(Stream):
    def __len__(self) -> int:
        return 10


class Listed(Dataset):
    """A data set whose `tensors` are no tensors."""

    def tensors(self) -> None: ...

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return INPUTS[index], TARGETS[index]


class Generating(DataLoader):
    def _get_iterator(self) -> Any:
        iterator = super()._get_iterator()
        return (batch for batch in iterator)


@pytest.mark.parametrize(
    "loader",
    [
        partial(DataLoader, Stream(), 16), partial(DataLoader, WithoutLength(), 16),
        partial(DataLoader, WithWrongLength(), 16), partial(DataLoader, Listed(), 16),
        partial(Generating, Listed(), 16),
    ],
)  # fmt: skip
def test_epochs_are_those_of_the_training_loader_of_any_kind(tmp_path: Path, capfd, loader):
    def loop() -> Loop:
        trained, batches = Loop(), loader()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # none that the script would not have had
            for _ in range(3):
                trained.train(batches)
                trained.validate()
        return trained

    both = watched(tmp_path, loop, capfd)
    assert [one.step for one in both.epochs] == [4, 8, 12]
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.lived.val_losses)


def folds() -> Loop:
    """Two epochs for each of three folds, each with a model and loaders of its own."""
    whole, loops = Loop(), []
    for fold in range(3):
        held_back = range(fold * 32, fold * 32 + 32)
        rest = [index for index in range(96) if index not in held_back]
        data = TensorDataset(INPUTS, TARGETS)
        train = DataLoader(Subset(data, rest), 16)
        val = DataLoader(Subset(data, held_back), 16)
        loop = Loop()
        for _ in range(2):
            loop.train(train)
            loop.validate(val)
        whole.losses += loop.losses
        whole.val_losses += loop.val_losses
        loops.append((train, val))  # a loader may live on
    return whole


def left_early() -> Loop:
    """Each epoch ends before its loader does, and is validated with tensors."""
    loop, loader = Loop(), train_loader()
    for _ in range(6):
        loop.train(itertools.islice(loader, 3))
        loop.validate()
    return loop


@pytest.mark.parametrize(("loop", "steps"), [(folds, 4), (left_early, 3)])
def test_each_epoch_has_its_own_validation(tmp_path: Path, capfd, loop, steps):
    both = watched(tmp_path, loop, capfd)
    assert [one.step for one in both.epochs] == list(range(steps, 6 * steps + 1, steps))
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.lived.val_losses)


def cycled() -> Loop:
    """Batches that `cycle` kept; a loader validates now and then."""
    loop, val = Loop(), val_loader()
    batches = itertools.cycle(train_loader())
    for _ in range(4):
        loop.train(itertools.islice(batches, 4))
        loop.validate(val)
    loop.step(loop.loss(*next(batches)))
    return loop


def within_an_epoch() -> Loop:
    """Tensors validate within an epoch; each batch is evaluated once more, which is none."""
    loop, loader = Loop(), train_loader()
    for _ in range(2):
        for inputs, targets in loader:
            loop.step(loop.loss(inputs, targets))
            with torch.no_grad():
                loop.loss(inputs, targets.clone())
            loop.validate()
    del loop.val_losses[3::4]  # those are of the epochs
    return loop


def legacy() -> Loop:
    """A validation by a sum, as scripts had it before there was a reduction."""
    loop = Loop()
    for _ in range(4):
        loop.step(loop.loss(INPUTS[:64], TARGETS[:64]))
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = loop.model.eval()(INPUTS[64:])
            loss = functional.cross_entropy(outputs, TARGETS[64:], size_average=False)
        loop.model.train()
        loop.val_losses.append(loss.item() / 32)
    return loop


@pytest.mark.parametrize("loop", [cycled, within_an_epoch, legacy])
def test_a_validation_within_an_epoch_is_neither_lost_nor_invented(tmp_path: Path, capfd, loop):
    both = watched(tmp_path, loop, capfd)
    assert list(both.run.series("val-loss")[1]) == pytest.approx(both.lived.val_losses)


def test_a_validation_with_gradients_leaves_the_samples_of_a_step_alone(tmp_path: Path, capfd):
    def loop() -> Loop:
        trained, loader, other = Loop(), train_loader(), DataLoader(Listed(), 10)
        for _ in range(2):
            trained.train(loader)
            for inputs, targets in other:
                trained.loss(inputs, targets)
        return trained

    both = watched(tmp_path, loop, capfd)
    assert {row.samples for row in both.run.batches()} == {16}


# torch.compile


def compiled_steps() -> Loop:
    """Losses, backward passes and steps within what is compiled."""
    torch.compiler.reset()
    loop, loader, val = Loop(), train_loader(), val_loader()

    @torch.compile(backend="aot_eager")
    def step(inputs: Tensor, targets: Tensor) -> Tensor:
        loop.optimizer.zero_grad()
        loss = loop.loss(inputs, targets)
        loss.backward()
        loop.optimizer.step()
        return loss

    for _ in range(2):
        loop.losses += [step(*batch).item() for batch in loader]
        loop.validate(val)
    return loop


def compiled_losses() -> Loop:
    torch.compiler.reset()
    loop, loader, val = Loop(), train_loader(), val_loader()
    loss = torch.compile(loop.loss, backend="aot_eager")
    for _ in range(2):
        for batch in loader:
            loop.step(loss(*batch))
        loop.validate(val)
    return loop


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("loop", [compiled_steps, compiled_losses])
def test_a_compiled_step_is_seen_and_its_hooks_are_not_compiled(tmp_path: Path, capfd, loop):
    both = watched(tmp_path, loop, capfd)
    assert [one.step for one in both.epochs] == [4, 8]
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.lived.val_losses)


# `for batch in run(...)`


def generated(start: int, end: int) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(INPUTS[start:end].split(16), TARGETS[start:end].split(16), strict=True)


def listed(start: int, end: int) -> list[tuple[Tensor, Tensor]]:
    return list(generated(start, end))


@cache
def loader_of(start: int, end: int) -> DataLoader:
    return DataLoader(TensorDataset(INPUTS[start:end], TARGETS[start:end]), 16)


def loaded(start: int, end: int) -> Iterator[tuple[Tensor, Tensor]]:
    return (batch for batch in loader_of(start, end))


@pytest.mark.parametrize("made", [generated, listed, loaded])
def test_batches_that_are_made_anew_in_one_line_are_an_epoch_each_time(tmp_path: Path, capfd, made):
    def train(run: Callable[[Any], Any] = iter) -> Loop:
        loop = Loop()
        for _ in range(3):
            loop.train(run(made(0, 64)))
            loop.validate(run(made(64, 96)))
        return loop

    alone = train().lived()
    with tuitrain.watch("a", home=tmp_path) as run:
        lived = train(run).lived()
    assert all(map(torch.equal, alone.weights, lived.weights))
    both = Both(tuitrain.connect("a", home=tmp_path), lived)
    assert [one.step for one in both.epochs] == [4, 8, 12]
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.lived.val_losses)


# commands


def steered(home: Path, loop: Loop, commands: list[Command], **options: Any) -> list[Any]:
    """Train, with one command after the other, and return the events of the run."""
    run = tuitrain.connect

    def is_answered(request: Request) -> bool:
        loop.step(loop.loss())
        events = run("a", home=home).events(follow=False)
        return any(getattr(event, "command", None) == request.id for event in events)

    with tuitrain.watch("a", home=home, **options):
        for _ in range(5):
            loop.step(loop.loss())
        for command in commands:
            request = Request.new(command)
            inbox.put(RunPaths(home / "runs" / "a").inbox, request)
            until(partial(is_answered, request), "it is answered")
            loop.step(loop.loss())
    return list(run("a", home=home).events(follow=False))


class Copying(nn.Sequential):
    """A model that gives away copies of its weights."""

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return {name: one.clone() for name, one in super().state_dict(*args, **kwargs).items()}


def test_an_undo_puts_the_weights_back_of_a_model_that_saves_copies(tmp_path: Path):
    loop = Loop()
    loop.model = Copying(nn.Linear(8, 4))
    loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.5)
    events = steered(tmp_path, loop, [Change("lr", 0.4), Undo()])
    (take,) = [event for event in events if isinstance(event, TakeOpened)]
    assert loop.losses[take.left_at] == loop.losses[take.step], "the step after it, once more"


def test_a_rollback_to_other_parameter_groups_is_refused_and_watching_goes_on(tmp_path: Path):
    loop = Loop()
    first, *_, last = loop.model
    loop.optimizer = torch.optim.Adam(last.parameters())
    step = loop.step

    def unfreezing(loss: Tensor) -> None:
        if len(loop.losses) == 3:
            loop.optimizer.add_param_group({"params": first.parameters()})
        step(loss)

    loop.step = unfreezing  # type: ignore[method-assign]
    events = steered(tmp_path, loop, [Rollback(0)])
    (dropped,) = [event for event in events if isinstance(event, CommandDropped)]
    assert "other parameter groups" in dropped.reason
    assert events[-1].kind == "finished"


def test_a_registered_loss_is_refused_where_the_script_reduces_it(tmp_path: Path):
    loop = Loop()
    loop.loss = lambda: functional.cross_entropy(  # type: ignore[method-assign]
        loop.model(INPUTS), TARGETS, reduction="none"
    ).mean()
    events = steered(tmp_path, loop, [SwapLoss("own")], losses={"own": functional.cross_entropy})
    assert [event.kind for event in events].count("loss-swapped") == 0
    assert "reduction='none'" in str(events)


def test_a_swap_leaves_a_weighted_call_of_the_same_function_as_it_is(tmp_path: Path, capfd):
    loop = Loop()
    loop.model = nn.Sequential(nn.Linear(8, 4))
    loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.0)
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0])

    def terms() -> list[Tensor]:
        outputs = loop.model(INPUTS)
        return [
            functional.cross_entropy(outputs, TARGETS),
            functional.cross_entropy(outputs, TARGETS, weight=weight),
        ]

    first, second = (one.item() for one in terms())
    loop.loss = lambda: sum(terms())  # type: ignore[method-assign]
    brier = replaced(Call("cross_entropy", (loop.model(INPUTS), TARGETS), {}), "brier").item()
    steered(tmp_path, loop, [SwapLoss("brier")])
    assert loop.losses[0] == pytest.approx(first + second)
    assert loop.losses[-1] == pytest.approx(brier + second)
    assert "cannot be seen" not in capfd.readouterr().err


def test_a_stop_ends_the_thread_of_a_loop_without_a_traceback(tmp_path: Path, capfd):
    loop, usual = Loop(), threading.excepthook
    with tuitrain.watch("a", home=tmp_path):
        inbox.put(RunPaths(tmp_path / "runs" / "a").inbox, Request.new(Stop()))
        thread = threading.Thread(target=lambda: [loop.step(loop.loss()) for _ in range(10**5)])
        thread.start()
        thread.join()
    threading.excepthook = usual
    assert tuitrain.connect("a", home=tmp_path).state == "stopped"
    assert "Traceback" not in capfd.readouterr().err
