"""Built-in kinds that a cluster's administrator sets up, one module for each API group.

They have the same shape as those of `kinds`. Most are only kept: they are validated, defaulted,
listed and watched, and no component obeys them.
"""
