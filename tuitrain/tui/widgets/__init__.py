"""Panels on a run screen."""
