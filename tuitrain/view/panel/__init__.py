"""The panels of the run screen: from a snapshot and a size to cells."""
