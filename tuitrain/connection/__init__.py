"""A run in the hands of a program: what it says, asked and answered. `ctl` is one of those."""
