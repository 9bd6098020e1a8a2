"""The trainer: a process of its own that nobody needs to watch."""
