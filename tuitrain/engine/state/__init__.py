"""The state of a training run: save it, restore it, resume from it, start from it."""
