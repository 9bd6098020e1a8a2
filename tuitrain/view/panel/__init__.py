"""The panels of the run screen: functions from a snapshot and a size to cells."""
