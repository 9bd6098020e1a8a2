"""A terminal cockpit for training neural networks."""

__version__ = "0.1.0"
