"""The run directory: what a trainer appends, what everybody else reads."""
