"""Derive from a run's events which of its takes, steps and changes led to its weights."""
