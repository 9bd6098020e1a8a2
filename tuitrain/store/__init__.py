"""The run directory: a trainer writes its record; others read it and send commands."""
