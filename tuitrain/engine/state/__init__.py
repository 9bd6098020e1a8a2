"""The state of a training: saved, restored, resumed, and where it starts."""
