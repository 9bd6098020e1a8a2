"""The built-in tasks, one file each: every one loads real data and returns a `Dataset`."""
