"""The trainer: a process that runs on its own, whether or not a screen is attached."""
