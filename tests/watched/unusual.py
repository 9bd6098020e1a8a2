"""Loops that are no textbook's, one after the other by name; all of them train the same way."""

import copy
import pickle
import sys
import threading

import torch
import torch.nn.functional as F
from common import loaders, perceptron, report, samples
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.sampler import SubsetRandomSampler

torch.manual_seed(0)
images, classes = samples()
model = perceptron()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
criterion = nn.CrossEntropyLoss()
losses, val_losses = [], []


def step(images, classes, criterion=criterion) -> None:
    optimizer.zero_grad()
    loss = criterion(model(images), classes)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())


def workers() -> None:
    """Loaders with processes of their own, which compute losses, too."""

    class Data(TensorDataset):
        def __getitem__(self, index):
            F.mse_loss(torch.ones(1), torch.ones(1))
            return super().__getitem__(index)

    train = DataLoader(Data(images[:256], classes[:256]), batch_size=64, num_workers=2)
    for _ in range(2):
        for batch in train:
            step(*batch)


def one_data_set() -> None:
    """Training and validation of parts of one data set, by loaders that are made anew."""
    data = TensorDataset(images, classes)
    for _ in range(2):
        model.train()
        for batch in DataLoader(data, 64, sampler=SubsetRandomSampler(range(256))):
            step(*batch)
        model.eval()
        held_back = DataLoader(data, 64, sampler=SubsetRandomSampler(range(256, 320)))
        with torch.no_grad():
            for batch, target in held_back:
                val_losses.append(criterion(model(batch), target).item())


def evaluated_training_data() -> None:
    """The training data is evaluated after each epoch, and then the validation data."""
    train, val = loaders(64)
    for _ in range(2):
        model.train()
        for batch in train:
            step(*batch)
        model.eval()
        for batch, target in train:
            with torch.no_grad():
                criterion(model(batch), target)
        total = 0.0
        for batch, target in val:
            with torch.no_grad():
                total += criterion(model(batch), target).item() * len(target)
        val_losses.append(total / 64)


def no_loader() -> None:
    """The whole data in each step, and a validation after each."""
    for _ in range(4):
        step(images[:256], classes[:256])
        with torch.no_grad():
            criterion(model(images[:256]), classes[:256])
            val_losses.append(criterion(model(images[256:]), classes[256:]).item())


def folds() -> None:
    """A model and an optimizer anew for each of three folds."""
    global model, optimizer
    for fold in range(3):
        model = perceptron()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        for start in range(0, 192, 64):
            step(images[fold * 64 + start :][:64], classes[fold * 64 + start :][:64])
            scheduler.step()


def thread() -> None:
    """Another thread computes losses and their gradients meanwhile."""
    ended = threading.Event()

    def others() -> None:
        weight = torch.ones(3, requires_grad=True)
        while not ended.is_set():
            F.mse_loss(weight, torch.zeros(3)).backward()

    step(images, classes)
    other = threading.Thread(target=others)
    other.start()
    for _ in range(5):
        step(images, classes)
    ended.set()
    other.join()


def penalty() -> None:
    """A gradient penalty, which differentiates twice."""
    for _ in range(4):
        inputs = images.clone().requires_grad_()
        optimizer.zero_grad()
        loss = criterion(model(inputs), classes)
        (gradient,) = torch.autograd.grad(loss, inputs, create_graph=True)
        loss = loss + gradient.pow(2).mean()
        loss.backward(retain_graph=True)
        optimizer.step()
        losses.append(loss.item())


def custom() -> None:
    """A criterion of the script's own, copied and scripted, of two functions of PyTorch."""

    class Smoothed(nn.Module):
        def forward(self, output, target):
            return F.cross_entropy(output, target) + 0.1 * F.mse_loss(output, output * 0)

    own = copy.deepcopy(Smoothed())
    torch.jit.script(nn.CrossEntropyLoss())
    pickle.loads(pickle.dumps((model, F.cross_entropy)))
    for _ in range(4):
        step(images, classes, own)


def half() -> None:
    """Weights of sixteen bits."""
    model.bfloat16()
    for _ in range(4):
        step(images.bfloat16(), classes)


globals()[sys.argv[2]]()
report(model.state_dict().values(), losses=losses, val_losses=val_losses)
