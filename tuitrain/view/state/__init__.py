"""A run at one moment, folded from its record."""
