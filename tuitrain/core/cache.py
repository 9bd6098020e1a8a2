"""The folder for files that can be made or fetched again."""

from __future__ import annotations

from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return the folder of that name in the platform's folder for caches."""
    from platformdirs import user_cache_path

    return user_cache_path("tuitrain", appauthor=False) / name


def downloads() -> Path:
    """Return the folder that holds a folder for each downloaded data set."""
    return cache_folder("data")
