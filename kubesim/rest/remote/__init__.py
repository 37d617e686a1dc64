"""Streams to and from a container over one websocket: exec, interactive shells, attach.

websocket     the handshake, channels, frames in both directions
execute       a command with its input and its output
session       a shell that a client types into
"""
