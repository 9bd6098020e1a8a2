"""Start a trainer's process, tell whether it lives, end it, and ask PyTorch questions."""
