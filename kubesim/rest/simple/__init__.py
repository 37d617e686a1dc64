"""The routes of the original simulator's API."""
