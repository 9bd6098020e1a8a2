"""The textbook loop of PyTorch: nothing in it knows of tuitrain.

python examples/loop.py --epochs 5            trains
tuitrain watch examples/loop.py --epochs 5    trains the same way, and can be watched and steered
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def loaders():
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images / 16, dtype=torch.float32)
    labels = torch.tensor(labels)
    train = TensorDataset(images[:1400], labels[:1400])
    held_out = TensorDataset(images[1400:], labels[1400:])
    return DataLoader(train, batch_size=64, shuffle=True), DataLoader(held_out, batch_size=256)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--epochs", type=int, default=10)
    options.add_argument("--lr", type=float, default=0.1)
    options = options.parse_args()
    torch.manual_seed(0)
    train, held_out = loaders()
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(options.epochs):
        model.train()
        for data, target in train:
            optimizer.zero_grad()
            loss = criterion(model(data), target)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            outputs = [(model(data), target) for data, target in held_out]
            loss = sum(criterion(output, target) for output, target in outputs) / len(outputs)
            right = sum((output.argmax(1) == target).sum() for output, target in outputs)
        print(f"epoch {epoch + 1}: loss {loss:.4f}, {right} of {len(held_out.dataset)} right")


if __name__ == "__main__":
    main()
