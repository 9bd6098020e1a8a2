"""Steering: commands become directives in one place, and directives are applied to any loop."""
