"""A small transformer that learns to write, character by character, like Python's own manual.

tuitrain run examples/characters.py --name writer
tuitrain export writer --format weights --out writer.pt
python examples/characters.py writer.pt "The for statement "
"""

import math
import string
import sys
from pydoc_data.topics import topics

import torch
from torch import nn

import tuitrain

CHARACTERS = [character for character in string.printable if character not in "\t\r\v\f"]
CONTEXT, WIDTH, HEADS, LAYERS = 64, 64, 4, 2
"""Characters that it sees at once, and the size of the model."""


def encoded(text):
    """Return the index of each character, (length,) int64; others than CHARACTERS are left out."""
    index = {character: place for place, character in enumerate(CHARACTERS)}
    return torch.tensor([index[character] for character in text if character in index])


def windows(text):
    """Return inputs and targets, (N, CONTEXT) int64 both: the target is the next character."""
    pieces = encoded(text).unfold(0, CONTEXT + 1, CONTEXT)
    return pieces[:, :-1], pieces[:, 1:]


def manual(train):
    """Return the windows of nine tenths of the manual's pages, or of the others."""
    pages = [topics[name] for name in sorted(topics)]
    chosen = [page for place, page in enumerate(pages) if (place % 10 > 0) == train]
    return windows("\n".join(chosen))


class Writer(nn.Module):
    """Logits of the next character at each place, (N, length) int64 -> (N, length, characters)."""

    def __init__(self):
        super().__init__()
        self.characters = nn.Embedding(len(CHARACTERS), WIDTH)
        self.places = nn.Embedding(CONTEXT, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.1, activation="gelu", batch_first=True,
            norm_first=True,
        )  # fmt: skip
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.logits = nn.Linear(WIDTH, len(CHARACTERS))

    def forward(self, text):
        length = text.shape[1]
        ahead = nn.Transformer.generate_square_subsequent_mask(length, device=text.device)
        places = torch.arange(length, device=text.device)
        embedded = self.characters(text) + self.places(places)
        return self.logits(self.layers(embedded, mask=ahead, is_causal=True))


def entropy(output, target):
    return nn.functional.cross_entropy(output.flatten(0, 1), target.flatten())


def smoothed(output, target, smoothing=0.1):
    logits = output.flatten(0, 1)
    return nn.functional.cross_entropy(logits, target.flatten(), label_smoothing=smoothing)


def bits(output, target):
    """Return the bits that a character costs; one of n that are all as likely costs log2(n)."""
    return entropy(output, target) / math.log(2)


def accuracy(output, target):
    return (output.argmax(2) == target).float().mean()


task = tuitrain.Task(
    train=lambda: manual(train=True),
    val=lambda: manual(train=False),
    model=Writer,
    criterion=entropy,
    losses={"smoothed": smoothed},
    metrics={"bits": (bits, "min"), "accuracy": accuracy},
    optimizer=lambda weights: torch.optim.AdamW(weights, lr=0.003),
    schedule=lambda trained: 0.5 + 0.5 * math.cos(math.pi * trained),
    epochs=10,
    describe="the manual of Python, character by character",
)


def write(weights, text, length=400):
    """Print the text, and go on with likely characters."""
    model = Writer()
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    print(text, end="")
    seen = encoded(text)[None]
    for _ in range(length):
        with torch.no_grad():
            logits = model(seen[:, -CONTEXT:])[0, -1]
        drawn = torch.multinomial((logits / 0.8).softmax(0), 1)
        seen = torch.cat((seen, drawn[None]), dim=1)
        print(CHARACTERS[drawn], end="", flush=True)
    print()


if __name__ == "__main__":
    write(*sys.argv[1:3])
