"""The names of `lessons.session`, for notebooks that still import them from here."""

from lessons.session import close_all, fresh_cluster, setup

__all__ = ["close_all", "fresh_cluster", "setup"]
