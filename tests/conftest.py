"""What all tests share: how hypothesis draws, and a way out of a deadlock."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

STUCK_SECONDS = 300.0  # no single test takes that long; a deadlock does

# `make quick` asks for few examples of each property; every other run draws the usual number.
settings.register_profile("quick", max_examples=15, deadline=None)

# Examples differ from run to run, so that more is found; in CI hypothesis chooses its own profile,
# which draws the same examples each time. No example is judged by how long it took.
if not os.environ.get("CI"):
    settings.register_profile("kubesim", deadline=None)
    settings.load_profile("kubesim")


@pytest.fixture(autouse=True)
def _a_deadlock_shows_where_it_is() -> Iterator[None]:
    """A test that hangs prints the stack of every thread and ends the run, instead of waiting."""
    faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
