"""The input of a user before and during a run: the form, the settings, the pace."""
