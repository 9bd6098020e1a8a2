"""What a run's events add up to: which of its takes, steps and changes led to its weights."""
