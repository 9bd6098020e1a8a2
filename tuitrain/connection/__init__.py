"""Follow a run and send it commands from a program, such as `ctl`."""
