"""Bytes in the text of simulated containers.

The files and the output of containers are text. A byte that is not part of valid UTF-8, as in an
archive that `kubectl cp` sends, is one character from U+EF80 to U+EFFF there, a private range that
can be stored and printed everywhere, and becomes the byte again where bytes leave the container.

>>> text_of(b"caf\\xc3\\xa9 \\x1f\\x8b") == "caf\\u00e9 \\x1f\\uef8b"
True
>>> bytes_of("caf\\u00e9 \\x1f\\uef8b")
b'caf\\xc3\\xa9 \\x1f\\x8b'
"""

from __future__ import annotations

_PRIVATE, _SURROGATES = 0xEF80, 0xDC80  # Python's surrogateescape uses the latter
_TO_SURROGATES = {_PRIVATE + byte: _SURROGATES + byte for byte in range(0x80)}
_TO_PRIVATE = {_SURROGATES + byte: _PRIVATE + byte for byte in range(0x80)}


def text_of(data: bytes) -> str:
    """Return bytes as text; every byte is kept."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape").translate(_TO_PRIVATE)


def bytes_of(text: str) -> bytes:
    """Return the bytes of a text from `text_of`."""
    if text.isascii():
        return text.encode()
    return text.translate(_TO_SURROGATES).encode("utf-8", "surrogateescape")
