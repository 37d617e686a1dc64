"""The built-in kinds: names, defaults, validation, one module for each API group."""
