"""What the tests of the panels share: a user in the page, and time for the panel's thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def from_the_page(widget: Any, value: Any, key: str = "value") -> None:
    """Send what the page sends when a user moves a control."""
    state = {"method": "update", "state": {key: value}, "buffer_paths": []}
    widget._handle_msg({"content": {"data": state}, "buffers": []})


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Give the panel's thread wall time until a condition holds; return whether it did."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
