"""Schemas of the built-in and custom kinds: structural checks and strict decoding."""
